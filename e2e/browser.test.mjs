// A browser with LiveKit's client, a real LiveKit server, and CORS as browsers enforce it.

import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { serveOrigins, startBrowser } from './lib/browser.mjs';
import { e2e } from './lib/programs.mjs';
import { startLiveKit, startRoompass } from './lib/services.mjs';

let livekit, roompass, pages, browser;
let allowed, other;

before(async () => {
  pages = await serveOrigins(2);
  [allowed, other] = pages.origins;
  livekit = await startLiveKit();
  roompass = await startRoompass({ LIVEKIT_URL: livekit.url, ROOMPASS_CORS_ORIGINS: allowed });
  browser = await startBrowser();
});
after(async () => {
  await browser?.close();
  await roompass?.stop();
  await livekit?.stop();
  pages?.stop();
});

test("two participants meet in a room and see each other's camera, name, metadata and attributes", async () => {
  const room = 'treffen 🤝 שלום';
  const ada = {
    roomName: room,
    participantIdentity: 'ada-æ',
    participantName: 'Ada e\u0301 👩‍🚀',
    participantMetadata: '{"seat": "Ω", "quote": "\\"\u2028"}',
    participantAttributes: { sprache: '日本語', 'schlüssel 🔑': '\u{1D11E}' },
  };
  const grace = { roomName: room, participantIdentity: 'grace', participantName: 'Grace ☕' };
  await withPages([allowed, allowed], async ([first, second]) => {
    assert.equal(await first.evaluate(join, [roompass.endpoint, ada]), room);
    assert.equal(await second.evaluate(join, [roompass.endpoint, grace]), room);
    assert.ok(await first.evaluate(() => call.publishCamera()));

    assert.deepEqual(await soon(second, (identity) => call.seen(identity), ada.participantIdentity), {
      name: ada.participantName,
      metadata: ada.participantMetadata,
      attributes: ada.participantAttributes,
    });
    assert.equal((await soon(first, (identity) => call.seen(identity), 'grace')).name, grace.participantName);
    const video = await soon(second, () => {
      const { width, time } = call.video();
      return width > 0 && time > 0 && { width, time };
    });
    assert.ok(video.width > 0);
  });
  assert.match(roompass.output(), /status=204 method="OPTIONS"/, 'the browser sent a preflight request');
});

test("the hook useToken of LiveKit's React components gets a token that opens the room", async () => {
  const [endpoint, room] = [`${roompass.url}/api/livekit/token`, 'treffen 🤝 & co'];
  const ada = { identity: 'ada+æ', name: 'Ada & 👩‍🚀', metadata: '{"seat": "1+1=2"}' };
  await withPages([allowed, allowed], async ([first, second]) => {
    assert.equal(await first.evaluate(joinByHook, [endpoint, livekit.url, room, ada]), room);
    assert.equal(await second.evaluate(joinByHook, [endpoint, livekit.url, room, { identity: 'grace' }]), room);
    const { name, metadata } = await soon(second, (identity) => call.seen(identity), ada.identity);
    assert.deepEqual([name, metadata], [ada.name, ada.metadata]);
  });
});

test('a page of an allowed origin can read an error response and its request ID', async () => {
  await withPages([allowed], async ([page]) => {
    const answer = await page.evaluate(([url]) => ask.json(url, '{"room_name": 5}'), [roompass.endpoint]);
    assert.equal(answer.status, 400);
    assert.equal(answer.headers['content-type'], 'application/problem+json');
    const id = answer.headers['x-request-id'];
    assert.match(id, /^[0-9a-z]{20}$/);
    assert.deepEqual(answer.body, {
      type: 'urn:roompass:problem:invalid_field',
      title: 'Invalid field',
      status: 400,
      detail: 'The field room_name must be a string.',
      code: 'invalid_field',
      field: 'room_name',
      request_id: id,
    });
  });
});

test('a page of another origin can read neither a token nor an error response', async () => {
  const attempts = [
    ([url]) => ask.json(url, '{}'),
    ([url]) => ask.json(url, '{"room_name": 5}'),
    ([url]) => ask.untyped(url, '{}'),
  ];
  await withPages([allowed, other], async ([allowedPage, otherPage]) => {
    for (const attempt of attempts) {
      const { status } = await allowedPage.evaluate(attempt, [roompass.endpoint]);
      assert.ok([201, 400].includes(status), 'the allowed origin can read the same response');
      await assert.rejects(otherPage.evaluate(attempt, [roompass.endpoint]), /TypeError: Failed to fetch/);
    }
  });
});

const join = ([endpoint, options]) => call.join(endpoint, options);
const joinByHook = (values) => call.joinByHook(...values);

/** Waits until `look` returns a truthy value in the page, and returns it. */
async function soon(page, look, argument) {
  const found = await page.waitForFunction(look, argument, { polling: 50, timeout: 20_000 });
  return found.jsonValue();
}

/** Opens a page on each origin. If the test fails, saves a screenshot of each page in e2e/.tools. */
async function withPages(origins, use) {
  const context = await browser.newContext();
  const opened = [];
  try {
    for (const origin of origins) {
      const page = await context.newPage();
      opened.push(page);
      await page.goto(origin, { waitUntil: 'load' });
    }
    await use(opened);
  } catch (error) {
    for (const [position, page] of opened.entries()) {
      await page.screenshot({ path: `${e2e}/.tools/failed-page-${position}.png` });
    }
    throw error;
  } finally {
    await context.close();
  }
}
