// Users of a real OpenID provider exchange its tokens for LiveKit's.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { startRoompass } from './lib/services.mjs';
import { assertClaims, payload, withAnotherSignature, withClaims } from './lib/tokens.mjs';

const USERS = { ada: { team: 'red', role: 'host' }, bob: { team: 'red', role: 'member' } };

const policy = (issuer) => `
  [[caller]]
  name = "app"
  kind = "jwt"
  issuer = "${issuer}"
  audience = "${AUDIENCE}"
  algorithms = ["RS256"]
  typ = "at+jwt"

  [[rule]]
  name = "hosts"
  callers = ["app"]
  when = { "claims.role" = "host" }
  rooms = ["{claims.team}:*"]
  identity = "{sub}"
  grants = { room_admin = true }

  [[rule]]
  name = "members"
  callers = ["app"]
  rooms = ["{claims.team}:*"]
  default_room = "{claims.team}:lobby"
  identity = "{sub}"
`;

// The other provider's key has the same ID as the first key: a key's ID doesn't identify its issuer.
const [FIRST, SECOND, THIRD, OTHER] = ['1', '2', '3', '1'].map(newKey);

const PROBLEMS = {
  no_credential: { status: 401, challenge: 'Bearer' },
  invalid_credential: { status: 401, challenge: 'Bearer error="invalid_token"' },
  room_not_allowed: { status: 403 },
  verification_unavailable: { status: 503, retryAfter: '5' },
};

describe("LiveKit's JavaScript client, with an access token of the provider", () => {
  test("a host gets a token for a room of their team, with their own identity and a host's grants", async (t) => {
    const { provider, roompass } = await started(t);
    const answer = await client(roompass, await provider.token('ada')).fetch({ roomName: 'red:standup' });
    await assertClaims(answer.participantToken, { sub: 'ada', video: { roomJoin: true, room: 'red:standup', roomAdmin: true } });
  });

  test("a member gets a token for the team's lobby, without a host's grants", async (t) => {
    const { provider, roompass } = await started(t);
    const answer = await client(roompass, await provider.token('bob')).fetch({});
    await assertClaims(answer.participantToken, { sub: 'bob', video: { roomJoin: true, room: 'red:lobby' } });
  });

  test("the client reports that another team's room is not allowed", async (t) => {
    const { provider, roompass } = await started(t);
    await assert.rejects(
      client(roompass, await provider.token('ada')).fetch({ roomName: 'blue:standup' }),
      (error) => /403/.test(error.message) && /room_not_allowed/.test(error.message),
    );
  });
});

describe('no token is issued', () => {
  test('without a credential', async (t) => {
    const { roompass } = await started(t);
    await assertRefused(roompass, undefined, 'no_credential');
  });

  test("for another team's room", async (t) => {
    const { provider, roompass } = await started(t);
    await assertRefused(roompass, await provider.token('ada'), 'room_not_allowed', 'blue:standup');
  });

  test('for a modified token', async (t) => {
    const { provider, roompass } = await started(t);
    const token = await provider.token('bob');
    await assertMinted(roompass, token);
    for (const claims of [{ sub: 'ada' }, { role: 'host' }, { team: 'blue' }, { exp: payload(token).exp + 3600 }]) {
      await assertRefused(roompass, withClaims(token, { ...payload(token), ...claims }), 'invalid_credential');
    }
    await assertRefused(roompass, withAnotherSignature(token), 'invalid_credential');
  });

  test('for a token of another audience, or an opaque token', async (t) => {
    const { provider, roompass } = await started(t);
    const elsewhere = await provider.token('ada', { resource: 'https://mail.example.com' });
    const opaque = await provider.token('ada', { resource: '' });
    assert.doesNotMatch(opaque, /\./);
    await assertRefused(roompass, elsewhere, 'invalid_credential');
    await assertRefused(roompass, opaque, 'invalid_credential');
  });

  test('for a token of another provider, with the same key ID and the same subject', async (t) => {
    const { provider, roompass } = await started(t);
    const another = await startedProvider(t, { keys: [OTHER] });
    const ours = await provider.token('ada');
    const theirs = await another.token('ada');
    assert.equal(theirs.split('.')[0], ours.split('.')[0], 'the same header');
    assert.equal(payload(theirs).sub, payload(ours).sub);
    await assertRefused(roompass, theirs, 'invalid_credential');
    await assertMinted(roompass, ours);
    assert.equal(another.keySetRequests(), 0, 'no request goes to an issuer that the policy does not name');
  });

  test('for a token of another provider with the same iss', async (t) => {
    const { provider, roompass } = await started(t);
    const impostor = await startedProvider(t, { keys: [OTHER], issuer: provider.issuer });
    const theirs = await impostor.token('ada');
    assert.equal(payload(theirs).iss, provider.issuer);
    await assertRefused(roompass, theirs, 'invalid_credential');
    await assertMinted(roompass, await provider.token('ada'));
  });
});

