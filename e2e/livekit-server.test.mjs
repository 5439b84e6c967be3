// A real LiveKit server validates the tokens.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get } from 'node:http';
import { after, before, test } from 'node:test';
import { RoomServiceClient } from 'livekit-server-sdk';
import { clean, e2e, run, until } from './lib/programs.mjs';
import { roompass as roompassProgram, startLiveKit, startRoompass } from './lib/services.mjs';
import { payload, signed, withAnotherSignature, withClaims } from './lib/tokens.mjs';

let livekit, roompass;

before(async () => {
  livekit = await startLiveKit('room:\n  room_configurations:\n    classroom:\n      max_participants: 9\n');
  roompass = await startRoompass({ LIVEKIT_URL: livekit.url });
});
after(async () => {
  await roompass?.stop();
  await livekit?.stop();
});

test('a token for a new room and a new participant is accepted', async () => {
  assert.deepEqual(await validated(await minted({})), { status: 200, text: 'success' });
});

test('a token with everything set is accepted', async () => {
  const token = await minted({
    room_name: 'Planung 🗓️',
    participant_identity: 'ada-æ',
    participant_name: 'Ada Lovelace ☕',
    participant_metadata: '{"seat": "Ω"}',
    participant_attributes: { 'sprache': '日本語', 'lk.custom': '"quoted"' },
    room_config: {
      name: 'ignored by the server',
      empty_timeout: 30,
      departure_timeout: 20,
      max_participants: 12,
      min_playout_delay: 10,
      max_playout_delay: 200,
      sync_streams: true,
      metadata: 'm 🎈',
      tags: { team: 'blå' },
      agents: [
        { agent_name: 'notetaker', metadata: '{"language": "日本語"}', deployment: 'staging',
          restart_policy: 'JRP_NEVER', attributes: { mood: '☀️' } },
        { agent_name: 'translator' },
      ],
    },
  });
  assert.equal(payload(token).roomConfig.agents.length, 2);
  assert.deepEqual(await validated(token), { status: 200, text: 'success' });
});

test('a token whose claims were changed is refused', async () => {
  const token = await minted({ room_name: 'ours' });
  const claims = payload(token);
  const changed = withClaims(token, { ...claims, video: { ...claims.video, room: 'theirs' } });
  assert.equal((await validated(token)).status, 200);
  assert.equal((await validated(changed)).status, 401);
});

test('a token whose signature was changed is refused', async () => {
  const token = await minted({});
  assert.equal((await validated(token)).status, 200);
  assert.equal((await validated(withAnotherSignature(token))).status, 401);
});

test('a token is refused once it has expired', async () => {
  const token = await minted({});
  const claims = payload(token);
  // The same claims signed again with the same key are accepted, so the server refuses the times.
  assert.equal((await validated(signed(token, claims))).status, 200);
  const anHourAgo = { ...claims, nbf: claims.nbf - 3600, exp: claims.exp - 3600 };
  assert.equal((await validated(signed(token, anHourAgo))).status, 401);
});

test('a token signed with a key that the server does not have is refused', async () => {
  const other = await startRoompass({
    LIVEKIT_URL: livekit.url,
    LIVEKIT_API_KEY: 'devkey',
    LIVEKIT_API_SECRET: 'another secret, of thirty-two bytes or more',
  });
  try {
    assert.equal((await validated(await minted({}, other))).status, 401);
  } finally {
    await other.stop();
  }
});

test('the room of a rule has its settings, and a client changes only those that the rule lists', async () => {
  const policy = await startRoompass({
    LIVEKIT_URL: livekit.url,
    ROOMPASS_CONFIG: `
      [[caller]]
      name = "anyone"
      kind = "anonymous"

      [[rule]]
      name = "classes"
      callers = ["anyone"]
      rooms = ["*"]
      client_may_set = ["room_config.metadata"]

      [rule.room_config]
      max_participants = 7
      empty_timeout = "2m"
      departure_timeout = "30s"
      metadata = '''{{"kind": "class", "name": "{claims.name | 'it is "open"'}"}}'''
    `,
  });
  try {
    for (const [metadata, expected] of [[undefined, '{"kind": "class", "name": "it is \\"open\\""}'], ['ours', 'ours']]) {
      const room = `class-${metadata}`;
      await joined(await minted({ room_name: room, room_config: { metadata } }, policy));
      const [found] = await new RoomServiceClient(livekit.http, 'devkey', 'secret').listRooms([room]);
      assert.deepEqual(
        [found.maxParticipants, found.emptyTimeout, found.departureTimeout, found.metadata],
        [7, 120, 30, expected],
      );
    }
  } finally {
    await policy.stop();
  }
});

