// Stands between a client and an endpoint, and remembers what each said.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';

/** Passes everything on to `target`. `exchanges` holds each request and its answer, in order. */
export async function startWiretap(target) {
  const exchanges = [];
  const server = createServer(async (request, response) => {
    const asked = { method: request.method, headers: request.headers, body: await text(request) };
    const { 'content-type': type = '' } = request.headers;
    const answer = await fetch(target, { method: request.method, headers: { 'Content-Type': type }, body: asked.body });
    const answered = { status: answer.status, headers: Object.fromEntries(answer.headers), body: await answer.text() };
    exchanges.push({ asked, answered });
    response.writeHead(answered.status, { 'Content-Type': answered.headers['content-type'] });
    response.end(answered.body);
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