describe('while the provider rotates its keys', () => {
  test('every valid token is accepted, if the new key is published before it signs', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST, SECOND], signsWith: '1' });
    const before = await provider.token('ada');
    await assertMinted(roompass, before);

    const after = await whileRequesting(roompass, [before], async () => {
      await provider.restart({ keys: [FIRST, SECOND], signsWith: '2' });
      return provider.token('ada');
    });
    assert.equal(keyOf(after), '2');
    await whileRequesting(roompass, [before, after], () => provider.restart({ keys: [SECOND] }));
    assert.equal(provider.keySetRequests(), 1, 'the key set was fetched once, with both keys');
  });

  test('every valid token is accepted, if the new key signs immediately', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST] });
    const before = await provider.token('ada');
    await assertMinted(roompass, before);

    const after = await whileRequesting(roompass, [before], async () => {
      await provider.restart({ keys: [FIRST, SECOND], signsWith: '2' });
      return provider.token('ada');
    });
    assert.equal(provider.keySetRequests(), 1);
    // The first request fetches the key set, and the others wait for it.
    await whileRequesting(roompass, [after, before]);
    await whileRequesting(roompass, [after, before], () => provider.restart({ keys: [SECOND] }));
    assert.equal(provider.keySetRequests(), 2);
  });

  test('unknown keys cause one request to the provider in 30 seconds, and cached keys stay in use', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST] });
    const good = await provider.token('ada');
    await assertMinted(roompass, good);

    for (let count = 0; count < 20; count += 1) await assertRefused(roompass, withKey(good, `made up ${count}`), 'invalid_credential');
    await whileRequesting(roompass, [good]);
    assert.equal(provider.keySetRequests(), 2);

    // The drawback: a key that signs as soon as it is published is refused until those seconds have passed.
    await provider.restart({ keys: [THIRD, FIRST] });
    await assertRefused(roompass, await provider.token('ada'), 'invalid_credential');
    await whileRequesting(roompass, [good]);
    assert.equal(provider.keySetRequests(), 2);
  });
});

describe('while the provider is down', () => {
  const outages = { 'refuses connections': (provider) => provider.stop(), 'does not respond': (provider) => provider.hang() };
  for (const [how, goDown] of Object.entries(outages)) {
    test(`a process accepts tokens by cached keys, and returns 503 for others (the provider ${how})`, async (t) => {
      const { provider, roompass } = await started(t, { keys: [FIRST] });
      const known = [await provider.token('ada'), await provider.token('bob')];
      await assertMinted(roompass, known[0]);
      await provider.restart({ keys: [SECOND, FIRST] });
      const unknown = await provider.token('ada');

      await goDown(provider);
      await whileRequesting(roompass, known);
      for (let time = 0; time < 3; time += 1) await assertRefused(roompass, unknown, 'verification_unavailable');
      await whileRequesting(roompass, known);
    });

    test(`a new process returns 503 within three seconds (the provider ${how})`, async (t) => {
      const { provider, roompass } = await started(t);
      const token = await provider.token('ada');
      await goDown(provider);
      await Promise.all(Array.from({ length: 5 }, async () => {
        const sent = performance.now();
        await assertRefused(roompass, token, 'verification_unavailable');
        const took = performance.now() - sent;
        assert.ok(took < 3_000, `the response took ${took} ms`);
      }));
    });
  }
});

