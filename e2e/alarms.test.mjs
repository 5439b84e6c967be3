// The alarms: a fault makes the function write its log, the template's metric filters count these lines, and the alarm becomes
// active. The counts of AWS's own metrics are given, because no gateway and no Lambda service runs here.

import assert from 'node:assert/strict';
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { reset, startProxy } from './lib/faults.mjs';
import { repo, until } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { startSecretsManager } from './lib/services.mjs';
import { TEMPLATES, isActive, readTemplate, valuesOf } from './lib/templates.mjs';

const SECRET = JSON.stringify({ LIVEKIT_URL: 'wss://calls.example', LIVEKIT_API_KEY: 'APIalarms', LIVEKIT_API_SECRET: 'a secret of thirty-two bytes or more' });
const ANYONE = `
[keys]
refresh_after = "1s"
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = "r"
callers = ["anyone"]
rooms = ["standup"]
`;
const USERS = `
[[caller]]
name = "app"
kind = "jwt"
issuer = "https://unreachable.example"
audience = "calls"
algorithms = ["RS256"]
[[rule]]
name = "r"
callers = ["app"]
rooms = ["standup"]
`;
const EVENT = JSON.parse(readFileSync(`${repo}/events/http-api.json`));

/** The alarms and metric filters of all templates, and the defaults of the parameters. */
let alarms;
let filters;
let defaults;
let manager;
let names = 0;
const exercised = new Set();
before(async () => {
  const templates = await Promise.all(TEMPLATES.map(readTemplate));
  const resources = (type) => Object.fromEntries(
    templates.flatMap(({ Resources }) => Object.entries(Resources).filter(([, { Type }]) => Type === type)));
  alarms = resources('AWS::CloudWatch::Alarm');
  filters = Object.values(resources('AWS::Logs::MetricFilter'));
  defaults = Object.fromEntries(Object.entries(templates[0].Parameters).map(([name, { Default }]) => [name, Default]));
  manager = await startSecretsManager();
});
after(() => manager?.stop());

test('FunctionErrorAlarm: the configuration is invalid, so the function ends without a response', async (t) => {
  const lambda = await started(t, { ROOMPASS_CONFIG: 'rule = 1' });
  assert.notEqual(await lambda.exited, 0);
  assert.match(lambda.output(), /invalid configuration/);
  assertActive('FunctionErrorAlarm', [[1]]);
  assertNotActive('FunctionErrorAlarm', [[0]]);
});

test('FailedRequestAlarm and KeysUnavailableAlarm: a new process can\'t read the secret', async (t) => {
  const { lambda } = await withStore(t, { config: ANYONE, fault: reset });
  const { body } = await ask(lambda);
  assert.equal(body.code, 'keys_unavailable');
  const lines = lambda.log();
  assertActiveAfter('FailedRequestAlarm', lines, lines);
  assertActiveAfter('KeysUnavailableAlarm', lines, lines);
  assertNotActive('FailedRequestAlarm', [[], [], valuesFor('FailedRequestAlarm', lines)]);
});

test('VerificationUnavailableAlarm: the issuer of the callers\' tokens is unreachable', async (t) => {
  const { lambda } = await withStore(t, { config: USERS });
  const { body } = await ask(lambda, { authorization: `Bearer ${tokenOfIssuer()}` });
  assert.equal(body.code, 'verification_unavailable');
  const lines = lambda.log();
  assertActiveAfter('VerificationUnavailableAlarm', lines, lines);
  assertActiveAfter('FailedRequestAlarm', lines, lines);
});

test('UnauthorizedAlarm: many requests have no credential', async (t) => {
  const { lambda } = await withStore(t, { config: USERS });
  for (let count = 0; count < defaults.RefusalThreshold; count += 1) assert.equal((await ask(lambda)).status, 401);
  assertActiveAfter('UnauthorizedAlarm', lambda.log());
  assertNotActiveAfter('UnauthorizedAlarm', lambda.log().slice(0, defaults.RefusalThreshold / 2));
  assertNotActiveAfter('DeniedAlarm', lambda.log());
});

test('DeniedAlarm: the policy denies many requests', async (t) => {
  const { lambda } = await withStore(t, { config: ANYONE });
  for (let count = 0; count < defaults.RefusalThreshold; count += 1) assert.equal((await ask(lambda, {}, 'board')).status, 403);
  assertActiveAfter('DeniedAlarm', lambda.log());
  assertNotActiveAfter('UnauthorizedAlarm', lambda.log());
});

test('NoCallersAlarm: the policy has no caller', async (t) => {
  const { lambda } = await withStore(t, { config: 'dialects = ["standard"]' });
  const { body } = await ask(lambda);
  assert.equal(body.code, 'no_callers_configured');
  assertActiveAfter('NoCallersAlarm', lambda.log());
});

test('StaleKeysAlarm: the store fails, and the function uses cached keys', async (t) => {
  const { lambda, proxy } = await withStore(t, { config: ANYONE });
  assert.equal((await ask(lambda)).status, 201);
  assertNotActiveAfter('StaleKeysAlarm', lambda.log(), { StaleKeysSeconds: 1 });
  proxy.fault = reset;
  await until(async () => (await ask(lambda)).status === 201 && valuesFor('StaleKeysAlarm', lambda.log())[0] >= 1, { of: 'a failed refresh', program: lambda });
  // The keys are seconds old here, so the threshold is one too.
  assertActiveAfter('StaleKeysAlarm', lambda.log(), { StaleKeysSeconds: 1 });
  assertNotActiveAfter('StaleKeysAlarm', lambda.log(), defaults);
});

