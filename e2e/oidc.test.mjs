// People whom a real OpenID provider vouches for, from its tokens to LiveKit's.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { startRoompass } from './lib/services.mjs';
import { assertSays, payload, withAnotherSignature, withClaims } from './lib/tokens.mjs';

const PEOPLE = { ada: { team: 'red', role: 'host' }, bob: { team: 'red', role: 'member' } };

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

// Another provider's key has the id of our first: a key's id doesn't identify its issuer.
const [FIRST, SECOND, THIRD, ANOTHERS] = ['1', '2', '3', '1'].map(newKey);

const PROBLEMS = {
  no_credential: { status: 401, challenge: 'Bearer' },
  invalid_credential: { status: 401, challenge: 'Bearer error="invalid_token"' },
  room_not_allowed: { status: 403 },
  verification_unavailable: { status: 503, retryAfter: '5' },
};

describe("LiveKit's JavaScript client, with an access token of the provider", () => {
  test('gets a host into a room of the team, as themselves and with the rights of a host', async (t) => {
    const { provider, roompass } = await started(t);
    const answer = await client(roompass, await provider.token('ada')).fetch({ roomName: 'red:standup' });
    await assertSays(answer.participantToken, { sub: 'ada', video: { roomJoin: true, room: 'red:standup', roomAdmin: true } });
  });

  test("gets a member into the team's lobby without the rights of a host", async (t) => {
    const { provider, roompass } = await started(t);
    const answer = await client(roompass, await provider.token('bob')).fetch({});
    await assertSays(answer.participantToken, { sub: 'bob', video: { roomJoin: true, room: 'red:lobby' } });
  });

  test("reports that another team's room isn't allowed", async (t) => {
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

  test('for a token that was changed', async (t) => {
    const { provider, roompass } = await started(t);
    const token = await provider.token('bob');
    await assertMinted(roompass, token);
    for (const claims of [{ sub: 'ada' }, { role: 'host' }, { team: 'blue' }, { exp: payload(token).exp + 3600 }]) {
      await assertRefused(roompass, withClaims(token, { ...payload(token), ...claims }), 'invalid_credential');
    }
    await assertRefused(roompass, withAnotherSignature(token), 'invalid_credential');
  });

  test('for a token for another API, or one that only the provider can read', async (t) => {
    const { provider, roompass } = await started(t);
    const elsewhere = await provider.token('ada', { resource: 'https://mail.example.com' });
    const opaque = await provider.token('ada', { resource: '' });
    assert.doesNotMatch(opaque, /\./);
    await assertRefused(roompass, elsewhere, 'invalid_credential');
    await assertRefused(roompass, opaque, 'invalid_credential');
  });

  test('for a token of another provider, with a key and a person of the same names', async (t) => {
    const { provider, roompass } = await started(t);
    const another = await startedProvider(t, { keys: [ANOTHERS] });
    const ours = await provider.token('ada');
    const theirs = await another.token('ada');
    assert.equal(theirs.split('.')[0], ours.split('.')[0], 'the same header');
    assert.equal(payload(theirs).sub, payload(ours).sub);
    await assertRefused(roompass, theirs, 'invalid_credential');
    await assertMinted(roompass, ours);
    assert.equal(another.keySetsGiven(), 0, 'no request goes to an issuer that the policy does not name');
  });

  test('for a token of a provider that claims to be ours', async (t) => {
    const { provider, roompass } = await started(t);
    const impostor = await startedProvider(t, { keys: [ANOTHERS], issuer: provider.issuer });
    const theirs = await impostor.token('ada');
    assert.equal(payload(theirs).iss, provider.issuer);
    await assertRefused(roompass, theirs, 'invalid_credential');
    await assertMinted(roompass, await provider.token('ada'));
  });
});

describe("while the provider's keys change and requests run", () => {
  test('every good token is taken, with a key that was shown before it signed', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST, SECOND], signsWith: '1' });
    const before = await provider.token('ada');
    await assertMinted(roompass, before);

    const after = await meanwhile(roompass, [before], async () => {
      await provider.restart({ keys: [FIRST, SECOND], signsWith: '2' });
      return provider.token('ada');
    });
    assert.equal(keyOf(after), '2');
    await meanwhile(roompass, [before, after], () => provider.restart({ keys: [SECOND] }));
    assert.equal(provider.keySetsGiven(), 1, 'the set was had once, with both keys');
  });

  test('every good token is taken, with a key that signs at once', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST] });
    const before = await provider.token('ada');
    await assertMinted(roompass, before);

    const after = await meanwhile(roompass, [before], async () => {
      await provider.restart({ keys: [FIRST, SECOND], signsWith: '2' });
      return provider.token('ada');
    });
    assert.equal(provider.keySetsGiven(), 1);
    // The first of these asks the provider, and the others wait for it.
    await meanwhile(roompass, [after, before]);
    await meanwhile(roompass, [after, before], () => provider.restart({ keys: [SECOND] }));
    assert.equal(provider.keySetsGiven(), 2);
  });

  test('unknown keys make it request the provider once in 30 seconds, and it goes on with those it has', async (t) => {
    const { provider, roompass } = await started(t, { keys: [FIRST] });
    const good = await provider.token('ada');
    await assertMinted(roompass, good);

    for (let count = 0; count < 20; count += 1) await assertRefused(roompass, withKey(good, `made up ${count}`), 'invalid_credential');
    await meanwhile(roompass, [good]);
    assert.equal(provider.keySetsGiven(), 2);

    // What that costs: a key that is shown no sooner than it signs waits for those seconds to pass.
    await provider.restart({ keys: [THIRD, FIRST] });
    await assertRefused(roompass, await provider.token('ada'), 'invalid_credential');
    await meanwhile(roompass, [good]);
    assert.equal(provider.keySetsGiven(), 2);
  });
});

