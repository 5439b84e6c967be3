// The recipes of deploy/: the linters of their platforms, and each recipe's command, settings, files and probes with the
// program.

import assert from 'node:assert/strict';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname } from 'node:path';
import { before, test } from 'node:test';
import { IMAGE, buildPrebuilt, responding, startContainer } from './lib/docker.mjs';
import { clean, e2e, freePort, repo, run, start, until } from './lib/programs.mjs';
import { roompass } from './lib/services.mjs';
import { isMissing, testWith } from './lib/tools.mjs';

const KEYS = { LIVEKIT_API_KEY: 'APIe2e', LIVEKIT_API_SECRET: 'canary-91c0, a secret of thirty-two bytes or more' };
const deploy = `${repo}/deploy`;
const tool = (name) => `${e2e}/.tools/bin/${name}`;

async function output(command, args, options) {
  const { code, stdout, stderr } = await run(command, args, options);
  assert.equal(code, 0, `${command} ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

const kubernetes = async () => JSON.parse(await output(tool('go-recipes'), ['kubernetes', `${deploy}/kubernetes`]));
const cloudRun = async () => JSON.parse(await output(tool('go-recipes'), ['cloud-run', `${deploy}/cloud-run/service.yaml`]))[0];
const fly = async () => {
  const python = 'import json, sys, tomllib; print(json.dumps(tomllib.load(open(sys.argv[1], "rb"))))';
  return JSON.parse(await output('python3', ['-c', python, `${deploy}/fly/fly.toml`]));
};

/** The lines of a systemd unit, as a list of values for each key. */
function unit() {
  const lines = readFileSync(`${deploy}/systemd/roompass.service`, 'utf8').split('\n').filter((line) => /^\w+=/.test(line));
  return lines.reduce((unit, line) => {
    const [, key, value] = line.match(/^(\w+)=(.*)$/);
    return { ...unit, [key]: [...(unit[key] ?? []), value] };
  }, {});
}

/** What a pod starts: its arguments, variables, mounted files, port and the paths of its probes. */
function started({ containers: [container], volumes }, configMaps = {}) {
  const files = {};
  for (const { name, mountPath } of container.volumeMounts) {
    const { secret, configMap } = volumes.find((volume) => volume.name === name);
    const entries = secret ? secret.items?.map(({ path }) => [path, KEYS[path]]) ?? Object.entries(KEYS) : Object.entries(configMaps[configMap.name]);
    for (const [path, text] of entries) files[`${mountPath}/${path}`] = text;
  }
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((probe) => container[probe]?.httpGet.path).filter(Boolean);
  const env = Object.fromEntries(container.env.map(({ name, value }) => [name, value]));
  return { args: container.args, env, files, probes, port: container.ports[0].containerPort };
}

const recipes = {
  Kubernetes: async () => {
    const objects = await kubernetes();
    const configMaps = objects.filter(({ kind }) => kind === 'ConfigMap').map(({ metadata, data }) => [metadata.name, data]);
    return started(objects.find(({ kind }) => kind === 'Deployment').spec.template.spec, Object.fromEntries(configMaps));
  },
  'Cloud Run': async () => started((await cloudRun()).spec.template.spec),
  Fly: async () => {
    const { env, http_service: service } = await fly();
    // `fly secrets set` sets variables, and the image has the arguments.
    return { args: [], env: { ...env, ...KEYS }, files: {}, probes: service.checks.map(({ path }) => path), port: service.internal_port };
  },
};

before(async () => {
  if (!isMissing('container-images')) await buildPrebuilt('roompass', IMAGE);
});

test('Kubernetes: the objects have known members only, the pods are restricted, and kube-score has no finding', async (t) => {
  const objects = await kubernetes();
  const kinds = objects.map(({ kind }) => kind).sort();
  assert.deepEqual(kinds, ['ConfigMap', 'Deployment', 'Namespace', 'NetworkPolicy', 'PodDisruptionBudget', 'Service', 'ServiceAccount']);
  // A limit for the processor slows requests down, and the tag of the image is a version.
  const ignored = ['--ignore-container-cpu-limit', '--ignore-test', 'container-image-pull-policy'];
  const input = objects.map((object) => `---\n${JSON.stringify(object)}\n`).join('');
  await output(tool('kube-score'), ['score', '--kubernetes-version', 'v1.32', '--exit-one-on-warning', ...ignored, '-'], { input });

  // The linters find mistakes.
  const folder = mkdtempSync(`${tmpdir()}/roompass-kubernetes-`);
  t.after(() => rmSync(folder, { recursive: true }));
  await output('cp', ['-r', `${deploy}/kubernetes/.`, folder]);
  const deployment = readFileSync(`${folder}/deployment.yaml`, 'utf8');
  for (const [from, to, finding] of [
    ['readinessProbe', 'readynessProbe', /unknown field "spec.template.spec.containers\[0\].readynessProbe"/],
    ['drop: ["ALL"]', 'drop: ["NET_RAW"]', /Deployment roompass is not restricted: unrestricted capabilities/],
  ]) {
    writeFileSync(`${folder}/deployment.yaml`, deployment.replace(from, to));
    const { code, stderr } = await run(tool('go-recipes'), ['kubernetes', folder]);
    assert.deepEqual([code, finding.test(stderr)], [1, true], stderr);
  }
});

test('Cloud Run: the service has known members only', async (t) => {
  const { kind, apiVersion } = await cloudRun();
  assert.deepEqual([apiVersion, kind], ['serving.knative.dev/v1', 'Service']);
  const file = `${tmpdir()}/roompass-cloud-run-${process.pid}.yaml`;
  t.after(() => rmSync(file));
  writeFileSync(file, readFileSync(`${deploy}/cloud-run/service.yaml`, 'utf8').replace('containerConcurrency', 'concurrency'));
  const { code, stderr } = await run(tool('go-recipes'), ['cloud-run', file]);
  assert.deepEqual([code, /unknown field "concurrency"/.test(stderr)], [1, true], stderr);
});

test('Fly: fly.toml has known keys only', async () => {
  const check = ['grace_period', 'interval', 'method', 'path', 'timeout'];
  const concurrency = { type: true, soft_limit: true, hard_limit: true };
  const service = ['internal_port', 'force_https', 'auto_stop_machines', 'auto_start_machines', 'min_machines_running'];
  const known = {
    ...names(['app', 'primary_region', 'kill_signal', 'kill_timeout']),
    build: names(['image']),
    env: undefined,
    http_service: { ...names(service), concurrency, checks: names(check) },
    vm: names(['size', 'memory']),
  };
  const unknown = (value, known, path) =>
    Array.isArray(value) ? value.flatMap((entry) => unknown(entry, known, path))
    : typeof value !== 'object' || known === undefined ? []
    : Object.entries(value).flatMap(([key, inner]) => (key in known ? unknown(inner, known[key], `${path}${key}.`) : [`${path}${key}`]));
  const config = await fly();
  assert.deepEqual(unknown(config, known, ''), []);
  assert.deepEqual(unknown({ ...config, vm: [{ ram: 1 }] }, known, ''), ['vm.ram']);
});

const names = (list) => Object.fromEntries(list.map((name) => [name, undefined]));

test('systemd: the unit has no mistakes and little exposure', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/roompass-systemd-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const text = readFileSync(`${deploy}/systemd/roompass.service`, 'utf8');
  // The program is not installed on this machine.
  const file = `${folder}/roompass.service`;
  const verify = (text) => {
    writeFileSync(file, text.replace('/usr/local/bin/roompass', roompass()));
    return run('systemd-analyze', ['verify', '--man=no', file]);
  };
  const { code, stderr } = await verify(text);
  assert.deepEqual([code, stderr], [0, '']);
  assert.match((await verify(text.replace('ProtectProc', 'ProtectPrc'))).stderr, /Unknown key 'ProtectPrc'/);
  // In tenths: 1.5 of 10.
  await output('systemd-analyze', ['security', '--offline=true', '--threshold=15', `${deploy}/systemd/roompass.service`]);
  const weaker = await run('systemd-analyze', ['security', '--offline=true', '--threshold=15', (writeFileSync(file, text.replace('DynamicUser=yes\n', '')), file)]);
  assert.notEqual(weaker.code, 0);
});

test('hadolint finds nothing in the Dockerfile', async () => {
  const hadolint = `${e2e}/.tools/python/bin/hadolint`;
  assert.equal(await output(hadolint, [`${repo}/Dockerfile`]), '');
  const { code, stdout } = await run(hadolint, ['-'], { input: 'FROM debian:12\nRUN cd /tmp && sudo ls\nCMD ls\n' });
  assert.deepEqual([code, /DL3004/.test(stdout)], [1, true], stdout);
});

for (const [platform, recipe] of Object.entries(recipes)) {
  test(`${platform}: the variables are documented, and the options are those of the program`, async () => {
    const { args, env } = await recipe();
    await assertKnown(args, Object.keys(env));
  });

  testWith('container-images')(`${platform}: a container with these settings passes its probes and requires a credential`, async (t) => {
    const { args, env, files, probes, port } = await recipe();
    const folder = mkdtempSync(`${tmpdir()}/roompass-recipe-`);
    t.after(() => rmSync(folder, { recursive: true }));
    const options = Object.entries(env).flatMap(([name, value]) => ['--env', `${name}=${value}`]);
    for (const path of new Set(Object.keys(files).map(dirname))) {
      const mounted = `${folder}${path}`;
      mkdirSync(mounted, { recursive: true });
      for (const [file, text] of Object.entries(files)) if (dirname(file) === path) writeFileSync(`${mounted}/${basename(file)}`, text);
      options.push('--volume', `${mounted}:${path}:ro`);
    }
    await output('chmod', ['-R', 'a+rX', folder]);
    const container = await startContainer(t, { options, args, port });
    assert.ok(probes.length > 0);
    for (const path of probes) await responding(container, path);
    await assertRequiresCredential(container.url);
    assert.ok(!(await container.logs()).includes('canary'));
  });
}

test('systemd: the service with these settings requires a credential', async (t) => {
  const { ExecStart: [command], Environment: variables, LoadCredential: credentials } = unit();
  const folder = mkdtempSync(`${tmpdir()}/roompass-unit-`);
  t.after(() => rmSync(folder, { recursive: true }));
  for (const credential of credentials) {
    const [name, path] = credential.split(':');
    assert.equal(path, `/etc/roompass/${name}`);
    writeFileSync(`${folder}/${name}`, KEYS[name]);
  }
  copyFileSync(`${deploy}/kubernetes/roompass.toml`, `${folder}/roompass.toml`);
  const port = await freePort();
  const [program, ...args] = command.split(' ').map((word) => word.replace('/etc/roompass', folder).replace(':3000', `:${port}`));
  assert.equal(program, '/usr/local/bin/roompass');
  const env = Object.fromEntries(variables.map((variable) => variable.replace('%d', folder).split('=')));
  await assertKnown(args, Object.keys(env));
  const service = start(roompass(), args, { env: clean(env) });
  t.after(() => service.stop());
  const url = `http://127.0.0.1:${port}`;
  await until(async () => (await fetch(`${url}/healthz`)).ok, { of: 'the service', program: service });
  await assertRequiresCredential(url);
});

/** Asserts that the program has these options, and that docs/environment.md has these variables. */
async function assertKnown(args, variables) {
  const help = await output(roompass(), ['serve', '--help'], { env: clean() });
  for (const option of args.filter((arg) => arg.startsWith('--'))) assert.ok(help.includes(`${option} `), option);
  const documented = readFileSync(`${repo}/docs/environment.md`, 'utf8');
  for (const name of variables) {
    const known = documented.includes(`\`${name}\``) || documented.includes(`\`${name.replace(/_FILE$/, '')}\``);
    assert.ok(known, `${name} is not in docs/environment.md`);
  }
}

/** Asserts that a request without a credential gets no token. */
async function assertRequiresCredential(url) {
  const response = await fetch(`${url}/getToken`, { method: 'POST' });
  assert.deepEqual([response.status, (await response.json()).code], [401, 'no_credential']);
}
