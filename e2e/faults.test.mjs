// Failure modes: how the function behaves while the secret store, the issuer of its callers' tokens, or both fail.
// Each test has a process of its own, under a Runtime API of its own, with its log at the level `trace`; when it ends,
// nothing that is secret may be in that log.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  answers, at, awsError, cutOff, drip, late, pendingAlone, remembered, reset, silence, startProxy, tenMegabytes,
} from './lib/faults.mjs';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { repo, until } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { startSecretsManager } from './lib/services.mjs';
import { isSignedWith, payload, withAnotherSignature, withClaims } from './lib/tokens.mjs';

// Whatever is secret has the word canary in it.
const [API_KEY, ANOTHER_KEY, UNKNOWN_KEY] = ['0', '1', '2'].map((digit) => `rpk_${'canary'.padEnd(40, digit)}`);
const SERVER = 'wss://calls.example';
const hashOf = (key) => `sha256:${createHash('sha256').update(key).digest('hex')}`;
const pair = (name) => ({ key: `API${name}`, secret: `canary-${name}, a secret of thirty-two bytes or more` });
const [A, B] = ['a', 'b'].map(pair);
const secretOf = ({ key, secret }, more = {}) => JSON.stringify({
  LIVEKIT_URL: SERVER,
  LIVEKIT_API_KEY: key,
  LIVEKIT_API_SECRET: secret,
  ROOMPASS_API_KEYS: { backend: hashOf(API_KEY) },
  ...more,
});

const policy = ({ refreshAfter = '1s', maxAge = '1h', issuer = 'https://unreachable.example' } = {}) => `
  [keys]
  refresh_after = "${refreshAfter}"
  max_age = "${maxAge}"

  [[caller]]
  name = "app"
  kind = "jwt"
  issuer = "${issuer}"
  audience = "${AUDIENCE}"
  algorithms = ["RS256"]

  [[caller]]
  name = "backend"
  kind = "api-key"

  [[rule]]
  name = "people"
  callers = ["app"]
  rooms = ["*"]
  identity = "app:{sub}"

  [[rule]]
  name = "backend"
  callers = ["backend"]
  rooms = ["*"]
`;

let manager;
before(async () => (manager = await startSecretsManager()));
after(() => manager?.stop());

// How many processes and answers of each status there were in all of this, and how long the slowest took, in milliseconds.
const tally = { processes: 0 };
after(() => console.log(JSON.stringify(tally)));

