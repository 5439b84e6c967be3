// Failure modes: how the function behaves while the secret store, the issuer of its callers' tokens, or both fail.
// Each test starts its own process and Runtime API. The process logs at the level `trace`. At the end of each test, its
// log must contain no secret.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  at, awsError, cached, delayed, drip, noResponse, pendingOnly, reset, respondWith, startProxy, tenMegabytes, truncated,
} from './lib/faults.mjs';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { repo, until } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { startSecretsManager } from './lib/services.mjs';
import { isSignedWith, payload, withAnotherSignature, withClaims } from './lib/tokens.mjs';

// Every secret contains the word "canary".
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
  name = "users"
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

// The number of processes, and for each status the number of responses and the slowest one in milliseconds.
const tally = { processes: 0 };
after(() => console.log(JSON.stringify(tally)));

describe('a rotated secret', { concurrency: 8 }, () => {
  test('signs while its version is AWSCURRENT, not while it is pending and not after a rollback', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    const [first] = Object.keys(await manager.stages(secret));

    await manager.update(secret, secretOf(B), 'AWSPENDING');
    await untilReadAgain(store, lambda, () => assertMinted(lambda, A));
    const second = await versionAt(secret, 'AWSPENDING');

    await manager.makeCurrent(secret, second, first);
    await signsWith(lambda, B, { instead: A, within: 2_500 });
    await untilReadAgain(store, lambda, () => assertMinted(lambda, B));

    await manager.makeCurrent(secret, first, second);
    await signsWith(lambda, A, { instead: B, within: 2_500 });

    const changes = lambda.log().filter(({ message }) => message.startsWith('signing keys'));
    assert.deepEqual(changes.map(({ message, version, previous }) => [message, version, previous]), [
      ['signing keys loaded', first, undefined],
      ['signing keys changed', second, first],
      ['signing keys changed', first, second],
    ]);
  });

  test('without a version returns 503, and signs once it has one', async (t) => {
    const { lambda, secret } = await started(t, { holds: null });
    await manager.create(secret);
    await assertUnavailable(lambda);
    await manager.update(secret, secretOf(A));
    await assertMinted(lambda, A);
  });

  test('whose only version is AWSPENDING returns 503, and signs once that version is AWSCURRENT', async (t) => {
    const { lambda, store } = await started(t, { fault: pendingOnly(secretOf(A)) });
    await assertUnavailable(lambda);
    const [{ cause }] = lambda.log().filter(({ code }) => code === 'keys_unavailable');
    assert.match(cause, /^secret not found: .*AWSCURRENT$/);
    store.fault = undefined;
    await assertMinted(lambda, A);
  });

  test('never combines the key of one version with the secret of another', async (t) => {
    const { lambda, secret } = await started(t);
    await assertMinted(lambda, A);
    for (const [now, instead] of [[B, A], [A, B], [B, A], [A, B], [B, A]]) {
      await manager.update(secret, secretOf(now));
      await signsWith(lambda, now, { instead, within: 2_500 });
    }
  });

  test('with white space, a byte-order mark or as binary data is read, and the log names what to correct', async (t) => {
    const { lambda, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.update(secret, `\ufeff${secretOf({ ...B, secret: `${B.secret}\r\n` })}\n`);
    await signsWith(lambda, B, { instead: A, within: 2_500 });
    await manager.updateBinary(secret, secretOf(A));
    await signsWith(lambda, A, { instead: B, within: 2_500 });
    const causes = lambda.log().filter(({ message }) => message === 'secret corrected when it was read').map(({ cause }) => cause);
    assert.deepEqual(causes, [
      'the secret begins with a byte-order mark: store it without',
      'LIVEKIT_API_SECRET has white space around it: store it without',
      'the secret is stored as binary data: store it as a string',
    ]);
    assert.equal(failedRefreshes(lambda), false);
  });

  const MALFORMED = {
    'not JSON': 'canary',
    'blank': ' ',
    "only callers' keys": JSON.stringify({ ROOMPASS_API_KEYS: JSON.parse(secretOf(B)).ROOMPASS_API_KEYS }),
    'the public development pair': secretOf({ key: 'devkey', secret: 'secret' }),
    'an API secret that is too short': secretOf({ ...B, secret: 'canary' }),
    'a server without TLS': secretOf(B, { LIVEKIT_URL: 'ws://canary.example' }),
    'a list': '["canary"]',
    'only half of the pair': JSON.stringify({ ...JSON.parse(secretOf(B)), LIVEKIT_API_SECRET: undefined }),
    'a number as API secret': secretOf(B, { LIVEKIT_API_SECRET: 5 }),
    'a duplicate member': secretOf(B).replace('{', '{"LIVEKIT_API_SECRET": "canary", '),
    'an invalid server URL': secretOf(B, { LIVEKIT_URL: 'canary' }),
    'truncated': secretOf(B).slice(0, -2),
  };
  for (const [what, text] of Object.entries(MALFORMED)) {
    test(`with a malformed value (${what}): the last valid value signs until the secret is corrected`, async (t) => {
      const { lambda, store, secret } = await started(t);
      await assertMinted(lambda, A);
      await manager.update(secret, text);
      await untilReadAgain(store, lambda, () => assertMinted(lambda, A));
      const [{ cause, level }] = await until(() => failedRefreshes(lambda), { of: 'a line of the log' });
      assert.equal(level, 'WARN');
      assert.match(cause, /^the secret is malformed: /);
      await manager.update(secret, secretOf(B));
      await signsWith(lambda, B, { instead: A });
    });
  }
});

