// A proxy between a client and an endpoint that records requests and responses.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

/** Forwards every request to `target`. `exchanges` has each request with its response, in order. */
export async function startWiretap(target) {
  const exchanges = [];
  const server = createServer(async (request, response) => {
    const sent = { method: request.method, headers: request.headers, body: await text(request) };
    const { 'content-type': type = '' } = request.headers;
    const answer = await fetch(target, { method: request.method, headers: { 'Content-Type': type }, body: sent.body });
    const received = { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
    exchanges.push({ request: sent, response: received });
    response.writeHead(received.status, { 'Content-Type': received.headers['content-type'] });
    response.end(received.body);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${server.address().port}/`,
    exchanges,
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
