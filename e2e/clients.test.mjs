// LiveKit's own clients against the `roompass` command.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { TokenSource } from 'livekit-client';
import { clean, e2e, run } from './lib/programs.mjs';
import { startLiveKit, startRoompass } from './lib/services.mjs';
import { assertClaims, payload } from './lib/tokens.mjs';
import { startWiretap } from './lib/wiretap.mjs';

// Text that incorrect code would change: a combining accent, a character beyond 16 bits, joined emoji, right-to-left
// text, and characters that JSON, HTML and JavaScript escape.
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
    test('gets a token with every requested field, byte for byte', async () => {
      const answer = await fetched(fetchToken, OPTIONS);
      await assertClaims(answer.participantToken, {
        sub: OPTIONS.participantIdentity,
        name: OPTIONS.participantName,
        metadata: OPTIONS.participantMetadata,
        attributes: OPTIONS.participantAttributes,
        video: { roomJoin: true, room: OPTIONS.roomName, canUpdateOwnMetadata: true },
        roomConfig: {
          agents: [{ agentName: OPTIONS.agentName, metadata: OPTIONS.agentMetadata, deployment: OPTIONS.deployment }],
        },
      });
      await assertAccepted(answer);
    });

    test('gets a new room and a new identity with each request that names none', async () => {
      const seen = new Set();
      for (let time = 0; time < 2; time += 1) {
        const answer = await fetched(fetchToken, {});
        const { sub, video } = payload(answer.participantToken);
        assert.match(sub, /^user-[0-9a-z]{20}$/);
        assert.match(video.room, /^room-[0-9a-z]{20}$/);
        await assertClaims(answer.participantToken, { sub, video: { roomJoin: true, room: video.room, canUpdateOwnMetadata: true } });
        await assertAccepted(answer);
        seen.add(sub).add(video.room);
      }
      assert.equal(seen.size, 4);
    });

    test('reports the reason of a refusal', async () => {
      const tooLong = { roomName: 'r'.repeat(257) };
      await assert.rejects(
        fetchToken(wire.url, tooLong),
        (error) => /400/.test(error.message) && /at most 256 are allowed/.test(error.message),
      );
    });
  });
}

/** Requests a token with a client, asserts that the response on the wire is correct, and returns the client's result. */
async function fetched(fetchToken, options) {
  const exchanges = wire.exchanges.length;
  const answer = await fetchToken(wire.url, options);
  assert.equal(wire.exchanges.length, exchanges + 1, 'one request');
  const { status, headers, body } = wire.exchanges.at(-1).response;
  assert.equal(status, 201);
  assert.equal(headers['content-type'], 'application/json; charset=utf-8');
  assert.equal(headers['cache-control'], 'no-store');
  assert.deepEqual(JSON.parse(body), { server_url: livekit.url, participant_token: answer.participantToken });
  assert.equal(answer.serverUrl, livekit.url);
  return answer;
}

/** Asserts that the server named in the response accepts the token. */
async function assertAccepted({ serverUrl, participantToken }) {
  const response = await fetch(`${serverUrl.replace(/^ws/, 'http')}/rtc/validate?access_token=${participantToken}`);
  assert.equal(response.status, 200, await response.text());
}