describe("callers' keys in the secret", { concurrency: 2 }, () => {
  test('a removed key is refused after the next refresh, even if the new value is malformed elsewhere', async (t) => {
    const { lambda, secret } = await started(t);
    await manager.update(secret, secretOf(A, { ROOMPASS_API_KEYS: { backend: hashOf(API_KEY), batch: hashOf(ANOTHER_KEY) } }));
    await until(async () => (await ask(lambda, ANOTHER_KEY)).status === 201, { of: 'both keys', within: 2_500, program: lambda });
    await assertMinted(lambda, A);

    await manager.update(secret, secretOf(B, { LIVEKIT_URL: 'canary', ROOMPASS_API_KEYS: { batch: hashOf(ANOTHER_KEY) } }));
    await until(async () => (await ask(lambda)).status === 401, { of: 'the removed key to be refused', within: 2_500, program: lambda });
    await assertRefused(lambda, API_KEY, 401, 'invalid_credential');
    await assertMinted(lambda, A, ANOTHER_KEY);
    const [{ cause }] = failedRefreshes(lambda);
    assert.match(cause, /^the secret is malformed: LIVEKIT_URL must be a URL/);
  });

  test('a malformed key affects its own caller only, and the log names the member', async (t) => {
    const { lambda, secret, provider } = await startedWithIssuer(t);
    const known = await provider.token('ada');
    await assertMinted(lambda, A, known, 'app:ada');
    await manager.update(secret, secretOf(B, { ROOMPASS_API_KEYS: { backend: 'canary' } }));
    await until(async () => (await ask(lambda)).status === 503, { of: 'the malformed member to take effect', within: 2_500, program: lambda });
    await assertRefused(lambda, API_KEY, 503, 'verification_unavailable');
    await assertMinted(lambda, B, known, 'app:ada');
    const { level, cause } = lambda.log().find(({ message }) => message === 'part of the secret ignored');
    assert.equal(level, 'ERROR');
    assert.match(cause, /^ROOMPASS_API_KEYS has a key "backend" that is neither/);
  });
});