test("claims that LiveKit's Rust library lacks are those of its Go library, and the server applies them", async () => {
  const policy = await startRoompass({
    LIVEKIT_URL: livekit.url,
    ROOMPASS_CONFIG: `
      [[caller]]
      name = "anyone"
      kind = "anonymous"

      [[rule]]
      name = "agents"
      callers = ["anyone"]
      rooms = ["*"]
      identity = "agent-1"

      [rule.grants]
      can_subscribe_metrics = true
      can_manage_agent_session = true
      kind = "agent"
      kind_details = ["cloud_agent", "forwarded"]
      room_preset = "classroom"
      sip = { admin = true, call = false }
    `,
  });
  try {
    const token = await minted({ room_name: 'agents' }, policy);
    const { iss, sub, nbf, exp, ...ours } = payload(token);
    const video = { roomJoin: true, room: 'agents', canSubscribeMetrics: true, canManageAgentSession: true };
    const grants = { video, kind: 'agent', kindDetails: ['cloud_agent', 'forwarded'], roomPreset: 'classroom', sip: { admin: true } };
    const { code, stdout, stderr } = await run(`${e2e}/.tools/bin/go-tokens`, [], { env: clean(), input: JSON.stringify(grants) });
    assert.equal(code, 0, stderr);
    const { iss: _, nbf: __, exp: ___, iat: ____, ...theirs } = payload(stdout);
    assert.equal(sorted(ours), sorted(theirs));

    await joined(token);
    const [found] = await new RoomServiceClient(livekit.http, 'devkey', 'secret').listParticipants('agents');
    const [{ maxParticipants }] = await new RoomServiceClient(livekit.http, 'devkey', 'secret').listRooms(['agents']);
    assert.equal(maxParticipants, 9, 'the preset is used');
    const { kind, kindDetails, permission } = found.toJson();
    assert.deepEqual(
      [kind, kindDetails, permission.canSubscribeMetrics, permission.canManageAgentSession],
      ['AGENT', ['CLOUD_AGENT', 'FORWARDED'], true, true],
    );
  } finally {
    await policy.stop();
  }
});

test('remove takes a participant out of the room, and the printed entry refuses new tokens', async () => {
  const token = await minted({ room_name: 'removal "1"', participant_identity: 'mallory' });
  const socket = await joined(token);
  const rooms = new RoomServiceClient(livekit.http, 'devkey', 'secret');
  assert.equal((await rooms.listParticipants('removal "1"')).length, 1);
  const command = ['remove', '--room', 'removal "1"', '--identity', 'mallory'];
  const { code, stdout, stderr } = await run(roompassProgram(), command, { env: clean({ LIVEKIT_URL: livekit.url }) });
  assert.equal(code, 0, stderr);
  await until(() => socket.destroyed || socket.readableEnded, { of: 'the connection to end' });
  assert.equal((await rooms.listParticipants('removal "1"')).length, 0);
  assert.match(stdout, /^removed      mallory from removal "1" at ws:.*\n/);
  // This server does not void tokens: they are valid until they expire.
  assert.equal((await validated(token)).status, 200);

  const entry = stdout.slice(stdout.indexOf('[[deny]]'));
  const policy = await startRoompass({
    LIVEKIT_URL: livekit.url,
    ROOMPASS_CONFIG: `${entry}
      [[caller]]
      name = "anyone"
      kind = "anonymous"

      [[rule]]
      name = "all"
      callers = ["anyone"]
      rooms = ["*"]
      client_may_set = ["participant_identity"]
    `,
  });
  try {
    const ask = (room_name, participant_identity) =>
      fetch(policy.endpoint, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ room_name, participant_identity }),
      });
    const denied = await ask('removal "1"', 'mallory');
    assert.deepEqual([denied.status, (await denied.json()).code], [403, 'denied']);
    assert.equal((await ask('removal "1"', 'ada')).status, 201);
    assert.equal((await ask('another', 'mallory')).status, 201);
  } finally {
    await policy.stop();
  }

  const again = await run(roompassProgram(), command, { env: clean({ LIVEKIT_URL: livekit.url }) });
  assert.equal(again.code, 1);
  assert.match(again.stderr, /^roompass: not removed: http:\S+ returned 404 Not Found: not_found /);
  const strange = clean({ LIVEKIT_URL: livekit.url, LIVEKIT_API_KEY: 'other', LIVEKIT_API_SECRET: 'canary, of thirty-two bytes or more' });
  const refused = await run(roompassProgram(), command, { env: strange });
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, / returned 401 Unauthorized: /);
  assert.ok(!/canary|eyJ/.test(refused.stderr + refused.stdout));
});

