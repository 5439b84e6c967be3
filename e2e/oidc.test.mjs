// Callers who bring tokens of a real OpenID provider, through a change of its keys and its end.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { AUDIENCE, newKey, startProvider } from './lib/oidc.mjs';
import { startRoompass } from './lib/services.mjs';
import { payload, signed, verified, withAnotherSignature, withClaims } from './lib/tokens.mjs';

const policy = (issuer) => `
[[caller]]
name = "app"
kind = "jwt"
issuer = "${issuer}"
audience = "${AUDIENCE}"
algorithms = ["ES256"]

[[rule]]
name = "hosts"
callers = ["app"]
when = { "claims.role" = "host" }
rooms = ["{claims.team}:*"]
default_room = "{claims.team}:{random}"
identity = "{sub}"
grants = { room_admin = true }

[[rule]]
name = "guests"
callers = ["app"]
rooms = ["{claims.team}:*"]
identity = "{sub}"
grants = { can_publish = false }
`;

const [first, second] = [newKey('first'), newKey('second')];
let provider, roompass;

before(async () => {
  provider = await startProvider([first]);
  roompass = await startRoompass({ ROOMPASS_CONFIG: policy(provider.issuer), RUST_LOG: 'trace' });
});
after(async () => {
  await roompass?.stop();
  await provider?.stop();
});

/** What an endpoint answers to a bearer: the status, the problem's code, or the pass. */
async function ask(bearer, room_name = 'red:standup', endpoint = roompass.endpoint) {
  const headers = { 'content-type': 'application/json', ...(bearer && { authorization: `Bearer ${bearer}` }) };
  const answer = await fetch(endpoint, { method: 'POST', headers, body: JSON.stringify({ room_name }) });
  const { code, participant_token: pass } = await answer.json();
  return { status: answer.status, code, pass, retryAfter: answer.headers.get('retry-after') };
}

test("a client gets what the policy says for its token, through LiveKit's own TokenSource", async () => {
  for (const [client, grant] of [['ada', { roomAdmin: true }], ['bob', { canPublish: false }]]) {
    const headers = { Authorization: `Bearer ${await provider.token(client)}` };
    const { participantToken } = await TokenSource.endpoint(roompass.endpoint, { headers }).fetch({ roomName: 'red:standup' });
    const { sub, video } = await verified(participantToken, 'devkey', 'secret');
    assert.deepEqual([sub, video], [client, { roomJoin: true, room: 'red:standup', ...grant }]);
  }
});

test('nobody else gets anything', async () => {
  const token = await provider.token();
  const other = await startProvider([newKey('first')]);
  const elsewhere = await other.token().finally(() => other.stop());
  for (const [what, bearer, room, status, code] of [
    ['no token', undefined, 'red:standup', 401, 'no_credential'],
    ['other claims', withClaims(token, { ...payload(token), team: 'blue' }), 'blue:standup', 401, 'invalid_credential'],
    ['another signature', withAnotherSignature(token), 'red:standup', 401, 'invalid_credential'],
    ['another key', signed(token, payload(token)), 'red:standup', 401, 'invalid_credential'],
    ['another issuer', elsewhere, 'red:standup', 401, 'invalid_credential'],
    ["another team's room", token, 'blue:standup', 403, 'room_not_allowed'],
  ]) {
    const answer = await ask(bearer, room);
    assert.deepEqual([answer.status, answer.code, answer.pass], [status, code, undefined], what);
  }
});

test('while the issuer changes its keys nobody is refused wrongly', async () => {
  const tokens = [await provider.token()];
  const everybody = async () => {
    const answers = await Promise.all([...tokens, ...tokens, ...tokens].map((token) => ask(token)));
    for (const { status, code } of answers) assert.equal(status, 201, code);
  };
  await everybody();
  // The new key is published beside the old, then signs, then stands alone.
  for (const keys of [[first, second], [second, first], [second]]) {
    await provider.serve(keys);
    const token = await provider.token();
    await everybody();
    tokens.push(token);
    await everybody();
  }
  const names = tokens.map((token) => JSON.parse(Buffer.from(token.split('.')[0], 'base64url')).kid);
  assert.deepEqual(names, ['first', 'first', 'second', 'second'], 'tokens by either key were shown');
});

test('while the issuer is down those with known keys get in, and nobody is refused for it', async () => {
  const token = await provider.token();
  await provider.stop();
  assert.equal((await ask(token)).status, 201);

  const fresh = await startRoompass({ ROOMPASS_CONFIG: policy(provider.issuer) });
  try {
    const began = Date.now();
    const answer = await ask(token, 'red:standup', fresh.endpoint);
    assert.deepEqual([answer.status, answer.code, answer.retryAfter], [503, 'verification_unavailable', '5']);
    assert.ok(Date.now() - began < 3000);
  } finally {
    await fresh.stop();
  }
});

test('no bearer and no pass is in the log, at any level', async () => {
  await provider.serve([second]);
  const token = await provider.token();
  const { pass } = await ask(token);
  await ask(withAnotherSignature(token));
  const log = roompass.output();
  assert.match(log, /minted/);
  for (const secret of [token, pass, token.split('.')[2], pass.split('.')[2]]) assert.ok(!log.includes(secret));
});
