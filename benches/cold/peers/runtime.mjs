// The part of Lambda's Node runtime that asks for events: less than Lambda's own does.

import { Agent, request } from 'node:http';

const [hostname, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');
const agent = new Agent({ keepAlive: true, maxSockets: 1 });

/** Responds to events until the process ends. */
export async function serve(handler) {
  for (;;) {
    const { id, event } = await send('GET', 'next');
    await send('POST', `${id}/response`, JSON.stringify(await handler(event)));
  }
}

const send = (method, path, body) =>
  new Promise((resolve, reject) => {
    const headers = body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) };
    const call = request({ hostname, port, agent, method, headers, path: `/2018-06-01/runtime/invocation/${path}` }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part) => (text += part));
      response.on('end', () => resolve({ id: response.headers['lambda-runtime-aws-request-id'], event: text && JSON.parse(text) }));
    });
    call.on('error', reject).end(body);
  });