test('doctor finds no fault with the right keys, and names a wrong secret, an unknown key and a wrong URL', async () => {
  const policy = '[[caller]]\nname = "anyone"\nkind = "anonymous"\n[[rule]]\nname = "guests"\ncallers = ["anyone"]\nrooms = ["lobby"]\n';
  const long = 'canary, of thirty-two bytes or more';
  for (const [keys, expected] of [
    [{}, `ok       LiveKit server ${livekit.url}: accepts tokens of API key devkey`],
    [{ LIVEKIT_API_KEY: 'devkey', LIVEKIT_API_SECRET: long }, `FINDING  LiveKit server ${livekit.url}: LIVEKIT_API_SECRET is wrong`],
    [{ LIVEKIT_API_KEY: 'other', LIVEKIT_API_SECRET: long }, `FINDING  LiveKit server ${livekit.url}: unknown API key other`],
    [{ LIVEKIT_URL: roompass.url }, `FINDING  LiveKit server ${roompass.url}: not a LiveKit server`],
  ]) {
    const env = clean({ LIVEKIT_URL: livekit.url, ROOMPASS_CONFIG: policy, ...keys });
    const { code, stdout, stderr } = await run(roompassProgram(), ['doctor', '--url', roompass.endpoint], { env });
    assert.equal(stderr, '');
    assert.ok(stdout.split('\n').includes(expected), stdout);
    assert.equal(code, expected.startsWith('ok') ? 0 : 1, stdout);
    assert.match(stdout, /ok {7}endpoint http:\S+: refuses `Bearer undefined`\n/);
    assert.ok(!/canary|eyJ/.test(stdout));
  }
});

/** JSON with the members of each object in one order. */
function sorted(value) {
  return JSON.stringify(value, (_, inner) =>
    inner && typeof inner === 'object' && !Array.isArray(inner) ? Object.fromEntries(Object.entries(inner).sort()) : inner);
}

/** Joins with a token, as a client does at first: the server creates the room. */
async function joined(token) {
  const url = `${livekit.http}/rtc?access_token=${token}&protocol=15&sdk=js&auto_subscribe=1`;
  const headers = { Connection: 'Upgrade', Upgrade: 'websocket', 'Sec-WebSocket-Version': '13', 'Sec-WebSocket-Key': btoa('0123456789abcdef') };
  const request = get(url, { headers });
  const [response, socket] = await Promise.race([
    once(request, 'upgrade'),
    once(request, 'response').then(([{ statusCode }]) => { throw new Error(`the server refused to join: ${statusCode}`); }),
  ]);
  assert.equal(response.statusCode, 101);
  await once(socket, 'data');
  return socket;
}

async function minted(request, { endpoint } = roompass) {
  const response = await fetch(endpoint, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(request),
  });
  assert.equal(response.status, 201, await response.clone().text());
  return (await response.json()).participant_token;
}

/** The server's validation of a token, as when a client joins with it. */
async function validated(token) {
  const response = await fetch(`${livekit.http}/rtc/validate?access_token=${token}`);
  return { status: response.status, text: (await response.text()).trim() };
}
