// Hostile requests to one process of the function: each gets a response, and the process does not grow in memory. The
// test runs the deployed program under its own Runtime API, with a secret store and an issuer.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { repo } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { startSecretsManager } from './lib/services.mjs';

const SECRET = 'canary, a secret of thirty-two bytes or more';
const LIVEKIT = ['/getToken', '/api/token', '/createToken', '/quickstart/token', '/api/connection-details', '/token', '/openvidu/token'];
const SANDBOX = '/api/v2/sandbox/connection-details';
const AGORA = ['/agora/getToken', '/agora/rtc/red/publisher/uid/7', '/agora/rte/red/1/userAccount/ada/ada/', '/agora/rtm/ada'];

// About 500 bytes for each of 8,000 requests. The allocator keeps or returns its last 2 MB from time to time.
const MAX_GROWTH = 4 * 1024 * 1024;
// A quarter of the 256 MB that template.yaml gives the function.
const MAX_MEMORY = 64 * 1024 * 1024;

let manager, provider, token;
before(async () => {
  [manager, provider] = await Promise.all([startSecretsManager(), startProvider({ keys: [newKey('1')], users: { ada: {} } })]);
  token = await provider.token('ada');
  await manager.create('hostile', JSON.stringify({
    LIVEKIT_URL: 'wss://calls.example',
    LIVEKIT_API_KEY: 'APIhostile',
    LIVEKIT_API_SECRET: SECRET,
    AGORA_APP_ID: '0123456789abcdef0123456789abcdef',
    AGORA_APP_CERTIFICATE: 'ca7a97ca7a97ca7a97ca7a97ca7a97ca',
  }));
});
after(() => Promise.all([manager?.stop(), provider?.stop()]));

test('10,000 different hostile requests: each gets a response, and memory does not grow', async (t) => {
  const lambda = await started(t);
  const random = from(1);
  const statuses = {};
  const some = async (count) => {
    for (let sent = 0; sent < count; sent += 1) {
      const event = hostile(random);
      const { status } = await lambda.invoke(event);
      assert.ok(status < 500, `${status} for ${JSON.stringify(event).slice(0, 5_000)}`);
      statuses[status] = (statuses[status] ?? 0) + 1;
    }
    return lowest(lambda);
  };
  // The first requests warm up every code path.
  const before = await some(2_000);
  const after = await some(8_000);
  t.diagnostic(`responses ${JSON.stringify(statuses)}; ${megabytes(before.now)} MB after 2,000, ${megabytes(after.now)} MB after 10,000, ${megabytes(after.most)} MB at most`);
  for (const status of [200, 201, 400, 401, 403, 404, 405, 413, 415]) assert.ok(statuses[status] > 0, `no response had status ${status}`);
  assert.ok(after.now < before.now + MAX_GROWTH, `from ${before.now} to ${after.now} bytes`);
  assert.ok(after.most < MAX_MEMORY, `${after.most} bytes at most`);
  assert.ok(!/canary|panicked/.test(lambda.output()));
});

/** The process's memory after small requests: right after a large one, its memory may not be free yet. */
async function lowest(lambda) {
  const measured = [];
  for (let time = 0; time < 50; time += 1) {
    await lambda.invoke(event('http-api', { body: '{"room_name": "red"}' }));
    measured.push(lambda.memory());
  }
  return { now: Math.min(...measured.map(({ now }) => now)), most: measured.at(-1).most };
}

// Lambda accepts events of up to 6 MB.
const MAX_BODY = 6 * 1024 * 1024 - 10_000;
for (const [what, body] of Object.entries({
  'text': 'x'.repeat(MAX_BODY),
  'nesting': '['.repeat(MAX_BODY),
  'nesting in a member': `{"room_config": ${'{"a":'.repeat(MAX_BODY / 5)}`,
  'members': `{${Array.from({ length: MAX_BODY / 12 }, (_, index) => `"${1e6 + index}":0`).join()}}`,
  'digits': `{"room_name": ${'9'.repeat(MAX_BODY)}}`,
})) {
  test(`30 requests with 6 MB of ${what} are refused, and memory does not grow`, async (t) => {
    const lambda = await started(t);
    const events = [
      event('http-api', { body }),
      event('http-api', { body: btoa(body).slice(0, MAX_BODY - (MAX_BODY % 4)), isBase64Encoded: true }),
    ];
    for (let time = 0; time < 30; time += 1) assert.equal((await lambda.invoke(events[time % 2])).status, 413);
    const { most } = lambda.memory();
    t.diagnostic(`30 times 6 MB, ${megabytes(most)} MB at most`);
    assert.ok(most < MAX_MEMORY, `${most} bytes at most`);
  });
}

test('an event that is JSON but cannot be represented gets 400, and the process serves the next request', async (t) => {
  const lambda = await started(t);
  const good = event('http-api', { body: '{"room_name": "red"}' });
  const deep = (levels) => '['.repeat(levels) + ']'.repeat(levels);
  for (const value of ['1e999', '-1e999', '"\\ud800"', '"\\udc00x"', '"\\ud800\\u0041"', deep(200), deep(100_000)]) {
    for (const text of [value, JSON.stringify(good).replace('{', `{"x": ${value}, `)]) {
      const shown = text.slice(0, 40);
      const { status, body } = await lambda.invoke(text);
      assert.deepEqual([status, body.code], [400, 'invalid_event'], shown);
      assert.ok(!JSON.stringify(body).includes('eyJ'), `no token is issued for ${shown}`);
      assert.equal((await lambda.invoke(good)).status, 201, `after ${shown}`);
    }
  }
  assert.equal(lambda.end, undefined, 'the process is still running');
  assert.ok(!/canary|panicked/.test(lambda.output()));
});

