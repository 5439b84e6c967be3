// The images of the Dockerfile, and compose.yaml, with a Docker engine.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { after, before } from 'node:test';
import { BASE, IMAGE, LAMBDA_IMAGE, buildPrebuilt, compose, docker, dockerExit, filesOf, responding, startContainer } from './lib/docker.mjs';
import { e2e, freePorts, repo, run, until } from './lib/programs.mjs';
import { httpAnswer } from './lib/services.mjs';
import { payload, verified } from './lib/tokens.mjs';
import { isMissing, testWith } from './lib/tools.mjs';

const test = testWith('container-images');
const KEYS = { key: 'APIe2e', secret: 'canary-7d31, a secret of thirty-two bytes or more' };
const OPEN = '[[caller]]\nname = "anyone"\nkind = "anonymous"\n[[rule]]\nname = "open"\ncallers = ["anyone"]\nrooms = ["*"]\n';

/** The arguments for a container without callers. */
const UNAUTHENTICATED = ['serve', '--listen', '0.0.0.0:3000', '--allow-unauthenticated-network-access', '--log', 'json'];

const COMPILED_IMAGE = 'roompass-e2e/compiled';
after(() => dockerExit(['rmi', '--force', COMPILED_IMAGE]));

before(async () => {
  if (isMissing('container-images')) return;
  await buildPrebuilt('roompass', IMAGE);
  await buildPrebuilt('lambda', LAMBDA_IMAGE);
});

/** A folder with files that the container's user can read. */
function secrets(t, files) {
  const folder = mkdtempSync(`${tmpdir()}/roompass-secrets-`);
  t.after(() => rmSync(folder, { recursive: true }));
  for (const [name, text] of Object.entries(files)) writeFileSync(`${folder}/${name}`, text);
  chmodSync(folder, 0o755);
  return folder;
}