test('StalePolicyAlarm: the policy that is stored is invalid, and the function uses the one before', async (t) => {
  const policy = `policy-${(names += 1)}`;
  await manager.create(policy, ANYONE);
  const { lambda } = await withStore(t, { config: ANYONE, env: { ROOMPASS_POLICY: `secret:${policy}` } });
  assert.equal((await ask(lambda)).status, 201);
  await manager.update(policy, '[[rule]');
  await until(async () => (await ask(lambda)).status === 201 && valuesFor('StalePolicyAlarm', lambda.log())[0] >= 1, { of: 'a failed refresh', program: lambda });
  assertActiveAfter('StalePolicyAlarm', lambda.log(), { StaleKeysSeconds: 1 });
  assertNotActiveAfter('StalePolicyAlarm', lambda.log(), defaults);
});

test('ServerErrorAlarm, ThrottleAlarm and SlowAlarm: by the counts of AWS', () => {
  for (const alarm of ['ServerErrorAlarm', 'ThrottleAlarm']) {
    assertActive(alarm, [[1], [], [1]]);
    assertNotActive(alarm, [[], [], [1]]);
  }
  const requests = (slow) => Array.from({ length: 100 }, (_, at) => (at < slow ? 3_500 : 20));
  assertActive('SlowAlarm', [requests(2), requests(2)]);
  assertNotActive('SlowAlarm', [requests(1), requests(1)]);
});

test('a token that is issued makes no alarm active', async (t) => {
  const { lambda } = await withStore(t, { config: ANYONE });
  for (let count = 0; count < 10; count += 1) assert.equal((await ask(lambda)).status, 201);
  for (const filter of filters) assert.deepEqual(valuesOf(filter, lambda.log()), []);
});

test('every alarm is exercised above, and has a heading with its steps in docs/operate.md', () => {
  assert.deepEqual([...exercised].sort(), Object.keys(alarms).sort());
  const document = readFileSync(`${repo}/docs/operate.md`, 'utf8');
  const sections = document.split(/^#{2,3} /m).slice(1).map((section) => [section.split('\n')[0], section]);
  for (const alarm of Object.keys(alarms)) {
    const [, section] = sections.find(([heading]) => heading === alarm) ?? assert.fail(`${alarm} has no heading`);
    assert.match(section, /^1\. /m, `${alarm} has steps`);
  }
});

/** The filter whose metric an alarm is on, applied to lines of the log. */
function valuesFor(alarm, lines) {
  const { Properties: { MetricName: metric, Namespace: namespace } } = alarms[alarm];
  assert.deepEqual(namespace, { 'Fn::Sub': 'Roompass/${AWS::StackName}' });
  const filter = filters.find(({ Properties: { MetricTransformations: [transformation] } }) => transformation.MetricName === metric);
  assert.ok(filter, `a metric filter writes ${metric}`);
  return valuesOf(filter, lines);
}

function assertActive(alarm, periods, parameters = defaults) {
  exercised.add(alarm);
  assert.ok(isActive(alarms[alarm], periods, parameters), `${alarm} is active after ${JSON.stringify(periods)}`);
}

function assertNotActive(alarm, periods, parameters = defaults) {
  assert.ok(!isActive(alarms[alarm], periods, parameters), `${alarm} is not active after ${JSON.stringify(periods)}`);
}

/** Asserts that an alarm is active after these lines in one period, or in each of several. The last argument may be parameters. */
function assertActiveAfter(alarm, ...given) {
  const periods = given.filter(Array.isArray);
  assertActive(alarm, periods.map((lines) => valuesFor(alarm, lines)), given.find((one) => !Array.isArray(one)));
}

function assertNotActiveAfter(alarm, lines, parameters) {
  assertNotActive(alarm, [valuesFor(alarm, lines)], parameters);
}

async function started(t, env) {
  const lambda = await startProcess(env);
  t.after(() => lambda.stop());
  return lambda;
}

/** A process that reads its secret through a proxy. */
async function withStore(t, { config, fault, env }) {
  const secret = `alarms-${(names += 1)}`;
  await manager.create(secret, SECRET);
  const proxy = await startProxy(manager.url);
  t.after(() => proxy.stop());
  proxy.fault = fault;
  return { proxy, lambda: await started(t, { AWS_ENDPOINT_URL: proxy.url, ROOMPASS_SECRET_ID: secret, ROOMPASS_CONFIG: config, ...env }) };
}

/** Requests a token, and waits until the request is in the log. */
async function ask(lambda, headers = {}, room_name = 'standup') {
  const requests = () => lambda.log().filter(({ path }) => path === '/getToken').length;
  const before = requests();
  const answer = await lambda.invoke({ ...EVENT, headers: { 'content-type': 'application/json', ...headers }, body: JSON.stringify({ room_name }) });
  await until(() => requests() > before, { of: 'the line of the request', every: 1, program: lambda });
  return answer;
}

/** A token that claims to be from the issuer of USERS. */
function tokenOfIssuer() {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  const now = Math.floor(Date.now() / 1000);
  const parts = [{ alg: 'RS256', kid: 'k' }, { iss: 'https://unreachable.example', aud: 'calls', sub: 'ada', iat: now, exp: now + 600 }];
  const unsigned = parts.map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  return `${unsigned}.${sign('sha256', unsigned, privateKey).toString('base64url')}`;
}
