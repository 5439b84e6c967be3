// A load on `roompass serve` and on two peers, which sign the same token for anyone: a Node server with LiveKit's SDK, and a
// Go server with LiveKit's library. Prints the requests per second, latency, CPU time per request and memory of each.
//
//   e2e/load/run [SECONDS] [CONNECTIONS]
//
// During the load on Roompass, slow clients send their requests byte by byte, other clients end their connections within a
// request, the configuration is reloaded, and it is stopped at the end. It fails if a request that it has received has no
// response, or an incorrect one.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { clean, e2e, freePorts, repo, start, until } from '../lib/programs.mjs';

const [seconds = 60, connections = 1_000] = process.argv.slice(2).map(Number);
const BODY = JSON.stringify({ room_name: 'load', participant_name: 'Ada' });
const HEAD = (close) => `POST /getToken HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: ${BODY.length}\r\n${close ? 'Connection: close\r\n' : ''}\r\n`;
const REQUEST = HEAD(false) + BODY;
const LAST_REQUEST = HEAD(true) + BODY;
const POLICY = `
[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "load"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_name"]
`;
// LiveKit's development key is public.
const KEYS = { LIVEKIT_URL: 'ws://127.0.0.1:7880', LIVEKIT_API_KEY: 'devkey', LIVEKIT_API_SECRET: 'secret' };

const isToken = (response) => /^HTTP\/1\.1 20[01] [\s\S]*"participant_token":"eyJ/.test(response ?? '');
const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

const folder = mkdtempSync(`${tmpdir()}/roompass-load-`);
try {
  writeFileSync(`${folder}/roompass.toml`, POLICY);
  const rows = [];
  for (const [name, command, args, isRoompass] of [
    ['roompass serve', process.env.ROOMPASS_BIN ?? `${repo}/target/release/roompass`, (port) => ['serve', '--listen', `127.0.0.1:${port}`, '--log', 'json'], true],
    ['Go, LiveKit\'s library', `${e2e}/.tools/bin/load-peer`, (port) => [String(port)]],
    ['Node, livekit-server-sdk', process.execPath, (port) => [`${e2e}/load/peer.mjs`, String(port)]],
  ]) {
    rows.push({ name, ...(await measured(command, args, isRoompass)) });
  }
  console.log(`\n${connections} connections, ${seconds} seconds each, on this machine:\n`);
  console.table(Object.fromEntries(rows.map(({ name, ...figures }) => [name, figures])));
} finally {
  rmSync(folder, { recursive: true });
}

async function measured(command, args, isRoompass) {
  const [port] = await freePorts(1);
  const program = start(command, args(port), { env: clean(KEYS), cwd: folder });
  await until(() => request(port), { of: 'a first response', program });
  const before = cpuSeconds(program.pid);
  const done = { responses: 0, latencies: [], unanswered: 0, slow: 0, ended: 0, memory: 0 };
  const deadline = Date.now() + seconds * 1_000;
  const memory = setInterval(() => (done.memory = Math.max(done.memory, residentBytes(program.pid))), 250);
  const clients = Array.from({ length: connections }, () => client(port, deadline, done));
  const faults = isRoompass ? [...Array.from({ length: 20 }, () => slowClient(port, deadline, done)), endingClient(port, deadline, done), reloads(program, deadline)] : [];
  await Promise.all([...clients, ...faults]);
  clearInterval(memory);
  const cpu = cpuSeconds(program.pid) - before;
  if (isRoompass) await stopsInOrder(program, port);
  else await program.stop();
  assert.equal(done.unanswered, 0, 'requests without a response');
  if (isRoompass) console.log(`roompass serve: ${done.slow} slow requests and ${done.responses} others answered; ${done.ended} connections ended by clients within a request; none lost`);
  done.latencies.sort((one, other) => one - other);
  const at = (share) => done.latencies[Math.floor(done.latencies.length * share)].toFixed(1);
  return {
    'requests/s': Math.round(done.responses / seconds),
    'p50 ms': at(0.5),
    'p99 ms': at(0.99),
    'CPU µs/request': Math.round((cpu / (done.responses + done.slow)) * 1e6),
    'memory MB': (done.memory / 1024 / 1024).toFixed(1),
  };
}