const ask = (url, body = {}) =>
  fetch(`${url}/getToken`, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

test('the image adds only the program and its folder to the base image', async () => {
  const paths = async (image) => new Set((await filesOf(image)).map(({ path }) => path));
  const base = await paths(BASE);
  const added = async (image) => [...(await paths(image))].filter((path) => !base.has(path)).sort();
  assert.deepEqual(await added(IMAGE), ['etc/roompass/', 'usr/', 'usr/bin/', 'usr/bin/roompass']);
  assert.deepEqual(await added(LAMBDA_IMAGE), ['usr/', 'usr/bin/', 'usr/bin/bootstrap']);
  for (const image of [IMAGE, LAMBDA_IMAGE]) {
    const { mode, owner } = (await filesOf(image)).find(({ path }) => /^usr\/bin\/\w+$/.test(path));
    assert.deepEqual([mode, owner], ['-rwxr-xr-x', '0/0'], 'the program can not change itself');
    const { Size, Config } = JSON.parse(await docker(['image', 'inspect', image]))[0];
    console.log(`${image}: ${(Size / 1e6).toFixed(1)} MB`);
    assert.equal(Config.User, '65532:65532');
  }
});

test('there is no shell in the image', async () => {
  for (const shell of ['sh', '/bin/sh', 'bash', 'busybox']) {
    const { code, stderr } = await dockerExit(['run', '--rm', '--entrypoint', shell, IMAGE, '-c', 'true']);
    assert.equal(code, 127, stderr);
    assert.match(stderr, /not found|no such file/);
  }
});

test('without keys, a container is healthy and gives tokens of the development key, as a user without privileges', async (t) => {
  const container = await startContainer(t, { options: ['--health-interval', '1s'], args: UNAUTHENTICATED });
  await responding(container);
  const response = await ask(container.url, { room_name: 'hello', participant_name: 'Ada' });
  const { participant_token, server_url } = await response.json();
  assert.deepEqual([response.status, server_url], [201, 'ws://localhost:7880']);
  const claims = await verified(participant_token, 'devkey', 'secret');
  assert.deepEqual([claims.video, claims.name], [{ roomJoin: true, room: 'hello', canUpdateOwnMetadata: true }, 'Ada']);

  await until(async () => (await container.inspect()).State.Health.Status === 'healthy', { of: 'a healthy container' });
  const [, process] = (await docker(['top', container.id, '-eo', 'pid,uid,gid,args'])).split('\n');
  assert.match(process, /^ *\d+ +65532 +65532 +\/usr\/bin\/roompass serve --listen 0\.0\.0\.0:3000 --allow-unauthenticated-network-access --log json$/);
  const lines = (await container.logs()).trim().split('\n').map((line) => JSON.parse(line));
  assert.ok(lines.every(({ timestamp, level, message }) => timestamp && level && message));
  assert.equal(lines.find(({ message }) => message === 'listening').address, '0.0.0.0:3000');
  // The page is for the machine that the program runs on.
  assert.equal((await fetch(`${container.url}/_page/state`)).status, 404);
});

test("the README's line starts a container that issues a token", async (t) => {
  const section = readFileSync(`${repo}/README.md`, 'utf8').split('\n### Run a container\n')[1].split(/\n##+ /)[0];
  const [, options, args] = section.match(/^docker run --rm (.*) roompass (.*)$/m);
  // Port 3000 may be in use on this machine.
  assert.equal(options, '--publish 127.0.0.1:3000:3000');
  const started = performance.now();
  const container = await startContainer(t, { args: args.split(' ') });
  await responding(container);
  const { participant_token: token } = await (await ask(container.url, { room_name: 'hello' })).json();
  await verified(token, 'devkey', 'secret');
  assert.ok(performance.now() - started < 60_000, 'within a minute');
});

test('a container whose endpoint does not respond is unhealthy', async (t) => {
  const options = ['--health-interval', '1s', '--health-retries', '1'];
  const container = await startContainer(t, { options, args: UNAUTHENTICATED.map((arg) => arg.replace(':3000', ':3001')) });
  await until(async () => (await container.inspect()).State.Health.Status === 'unhealthy', { of: 'an unhealthy container' });
  const { stderr, code } = await container.exec('/usr/bin/roompass', 'health');
  assert.equal(code, 1);
  assert.match(stderr, /http:\/\/127\.0\.0\.1:3000\/healthz is unreachable/);
});

test('keys are read from files, and are in no log and no configuration of the container', async (t) => {
  const folder = secrets(t, { key: `${KEYS.key}\n`, secret: `${KEYS.secret}\n`, 'roompass.toml': OPEN });
  const env = { LIVEKIT_URL: 'wss://calls.example', LIVEKIT_API_KEY_FILE: '/run/secrets/key', LIVEKIT_API_SECRET_FILE: '/run/secrets/secret' };
  const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  options.push('--volume', `${folder}:/run/secrets:ro`, '--volume', `${folder}/roompass.toml:/etc/roompass/roompass.toml:ro`, '--env', 'RUST_LOG=trace');
  const container = await startContainer(t, { options });
  await responding(container);
  const response = await ask(container.url, { room_name: 'standup' });
  const { participant_token, server_url } = await response.json();
  assert.deepEqual([response.status, server_url], [201, 'wss://calls.example']);
  assert.equal((await verified(participant_token, KEYS.key, KEYS.secret)).video.room, 'standup');

  const logs = await container.logs();
  assert.match(logs, /"message":"token issued"/);
  for (const text of [logs, JSON.stringify(await container.inspect())]) {
    assert.ok(!text.includes('canary') && !text.includes(participant_token.split('.')[2]));
  }
});

test('without a caller, a container ends with an error that names the remedy', async (t) => {
  const withoutKeys = await startContainer(t);
  assert.equal(await docker(['wait', withoutKeys.id]), '1');
  assert.match(await withoutKeys.logs(), /add a \[\[caller\]\]/);
  const folder = secrets(t, { secret: KEYS.secret });
  const options = ['--env', `LIVEKIT_API_KEY=${KEYS.key}`, '--env', 'LIVEKIT_API_SECRET_FILE=/run/secrets/secret', '--volume', `${folder}:/run/secrets:ro`];
  const container = await startContainer(t, { options });
  assert.equal(await docker(['wait', container.id]), '1');
  const logs = await container.logs();
  assert.match(logs, /add a \[\[caller\]\]/);
  assert.ok(!logs.includes('canary'));
});

test('SIGTERM stops a container at once, with exit code 0', async (t) => {
  const container = await startContainer(t, { args: UNAUTHENTICATED });
  await responding(container);
  const began = performance.now();
  await docker(['stop', '--time', '30', container.id]);
  const took = performance.now() - began;
  assert.ok(took < 10_000, `${took} ms`);
  const { ExitCode, OOMKilled } = (await container.inspect()).State;
  assert.deepEqual([ExitCode, OOMKilled], [0, false]);
  assert.match(await container.logs(), /"message":"stopped"}\n$/);
});

test('the CA certificates of the image are found', async () => {
  const { code, stderr } = await dockerExit(['run', '--rm', IMAGE, 'health', '--url', 'https://127.0.0.1:1/']);
  assert.equal(code, 1);
  assert.match(stderr, /127\.0\.0\.1:1\/ is unreachable: .*refused/i);
  const without = await dockerExit(['run', '--rm', '--env', 'SSL_CERT_FILE=/none', IMAGE, 'health', '--url', 'https://127.0.0.1:1/']);
  assert.match(without.stderr, /cannot read the system's TLS roots/);
});

test('the image of the function handles an event under the runtime emulator', async (t) => {
  const [version] = readdirSync(`${e2e}/.tools/python/lib`);
  const emulator = `${e2e}/.tools/python/lib/${version}/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64`;
  const env = { LIVEKIT_URL: 'wss://calls.example', LIVEKIT_API_KEY: KEYS.key, LIVEKIT_API_SECRET: KEYS.secret, ROOMPASS_CONFIG: OPEN };
  const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
  options.push('--volume', `${emulator}:/aws-lambda-rie:ro`, '--entrypoint', '/aws-lambda-rie');
  const container = await startContainer(t, { image: LAMBDA_IMAGE, options, args: ['/usr/bin/bootstrap'], port: 8080 });
  const event = readFileSync(`${repo}/events/http-api-empty-body.json`);
  const path = '/2015-03-31/functions/function/invocations';
  const invoked = await until(() => fetch(container.url + path, { method: 'POST', body: event }), { of: 'the emulator' });
  const { status, body } = httpAnswer(await invoked.json());
  assert.equal(status, 201, await container.logs());
  await verified(body.participant_token, KEYS.key, KEYS.secret);
});

test('the Dockerfile compiles the program', { timeout: 1_800_000 }, async (t) => {
  const isLocal = (await dockerExit(['image', 'inspect', 'roompass-e2e/rust'])).code === 0;
  // Without registries, by this machine's compiler. The profile without debug information compiles fastest.
  const args = isLocal ? ['--network', 'host', '--build-arg', 'RUST=roompass-e2e/rust', '--build-arg', `BASE=${BASE}`] : [];
  await docker(['build', '--quiet', '--build-arg', 'PROFILE=mutants', ...args, '--tag', COMPILED_IMAGE, repo], { timeout: 1_700_000 });
  const container = await startContainer(t, { image: COMPILED_IMAGE, args: UNAUTHENTICATED });
  await responding(container);
  assert.equal((await ask(container.url)).status, 201);
});

const testCompose = isMissing('compose') ? testWith('compose') : test;

testCompose('compose.yaml: the LiveKit server accepts the tokens, and the page is served', async (t) => {
  // The ports of the file may be in use on this machine, and its images may not be available.
  const [port, livekit, tcp, udp] = await freePorts(4);
  const override = {
    services: {
      livekit: {
        image: 'roompass-e2e/livekit',
        environment: { LIVEKIT_CONFIG: `port: ${livekit}\nrtc:\n  tcp_port: ${tcp}\n  udp_port: ${udp}\n` },
      },
      roompass: {
        image: IMAGE,
        command: ['serve', '--listen', `127.0.0.1:${port}`],
        environment: { LIVEKIT_URL: `ws://localhost:${livekit}` },
      },
    },
  };
  const file = `${e2e}/.tools/compose.override.json`;
  writeFileSync(file, JSON.stringify(override));
  const files = ['--project-name', 'roompass-e2e', '--file', `${repo}/compose.yaml`, '--file', file];
  t.after(() => compose([...files, 'down', '--volumes']));
  await compose([...files, 'up', '--detach', '--no-build', '--pull', 'never']);
  const url = `http://localhost:${port}`;
  await until(async () => (await fetch(`${url}/healthz`)).ok, { of: 'Roompass' });
  await until(async () => (await fetch(`http://localhost:${livekit}`)).ok, { of: 'the LiveKit server' });

  const { participant_token: token, server_url } = await (await ask(url, { room_name: 'hello' })).json();
  assert.equal(server_url, `ws://localhost:${livekit}`);
  const validate = async (token) => (await fetch(`http://localhost:${livekit}/rtc/validate?access_token=${token}`)).status;
  assert.equal(await validate(token), 200);
  assert.equal(payload(token).video.room, 'hello');
  assert.equal(await validate(token.slice(0, -4)), 401);
  assert.match(await (await fetch(url)).text(), /<html/);
});