async function started(t) {
  const lambda = await startProcess({
    AWS_ENDPOINT_URL: manager.url,
    ROOMPASS_SECRET_ID: 'hostile',
    ROOMPASS_CONFIG: `
      dialects = ["standard", "sandbox", "token-server", "quickstart", "meet", "use-token", "openvidu", "agora"]
      sandbox.ids = ["demo"]
      keys.refresh_after = "1s"

      [[caller]]
      name = "app"
      kind = "jwt"
      issuer = "${provider.issuer}"
      audience = "${AUDIENCE}"
      algorithms = ["RS256"]

      [[caller]]
      name = "anyone"
      kind = "anonymous"

      [[rule]]
      name = "any"
      callers = ["app", "anyone"]
      rooms = ["red*"]
      client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes"]
      agora_logins = ["rtm", "chat"]
    `,
  });
  t.after(() => lambda.stop());
  return lambda;
}

/** A unique request with a random source, route, caller and body. */
function hostile(random) {
  const one = (...all) => all[Math.floor(random() * all.length)];
  const unique = () => Math.floor(random() * 2 ** 48).toString(36);
  const odd = () => one('', '\0', 'é𝄞', '*', '../..', '%00', '"}', unique(), unique().repeat(one(1, 30, 1_000)));
  const nested = (depth) => (depth ? { [odd()]: one(nested(depth - 1), [nested(depth - 1)]) } : odd());
  const right = {
    room_name: `red-${unique()}`, participant_identity: unique(), participant_name: odd(), participant_metadata: odd(),
    participant_attributes: { [unique()]: odd() },
  };
  const body = one(
    () => JSON.stringify(right),
    () => JSON.stringify({ ...right, [one(...Object.keys(right), 'room_config', unique())]: one(odd(), 5, null, [], nested(9)) }),
    () => JSON.stringify(nested(6)),
    () => JSON.stringify(right).slice(0, Math.floor(random() * 80)),
    () => `{"room_name": ${one('1e999', '-0', '9'.repeat(400), '"\\ud800"', '"red", "room_name": "red"')}}`,
    () => '[{"a":'.repeat(one(10, 1_000, 5_000)),
    () => `{"participant_metadata": "${'x'.repeat(one(1_000, 50_000, 1_100_000))}"}`,
    () => JSON.stringify({ tokenType: one('rtc', 'rtm', 'chat', 'rte'), channel: `red${unique()}`, uid: one(7, unique()), role: one('1', 'x') }),
    () => '',
  )();
  const forged = () => {
    const header = { alg: one('RS256', 'none', 'HS256', unique()), kid: unique() };
    const claims = { iss: one(provider.issuer, `https://${unique()}.example`), sub: unique(), aud: AUDIENCE, exp: 4e9, x: odd() };
    return [...[header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')), unique()].join('.');
  };
  const authorization = one(undefined, undefined, () => `Bearer ${token}`, () => `Bearer ${forged()}`, () => odd());
  const path = one(...LIVEKIT, ...LIVEKIT, SANDBOX, ...AGORA, `/${unique()}`, `/agora/rtc/red${unique()}/1/uid/${odd()}`);
  const headers = {
    'content-type': random() < 0.1 ? one('text/plain', odd()) : 'application/json',
    'user-agent': odd(),
    'x-sandbox-id': one('demo', unique()),
    ...(authorization && { authorization: authorization() }),
    [unique()]: odd(),
  };
  return event(one('http-api', 'http-api-stage', 'function-url', 'rest-api', 'alb-multi-value-headers'), {
    path, headers, body, isBase64Encoded: false,
    method: path.startsWith('/agora/r') ? 'GET' : random() < 0.1 ? 'PUT' : 'POST',
  });
}

/** A sample event with some parts replaced. */
function event(source, { path, headers, method, ...rest }) {
  const sample = JSON.parse(readFileSync(`${repo}/events/${source}.json`));
  const { http, stage } = sample.requestContext;
  const before = stage && !stage.startsWith('$') && http ? `/${stage}` : '';
  return {
    ...sample,
    ...rest,
    ...(path && (http ? { rawPath: before + path } : { path })),
    ...(method && (http ? {} : { httpMethod: method })),
    ...(method && http && { requestContext: { ...sample.requestContext, http: { ...http, method } } }),
    ...(headers && (sample.headers || !sample.multiValueHeaders) && { headers }),
    ...(headers && sample.multiValueHeaders && {
      multiValueHeaders: Object.fromEntries(Object.entries(headers).map(([name, value]) => [name, [value]])),
    }),
  };
}

/** Random numbers from 0 to 1, the same in each run (mulberry32). */
function from(seed) {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

const megabytes = (bytes) => (bytes / 1024 / 1024).toFixed(1);