describe('while the provider is down', () => {
  const downs = { 'that was stopped': (provider) => provider.stop(), 'that says nothing': (provider) => provider.fallSilent() };
  for (const [how, goDown] of Object.entries(downs)) {
    test(`by one ${how}, a process takes tokens whose key it knows, and returns 503 for others`, async (t) => {
      const { provider, roompass } = await started(t, { keys: [FIRST] });
      const known = [await provider.token('ada'), await provider.token('bob')];
      await assertMinted(roompass, known[0]);
      await provider.restart({ keys: [SECOND, FIRST] });
      const unknown = await provider.token('ada');

      await goDown(provider);
      await meanwhile(roompass, known);
      for (let time = 0; time < 3; time += 1) await assertRefused(roompass, unknown, 'verification_unavailable');
      await meanwhile(roompass, known);
    });

    test(`by one ${how}, a new process returns 503 within three seconds`, async (t) => {
      const { provider, roompass } = await started(t);
      const token = await provider.token('ada');
      await goDown(provider);
      await Promise.all(Array.from({ length: 5 }, async () => {
        const asked = performance.now();
        await assertRefused(roompass, token, 'verification_unavailable');
        const took = performance.now() - asked;
        assert.ok(took < 3_000, `not in ${took} ms`);
      }));
    });
  }
});

for (const RUST_LOG of ['info', 'trace']) {
  test(`no token is in any line of the log, at the level ${RUST_LOG}`, async (t) => {
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
    assert.equal(lines.length, 7, `a line a request:\n${roompass.output()}`);
    for (const token of [good, ...minted, ...wrong]) {
      // A header is the same in all tokens of a key; the other parts must not be logged.
      const parts = token.includes('.') ? token.split('.').slice(1) : [token];
      for (const part of parts) assert.ok(!roompass.output().includes(part), `${part} is in:\n${roompass.output()}`);
    }
  });
}

/** A provider, and Roompass with a policy for its people. They end with the test. */
async function started(t, { env, ...options } = {}) {
  const provider = await startedProvider(t, options);
  const roompass = await startRoompass({ ROOMPASS_CONFIG: policy(provider.issuer), ...env });
  t.after(() => roompass.stop());
  return { provider, roompass };
}

async function startedProvider(t, options) {
  const provider = await startProvider({ keys: [FIRST], people: PEOPLE, ...options });
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

/** What a caller with this token gets, for a room of their team. */
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
 * Asks with each of the tokens by turns, four at a time, from before `step` begins until it has ended, and finds each
 * taken. At least 40 times, and 2,000 at most. Gives what `step` gives.
 */
async function meanwhile(roompass, tokens, step = async () => {}) {
  let asked = 0;
  let ended = false;
  const asking = async () => {
    while (asked < 40 || (!ended && asked < 2_000)) await assertMinted(roompass, tokens[asked++ % tokens.length]);
  };
  const all = Promise.all(Array.from({ length: 4 }, asking));
  const stepping = step().finally(() => (ended = true));
  const [outcome] = await Promise.all([stepping, all]);
  return outcome;
}

const header = (token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url'));

const keyOf = (token) => header(token).kid;

/** The same token, said to be signed with another key. */
function withKey(token, kid) {
  const other = Buffer.from(JSON.stringify({ ...header(token), kid })).toString('base64url');
  return [other, ...token.split('.').slice(1)].join('.');
}
