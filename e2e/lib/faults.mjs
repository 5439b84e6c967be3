// A proxy in front of a server, which injects the faults of networks and servers.

import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import { buffer } from 'node:stream/consumers';

/**
 * Forwards requests to `target`, unless `fault` is set to one of the functions below. `calls` has one entry for each
 * request: its time, its URL and its connection.
 */
export async function startProxy(target) {
  const open = new Set();
  let dead = new Set();
  const proxy = { target, fault: undefined, calls: [] };
  const server = createServer(async (request, response) => {
    const { socket } = request;
    proxy.calls.push({ at: Date.now(), url: request.url, connection: socket.remotePort });
    if (dead.has(socket)) return;
    const { fault } = proxy;
    const answer = async () => forward(proxy.target, request, await buffer(request));
    try {
      await (fault ? fault(response, answer) : end(response, await answer()));
    } catch (error) {
      // The client or the server closed the connection.
      response.destroy(error);
    }
  });
  server.on('connection', (socket) => {
    open.add(socket.on('error', () => {}));
    socket.on('close', () => open.delete(socket));
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  return Object.assign(proxy, {
    url: `http://127.0.0.1:${port}`,
    /** Stops listening until `reopen`. */
    close: async () => {
      open.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
    reopen: () => once(server.listen(port, '127.0.0.1'), 'listening'),
    /** Ignores all further requests on the open connections, as if they were dead after a long sleep. */
    forgetConnections: () => (dead = new Set(open)),
    stop: () => {
      open.forEach((socket) => socket.destroy());
      server.close();
    },
  });
}

const JSON_TYPE = { 'Content-Type': 'application/x-amz-json-1.1' };

/** Responds in place of the server. */
export const respondWith = (status, body, headers = JSON_TYPE) => (response) => response.writeHead(status, headers).end(body);

/** An error in the format of AWS's services. */
export const awsError = (status, type, message = 'no') => respondWith(status, JSON.stringify({ __type: type, message }));

/** A secret whose only version is AWSPENDING: only a request for that stage gets it. */
export const pendingOnly = (secret) => async (response) => {
  const { VersionStage: stage = 'AWSCURRENT' } = JSON.parse(await buffer(response.req));
  const answer = stage === 'AWSPENDING'
    ? respondWith(200, JSON.stringify({ Name: 'x', SecretString: secret, VersionId: 'x', VersionStages: [stage] }))
    : awsError(400, 'ResourceNotFoundException', `Secrets Manager can't find the specified secret value for staging label: ${stage}`);
  answer(response);
};

/** Never responds. */
export const noResponse = () => {};

/** Resets the connection. */
export const reset = (response) => response.socket.resetAndDestroy();

/** Sends half of the server's response, then resets the connection. */
export const truncated = async (response, answer) => {
  const { status, headers, body } = await answer();
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.write(body.subarray(0, body.length / 2), () => response.socket.resetAndDestroy());
};

/** Sends the server's response, one byte every 100 ms. */
export const drip = async (response, answer) => {
  const { status, headers, body } = await answer();
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  for (const byte of body) {
    if (response.destroyed) return;
    response.write(Buffer.of(byte));
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  response.end();
};

/** Sends the server's response after a delay. */
export const delayed = (milliseconds) => async (response, answer) => {
  const answered = await answer();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  end(response, answered);
};

/** 10 MB that begin like a valid response. */
export const tenMegabytes = respondWith(200, `{"keys": [], "SecretString": "${'canary '.repeat(1_500_000)}"}`);

/** Applies a fault to the requests for one path only. */
export const at = (path, fault) => async (response, answer) =>
  response.req.url === path ? fault(response, answer) : end(response, await answer());

/** Sends the server's first response to every request, so that the server's speed doesn't matter. */
export function cached(fault = async (response, answer) => end(response, await answer())) {
  let first;
  return (response, answer) => fault(response, () => (first ??= answer()));
}

const end = (response, { status, headers, body }) => response.writeHead(status, headers).end(body);

function forward(target, { method, url, headers }, body) {
  const { promise, resolve, reject } = withResolvers();
  // The `Host` header is kept, because the issuer builds its own URLs from it.
  ask(`${target}${url}`, { method, headers, agent: false }, async (answer) => {
    const { connection, 'transfer-encoding': coding, ...kept } = answer.headers;
    resolve({ status: answer.statusCode, headers: kept, body: await buffer(answer) });
  }).on('error', reject).end(body);
  return promise;
}

function withResolvers() {
  const resolvers = {};
  const promise = new Promise((resolve, reject) => Object.assign(resolvers, { resolve, reject }));
  return { promise, ...resolvers };
}
