// The clients of other systems, with a new URL and no other change, against the `roompass` command.

import assert from 'node:assert/strict';
import { writeFileSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { APP, read006, read007 } from './lib/agora.mjs';
import { startLiveKit, startRoompass } from './lib/services.mjs';
import { payload, verified } from './lib/tokens.mjs';

const AGORA = { AGORA_APP_ID: APP.id, AGORA_APP_CERTIFICATE: APP.certificate };

let livekit, roompass;

before(async () => {
  livekit = await startLiveKit();
  roompass = await startRoompass({ LIVEKIT_URL: livekit.url, ...AGORA });
});
after(async () => {
  await roompass?.stop();
  await livekit?.stop();
});

/** Asserts that a LiveKit server accepts the token, and that it is for this room and identity. */
async function assertOpens(token, room, identity) {
  const claims = await verified(token, 'devkey', 'secret');
  assert.equal(claims.video.room, room);
  assert.equal(claims.sub, identity);
  const response = await fetch(`${livekit.http}/rtc/validate?access_token=${token}`);
  assert.equal(response.status, 200, await response.text());
}

const post = (path, body) =>
  fetch(roompass.url + path, { method: 'POST', headers: { 'Content-Type': 'application/json' }, body: JSON.stringify(body) });

describe('the sandbox', () => {
  for (const name of ['sandboxTokenServer', 'developmentTokenServer']) {
    test(`serves the JavaScript client's TokenSource.${name}`, async () => {
      const source = TokenSource[name]('development', { baseUrl: roompass.url });
      const { serverUrl, participantToken } = await source.fetch({ roomName: 'standup', participantIdentity: 'ada' });
      assert.equal(serverUrl, livekit.url);
      await assertOpens(participantToken, 'standup', 'ada');
      const { exp, nbf } = payload(participantToken);
      assert.equal(exp - nbf, 900, '15 minutes');
    });
  }

  test('refuses an unknown sandbox, and the client reports the code', async () => {
    const source = TokenSource.developmentTokenServer('another', { baseUrl: roompass.url });
    await assert.rejects(source.fetch({}), /403.*unknown_sandbox/);
  });

  test('returns a response under 2 KB with a length to clients of the first version', async () => {
    const response = await fetch(`${roompass.url}/api/sandbox/connection-details`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', 'X-Sandbox-ID': 'development' },
      body: '{"roomName":"standup","participantName":"thermometer"}',
    });
    assert.equal(response.status, 200);
    assert.equal(response.headers.get('transfer-encoding'), null);
    const text = await response.text();
    assert.equal(Number(response.headers.get('content-length')), text.length);
    assert.ok(text.length < 2048, `${text.length} bytes`);
    const { serverUrl, participantToken, roomName, participantName, ...more } = JSON.parse(text);
    assert.deepEqual([serverUrl, roomName, participantName, more], [livekit.url, 'standup', 'thermometer', {}]);
    await assertOpens(participantToken, 'standup', payload(participantToken).sub);
  });
});

describe('LiveKit\'s sample servers for Node', () => {
  test('a client of token-server-node gets the requested room and identity', async () => {
    const response = await post('/createToken', { room_name: 'standup', participant_identity: 'ada' });
    assert.equal(response.status, 200);
    const { server_url, participant_token } = await response.json();
    assert.equal(server_url, livekit.url);
    await assertOpens(participant_token, 'standup', 'ada');
  });

  test('a client of the quickstart gets the token as plain text', async () => {
    const token = await (await post('/quickstart/token', { roomName: 'standup', participantName: 'ada' })).text();
    await assertOpens(token, 'standup', 'ada');
    await assertOpens(await (await post('/quickstart/token', {})).text(), 'demo-room', 'demo-user');
  });
});