// The faults of both stores.
const FAULTS_OF_STORES = {
  'does not respond': noResponse,
  'resets connections': reset,
  'closes the connection halfway through the response': truncated,
  'sends one byte at a time': drip,
  'responds after two seconds': delayed(2_000),
  'throttles': awsError(400, 'ThrottlingException', 'Rate exceeded'),
  'has an internal error': awsError(500, 'InternalServiceError'),
  'returns 503': respondWith(503, ''),
  'returns 429': respondWith(429, ''),
  'denies access': awsError(400, 'AccessDeniedException'),
  'reports expired credentials': awsError(400, 'ExpiredTokenException'),
  'returns an HTML page': respondWith(200, '<!doctype html><title>canary</title>', { 'Content-Type': 'text/html' }),
  'returns half of an object': respondWith(200, '{"SecretString": "canary'),
  'returns an empty object': respondWith(200, '{}'),
  'returns an empty body': respondWith(200, ''),
  'redirects': (response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/canary' }).end(),
  'returns 10 MB': tenMegabytes,
};
const STORE_FAULTS = {
  ...FAULTS_OF_STORES,
  'cannot decrypt': awsError(400, 'DecryptionFailure'),
  'reports a missing secret': awsError(400, 'ResourceNotFoundException'),
  'returns a binary secret that is not JSON': respondWith(200, JSON.stringify({ Name: 'x', SecretBinary: btoa('canary') })),
  'returns a binary secret that is not UTF-8': respondWith(200, JSON.stringify({ Name: 'x', SecretBinary: Buffer.from('canary', 'utf16le').fill(0xff, 0, 1).toString('base64') })),
};
const parameter = (Type, Value = secretOf(B)) => respondWith(200, JSON.stringify({ Parameter: { Name: 'x', Type, Value, Version: 2 } }));
const PARAMETER_FAULTS = {
  ...FAULTS_OF_STORES,
  'cannot decrypt': awsError(400, 'InvalidKeyId'),
  'reports a missing parameter': awsError(400, 'ParameterNotFound'),
  'reports a missing version': awsError(400, 'ParameterVersionNotFound'),
  'returns a parameter that is not encrypted': parameter('String'),
  'returns a list': parameter('StringList'),
  'returns a parameter of an unknown type': parameter('Canary'),
  'returns a parameter without a value': parameter('SecureString', null),
  'returns a value that is not JSON': parameter('SecureString', 'canary'),
};

describe('a process with cached keys', { concurrency: 12 }, () => {
  for (const [what, fault] of Object.entries(STORE_FAULTS)) {
    test(`signs with them while the store ${what}, retries rarely, and uses the new keys afterwards`, async (t) => {
      const { lambda, store, secret } = await started(t);
      await assertMinted(lambda, A);
      await manager.update(secret, secretOf(B));
      store.fault = fault;
      await signsUntilRefreshFails(lambda);
      const tried = store.calls.length;
      assert.ok(tried <= 3, `a refresh makes at most two attempts, not ${tried - 1}`);
      const failed = Date.now();
      store.fault = undefined;
      await signsWith(lambda, B, { instead: A, within: 17_000 });
      const waited = store.calls[tried].at - store.calls[tried - 1].at;
      assert.ok(waited >= 3_700, `the next refresh came after only ${waited} ms; at least five seconds must pass between two`);
      assert.equal(store.calls.filter(({ at }) => at > failed && at < failed + 3_500).length, 0);
    });
  }

  test('signs with them while the store refuses connections, and uses the new keys afterwards', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.update(secret, secretOf(B));
    await store.close();
    await signsUntilRefreshFails(lambda);
    await store.reopen();
    await signsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('signs with them while the secret is deleted, and uses the new keys once it is restored', async (t) => {
    const { lambda, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.markForRemoval(secret);
    await signsUntilRefreshFails(lambda);
    await manager.restore(secret);
    await manager.update(secret, secretOf(B));
    await signsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('returns 503 if the store is down for longer than max_age, and signs with the first request after that', async (t) => {
    const { lambda, store, secret } = await started(t, { maxAge: '3s' });
    await assertMinted(lambda, A);
    store.fault = awsError(500, 'InternalServiceError');
    await signsUntilRefreshFails(lambda);
    await until(async () => (await ask(lambda)).status === 503, { of: 'the keys to expire', within: 5_000 });
    await assertUnavailable(lambda);
    await manager.update(secret, secretOf(B));
    store.fault = undefined;
    await assertMinted(lambda, B);
  });
});

// The first request of a new process also waits for its start.
describe('a new process', { concurrency: 3 }, () => {
  for (const [what, fault] of Object.entries(STORE_FAULTS)) {
    test(`returns 503 within three seconds while the store ${what}, and signs with the first request afterwards`, async (t) => {
      // Ages are whole seconds: with one second, the second token could already refresh the keys.
      const { lambda, store } = await started(t, { fault, refreshAfter: '5m' });
      await assertUnavailable(lambda);
      await assertUnavailable(lambda);
      assert.ok(store.calls.length > 0 && store.calls.length <= 2 * 5, `${store.calls.length} calls`);
      store.fault = undefined;
      await assertMinted(lambda, A);
      const calls = store.calls.length;
      await assertMinted(lambda, A);
      assert.equal(store.calls.length, calls, 'the second token uses the cached keys');
    });
  }

  test('returns 503 within three seconds while the store refuses connections, and signs with the first request afterwards', async (t) => {
    const { lambda, store } = await started(t, { closed: true });
    await assertUnavailable(lambda);
    await assertUnavailable(lambda);
    await store.reopen();
    await assertMinted(lambda, A);
  });

  test('returns 503 until the secret is created, and keeps its keys when the secret is deleted', async (t) => {
    const { lambda, secret } = await started(t, { holds: null });
    await assertUnavailable(lambda);
    await manager.create(secret, secretOf(A));
    await assertMinted(lambda, A);
    await manager.remove(secret);
    await signsUntilRefreshFails(lambda);
  });
});

describe('a parameter in Parameter Store', { concurrency: 12 }, () => {
  test('signs with its newest version, and the log has the version numbers', async (t) => {
    const { lambda, secret } = await startedWithParameter(t);
    await assertMinted(lambda, A);
    await manager.putParameter(secret, secretOf(B));
    await signsWith(lambda, B, { instead: A, within: 2_500 });
    const changes = lambda.log().filter(({ message }) => message.startsWith('signing keys'));
    assert.deepEqual(changes.map(({ message, version, previous }) => [message, version, previous]), [
      ['signing keys loaded', '1', undefined],
      ['signing keys changed', '2', '1'],
    ]);
  });

  test('that does not exist returns 503, and signs once it is created', async (t) => {
    const { lambda, secret } = await startedWithParameter(t, { holds: null });
    await assertUnavailable(lambda);
    const [{ cause }] = lambda.log().filter(({ code }) => code === 'keys_unavailable');
    assert.match(cause, /^secret not found: ParameterNotFound: /);
    await manager.putParameter(secret, secretOf(A));
    await assertMinted(lambda, A);
    await manager.removeParameter(secret);
    await signsUntilRefreshFails(lambda, /^secret not found: /);
  });

  test('that is not encrypted returns 503, and signs once it is', async (t) => {
    const { lambda, secret } = await startedWithParameter(t, { holds: null });
    await manager.putParameter(secret, secretOf(A), 'String');
    await assertUnavailable(lambda);
    const [{ cause }] = lambda.log().filter(({ code }) => code === 'keys_unavailable');
    assert.equal(cause, 'the secret is malformed: it is a parameter that is not encrypted: store it with the type SecureString');
    await manager.removeParameter(secret);
    await manager.putParameter(secret, secretOf(A));
    await assertMinted(lambda, A);
  });

  for (const [what, fault] of Object.entries(PARAMETER_FAULTS)) {
    test(`of a store that ${what}: cached keys sign, and the new keys afterwards`, async (t) => {
      const { lambda, store, secret } = await startedWithParameter(t);
      await assertMinted(lambda, A);
      await manager.putParameter(secret, secretOf(B));
      store.fault = fault;
      await signsUntilRefreshFails(lambda);
      const tried = store.calls.length;
      assert.ok(tried <= 3, `a refresh makes at most two attempts, not ${tried - 1}`);
      store.fault = undefined;
      await signsWith(lambda, B, { instead: A, within: 17_000 });
      const waited = store.calls[tried].at - store.calls[tried - 1].at;
      assert.ok(waited >= 3_700, `the next refresh came after only ${waited} ms; at least five seconds must pass between two`);
    });
  }

  test('is read by a frozen process as soon as it resumes', async (t) => {
    const { lambda, store, secret } = await startedWithParameter(t);
    await assertMinted(lambda, A);
    const { at: read } = store.calls.at(-1);
    lambda.freeze();
    store.forgetConnections();
    await manager.putParameter(secret, secretOf(B));
    await until(() => Date.now() > read + 2_000, { of: 'the keys to be old' });
    lambda.thaw();
    await assertMinted(lambda, B);
  });
});

// The first request of a new process also waits for its start.
describe('a new process that reads a parameter', { concurrency: 3 }, () => {
  for (const [what, fault] of Object.entries(PARAMETER_FAULTS)) {
    test(`returns 503 within three seconds while the store ${what}, and signs with the first request afterwards`, async (t) => {
      const { lambda, store } = await startedWithParameter(t, { fault, refreshAfter: '5m' });
      await assertUnavailable(lambda);
      store.fault = undefined;
      await assertMinted(lambda, A);
    });
  }
});

test('a frozen process whose connections are dead signs with the new keys as soon as it resumes', async (t) => {
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

describe('tokens of a failing issuer', { concurrency: 4 }, () => {
  const page = respondWith(200, '<!doctype html><title>Sign in</title>', { 'Content-Type': 'text/html' });
  const json = (body) => respondWith(200, JSON.stringify(body), { 'Content-Type': 'application/json' });
  const ISSUER_FAULTS = {
    'does not respond': noResponse,
    'resets connections': reset,
    'closes the connection halfway through the response': truncated,
    'sends one byte at a time': drip,
    'responds after two seconds': delayed(2_000),
    'returns 500': respondWith(500, '{"keys": []}'),
    'returns 503': respondWith(503, ''),
    'returns 404': respondWith(404, ''),
    'returns 429': respondWith(429, ''),
    'redirects': (response) => response.writeHead(302, { Location: 'http://127.0.0.1:9/keys' }).end(),
    'returns an HTML page': page,
    'returns an empty body': respondWith(200, ''),
    'returns an empty key set': json({ keys: [] }),
    'returns invalid keys': json({ keys: [null, 1, 'x', {}, { kty: 'RSA', kid: '2', n: 'AQAB', e: 'AQAB' }] }),
    'returns an empty object': json({}),
    'returns 10 MB': tenMegabytes,
    'returns 500 with a body of 10 MB': respondWith(500, 'x'.repeat(10_000_000)),
  };

  const PATHS = { 'for its configuration': '/.well-known/openid-configuration', 'for its keys': '/jwks' };

  for (const [where, path] of Object.entries(PATHS)) {
    for (const [what, fault] of Object.entries(ISSUER_FAULTS)) {
      test(`it ${what} ${where}: tokens by cached keys are accepted, by unknown keys get 503, and forged ones get 401`, async (t) => {
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
        const calls = issuer.calls.length;
        issuer.fault = undefined;
        // The next request to the issuer is made after 30 seconds. Until then the response stays 503.
        await assertRefused(lambda, unknown, 503, 'verification_unavailable');
        assert.equal(issuer.calls.length, calls);
      });

      test(`it ${what} ${where}: a new process returns 503 within three seconds`, async (t) => {
        const { lambda, issuer, provider } = await startedWithIssuer(t);
        const token = await provider.token('ada');
        issuer.fault = at(path, fault);
        await assertRefused(lambda, token, 503, 'verification_unavailable');
        await assertRefused(lambda, token, 503, 'verification_unavailable');
        assert.equal(issuer.calls.filter(({ url }) => url === path).length, 1);
      });
    }
  }

  test('it is slow for both: 503 within three seconds', async (t) => {
    const { lambda, issuer, provider } = await startedWithIssuer(t);
    const token = await provider.token('ada');
    issuer.fault = delayed(1_400);
    await assertRefused(lambda, token, 503, 'verification_unavailable');
  });
});

test('200 new processes at once: each requests the store and the issuer once, and signs', async (t) => {
  const { store, secret, issuer, provider } = await startedWithIssuer(t, { storeOnly: true });
  const tokens = await Promise.all(['ada', 'bob'].map((who) => provider.token(who)));
  const options = { store, secret, issuer: issuer.url, refreshAfter: '5m' };
  const processes = [];
  while (processes.length < 200) processes.push(await processOf(t, options, { held: true }));
  assert.deepEqual([store.calls.length, issuer.calls.length], [0, 0]);

  const delay = 400;
  store.fault = cached(delayed(delay));
  // Ten at a time: on two cores, 200 processes would delay each other's start. In Lambda each has its own core.
  await concurrently(10, processes, async (lambda, index) => {
    lambda.thaw();
    await until(() => store.calls.length > index, { of: 'the request to the store', every: 1, program: lambda });
  });
  await Promise.all(processes.map(({ ready }) => ready));
  await concurrently(10, processes, async (lambda, index) => {
    await assertMinted(lambda, A, tokens[index % 2]);
    await assertMinted(lambda, A, tokens[(index + 1) % 2]);
    await assertMinted(lambda, A);
  });

  const times = store.calls.map(({ at }) => at);
  const together = times.map((time) => times.filter((other) => other <= time && other > time - delay).length);
  t.diagnostic(`requests to the store: all within ${Math.max(...times) - times[0]} ms, up to ${Math.max(...together)} at once`);
  const calls = (path) => issuer.calls.filter(({ url }) => url === path).length;
  assert.deepEqual(
    { store: store.calls.length, configuration: calls('/.well-known/openid-configuration'), keys: calls('/jwks') },
    { store: 200, configuration: 200, keys: 200 },
  );
});

describe('two faults at once', { concurrency: 8 }, () => {
  // The fault of the store, and the fault of the issuer.
  const PAIRS = [
    ['neither the store nor the issuer responds', noResponse, noResponse],
    ['the store is down, and the issuer sends one byte at a time', awsError(500, 'InternalServiceError'), drip],
    ['the store throttles, and the issuer resets connections', awsError(400, 'ThrottlingException'), reset],
    ['the store denies access, and the issuer returns an empty key set', awsError(400, 'AccessDeniedException'), respondWith(200, '{"keys": []}')],
    ['the store closes connections, and the issuer returns 10 MB', truncated, tenMegabytes],
    ['the store is slow, and the issuer is down', delayed(2_000), respondWith(500, '')],
  ];
  for (const [what, ofStore, ofIssuer] of PAIRS) {
    test(`${what}: a process with cached keys signs for callers that it can verify, and for no others`, async (t) => {
      const { lambda, store, issuer, provider, secret } = await startedWithIssuer(t);
      const known = await provider.token('ada');
      await assertMinted(lambda, A, known, 'app:ada');
      await provider.restart({ keys: [SECOND, FIRST] });
      const unknown = await provider.token('ada');
      await manager.update(secret, secretOf(B));
      [store.fault, issuer.fault] = [ofStore, ofIssuer];

      await signsUntilRefreshFails(lambda);
      for (let time = 0; time < 3; time += 1) {
        await assertMinted(lambda, A, known, 'app:ada');
        await assertMinted(lambda, A);
        await assertRefused(lambda, unknown, 503, 'verification_unavailable');
        for (const forged of forgedFrom(known)) await assertRefused(lambda, forged, 401, 'invalid_credential');
        await assertRefused(lambda, UNKNOWN_KEY, 401, 'invalid_credential');
        await assertRefused(lambda, undefined, 401, 'no_credential');
      }
      [store.fault, issuer.fault] = [];
      await signsWith(lambda, B, { instead: A, within: 17_000 });
      await assertMinted(lambda, B, known, 'app:ada');
    });

    test(`${what}: a new process issues no token until they recover`, async (t) => {
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

  test('the store does not respond, and the issuer is slow: a new process requests both at once, and returns 503 in time', async (t) => {
    const { lambda, issuer, provider } = await startedWithIssuer(t, { fault: noResponse });
    const token = await provider.token('ada');
    issuer.fault = at('/jwks', delayed(1_300));
    await assertRefused(lambda, token, 503, 'keys_unavailable');
  });

  test('the secret is malformed, and the store is slow: the last valid keys sign until the secret is corrected', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    await manager.update(secret, secretOf(B, { LIVEKIT_API_SECRET: ' canary' }));
    store.fault = delayed(400);
    await signsUntilRefreshFails(lambda, /malformed/);
    await manager.update(secret, secretOf(B));
    await signsWith(lambda, B, { instead: A, within: 17_000 });
  });

  test('the secret is rotated twice while the store is down: the first version signs, then the last', async (t) => {
    const { lambda, store, secret } = await started(t);
    await assertMinted(lambda, A);
    store.fault = reset;
    await manager.update(secret, secretOf(pair('c')));
    await signsUntilRefreshFails(lambda);
    await manager.update(secret, secretOf(B));
    store.fault = undefined;
    await signsWith(lambda, B, { instead: A, within: 17_000 });
  });
});

const [FIRST, SECOND] = ['1', '2'].map(newKey);

let secrets = 0;

/** The same as `started`, with a parameter in place of a secret. */
async function startedWithParameter(t, { holds = A, fault, ...options } = {}) {
  const secret = `/faults/${(secrets += 1)}`;
  if (holds) await manager.putParameter(secret, secretOf(holds));
  const store = await startProxy(manager.url);
  t.after(() => store.stop());
  store.fault = fault;
  const lambda = await processOf(t, { store, parameter: secret, ...options });
  return { lambda, store, secret };
}

/** A proxy in front of the secret store, and unless `storeOnly` is set, a process that reads its secret through it. */
async function started(t, { holds = A, fault, closed, storeOnly, ...options } = {}) {
  const secret = `faults-${(secrets += 1)}`;
  if (holds) await manager.create(secret, secretOf(holds));
  const store = await startProxy(manager.url);
  t.after(() => store.stop());
  store.fault = fault;
  if (closed) await store.close();
  const lambda = storeOnly ? undefined : await processOf(t, { store, secret, ...options });
  return { lambda, store, secret };
}

/** Starts a process. After the test, asserts that its log contains no secret. */
async function processOf(t, { store, secret, parameter, ...options }, how) {
  tally.processes += 1;
  const lambda = await startProcess({
    AWS_ENDPOINT_URL: store.url, ROOMPASS_SECRET_ID: secret ?? '', ROOMPASS_PARAMETER: parameter ?? '', ROOMPASS_CONFIG: policy(options), RUST_LOG: 'trace',
  }, how);
  lambda.shown = new Set();
  t.after(async () => {
    await lambda.stop();
    assertNothingLeaked(lambda);
  });
  return lambda;
}

/** The same as `started`, with an issuer behind a second proxy. */
async function startedWithIssuer(t, options) {
  const issuer = await startProxy();
  const provider = await startProvider({ keys: [FIRST], users: { ada: { team: 'red' }, bob: {} }, issuer: issuer.url });
  issuer.target = provider.url;
  t.after(() => Promise.all([issuer.stop(), provider.stop()]));
  return { issuer, provider, ...(await started(t, { ...options, issuer: issuer.url })) };
}

/** Runs `work` for each item, with at most `limit` at a time. */
async function concurrently(limit, items, work) {
  const remaining = items.entries();
  const worker = async () => {
    for (const [index, item] of remaining) await work(item, index);
  };
  await Promise.all(Array.from({ length: limit }, worker));
}

const EVENT = JSON.parse(readFileSync(`${repo}/events/http-api.json`));

/** Sends a request with a token, an API key or no credential, and returns the response. */
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

/** Asserts that the caller with this credential gets a token, signed with this key pair. */
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

/** Asserts a refusal within three seconds, without a token. */
async function assertRefused(lambda, bearer, status, code) {
  const answer = await ask(lambda, bearer === undefined ? '' : bearer);
  assert.deepEqual({ status: answer.status, code: answer.body.code }, { status, code }, lambda.output());
  assert.equal(answer.headers['retry-after'], status === 503 ? '5' : undefined);
  assert.ok(!JSON.stringify(answer).includes('eyJ'), 'no token');
  assert.ok(answer.took < 3_000, `${status} after ${answer.took} ms`);
}

/** Asserts that a process without keys returns 503, to a caller and to the health check. */
async function assertUnavailable(lambda) {
  await assertRefused(lambda, API_KEY, 503, 'verification_unavailable');
  const { status, headers, body, took } = await lambda.invoke(JSON.parse(readFileSync(`${repo}/events/healthz.json`)));
  assert.deepEqual([status, body.code, headers['retry-after']], [503, 'keys_unavailable', '5']);
  assert.ok(took < 3_000, `503 after ${took} ms`);
}

/** Requests tokens until they are signed with `now` and not with `instead`. No request waits for long. */
async function signsWith(lambda, now, { instead, within = 17_000 }) {
  await until(
    async () => {
      const { body, took } = await ask(lambda);
      const { iss } = payload(body.participant_token);
      assert.ok(took < MAX_WAIT, `a request waited for ${took} ms`);
      const used = [now, instead].find(({ key }) => key === iss);
      assert.ok(isSignedWith(body.participant_token, used.secret), `signed with the secret of ${iss}`);
      return used === now;
    },
    { of: `tokens signed with ${now.key}`, within, program: lambda },
  );
  await assertMinted(lambda, now);
}

/** Sends requests until the secret was read twice more, so that its value before the call is in use. */
async function untilReadAgain(store, lambda, request) {
  const before = store.calls.length;
  await until(async () => (await request()) && (store.calls.length >= before + 2 || failedRefreshes(lambda)), { of: 'the secret to be read' });
}

/** Asserts that the first pair signs until a refresh has failed, and afterwards. No request waits for long. */
async function signsUntilRefreshFails(lambda, cause = /^(the secret (store is unavailable|is malformed)|secret not found|access to the secret denied): /) {
  await until(
    async () => {
      const { took } = await assertMinted(lambda, A);
      assert.ok(took < MAX_WAIT, `a request waited for ${took} ms`);
      return failedRefreshes(lambda);
    },
    { of: 'a refresh that fails', program: lambda },
  );
  const [line] = failedRefreshes(lambda);
  assert.match(line.cause, cause);
  for (let time = 0; time < 5; time += 1) await assertMinted(lambda, A);
}

/** The log lines for failed refreshes, or `false`. */
function failedRefreshes(lambda) {
  const lines = lambda.log().filter(({ message }) => message.startsWith('signing key refresh failed'));
  return lines.length > 0 && lines;
}

/** Tokens that the issuer did not sign. */
const forgedFrom = (token) => [withAnotherSignature(token), withClaims(token, { ...payload(token), sub: 'bob' })];

/** Asserts that the log has no canary, and neither the claims nor the signature of any token received or issued. */
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

/** A refresh takes at most a second. The rest is a margin for slow machines. */
const MAX_WAIT = 1_500;
