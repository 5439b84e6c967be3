// Starts each function many times, one after the other in each round, behind Lambda's Runtime API and a Secrets Manager
// that responds over TLS after 8 ms. Prints the medians, and their ratios to the floor.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import { createInterface } from 'node:readline';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { text } from 'node:stream/consumers';
import { parseArgs } from 'node:util';
import { clean, e2e, repo, start } from '../../e2e/lib/programs.mjs';

const { values: options } = parseArgs({
  options: {
    rounds: { type: 'string', default: '20' },
    requests: { type: 'string', default: '5000' },
    check: { type: 'boolean' },
  },
});
const rounds = Number(options.rounds);
const requests = Math.ceil(Number(options.requests) / rounds);
/** Milliseconds that the Secrets Manager takes. */
const LATENCY = 8;
/** With `--check`, the function may start this much slower than the floor. */
const LIMIT = 1.1;
const KEYS = { LIVEKIT_URL: 'wss://calls.example.com', LIVEKIT_API_KEY: 'APIbenchmarks', LIVEKIT_API_SECRET: 'the secret of the LiveKit server' };
const SECRET = JSON.stringify(KEYS);

const out = `${repo}/target/dist/cold`;
const folder = mkdtempSync(join(tmpdir(), 'roompass-cold-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const policy = join(folder, 'roompass.toml');
writeFileSync(policy, `
[[caller]]
name = "anyone"
kind = "anonymous"

[[rule]]
name = "anyone"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name"]
`);
const event = JSON.parse(readFileSync(`${repo}/events/http-api.json`, 'utf8'));
event.body = JSON.stringify({ room_name: 'standup', participant_identity: 'ada', participant_name: 'Ada' });
const EVENT = JSON.stringify(event);

/** The functions. The first one is what the others are compared with. */
const floor = `${out}/floor/lambda/floor/bootstrap`;
const ours = resolve(process.env.ROOMPASS_BOOTSTRAP);
const FUNCTIONS = [
  { name: 'Rust, only the secret', command: [floor], zips: floor, accepts: ({ statusCode, body }) => assert.deepEqual([statusCode, body], [200, `${SECRET.length}`]) },
  { name: 'Roompass', command: [ours], zips: ours, accepts: hasToken },
  { name: 'Node', command: [process.execPath, `${out}/node/index.mjs`], zips: `${out}/node/index.mjs`, accepts: hasToken },
  { name: 'Python', command: [`${e2e}/.tools/python/bin/python`, `${repo}/benches/cold/peers/python.py`], accepts: hasToken },
];

const secrets = await secretsManager();
const cpuTime = cpuClock();
const results = FUNCTIONS.map(() => []);
for (let round = 0; round < rounds; round += 1) {
  for (const [index, each] of FUNCTIONS.entries()) results[index].push(await measured(each));
}
secrets.stop();
cpuTime.stop();

const rows = FUNCTIONS.map(({ name, zips }, index) => ({
  name,
  ...Object.fromEntries(Object.keys(results[index][0]).map((key) => [key, median(results[index].map((result) => result[key]))])),
  zipped: zips && zippedSize(zips),
}));
console.log(`\n${rounds} cold starts and ${rounds * requests} requests of each function; medians, and the ratio to the first row:\n`);
console.log('| function | init and first request, ms | CPU time of both, ms | CPU time of a request, µs | memory, MB | zipped, bytes |');
console.log('|---|---|---|---|---|---|');
for (const row of rows) {
  const cell = (key, digits) => {
    if (row[key] === undefined) return '';
    const ratio = row === rows[0] ? '' : ` (${(row[key] / rows[0][key]).toFixed(2)} ×)`;
    return row[key].toLocaleString('en', { minimumFractionDigits: digits, maximumFractionDigits: digits }) + ratio;
  };
  console.log(`| ${[row.name, cell('start', 1), cell('startCpu', 1), cell('requestCpu', 0), cell('memory', 1), cell('zipped', 0)].join(' | ')} |`);
}
const ratio = rows[1].start / rows[0].start;
if (options.check && !(ratio <= LIMIT)) {
  console.error(`${rows[1].name} starts in ${ratio.toFixed(2)} times the time of ${rows[0].name}, and at most ${LIMIT} is allowed`);
  process.exitCode = 1;
}

/** One cold start and a number of requests. */
async function measured({ name, command: [command, ...args], accepts }) {
  const runtime = await runtimeApi();
  const began = performance.now();
  const program = start(command, args, {
    env: clean({
      AWS_LAMBDA_RUNTIME_API: runtime.address,
      AWS_LAMBDA_FUNCTION_NAME: 'roompass',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_LOG_FORMAT: 'JSON',
      AWS_REGION: 'eu-central-1',
      AWS_DEFAULT_REGION: 'eu-central-1',
      AWS_ACCESS_KEY_ID: 'test',
      AWS_SECRET_ACCESS_KEY: 'test',
      AWS_SESSION_TOKEN: 'test',
      AWS_ENDPOINT_URL: secrets.url,
      SSL_CERT_FILE: secrets.roots,
      NODE_EXTRA_CA_CERTS: secrets.root,
      AWS_CA_BUNDLE: secrets.roots,
      ROOMPASS_SECRET_ID: 'roompass',
      ROOMPASS_CONFIG: policy,
    }),
  });
  const invoke = async () => {
    const ended = program.exited.then((end) => Promise.reject(new Error(`it ended with ${end}`)));
    const { body, at } = await Promise.race([runtime.invoke(EVENT), ended]);
    accepts(JSON.parse(body));
    return at;
  };
  try {
    const figures = { start: (await invoke()) - began };
    figures.startCpu = (await cpuTime.of(program.pid)) / 1e6;
    // The first requests fill caches.
    for (let warm = 0; warm < 20; warm += 1) await invoke();
    const before = await cpuTime.of(program.pid);
    for (let request = 0; request < requests; request += 1) await invoke();
    figures.requestCpu = ((await cpuTime.of(program.pid)) - before) / requests / 1e3;
    figures.memory = Number(readFileSync(`/proc/${program.pid}/status`, 'utf8').match(/VmHWM:\s+(\d+) kB/)[1]) / 1024;
    return figures;
  } catch (error) {
    throw new Error(`${name}: ${error.message}\n${program.output()}`, { cause: error });
  } finally {
    await program.stop();
    runtime.stop();
  }
}

/** Lambda's Runtime API. An event is sent as soon as the function asks for it. */
async function runtimeApi() {
  let waiting, poll, answered;
  const next = () => {
    if (!poll || !waiting) return;
    poll.writeHead(200, {
      'Content-Type': 'application/json',
      'Lambda-Runtime-Aws-Request-Id': randomUUID(),
      'Lambda-Runtime-Deadline-Ms': `${Date.now() + 10_000}`,
      'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:eu-central-1:123456789012:function:roompass',
    });
    poll.end(waiting);
    poll = waiting = undefined;
  };
  const server = createServer(async (request, response) => {
    if (request.url.endsWith('/next')) {
      poll = response;
      return next();
    }
    const body = await text(request);
    const at = performance.now();
    response.writeHead(202).end();
    if (request.url.endsWith('/response')) answered.resolve({ body, at });
    else answered.reject(new Error(`the invocation failed: ${body}`));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${server.address().port}`,
    invoke: (sent) => {
      const answer = new Promise((resolve, reject) => (answered = { resolve, reject }));
      waiting = sent;
      next();
      return answer;
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** A Secrets Manager over TLS. Its certificate's root is added to those of this machine, as many as on Lambda. */
async function secretsManager() {
  const [root, key, roots] = ['root.pem', 'key.pem', 'roots.pem'].map((name) => join(folder, name));
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '1', '-subj', '/CN=localhost',
    '-addext', 'subjectAltName=DNS:localhost', '-addext', 'basicConstraints=critical,CA:FALSE', '-keyout', key, '-out', root], { stdio: ['ignore', 'ignore', 'ignore'] });
  const certificate = readFileSync(root);
  writeFileSync(roots, Buffer.concat([readFileSync('/etc/ssl/certs/ca-certificates.crt'), certificate]));
  const answer = JSON.stringify({ ARN: 'arn', Name: 'roompass', VersionId: 'first', SecretString: SECRET, VersionStages: ['AWSCURRENT'] });
  const server = createTlsServer({ cert: certificate, key: readFileSync(key) }, async (request, response) => {
    await text(request);
    setTimeout(() => response.writeHead(200, { 'Content-Type': 'application/x-amz-json-1.1' }).end(answer), LATENCY);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${server.address().port}`,
    root,
    roots,
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

/** The CPU time of other processes, in nanoseconds. */
function cpuClock() {
  const child = spawn(`${out}/cputime`, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface(child.stdout);
  return {
    of: async (pid) => {
      child.stdin.write(`${pid}\n`);
      const [line] = await once(lines, 'line');
      return Number(line);
    },
    stop: () => child.stdin.end(),
  };
}

/** Checks the token of a response. */
function hasToken({ statusCode, body }) {
  assert.ok([200, 201].includes(statusCode), `status ${statusCode}: ${body}`);
  const [head, claims, signature] = JSON.parse(body).participant_token.split('.');
  assert.equal(createHmac('sha256', KEYS.LIVEKIT_API_SECRET).update(`${head}.${claims}`).digest('base64url'), signature);
  const { sub, name, video } = JSON.parse(Buffer.from(claims, 'base64url'));
  assert.deepEqual([sub, name, video.room, video.roomJoin], ['ada', 'Ada', 'standup', true]);
}

/** The size of a zip that contains only this file. */
function zippedSize(file) {
  const zip = join(folder, 'function.zip');
  execFileSync('zip', ['-9', '-j', '-q', zip, file]);
  const { size } = statSync(zip);
  rmSync(zip);
  return size;
}

function median(numbers) {
  const sorted = numbers.toSorted((a, b) => a - b);
  return (sorted[Math.floor((sorted.length - 1) / 2)] + sorted[Math.floor(sorted.length / 2)]) / 2;
}