describe('connection details', () => {
  /** Requests them like the page of LiveKit Meet. */
  const page = async (roomName, participantName, more = {}) => {
    const url = new URL('/api/connection-details', roompass.url);
    for (const [name, value] of Object.entries({ roomName, participantName, ...more })) url.searchParams.append(name, value);
    return fetch(url.toString());
  };

  test('the page of LiveKit Meet gets a server, a token and both names', async () => {
    const response = await page('a/b & c+d', 'Ada 👩‍🚀', { region: 'eu', metadata: '{"a": "1+1"}' });
    assert.equal(response.status, 200);
    const { serverUrl, roomName, participantName, participantToken, ...more } = await response.json();
    assert.deepEqual([serverUrl, roomName, participantName, more], [livekit.url, 'a/b & c+d', 'Ada 👩‍🚀', {}]);
    const { sub, name, metadata } = payload(participantToken);
    assert.deepEqual([name, metadata], ['Ada 👩‍🚀', '{"a": "1+1"}']);
    await assertOpens(participantToken, 'a/b & c+d', sub);
  });

  test('the page of LiveKit Meet gets an error as text that it can show', async () => {
    const response = await page('', 'Ada');
    assert.equal(response.status, 400);
    assert.match(response.headers.get('content-type'), /^text\/plain/);
    assert.equal(await response.text(), 'roomName and participantName are required');
  });

  test('an earlier agent starter application gets a room of its own, in which its agent is dispatched', async () => {
    const response = await post('/api/connection-details', { room_config: { agents: [{ agent_name: 'tutor' }] } });
    assert.equal(response.status, 200);
    const { serverUrl, roomName, participantName, participantToken } = await response.json();
    assert.equal(serverUrl, livekit.url);
    const { sub, roomConfig } = payload(participantToken);
    assert.deepEqual(roomConfig, { agents: [{ agentName: 'tutor' }] });
    assert.equal(participantName, sub);
    await assertOpens(participantToken, roomName, sub);
  });
});

describe('OpenVidu', () => {
  /** Requests a token like the page of OpenVidu's tutorials. */
  const page = async (serverUrl, roomName, participantName) => {
    const response = await fetch(`${serverUrl}token`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: JSON.stringify({ roomName, participantName }),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`Failed to get token: ${answer.errorMessage ?? answer}`);
    return answer.token ?? answer;
  };

  for (const [version, url] of Object.entries({ current: '/openvidu/', earlier: '/' })) {
    test(`the page of the ${version} tutorials gets a token, and an error that names the missing field`, async () => {
      await assertOpens(await page(roompass.url + url, 'Test Room', 'Participant 7'), 'Test Room', 'Participant 7');
      await assert.rejects(page(roompass.url + url, 'Test Room', ''), /token: roomName and participantName are required$/);
    });
  }
});

