// Metrics: the function's lines in CloudWatch's embedded metric format, and Prometheus' text as its own parser reads it.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { clean, e2e, repo, run, start, until } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { roompass, startBootstrap } from './lib/services.mjs';

const NAME = 'guests "of" Gäste\\';
const OPEN = `
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = ${JSON.stringify(NAME)}
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
`;
const KEYS = { LIVEKIT_URL: 'wss://a.example', LIVEKIT_API_KEY: 'APIe2e', LIVEKIT_API_SECRET: 'a secret of thirty-two bytes or more' };
const event = (name) => JSON.parse(readFileSync(`${repo}/events/${name}.json`));

test('the function writes a line for each token and each refusal, beside the lines of the log', async () => {
  const lambda = await startProcess({ ...KEYS, ROOMPASS_CONFIG: OPEN, ROOMPASS_METRICS: 'emf' });
  try {
    const began = Date.now();
    assert.equal((await lambda.invoke(event('http-api'))).status, 201);
    assert.equal((await lambda.invoke(event('refused-invalid-json'))).status, 400);
    assert.equal((await lambda.invoke(event('healthz'))).status, 200);
    const lines = await until(() => lambda.log().filter(({ message }) => message === 'request completed').length && lambda.log(), { of: 'the log', program: lambda });
    const [issued, refused, ...others] = lines.filter((line) => line._aws);
    assert.deepEqual(others, []);
    const requests = lines.filter(({ message }) => ['token issued', 'request refused', 'request completed'].includes(message));
    assert.equal(requests.length, 3);

    const directive = (name, unit, ...dimensions) => ({
      Namespace: 'Roompass',
      Dimensions: [['FunctionName'], ...dimensions.map((dimension) => ['FunctionName', dimension])],
      Metrics: [{ Name: name, Unit: unit }],
    });
    const { _aws: { Timestamp: at, ...metadata }, Duration: duration, ...values } = issued;
    assert.ok(Math.abs(at - began) < 60_000 && at % 1_000 === 0, `${at}`);
    assert.ok(duration > 0 && duration < 60_000, `${duration}`);
    assert.deepEqual(metadata, {
      CloudWatchMetrics: [directive('Duration', 'Milliseconds'), directive('TokensIssued', 'Count', 'rule', 'caller', 'dialect', 'project')],
    });
    assert.deepEqual(values, {
      FunctionName: 'roompass',
      TokensIssued: 1,
      rule: 'guests "of" G\\u{e4}ste\\u{5c}',
      caller: 'anyone',
      dialect: 'standard',
      project: 'default',
    });
    assert.deepEqual(refused._aws.CloudWatchMetrics, [directive('Duration', 'Milliseconds'), directive('Refusals', 'Count', 'code', 'status')]);
    assert.deepEqual([refused.Refusals, refused.code, refused.status], [1, 'invalid_body', '400']);
  } finally {
    await lambda.stop();
  }
});

test('the function writes no such line unless it is configured, and refuses another value', async () => {
  const lambda = await startProcess({ ...KEYS, ROOMPASS_CONFIG: OPEN });
  try {
    assert.equal((await lambda.invoke(event('http-api'))).status, 201);
    await until(() => lambda.log().some(({ message }) => message === 'token issued'), { of: 'the log', program: lambda });
    assert.ok(!lambda.output().includes('_aws'));
  } finally {
    await lambda.stop();
  }
  const program = startBootstrap({ ...KEYS, ROOMPASS_METRICS: 'yes', AWS_LAMBDA_RUNTIME_API: '127.0.0.1:9', AWS_LAMBDA_FUNCTION_NAME: 'roompass' });
  try {
    assert.equal(await program.exited, 1);
    const [{ cause }] = program.output().trim().split('\n').map((line) => JSON.parse(line));
    assert.equal(cause, 'ROOMPASS_METRICS: must be emf, or unset for no metrics');
  } finally {
    await program.stop();
  }
});

test("Prometheus' own parser reads the metrics of serve", async () => {
  const program = start(roompass(), ['--listen', '127.0.0.1:0', '--metrics-listen', '127.0.0.1:0'], { env: clean({ ROOMPASS_CONFIG: OPEN }) });
  try {
    const find = (pattern) => until(() => program.output().match(pattern)?.[1], { of: `${pattern}`, program });
    const service = await find(/listening on (http:\S+)/);
    const metrics = await find(/serving metrics address="([^"]+)"/);
    const post = (path, body) => fetch(service + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body });
    assert.equal((await post('/getToken', '{"room_name": "a"}')).status, 201);
    assert.equal((await post('/getToken', '{"room_name": "b"}')).status, 201);
    assert.equal((await post('/getToken', '[]')).status, 400);
    const response = await fetch(`http://${metrics}/metrics`);
    assert.equal(response.headers.get('content-type'), 'text/plain; version=0.0.4; charset=utf-8');
    const parsed = await run(`${e2e}/.tools/python/bin/python`, [`${e2e}/metrics.py`], { input: await response.text() });
    assert.equal(parsed.code, 0, parsed.stderr);
    const families = JSON.parse(parsed.stdout);
    // The parser names a counter without `_total`.
    assert.deepEqual(Object.fromEntries(families.map(({ name, type }) => [name, type])), {
      roompass_tokens_issued: 'counter',
      roompass_refusals: 'counter',
      roompass_request_duration_seconds: 'histogram',
      roompass_build_info: 'gauge',
      roompass_signing_keys_age_seconds: 'gauge',
    });
    assert.ok(families.every(({ help }) => help.length > 10));
    const samples = (name) => families.find((family) => family.name === name).samples;
    assert.deepEqual(samples('roompass_tokens_issued'), [
      ['roompass_tokens_issued_total', { rule: NAME, caller: 'anyone', dialect: 'standard', project: 'default' }, 2],
    ]);
    assert.deepEqual(samples('roompass_refusals'), [['roompass_refusals_total', { code: 'invalid_body', status: '400' }, 1]]);
    const duration = Object.fromEntries(samples('roompass_request_duration_seconds').map(([name, { le }, value]) => [le ?? name, value]));
    assert.equal(duration['+Inf'], 3);
    assert.equal(duration.roompass_request_duration_seconds_count, 3);
    const [[, { project }, age]] = samples('roompass_signing_keys_age_seconds');
    assert.ok(project === 'default' && age >= 0 && age < 60, `${project} ${age}`);
  } finally {
    await program.stop();
  }
});