/** Requests one after the other on one connection. */
async function client(port, deadline, done) {
  const connection = await open(port);
  while (Date.now() < deadline) {
    const started = performance.now();
    const response = await exchange(connection, REQUEST);
    if (!isToken(response)) {
      done.unanswered += 1;
      return;
    }
    done.latencies.push(performance.now() - started);
    done.responses += 1;
  }
  connection.socket.destroy();
}

/** A request that takes five seconds to arrive. */
async function slowClient(port, deadline, done) {
  while (Date.now() < deadline) {
    const connection = await open(port);
    const step = Math.ceil(LAST_REQUEST.length / 20);
    for (let at = 0; at < LAST_REQUEST.length - step; at += step) {
      connection.socket.write(LAST_REQUEST.slice(at, at + step));
      await pause(250);
    }
    const response = await exchange(connection, LAST_REQUEST.slice(Math.floor((LAST_REQUEST.length - 1) / step) * step));
    if (isToken(response)) done.slow += 1;
    else done.unanswered += 1;
  }
}

/** Ends connections within the head, within the body, and before the response. */
async function endingClient(port, deadline, done) {
  for (let at = 1; Date.now() < deadline; at = (at * 7) % REQUEST.length) {
    const { socket } = await open(port);
    await new Promise((resolve) => socket.write(REQUEST.slice(0, at), resolve));
    socket.resetAndDestroy();
    done.ended += 1;
    await pause(20);
  }
}

/** Reloads the configuration every two seconds. */
async function reloads(program, deadline) {
  for (let count = 0; Date.now() < deadline; count += 1) {
    writeFileSync(`${folder}/roompass.toml`, `${POLICY}# ${count}\n`);
    process.kill(program.pid, 'SIGHUP');
    await pause(2_000);
  }
}

/** Stops it while 100 requests are incomplete. Each must have its response. */
async function stopsInOrder(program, port) {
  const open100 = await Promise.all(Array.from({ length: 100 }, () => open(port)));
  for (const { socket } of open100) socket.write(REQUEST.slice(0, -1));
  // Its response shows that the others were received.
  assert.ok(isToken(await request(port)));
  process.kill(program.pid, 'SIGTERM');
  await until(() => refuses(port), { of: 'its stop' });
  const responses = await Promise.all(open100.map((connection) => exchange(connection, REQUEST.slice(-1))));
  assert.ok(responses.every(isToken), 'each request that had arrived has a response');
  assert.equal(await program.exited, 0);
}

function refuses(port) {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    socket.on('connect', () => {
      socket.destroy();
      resolve(false);
    });
    socket.on('error', () => resolve(true));
  });
}

async function request(port) {
  return exchange(await open(port), LAST_REQUEST);
}

/** A connection, and the function that gets its next response. */
function open(port) {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    const connection = { socket, received: '', respond: () => {} };
    socket.setNoDelay(true);
    socket.once('connect', () => resolve(connection));
    socket.once('error', reject);
    socket.on('error', () => {});
    socket.on('close', () => connection.respond(undefined));
    socket.on('data', (data) => {
      connection.received += data.toString('latin1');
      const end = connection.received.indexOf('\r\n\r\n');
      if (end < 0) return;
      const length = Number(/content-length: (\d+)/i.exec(connection.received)?.[1]);
      const whole = end + 4 + length;
      if (connection.received.length < whole) return;
      const response = connection.received.slice(0, whole);
      connection.received = connection.received.slice(whole);
      connection.respond(response);
    });
  });
}

/** Sends text, and resolves to the response. Resolves to undefined if the connection ends before. */
function exchange(connection, text) {
  return new Promise((resolve) => {
    if (connection.socket.destroyed) return resolve(undefined);
    connection.respond = resolve;
    connection.socket.write(text);
  });
}


/** The CPU time of a process, in seconds. */
function cpuSeconds(pid) {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

function residentBytes(pid) {
  return Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) * 1024;
}
