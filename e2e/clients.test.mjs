// LiveKit's own clients, through their own code, against the real command.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { clean, e2e, run } from './lib/programs.mjs';
import { startLiveKit, startRoompass } from './lib/services.mjs';
import { assertSays, payload } from './lib/tokens.mjs';
import { startWiretap } from './lib/wiretap.mjs';

// What texts may hold that careless code changes: letters in their two parts, which normalising would join; signs
// beyond 16 bits; joined emoji; writing from right to left; what JSON, HTML and JavaScript treat specially.
const UNICODE = 'e\u0301 \u{1D11E} 👩‍🚀 שלום \u2028 "\\/</script>\t\u0001 日本語';

const OPTIONS = {
  roomName: `room ${UNICODE}`,
  participantIdentity: `identity ${UNICODE}`,
  participantName: `name ${UNICODE}`,
  participantMetadata: `metadata ${UNICODE}`,
  participantAttributes: { plain: 'text', [`key ${UNICODE}`]: `value ${UNICODE}` },
  agentName: `agent ${UNICODE}`,
  agentMetadata: `agent metadata ${UNICODE}`,
  deployment: 'staging',
};

const CLIENTS = {
  'the JavaScript client': (url, options) => TokenSource.endpoint(url).fetch(options),
  'the Rust client': async (url, options) => {
    const snake = Object.fromEntries(
      Object.entries(options).map(([name, value]) => [name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]),
    );
    const { code, stdout, stderr } = await run(`${e2e}/rust-client/target/debug/rust-client`, [url, JSON.stringify(snake)], { env: clean() });
    if (code !== 0) throw new Error(stderr);
    return JSON.parse(stdout);
  },
};

let livekit, roompass, wire;

before(async () => {
  livekit = await startLiveKit();
  roompass = await startRoompass({ LIVEKIT_URL: livekit.url });
  wire = await startWiretap(roompass.endpoint);
});
after(async () => {
  await wire?.stop();
  await roompass?.stop();
  await livekit?.stop();
});

for (const [name, fetchToken] of Object.entries(CLIENTS)) {
  describe(name, () => {
    test('gets a token that says everything it asked for, byte for byte', async () => {
      const answer = await answered(fetchToken, OPTIONS);
      await assertSays(answer.participantToken, {
        sub: OPTIONS.participantIdentity,
        name: OPTIONS.participantName,
        metadata: OPTIONS.participantMetadata,
        attributes: OPTIONS.participantAttributes,
        video: { roomJoin: true, room: OPTIONS.roomName },
        roomConfig: {
          agents: [{ agentName: OPTIONS.agentName, metadata: OPTIONS.agentMetadata, deployment: OPTIONS.deployment }],
        },
      });
      await assertAccepted(answer);
    });

    test('gets a room and an identity of its own when it asks for none, new ones each time', async () => {
      const seen = new Set();
      for (let time = 0; time < 2; time += 1) {
        const answer = await answered(fetchToken, {});
        const { sub, video } = payload(answer.participantToken);
        assert.match(sub, /^user-[0-9a-z]{20}$/);
        assert.match(video.room, /^room-[0-9a-z]{20}$/);
        await assertSays(answer.participantToken, { sub, video: { roomJoin: true, room: video.room } });
        await assertAccepted(answer);
        seen.add(sub).add(video.room);
      }
      assert.equal(seen.size, 4);
    });

    test('reports why a request is refused', async () => {
      const tooLong = { roomName: 'r'.repeat(257) };
      await assert.rejects(
        fetchToken(wire.url, tooLong),
        (error) => /400/.test(error.message) && /at most 256 are allowed/.test(error.message),
      );
    });
  });
}

/** What a client made of the answer, once the answer on the wire is found to be what it should. */
async function answered(fetchToken, options) {
  const exchanges = wire.exchanges.length;
  const answer = await fetchToken(wire.url, options);
  assert.equal(wire.exchanges.length, exchanges + 1, 'one request');
  const { status, headers, body } = wire.exchanges.at(-1).answered;
  assert.equal(status, 201);
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(headers['cache-control'], 'no-store');
  assert.deepEqual(JSON.parse(body), { server_url: livekit.url, participant_token: answer.participantToken });
  assert.equal(answer.serverUrl, livekit.url);
  return answer;
}

/** The server that the answer names accepts the token. */
async function assertAccepted({ serverUrl, participantToken }) {
  const response = await fetch(`${serverUrl.replace(/^ws/, 'http')}/rtc/validate?access_token=${participantToken}`);
  assert.equal(response.status, 200, await response.text());
}