describe('a rotated secret', { concurrency: 8 }, () => {
  test('signs once it is AWSCURRENT, and not before, and no more when it is taken back', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    const [first] = Object.keys(await manager.stages(secret));

    await manager.update(secret, secretOf(B), 'AWSPENDING');
    await readAgain(store, lambda, () => assertMinted(lambda, A));
    const second = await versionAt(secret, 'AWSPENDING');

    await manager.makeCurrent(secret, second, first);
    await mintsWith(lambda, B, { instead: A, within: 2_500 });
    await readAgain(store, lambda, () => assertMinted(lambda, B));

    await manager.makeCurrent(secret, first, second);
    await mintsWith(lambda, A, { instead: B, within: 2_500 });

    const changes = lambda.log().filter(({ message }) => message.startsWith('signing keys'));
    assert.deepEqual(changes.map(({ message, version, previous }) => [message, version, previous]), [
      ['signing keys loaded', first, undefined],
      ['signing keys changed', second, first],
      ['signing keys changed', first, second],
    ]);
  });

  test('is not there while it has no version at all, and is with the first one', async (t) => {
    const { lambda, secret } = await started(t, { holds: null });
    await manager.create(secret);
    await assertUnavailable(lambda);
    await manager.update(secret, secretOf(A));
    await assertMinted(lambda, A);
  });

  test('is not there while its one version is AWSPENDING, and is once that is AWSCURRENT', async (t) => {
    const { lambda, store } = await started(t, { fault: pendingAlone(secretOf(A)) });
    await assertUnavailable(lambda);
    const [{ cause }] = lambda.log().filter(({ code }) => code === 'keys_unavailable');
    assert.match(cause, /^the secret is missing: .*AWSCURRENT$/);
    store.fault = undefined;
    await assertMinted(lambda, A);
  });

  test('never lends half of one pair to the other, however often it changes', async (t) => {
    const { lambda, secret } = await started(t);
    await assertMinted(lambda, A);
    for (const [now, instead] of [[B, A], [A, B], [B, A], [A, B], [B, A]]) {
      await manager.update(secret, secretOf(now));
      await mintsWith(lambda, now, { instead, within: 2_500 });
    }
  });

  const MALFORMED = {
    'no JSON': 'canary',
    'nothing': ' ',
    'keys of callers alone': JSON.stringify({ ROOMPASS_API_KEYS: JSON.parse(secretOf(B)).ROOMPASS_API_KEYS }),
    'the public development pair': secretOf({ key: 'devkey', secret: 'secret' }),
    'a secret that can be guessed': secretOf({ ...B, secret: 'canary' }),
    'a server without TLS': secretOf(B, { LIVEKIT_URL: 'ws://canary.example' }),
    'a list': '["canary"]',
    'one half': JSON.stringify({ ...JSON.parse(secretOf(B)), LIVEKIT_API_SECRET: undefined }),
    'a half of another type': secretOf(B, { LIVEKIT_API_SECRET: 5 }),
    'white space around it': secretOf({ ...B, secret: `${B.secret}\n` }),
    'two secrets': secretOf(B).replace('{', '{"LIVEKIT_API_SECRET": "canary", '),
    'a server that is none': secretOf(B, { LIVEKIT_URL: 'canary' }),
    'cut off': secretOf(B).slice(0, -2),
  };
  for (const [what, text] of Object.entries(MALFORMED)) {
    test(`that is malformed (${what}) leaves the valid one in use until it is fixed`, async (t) => {
      const { lambda, store, secret } = await started(t);
      await assertMinted(lambda, A);
      await manager.update(secret, text);
      await readAgain(store, lambda, () => assertMinted(lambda, A));
      const [{ cause, level }] = await until(() => refreshesThatFailed(lambda), { of: 'a line of the log' });
      assert.equal(level, 'WARN');
      assert.match(cause, /^the secret is malformed: /);
      await manager.update(secret, secretOf(B));
      await mintsWith(lambda, B, { instead: A });
    });
  }
});

describe('what callers are checked with, in a secret', { concurrency: 2 }, () => {
  test('ends with the next refresh once it is removed, though the new value is malformed elsewhere', async (t) => {
    const { lambda, secret } = await started(t);
    await manager.update(secret, secretOf(A, { ROOMPASS_API_KEYS: { backend: hashOf(API_KEY), batch: hashOf(ANOTHER_KEY) } }));
    await until(async () => (await ask(lambda, ANOTHER_KEY)).status === 201, { of: 'both keys', within: 2_500, program: lambda });
    await assertMinted(lambda, A);

    await manager.update(secret, secretOf(B, { LIVEKIT_URL: 'canary', ROOMPASS_API_KEYS: { batch: hashOf(ANOTHER_KEY) } }));
    await until(async () => (await ask(lambda)).status === 401, { of: 'the end of the removed key', within: 2_500, program: lambda });
    await assertRefused(lambda, API_KEY, 401, 'invalid_credential');
    await assertMinted(lambda, A, ANOTHER_KEY);
    const [{ cause }] = refreshesThatFailed(lambda);
    assert.match(cause, /^the secret is malformed: LIVEKIT_URL must be a URL/);
  });

  test('is malformed: callers that do not need it get tokens with the new keys, and the log names the member', async (t) => {
    const { lambda, secret, provider } = await startedWithIssuer(t);
    const known = await provider.token('ada');
    await assertMinted(lambda, A, known, 'app:ada');
    await manager.update(secret, secretOf(B, { ROOMPASS_API_KEYS: { backend: 'canary' } }));
    await until(async () => (await ask(lambda)).status === 503, { of: 'the malformed member', within: 2_500, program: lambda });
    await assertRefused(lambda, API_KEY, 503, 'verification_unavailable');
    await assertMinted(lambda, B, known, 'app:ada');
    const { level, cause } = lambda.log().find(({ message }) => message === 'part of the secret ignored');
    assert.equal(level, 'ERROR');
    assert.match(cause, /^ROOMPASS_API_KEYS has a key "backend" that is neither/);
  });
});

