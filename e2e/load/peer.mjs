// A token server as LiveKit's documentation shows it, with the Node SDK and without authentication.

import { randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import { AccessToken } from 'livekit-server-sdk';

createServer((request, response) => {
  let text = '';
  request.on('data', (part) => (text += part));
  request.on('end', async () => {
    const body = JSON.parse(text);
    const token = new AccessToken(process.env.LIVEKIT_API_KEY, process.env.LIVEKIT_API_SECRET, {
      identity: `user-${randomUUID()}`,
      name: body.participant_name,
      ttl: '10m',
    });
    token.addGrant({ roomJoin: true, room: body.room_name });
    const content = JSON.stringify({ server_url: process.env.LIVEKIT_URL, participant_token: await token.toJwt() });
    response.writeHead(201, { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(content) });
    response.end(content);
  });
}).listen(Number(process.argv[2]), '127.0.0.1');
