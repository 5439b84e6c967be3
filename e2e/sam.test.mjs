// The templates and the function under SAM's emulator, as on a laptop with Docker and without an AWS account.

import assert from 'node:assert/strict';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before, test } from 'node:test';
import { clean, freePort, repo, run, start, until } from './lib/programs.mjs';
import { roompass } from './lib/services.mjs';
import { verified } from './lib/tokens.mjs';
import { testWith } from './lib/tools.mjs';

const testInDocker = testWith('lambda-image');
const x86 = ['--parameter-overrides', 'Architecture=x86_64'];
// No AWS account: no credentials, no profile, no region.
const env = { ...process.env, SAM_CLI_TELEMETRY: '0', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
for (const name of Object.keys(env)) if (/^(AWS_(ACCESS|SECRET|SESSION|PROFILE|REGION|DEFAULT)|LIVEKIT_|ROOMPASS_)/.test(name)) delete env[name];
// `sam build` uses what release/build has compiled.
Object.assign(env, { CARGO_TARGET_DIR: `${repo}/target/dist/function/x86_64`, RUSTC_WRAPPER: `${repo}/release/rustc` });

// Each sample event and the status of its response.
const outcomes = {
  'http-api': 201,
  'http-api-base64': 201,
  'http-api-stage': 201,
  'http-api-empty-body': 201,
  'rest-api': 201,
  'rest-api-stage-named-api': 201,
  'function-url': 201,
  alb: 201,
  'alb-multi-value-headers': 201,
  healthz: 200,
  preflight: 204,
  'refused-invalid-json': 400,
  'refused-invalid-field': 400,
  'refused-credentials': 400,
  'refused-token-too-large': 400,
  'refused-path': 404,
  'refused-method': 405,
  'refused-media-type': 415,
};

async function sam(...args) {
  const done = await run('sam', args, { env, cwd: repo, timeout: 300_000 });
  assert.equal(done.code, 0, `sam ${args.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done;
}

const answerOf = (invoked) => JSON.parse(invoked.stdout.trim().split('\n').at(-1));

async function isAToken(body) {
  const { server_url, participant_token, ...rest } = JSON.parse(body);
  assert.deepEqual([server_url, rest], ['ws://localhost:7880', {}]);
  return verified(participant_token, 'devkey', 'secret');
}

before(async () => {
  await sam('build', '--config-env', 'local', ...x86);
});

test('sam validate --lint finds no errors', async () => {
  for (const template of ['template.yaml', 'local.yaml']) {
    const { stdout } = await sam('validate', '--lint', '--template', template);
    assert.match(stdout, /is a valid SAM Template/);
  }
});

test('sam build prepares a deployment with its nested templates, beside the build for sam local', async () => {
  await sam('build', ...x86);
  const built = readFileSync(`${repo}/.aws-sam/build/template.yaml`, 'utf8');
  const nested = [...built.matchAll(/TemplateURL: (.+)/g)].map(([, path]) => path);
  assert.equal(nested.length, 3);
  for (const path of nested) assert.ok(existsSync(`${repo}/.aws-sam/build/${path}`), path);
  assert.ok(existsSync(`${repo}/.aws-sam/build/TokenFunction/bootstrap`));
  assert.ok(existsSync(`${repo}/.aws-sam/local/TokenFunction/bootstrap`));
});

test('every sample event has an expected status', () => {
  const events = readdirSync(`${repo}/events`).filter((file) => file.endsWith('.json'));
  assert.deepEqual(events.map((file) => file.replace('.json', '')).sort(), Object.keys(outcomes).sort());
});

for (const [name, status] of Object.entries(outcomes)) {
  testInDocker(`sam local invoke -e events/${name}.json returns ${status}`, async () => {
    const answer = answerOf(await sam('local', 'invoke', 'TokenFunction', '-e', `events/${name}.json`, '--skip-pull-image', ...x86));
    assert.equal(answer.statusCode, status, JSON.stringify(answer));
    if (status === 201) {
      const claims = await isAToken(answer.body);
      if (name !== 'http-api-empty-body') assert.deepEqual([claims.video.room, claims.sub], ['standup', 'ada']);
    } else if (status >= 400) {
      assert.equal(JSON.parse(answer.body).status, status);
      assert.doesNotMatch(answer.body, /eyJ/);
    }
  });
}

testInDocker('sam local start-api accepts configured callers only', async (t) => {
  const { key, stored } = await newApiKey('red');
  const ROOMPASS_CONFIG = `
    caller = [{ name = "backend", kind = "api-key" }]
    rule = [{ name = "team", callers = ["backend"], when = { sub = "red" }, rooms = ["red:*"], client_may_set = ["participant_identity"] }]`;
  const LIVEKIT = { LIVEKIT_URL: 'ws://localhost:7880', LIVEKIT_API_KEY: 'devkey', LIVEKIT_API_SECRET: 'secret' };
  const file = `${repo}/e2e/.tools/callers.env.json`;
  const ROOMPASS_API_KEYS = `{${stored}}`;
  writeFileSync(file, JSON.stringify({ TokenFunction: { ...LIVEKIT, ROOMPASS_CONFIG, ROOMPASS_API_KEYS } }));
  const url = await startApi(t, '--env-vars', file);
  const ask = async (room_name, headers) => {
    const body = JSON.stringify({ room_name, participant_identity: 'ada' });
    const answer = await fetch(`${url}/getToken`, { method: 'POST', headers: { 'content-type': 'application/json', ...headers }, body });
    return { status: answer.status, challenge: answer.headers.get('www-authenticate'), text: await answer.text() };
  };
  const code = ({ text }) => JSON.parse(text).code;

  const anonymous = await ask('red:standup', {});
  assert.deepEqual([anonymous.status, code(anonymous)], [401, 'no_credential']);
  const unknownKey = await ask('red:standup', { 'x-api-key': (await newApiKey('red')).key });
  assert.deepEqual([unknownKey.status, code(unknownKey)], [401, 'invalid_credential']);
  const otherRoom = await ask('blue:standup', { 'x-api-key': key });
  assert.deepEqual([otherRoom.status, code(otherRoom)], [403, 'room_not_allowed']);
  const allowed = await ask('red:standup', { authorization: `ApiKey ${key}` });
  assert.equal(allowed.status, 201);
  assert.deepEqual((await isAToken(allowed.text)).video, { roomJoin: true, room: 'red:standup' });

  const preflight = await fetch(`${url}/getToken`, { method: 'OPTIONS', headers: { origin: 'https://app.example.com', 'access-control-request-method': 'POST' } });
  assert.ok(preflight.ok, `a preflight needs no credential: ${preflight.status}`);
});

testInDocker('without the policy of local.env.json, every request is refused', async () => {
  const wiring = JSON.stringify({ TokenFunction: { LIVEKIT_URL: 'wss://x', LIVEKIT_API_KEY: 'k', LIVEKIT_API_SECRET: 'a secret that is long enough' } });
  const file = `${repo}/e2e/.tools/deployed.env.json`;
  writeFileSync(file, wiring);
  const invoked = await sam('local', 'invoke', 'TokenFunction', '-e', 'events/http-api.json', '--skip-pull-image', '--env-vars', file, ...x86);
  const answer = answerOf(invoked);
  assert.equal(answer.statusCode, 403);
  assert.equal(JSON.parse(answer.body).code, 'no_callers_configured');
  assert.match(invoked.stderr, /no caller is configured.*add a \[\[caller\]\] and a \[\[rule\]\]/);
});

/** A new API key, and the entry for ROOMPASS_API_KEYS that the command prints. */
async function newApiKey(name) {
  const { code, stdout, stderr } = await run(roompass(), ['api-key', name], { env: clean() });
  assert.equal(code, 0, stderr);
  const [[key], [stored]] = [/^rpk_\w+$/m, /^"\w+": ".+"$/m].map((line) => stdout.match(line));
  return { key, stored };
}

/** Starts `sam local start-api` and returns its URL. */
async function startApi(t, ...args) {
  const port = await freePort();
  const api = start('sam', ['local', 'start-api', '--port', String(port), '--skip-pull-image', '--warm-containers', 'EAGER', ...args, ...x86], { env, cwd: repo });
  t.after(() => api.stop('SIGINT'));
  const url = `http://127.0.0.1:${port}`;
  await until(() => fetch(`${url}/healthz`).then((answer) => answer.ok), { of: 'sam local start-api', within: 120_000, program: api });
  return url;
}

testInDocker('sam local start-api serves the endpoint', async (t) => {
  const url = await startApi(t);

  for (const path of ['/getToken', '/api/token']) {
    const body = JSON.stringify({ room_name: 'standup', participant_identity: 'ada' });
    const answer = await fetch(url + path, { method: 'POST', headers: { 'content-type': 'application/json' }, body });
    assert.equal(answer.status, 201);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
    assert.equal((await isAToken(await answer.text())).video.room, 'standup');
  }
  const bare = await fetch(`${url}/getToken`, { method: 'POST' });
  assert.equal(bare.status, 201);
  assert.match((await isAToken(await bare.text())).video.room, /^room-/);

  const refused = await fetch(`${url}/getToken`, { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{' });
  assert.equal(refused.status, 400);
  assert.equal(refused.headers.get('content-type'), 'application/problem+json');
  assert.equal((await fetch(`${url}/nowhere`, { method: 'POST' })).status, 404);
});

/** The commands of a document's `sh` blocks, each on a line of its own. */
const commandsOf = (document) =>
  [...readFileSync(`${repo}/${document}`, 'utf8').matchAll(/^( *)```sh\n([\s\S]*?)^ *```$/gm)].flatMap(([, indent, block]) => {
    const lines = block.replaceAll('\\\n', ' ').split('\n').map((line) => line.slice(indent.length).split(/\s+#/)[0].trim());
    return lines.filter(Boolean);
  });

/** These commands change an AWS account or read it. */
const NEEDS_ACCOUNT = /^(aws |sam deploy |sam delete |curl -X POST https:)/;
/** The build for a deployment. Its test above builds for this machine's processor instead of arm64. */
const DEPLOYMENT = 'sam build';

const ownCommands = commandsOf('docs/deploy.md').filter((command) => !NEEDS_ACCOUNT.test(command) && command !== DEPLOYMENT);
/** The first ones are for a folder with the files of a release. */
const firstOfBuild = ownCommands.findIndex((command) => command.startsWith('sam build '));

test("the commands of docs/deploy.md for a release work as they are written in a folder with the release's files", async (t) => {
  const cwd = mkdtempSync(`${tmpdir()}/roompass-deploy-`);
  t.after(() => rmSync(cwd, { recursive: true }));
  cpSync(`${repo}/release/out`, cwd, { recursive: true });
  const [, policy] = readFileSync(`${repo}/docs/policy-examples.md`, 'utf8').match(/```toml\n([^]*?)```/);
  writeFileSync(`${cwd}/policy.toml`, policy);
  const outputs = [];
  for (const command of ownCommands.slice(0, firstOfBuild)) {
    const { code, stdout, stderr } = await run('bash', ['--norc', '-c', command], { env: clean(), cwd });
    assert.equal(code, 0, `${command}\n${stdout}\n${stderr}`);
    outputs.push([command, `${stdout}${stderr}`]);
  }
  const [[check, sums], [unpack], [roompass, checked]] = outputs;
  assert.match(check, /^sha256sum /);
  const files = readdirSync(`${repo}/release/out`).filter((name) => name !== 'SHA256SUMS');
  assert.deepEqual(sums.trim().split('\n').sort(), files.map((name) => `${name}: OK`).sort());
  assert.match(unpack, /^tar /);
  assert.match(roompass, /roompass check$/);
  assert.match(checked, /policy\.toml/);
});

testInDocker('the commands of docs/deploy.md that need no AWS account work as they are written', async (t) => {
  const port = await freePort();
  // On this machine, another port and an image that was built here.
  const here = (command) => {
    const [program, ...args] = command.replace('127.0.0.1:3000', `127.0.0.1:${port}`).split(/\s+/);
    if (args[0] === 'local') args.push('--skip-pull-image', ...(args[1] === 'start-api' ? ['--port', `${port}`] : []));
    return [program, args];
  };
  const outcomes = [];
  for (const command of ownCommands.slice(firstOfBuild)) {
    const [program, args] = here(command);
    if (args[1] === 'start-api') {
      const api = start(program, args, { env, cwd: repo });
      t.after(() => api.stop('SIGINT'));
      await until(() => fetch(`http://127.0.0.1:${port}/healthz`).then((answer) => answer.ok), { of: command, within: 120_000, program: api });
      outcomes.push([command, 'serves']);
      continue;
    }
    const { code, stdout, stderr } = await run(program, args, { env, cwd: repo, timeout: 300_000 });
    assert.equal(code, 0, `${command}\n${stdout}\n${stderr}`);
    const issued = stdout.trim().split('\n').at(-1).includes('participant_token');
    outcomes.push([command, issued ? 'a token' : 'done']);
  }
  const x86 = '--parameter-overrides Architecture=x86_64';
  assert.deepEqual(outcomes, [
    [`sam build --config-env local ${x86}`, 'done'],
    [`sam local start-api ${x86}`, 'serves'],
    ['curl -X POST http://127.0.0.1:3000/getToken', 'a token'],
    [`sam local invoke -e events/http-api.json ${x86}`, 'a token'],
  ]);
});