for (const RUST_LOG of ['info', 'trace']) {
  test(`the log contains no token, at the level ${RUST_LOG}`, async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST], env: { RUST_LOG } });
    const good = await provider.token('ada');
    const answer = await client(roompass, good).fetch({ roomName: 'red:standup' });
    const opaque = await provider.token('ada', { resource: '' });
    const wrong = [withAnotherSignature(good), withClaims(good, { ...payload(good), sub: 'bob' }), withKey(good, 'made up'), opaque];
    for (const token of wrong) await assertRefused(roompass, token, 'invalid_credential');
    await assertRefused(roompass, good, 'room_not_allowed', 'blue:standup');
    await provider.stop();
    const minted = [answer.participantToken, await assertMinted(roompass, good)];
    await roompass.stop('SIGTERM');

    const lines = roompass.output().split('\n').filter((line) => /request_id=/.test(line) && !/healthz/.test(line));
    assert.equal(lines.length, 7, `one line for each request:\n${roompass.output()}`);
    for (const token of [good, ...minted, ...wrong]) {
      // The header is the same in all tokens of a key. The other parts must not be logged.
      const parts = token.includes('.') ? token.split('.').slice(1) : [token];
      for (const part of parts) assert.ok(!roompass.output().includes(part), `${part} is in:\n${roompass.output()}`);
    }
  });
}

/** Starts a provider, and Roompass with a policy for its users. Both are stopped after the test. */
async function started(t, { env, ...options } = {}) {
  const provider = await startedProvider(t, options);
  const roompass = await startRoompass({ ROOMPASS_CONFIG: policy(provider.issuer), ...env });
  t.after(() => roompass.stop());
  return { provider, roompass };
}

async function startedProvider(t, options) {
  const provider = await startProvider({ keys: [FIRST], users: USERS, ...options });
  t.after(() => provider.stop());
  return provider;
}

const client = (roompass, token) => TokenSource.endpoint(roompass.endpoint, { headers: { Authorization: `Bearer ${token}` } });

async function ask(roompass, token, room) {
  return fetch(roompass.endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', ...(token && { Authorization: `Bearer ${token}` }) },
    body: JSON.stringify({ room_name: room }),
  });
}

/** Asserts that a caller with this token gets a token for a room of their team, and returns it. */
async function assertMinted(roompass, token) {
  const response = await ask(roompass, token, 'red:standup');
  const answer = await response.json();
  assert.equal(response.status, 201, JSON.stringify(answer));
  const { sub, video } = payload(answer.participant_token);
  assert.equal(sub, payload(token).sub);
  assert.equal(video.room, 'red:standup');
  return answer.participant_token;
}

/** Asserts a whole refusal: no token was issued, and the credential isn't echoed. */
async function assertRefused(roompass, token, code, room = 'red:standup') {
  const { status, challenge = null, retryAfter = null } = PROBLEMS[code];
  const response = await ask(roompass, token, room);
  const body = await response.text();
  const { request_id: id, title, detail, field, ...problem } = JSON.parse(body);
  assert.ok(!token || !body.includes(token), body);
  assert.deepEqual(problem, { type: `urn:roompass:problem:${code}`, status, code });
  assert.equal(response.status, status);
  assert.equal(response.headers.get('www-authenticate'), challenge);
  assert.equal(response.headers.get('retry-after'), retryAfter);
  assert.equal(response.headers.get('x-request-id'), id);
}

/**
 * Requests tokens while `step` runs, four at a time, with each of `tokens` in turn, and asserts that each is accepted.
 * Sends at least 40 and at most 2,000 requests. Returns the result of `step`.
 */
async function whileRequesting(roompass, tokens, step = async () => {}) {
  let sent = 0;
  let ended = false;
  const requesting = async () => {
    while (sent < 40 || (!ended && sent < 2_000)) await assertMinted(roompass, tokens[sent++ % tokens.length]);
  };
  const all = Promise.all(Array.from({ length: 4 }, requesting));
  const stepping = step().finally(() => (ended = true));
  const [outcome] = await Promise.all([stepping, all]);
  return outcome;
}

const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

const keyOf = (token) => header(token).kid;

/** The same token with another key ID. */
function withKey(token, kid) {
  const other = Buffer.from(JSON.stringify({ ...header(token), kid })).toString('base64url');
  return [other, ...token.split('.').slice(1)].join('.');
}