describe('Agora', () => {
  /** Requests a token like Agora's samples for the web, React and Android. */
  const get = async (path) => {
    const response = await fetch(`${roompass.url}/agora${path}`, { headers: { 'X-Requested-With': 'XMLHttpRequest' } });
    assert.equal(response.headers.get('cache-control'), 'private, no-cache, no-store, must-revalidate');
    assert.equal(response.headers.get('expires'), '-1');
    assert.equal(response.headers.get('pragma'), 'no-cache');
    return { status: response.status, body: await response.json() };
  };
  const PUBLISHER = { 1: 3600, 2: 3600, 3: 3600, 4: 3600 };

  const assertNew = ({ issued }) => assert.ok(Math.abs(issued - Date.now() / 1000) < 30, `issued now, not at ${issued}`);

  test('GET /agora/ping returns pong', async () => {
    assert.deepEqual(await get('/ping'), { status: 200, body: { message: 'pong' } });
  });

  test('a publisher with a numeric uid gets a token for an hour', async () => {
    const { status, body } = await get('/rtc/stand%20up/publisher/uid/7/');
    assert.equal(status, 200);
    assert.deepEqual(Object.keys(body), ['rtcToken']);
    const token = read007(body.rtcToken);
    assertNew(token);
    assert.equal(token.lasts, 3600);
    assert.deepEqual(token.services, { rtc: { privileges: PUBLISHER, channel: 'stand up', user: '7' } });
  });

  test('a subscriber with an account gets a token for the requested lifetime', async () => {
    const { body } = await get('/rtc/standup/subscriber/userAccount/ada/?expiry=600');
    const { lasts, services } = read007(body.rtcToken);
    assert.equal(lasts, 600);
    assert.deepEqual(services, { rtc: { privileges: { 1: 600 }, channel: 'standup', user: 'ada' } });
  });

  test('a client gets a login token for RTM, alone and together with a token for a channel', async () => {
    const rtm = read007((await get('/rtm/ada/')).body.rtmToken);
    assert.deepEqual(rtm.services, { rtm: { privileges: { 1: 3600 }, channel: undefined, user: 'ada' } });
    const { body } = await get('/rte/standup/publisher/uid/7/ada/?expiry=3600');
    assert.deepEqual(Object.keys(body).sort(), ['rtcToken', 'rtmToken']);
    assert.equal(read007(body.rtcToken).services.rtc.user, '7');
    assert.equal(read007(body.rtmToken).services.rtm.user, 'ada');
  });

  test('the samples for iOS get tokens by POST', async () => {
    const ask = async (body) => (await (await post('/agora/getToken', body)).json()).token;
    const rtc = await ask({ tokenType: 'rtc', channel: 'standup', role: 'publisher', uid: '7', expire: 3600 });
    assert.deepEqual(read007(rtc).services, { rtc: { privileges: PUBLISHER, channel: 'standup', user: '7' } });
    assert.deepEqual(Object.keys(read007(await ask({ tokenType: 'rtm', uid: 'ada' })).services), ['rtm']);
    const chat = read007(await ask({ tokenType: 'chat', uid: 'ada' })).services;
    assert.deepEqual(chat, { chat: { privileges: { 1: 3600 }, channel: undefined, user: 'ada' } });
    const both = read007(await ask({ tokenType: 'rte', channel: 'standup', role: 'publisher', uid: '7' })).services;
    assert.deepEqual(Object.keys(both), ['rtc', 'rtm']);
  });

  test('each token has its own salt', async () => {
    const salts = await Promise.all(Array.from({ length: 20 }, async () => read007((await get('/rtm/ada/')).body.rtmToken).salt));
    assert.equal(new Set(salts).size, salts.length);
  });

  test('user 0, wildcards and out-of-range values are refused, in the format that Agora clients expect', async () => {
    const outOfRange = ['/rtc/*/publisher/uid/7/', '/rtc/standup/publisher/uid/4294967296/', '/rtc/standup/host/uid/7/',
      '/rtc/standup/publisher/uid/7/?expiry=86401', '/rtm/*/'];
    for (const [path, expected] of [['/rtc/standup/publisher/uid/0/', 403], ...outOfRange.map((path) => [path, 400])]) {
      const { status, body } = await get(path);
      assert.equal(status, expected, path);
      assert.equal(body.status, expected);
      assert.ok(body.error && body.error === body.message, path);
      assert.deepEqual(Object.keys(body).sort(), ['error', 'message', 'status']);
    }
  });

  test("old SDKs get tokens of version 006, equal to Agora's own", async () => {
    const folder = mkdtempSync(join(tmpdir(), 'roompass-'));
    const policy = join(folder, 'roompass.toml');
    writeFileSync(policy, `dialects = ["agora"]
agora.token_version = "006"
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = "open"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity"]
agora_logins = ["rtm", "chat"]
`);
    const old = await startRoompass({ ROOMPASS_CONFIG: policy, ...AGORA });
    try {
      const json = async (path) => (await fetch(`${old.url}/agora${path}`)).json();
      const rtc = read006((await json('/rtc/standup/publisher/uid/7/')).rtcToken, 'standup', '7');
      assert.deepEqual(Object.keys(rtc), ['1', '2', '3', '4']);
      const end = Date.now() / 1000 + 3600;
      assert.ok(Object.values(rtc).every((privilege) => Math.abs(privilege - end) < 30));
      const rtm = read006((await json('/rtm/ada/')).rtmToken, 'ada', '');
      assert.deepEqual(Object.keys(rtm), ['1000']);
    } finally {
      await old.stop();
      rmSync(folder, { recursive: true });
    }
  });
});