const STORE_FAULTS = {
  'says nothing': silence,
  'resets connections': reset,
  'breaks off half-way': cutOff,
  'drips': drip,
  'answers after two seconds': late(2_000),
  'throttles': awsError(400, 'ThrottlingException', 'Rate exceeded'),
  'has an internal error': awsError(500, 'InternalServiceError'),
  'answers 503': answers(503, ''),
  'answers 429': answers(429, ''),
  'denies access': awsError(400, 'AccessDeniedException'),
  'cannot decrypt': awsError(400, 'DecryptionFailure'),
  'says that the credentials ended': awsError(400, 'ExpiredTokenException'),
  'knows no such secret': awsError(400, 'ResourceNotFoundException'),
  'answers a page': answers(200, '<!doctype html><title>canary</title>', { 'Content-Type': 'text/html' }),
  'answers half of an object': answers(200, '{"SecretString": "canary'),
  'answers an empty object': answers(200, '{}'),
  'answers nothing': answers(200, ''),
  'answers bytes': answers(200, JSON.stringify({ Name: 'x', SecretBinary: btoa('canary') })),
  'sends elsewhere': (response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/canary' }).end(),
  'answers 10 MB': tenMegabytes,
};

describe('a process that has its keys, while the store', { concurrency: 12 }, () => {
  for (const [what, fault] of Object.entries(STORE_FAULTS)) {
    test(`${what}, signs with the last good ones, asks rarely, and has the new ones when that is over`, async (t) => {
      const { lambda, store, secret } = await started(t);
      await assertMinted(lambda, A);
      await manager.update(secret, secretOf(B));
      store.fault = fault;
      await servesOnUntilItHasFailed(lambda);
      const tried = store.calls.length;
      assert.ok(tried <= 3, `one try is two attempts at most: ${tried - 1}`);
      const failed = Date.now();
      store.fault = undefined;
      await mintsWith(lambda, B, { instead: A, within: 17_000 });
      const waited = store.calls[tried].at - store.calls[tried - 1].at;
      assert.ok(waited >= 3_700, `the next try was ${waited} ms after the last, not five seconds after the one before`);
      assert.equal(store.calls.filter(({ at }) => at > failed && at < failed + 3_500).length, 0);
    });
  }

  test('refuses connections, does the same', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.update(secret, secretOf(B));
    await store.leave();
    await servesOnUntilItHasFailed(lambda);
    await store.comeBack();
    await mintsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('has lost the secret, does the same', async (t) => {
    const { lambda, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.markForRemoval(secret);
    await servesOnUntilItHasFailed(lambda);
    await manager.restore(secret);
    await manager.update(secret, secretOf(B));
    await mintsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('is down for longer than max_age, answers 503 and recovers with the first request after it', async (t) => {
    const { lambda, store, secret } = await started(t, { maxAge: '3s' });
    await assertMinted(lambda, A);
    store.fault = awsError(500, 'InternalServiceError');
    await servesOnUntilItHasFailed(lambda);
    await until(async () => (await ask(lambda)).status === 503, { of: 'the end of the keys', within: 5_000 });
    await assertUnavailable(lambda);
    await manager.update(secret, secretOf(B));
    store.fault = undefined;
    await assertMinted(lambda, B);
  });
});

describe('a new process, while the store', { concurrency: 3 }, () => {
  for (const [what, fault] of Object.entries(STORE_FAULTS)) {
    test(`${what}, answers 503 within three seconds, and recovers with the first request after it`, async (t) => {
      // Ages are whole seconds: with one second, the second token could already refresh the keys.
      const { lambda, store } = await started(t, { fault, refreshAfter: '5m' });
      await assertUnavailable(lambda, 'its start is counted in');
      await assertUnavailable(lambda);
      assert.ok(store.calls.length > 0 && store.calls.length <= 2 * 5, `${store.calls.length} calls`);
      store.fault = undefined;
      await assertMinted(lambda, A);
      const calls = store.calls.length;
      await assertMinted(lambda, A);
      assert.equal(store.calls.length, calls, 'what was had is kept');
    });
  }

  test('refuses connections, does the same', async (t) => {
    const { lambda, store } = await started(t, { leaves: true });
    await assertUnavailable(lambda, 'its start is counted in');
    await assertUnavailable(lambda);
    await store.comeBack();
    await assertMinted(lambda, A);
  });

  test('knows no such secret yet, does the same', async (t) => {
    const { lambda, secret } = await started(t, { holds: null });
    await assertUnavailable(lambda, 'its start is counted in');
    await manager.create(secret, secretOf(A));
    await assertMinted(lambda, A);
    await manager.remove(secret);
    await servesOnUntilItHasFailed(lambda);
  });
});

test('a process that was frozen, and whose connections died meanwhile, signs with the new keys at once', async (t) => {
  const { lambda, store, secret } = await started(t);
  await assertMinted(lambda, A);
  for (const [now, before] of [[B, A], [A, B]]) {
    const { at: read } = store.calls.at(-1);
    lambda.freeze();
    store.forgetConnections();
    await manager.update(secret, secretOf(now));
    await until(() => Date.now() > read + 2_000, { of: 'the keys to be old' });
    lambda.thaw();
    const { took } = await assertMinted(lambda, now);
    assert.ok(took < 500, `signed with ${now.key} instead of ${before.key} after ${took} ms`);
  }
  const connections = store.calls.map(({ connection }) => connection);
  assert.equal(new Set(connections).size, connections.length, 'no connection is used twice');
});

describe('tokens of an issuer', { concurrency: 4 }, () => {
  const page = answers(200, '<!doctype html><title>Sign in</title>', { 'Content-Type': 'text/html' });
  const json = (body) => answers(200, JSON.stringify(body), { 'Content-Type': 'application/json' });
  const ISSUER_FAULTS = {
    'says nothing': silence,
    'resets connections': reset,
    'breaks off half-way': cutOff,
    'drips': drip,
    'answers after two seconds': late(2_000),
    'answers 500': answers(500, '{"keys": []}'),
    'answers 503': answers(503, ''),
    'answers 404': answers(404, ''),
    'answers 429': answers(429, ''),
    'sends elsewhere': (response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/keys' }).end(),
    'answers a page': page,
    'answers nothing': answers(200, ''),
    'answers an empty set': json({ keys: [] }),
    'answers keys that are none': json({ keys: [null, 1, 'x', {}, { kty: 'RSA', kid: '2', n: 'AQAB', e: 'AQAB' }] }),
    'answers an empty object': json({}),
    'answers 10 MB': tenMegabytes,
    'has a server error page of 10 MB': answers(500, 'x'.repeat(10_000_000)),
  };

  const PLACES = { 'for its configuration': '/.well-known/openid-configuration', 'for its keys': '/jwks' };

  for (const [where, path] of Object.entries(PLACES)) {
    for (const [what, fault] of Object.entries(ISSUER_FAULTS)) {
      test(`that ${what} ${where}: known keys are accepted, unknown keys get 503, and forged tokens get 401`, async (t) => {
        const { lambda, issuer, provider } = await startedWithIssuer(t);
        const known = await provider.token('ada');
        await assertMinted(lambda, A, known, 'app:ada');
        await provider.restart({ keys: [SECOND, FIRST] });
        const unknown = await provider.token('ada');

        issuer.fault = at(path, fault);
        for (let time = 0; time < 3; time += 1) {
          await assertRefused(lambda, unknown, 503, 'verification_unavailable');
          await assertMinted(lambda, A, known, 'app:ada');
          for (const forged of forgedFrom(known)) await assertRefused(lambda, forged, 401, 'invalid_credential');
        }
        const asked = issuer.calls.length;
        issuer.fault = undefined;
        // No second request is made for half a minute, and until then the response stays 503.
        await assertRefused(lambda, unknown, 503, 'verification_unavailable');
        assert.equal(issuer.calls.length, asked);
      });

      test(`that ${what} ${where}, from the start: 503 within three seconds`, async (t) => {
        const { lambda, issuer, provider } = await startedWithIssuer(t);
        const token = await provider.token('ada');
        issuer.fault = at(path, fault);
        await assertRefused(lambda, token, 503, 'verification_unavailable');
        await assertRefused(lambda, token, 503, 'verification_unavailable');
        assert.equal(issuer.calls.filter(({ url }) => url === path).length, 1);
      });
    }
  }

  test('that is slow for both is waited for less than three seconds', async (t) => {
    const { lambda, issuer, provider } = await startedWithIssuer(t);
    const token = await provider.token('ada');
    issuer.fault = late(1_400);
    await assertRefused(lambda, token, 503, 'verification_unavailable');
  });
});

test('a crowd of 200 cold processes asks the store and the issuer once each, and signs', async (t) => {
  const { store, secret, issuer, provider } = await startedWithIssuer(t, { alone: true });
  const tokens = await Promise.all(['ada', 'bob'].map((who) => provider.token(who)));
  const options = { store, secret, issuer: issuer.url, refreshAfter: '5m' };
  const crowd = [];
  while (crowd.length < 200) crowd.push(await processOf(t, options, { held: true }));
  assert.deepEqual([store.calls.length, issuer.calls.length], [0, 0]);

  const waits = 400;
  store.fault = remembered(late(waits));
  // As fast as two cores can: in Lambda each has one of its own, and none keeps another from its first instructions.
  await inLanes(10, crowd, async (lambda, index) => {
    lambda.thaw();
    await until(() => store.calls.length > index, { of: 'as many calls', every: 1, program: lambda });
  });
  await Promise.all(crowd.map(({ ready }) => ready));
  await inLanes(10, crowd, async (lambda, index) => {
    await assertMinted(lambda, A, tokens[index % 2]);
    await assertMinted(lambda, A, tokens[(index + 1) % 2]);
    await assertMinted(lambda, A);
  });

  const times = store.calls.map(({ at }) => at);
  const together = times.map((time) => times.filter((other) => other <= time && other > time - waits).length);
  t.diagnostic(`all asked the store within ${Math.max(...times) - times[0]} ms, up to ${Math.max(...together)} of them together`);
  const asked = (path) => issuer.calls.filter(({ url }) => url === path).length;
  assert.deepEqual(
    { store: store.calls.length, configuration: asked('/.well-known/openid-configuration'), keys: asked('/jwks') },
    { store: 200, configuration: 200, keys: 200 },
  );
});

describe('two faults at once', { concurrency: 8 }, () => {
  // What each does to the store and to the issuer, and whether the keys were there before.
  const PAIRS = [
    ['the store is silent and the issuer too', silence, silence],
    ['the store is down and the issuer drips', awsError(500, 'InternalServiceError'), drip],
    ['the store throttles while the secret is rotated, and the issuer resets', awsError(400, 'ThrottlingException'), reset],
    ['the store denies access and the issuer shows an empty set', awsError(400, 'AccessDeniedException'), answers(200, '{"keys": []}')],
    ['the store breaks off and the issuer sends 10 MB', cutOff, tenMegabytes],
    ['the store is slow and the issuer down', late(2_000), answers(500, '')],
  ];
  for (const [what, ofStore, ofIssuer] of PAIRS) {
    test(`${what}: a process that has its keys signs for known callers, and for no others`, async (t) => {
      const { lambda, store, issuer, provider, secret } = await startedWithIssuer(t);
      const known = await provider.token('ada');
      await assertMinted(lambda, A, known, 'app:ada');
      await provider.restart({ keys: [SECOND, FIRST] });
      const unknown = await provider.token('ada');
      await manager.update(secret, secretOf(B));
      [store.fault, issuer.fault] = [ofStore, ofIssuer];

      await servesOnUntilItHasFailed(lambda);
      for (let time = 0; time < 3; time += 1) {
        await assertMinted(lambda, A, known, 'app:ada');
        await assertMinted(lambda, A);
        await assertRefused(lambda, unknown, 503, 'verification_unavailable');
        for (const forged of forgedFrom(known)) await assertRefused(lambda, forged, 401, 'invalid_credential');
        await assertRefused(lambda, UNKNOWN_KEY, 401, 'invalid_credential');
        await assertRefused(lambda, undefined, 401, 'no_credential');
      }
      [store.fault, issuer.fault] = [];
      await mintsWith(lambda, B, { instead: A, within: 17_000 });
      await assertMinted(lambda, B, known, 'app:ada');
    });

    test(`${what}: a new process signs for no caller, and for known callers once both recover`, async (t) => {
      const { lambda, store, issuer, provider } = await startedWithIssuer(t, { fault: ofStore });
      const token = await provider.token('ada');
      issuer.fault = ofIssuer;
      for (let time = 0; time < 2; time += 1) {
        await assertRefused(lambda, token, 503, 'verification_unavailable');
        await assertRefused(lambda, API_KEY, 503, 'verification_unavailable');
        await assertRefused(lambda, undefined, 401, 'no_credential');
      }
      [store.fault, issuer.fault] = [];
      await assertMinted(lambda, A);
      await assertRefused(lambda, token, 503, 'verification_unavailable');
    });
  }

  test('the store is silent and the issuer slow but well: a new process asks both at once, and answers 503 in time', async (t) => {
    const { lambda, issuer, provider } = await startedWithIssuer(t, { fault: silence });
    const token = await provider.token('ada');
    issuer.fault = at('/jwks', late(1_300));
    await assertRefused(lambda, token, 503, 'keys_unavailable');
  });

  test('the secret is malformed and the store slow: the last valid keys sign, and then the corrected ones', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.update(secret, secretOf(B, { LIVEKIT_API_SECRET: ' canary' }));
    store.fault = late(400);
    await servesOnUntilItHasFailed(lambda, /malformed/);
    await manager.update(secret, secretOf(B));
    await mintsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('the secret is rotated twice while the store is down: only the last one signs, and the first until then', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    store.fault = reset;
    await manager.update(secret, secretOf(pair('c')));
    await servesOnUntilItHasFailed(lambda);
    await manager.update(secret, secretOf(B));
    store.fault = undefined;
    await mintsWith(lambda, B, { instead: A, within: 17_000 });
  });
});

const [FIRST, SECOND] = ['1', '2'].map(newKey);

let secrets = 0;

/** A process, and a proxy before the store that has its secret; or the proxy alone. */
async function started(t, { holds = A, fault, leaves, alone, ...options } = {}) {
  const secret = `faults-${(secrets += 1)}`;
  if (holds) await manager.create(secret, secretOf(holds));
  const store = await startProxy(manager.url);
  t.after(() => store.stop());
  store.fault = fault;
  if (leaves) await store.leave();
  const lambda = alone ? undefined : await processOf(t, { store, secret, ...options });
  return { lambda, store, secret };
}

/** A process. When the test ends, nothing secret is in its log. */
async function processOf(t, { store, secret, ...options }, how) {
  tally.processes += 1;
  const lambda = await startProcess({
    AWS_ENDPOINT_URL: store.url, ROOMPASS_SECRET_ID: secret, ROOMPASS_CONFIG: policy(options), RUST_LOG: 'trace',
  }, how);
  lambda.shown = new Set();
  t.after(async () => {
    await lambda.stop();
    assertNothingLeaked(lambda);
  });
  return lambda;
}

/** The same, with an issuer behind a proxy. */
async function startedWithIssuer(t, options) {
  const issuer = await startProxy();
  const provider = await startProvider({ keys: [FIRST], people: { ada: { team: 'red' }, bob: {} }, issuer: issuer.url });
  issuer.target = provider.url;
  t.after(() => Promise.all([issuer.stop(), provider.stop()]));
  return { issuer, provider, ...(await started(t, { ...options, issuer: issuer.url })) };
}

/** Does the same with each of many, so many at a time. */
async function inLanes(lanes, many, work) {
  const left = many.entries();
  const lane = async () => {
    for (const [index, one] of left) await work(one, index);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}

const EVENT = JSON.parse(readFileSync(`${repo}/events/http-api.json`));

/** What the function returns for this credential: a token, or an API key, or none. */
async function ask(lambda, bearer = API_KEY) {
  const headers = { ...EVENT.headers, ...(bearer && { authorization: `Bearer ${bearer}` }) };
  const answer = await lambda.invoke({ ...EVENT, headers, body: '{"room_name": "standup"}' });
  const { participant_token: token, ...rest } = answer.body;
  const { count = 0, slowest = 0 } = tally[answer.status] ?? {};
  tally[answer.status] = { count: count + 1, slowest: Math.round(Math.max(slowest, answer.took)) };
  for (const one of [bearer, token]) if (one?.includes('.')) lambda.shown.add(one);
  assert.ok(!/canary/.test(JSON.stringify(rest)), JSON.stringify(rest));
  return answer;
}

/** Asserts a token signed with one whole pair, for the caller with this credential. */
async function assertMinted(lambda, { key, secret }, bearer, subject) {
  const answer = await ask(lambda, bearer);
  assert.equal(answer.status, 201, `${JSON.stringify(answer)}\n${lambda.output()}`);
  const { participant_token: token, server_url: server } = answer.body;
  const { iss, sub, video } = payload(token);
  assert.deepEqual({ iss, video, server }, { iss: key, video: { roomJoin: true, room: 'standup' }, server: SERVER });
  assert.ok(isSignedWith(token, secret), `signed with the secret of ${key}`);
  if (subject) assert.equal(sub, subject);
  return answer;
}

/** A refusal within three seconds, in which nothing was minted. */
async function assertRefused(lambda, bearer, status, code) {
  const answer = await ask(lambda, bearer === undefined ? '' : bearer);
  assert.deepEqual({ status: answer.status, code: answer.body.code }, { status, code }, lambda.output());
  assert.equal(answer.headers['retry-after'], status === 503 ? '5' : undefined);
  assert.ok(!JSON.stringify(answer).includes('eyJ'), 'no token');
  assert.ok(answer.took < 3_000, `${status} after ${answer.took} ms`);
}

/** Asserts what a process without keys returns, to any caller and to the gateway's health check. */
async function assertUnavailable(lambda) {
  await assertRefused(lambda, API_KEY, 503, 'verification_unavailable');
  const { status, headers, body, took } = await lambda.invoke(JSON.parse(readFileSync(`${repo}/events/healthz.json`)));
  assert.deepEqual([status, body.code, headers['retry-after']], [503, 'keys_unavailable', '5']);
  assert.ok(took < 3_000, `503 after ${took} ms`);
}

/** Issues tokens with either pair until `now` is in use, and with that from then on. No request waits for long. */
async function mintsWith(lambda, now, { instead, within = 17_000 }) {
  await until(
    async () => {
      const { body, took } = await ask(lambda);
      const { iss } = payload(body.participant_token);
      assert.ok(took < MOST_WAIT, `a request waited for ${took} ms`);
      const used = [now, instead].find(({ key }) => key === iss);
      assert.ok(isSignedWith(body.participant_token, used.secret), `both halves are of ${iss}`);
      return used === now;
    },
    { of: `tokens signed with ${now.key}`, within, program: lambda },
  );
  await assertMinted(lambda, now);
}

/** Asks until the secret was read twice more, so that what it held before is in use. */
async function readAgain(store, lambda, asking) {
  const before = store.calls.length;
  await until(async () => (await asking()) && (store.calls.length >= before + 2 || refreshesThatFailed(lambda)), { of: 'the secret to be read' });
}

/** Signs with the first pair until a refresh has failed, and after that. No request waits for long. */
async function servesOnUntilItHasFailed(lambda, cause = /^the secret /) {
  await until(
    async () => {
      const { took } = await assertMinted(lambda, A);
      assert.ok(took < MOST_WAIT, `a request waited for ${took} ms`);
      return refreshesThatFailed(lambda);
    },
    { of: 'a refresh that fails', program: lambda },
  );
  const [line] = refreshesThatFailed(lambda);
  assert.match(line.cause, cause);
  for (let time = 0; time < 5; time += 1) await assertMinted(lambda, A);
}

/** The lines that say so, if there are any. */
function refreshesThatFailed(lambda) {
  const lines = lambda.log().filter(({ message }) => message.startsWith('signing key refresh failed'));
  return lines.length > 0 && lines;
}

/** Tokens that its issuer never gave. */
const forgedFrom = (token) => [withAnotherSignature(token), withClaims(token, { ...payload(token), sub: 'bob' })];

/** The log has no canary, and neither the claims nor the signature of any token that was received or issued. */
function assertNothingLeaked(lambda) {
  const log = lambda.output();
  assert.ok(!/canary/i.test(log), log);
  assert.ok(!/panicked/.test(log), log);
  for (const token of lambda.shown) {
    for (const part of token.split('.').slice(1)) assert.ok(!log.includes(part), `${part} is in:\n${log}`);
  }
}

const versionAt = async (secret, stage) =>
  Object.entries(await manager.stages(secret)).find(([, stages]) => stages.includes(stage))[0];

/** A refresh takes a second at most; the rest is for a busy machine. */
const MOST_WAIT = 1_500;
