// A proxy in front of a server that injects the faults of networks and servers.

import { once } from 'node:events';
import { createServer, request as ask } from 'node:http';
import { buffer } from 'node:stream/consumers';

/**
 * Passes requests on to `target` until `fault` is set to one of FAULTS, or to anything of their kind. `calls` has one
 * entry a request: when it came, what for, and over which connection.
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
    const answer = async () => passedOn(proxy.target, request, await buffer(request));
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
    /** Stops listening, until `comeBack`. */
    leave: async () => {
      open.forEach((socket) => socket.destroy());
      await new Promise((resolve) => server.close(resolve));
    },
    comeBack: () => once(server.listen(port, '127.0.0.1'), 'listening'),
    /** From now on nothing comes of what is sent over the connections that are open, as after a long sleep. */
    forgetConnections: () => (dead = new Set(open)),
    stop: () => {
      open.forEach((socket) => socket.destroy());
      server.close();
    },
  });
}

const JSON_TYPE = { 'Content-Type': 'application/x-amz-json-1.1' };

/** An answer of one's own in place of the server's. */
export const answers = (status, body, headers = JSON_TYPE) => (response) => response.writeHead(status, headers).end(body);

/** An error as AWS's services say it. */
export const awsError = (status, type, message = 'no') => answers(status, JSON.stringify({ __type: type, message }));

/** A secret whose rotation has begun: its one version is AWSPENDING, and only a request for that stage gets it. */
export const pendingAlone = (secret) => async (response) => {
  const { VersionStage: stage = 'AWSCURRENT' } = JSON.parse(await buffer(response.req));
  const answer = stage === 'AWSPENDING'
    ? answers(200, JSON.stringify({ Name: 'x', SecretString: secret, VersionId: 'x', VersionStages: [stage] }))
    : awsError(400, 'ResourceNotFoundException', `Secrets Manager can't find the specified secret value for staging label: ${stage}`);
  answer(response);
};

/** Says nothing. */
export const silence = () => {};

/** Ends the connection at once. */
export const reset = (response) => response.socket.resetAndDestroy();

/** Half of the server's answer, and then the connection ends. */
export const cutOff = async (response, answer) => {
  const { status, headers, body } = await answer();
  response.writeHead(status, { ...headers, 'Content-Length': body.length });
  response.write(body.subarray(0, body.length / 2), () => response.socket.resetAndDestroy());
};

/** The server's answer, a byte every 100 ms. */
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

/** The server's answer, so many milliseconds late. */
export const late = (milliseconds) => async (response, answer) => {
  const answered = await answer();
  await new Promise((resolve) => setTimeout(resolve, milliseconds));
  end(response, answered);
};

/** 10 MB that begin as an answer might. */
export const tenMegabytes = answers(200, `{"keys": [], "SecretString": "${'canary '.repeat(1_500_000)}"}`);

/** A fault of the requests for one path alone. */
export const at = (path, fault) => async (response, answer) =>
  response.req.url === path ? fault(response, answer) : end(response, await answer());

/** The server's first answer, for every request, so that it's as fast for a crowd as for one; or a fault of it. */
export function remembered(fault = async (response, answer) => end(response, await answer())) {
  let first;
  return (response, answer) => fault(response, () => (first ??= answer()));
}

const end = (response, { status, headers, body }) => response.writeHead(status, headers).end(body);

function passedOn(target, { method, url, headers }, body) {
  const { promise, resolve, reject } = withResolvers();
  // The name it was asked under stays, since an issuer says where it is by it.
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
