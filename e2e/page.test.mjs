// The page of `roompass serve`, in Chromium, by clicks: in both colour schemes, wide and narrow, with an accessibility
// checker, and a real LiveKit server that accepts its tokens.

import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startBrowser } from './lib/browser.mjs';
import { e2e } from './lib/programs.mjs';
import { startLiveKit, startRoompass } from './lib/services.mjs';

const AXE = readFileSync(`${e2e}/node_modules/axe-core/axe.min.js`, 'utf8');
const CONFIG = `[[caller]]
name = "app"
kind = "jwt"
issuer = "https://login.example.com/"
audience = "calls"
algorithms = ["RS256"]

[[rule]]
name = "hosts"
callers = ["app"]
when = { "claims.role" = "host" }
rooms = ["{claims.team}:*"]

[[rule]]
name = "members"
callers = ["app"]
rooms = ["{claims.team}:lobby"]
`;

let livekit, browser, folder, roompass;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'roompass-page-'));
  writeFileSync(join(folder, 'roompass.toml'), CONFIG);
  livekit = await startLiveKit();
  browser = await startBrowser();
  roompass = await startRoompass({ LIVEKIT_URL: livekit.url, ROOMPASS_CONFIG: join(folder, 'roompass.toml') });
});
after(async () => {
  await browser?.close();
  await roompass?.stop();
  await livekit?.stop();
  rmSync(folder, { recursive: true });
});

/** Opens the page. No error, except those that are `expected`, and no request to another origin may occur. */
async function open(t, { url = roompass.url, expected = [], ...settings } = {}) {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, ...settings });
  const problems = [];
  page.on('pageerror', (error) => problems.push(error.message));
  page.on('console', (message) => message.type() === 'error' && problems.push(message.text()));
  page.on('request', (request) => new URL(request.url()).origin === url || request.url().startsWith('data:') || problems.push(request.url()));
  t.after(async () => {
    await page.close();
    assert.deepEqual(problems, expected);
  });
  await page.goto(url);
  await page.waitForFunction(() => document.getElementById('policy-state').textContent.includes('version'));
  return page;
}

const claims = (page, values) => page.getByLabel('claims', { exact: true }).check().then(() => page.locator('#claims').fill(JSON.stringify(values)));
const send = async (page) => {
  await page.getByRole('button', { name: 'Send the request' }).click();
  await page.locator('.verdict').waitFor();
  return page.locator('.verdict').textContent();
};

test('a request with claims gets a token, which is explained and which the server accepts', async (t) => {
  const page = await open(t);
  await claims(page, { sub: 'ada', team: 'red', role: 'host' });
  await page.getByLabel('Room', { exact: true }).fill('red:1');
  await page.getByLabel('Participant name').fill('');
  assert.match(await send(page), /^201: a token/);
  const details = await page.locator('#details').textContent();
  assert.match(details, /Rule hosts decided/);
  assert.match(details, /video\.room\s*red:1\s*the room/);
  assert.match(details, /It can be used to join for (10 min 0|9 min \d+) s/);
  await page.getByRole('button', { name: 'Would the server accept it?' }).click();
  await page.getByText(`Yes: ${livekit.url} accepts the token`).waitFor();
  await page.getByRole('button', { name: 'Join with LiveKit Meet …' }).click();
  const link = new URL(await page.locator('#meet-link').getAttribute('href'));
  assert.deepEqual([link.origin, link.pathname, link.searchParams.get('liveKitUrl')], ['https://meet.livekit.io', '/custom', livekit.url]);
});

test('a refusal says which rules were skipped and what to change', async (t) => {
  const page = await open(t);
  await claims(page, { sub: 'ada', team: 'red' });
  await page.getByLabel('Room', { exact: true }).fill('blue:1');
  assert.match(await send(page), /^403 room_not_allowed/);
  const details = await page.locator('#details').textContent();
  assert.match(details, /What to change: Ask for another room/);
  assert.match(details, /Rule hosts was skipped: condition not met: claims\.role = "host"/);
  assert.match(details, /Rule members was skipped: room "blue:1" does not match rooms. It opens red:lobby/);
});

test('without a credential, and with a wrong one, the request is refused as by the endpoint', async (t) => {
  const page = await open(t);
  assert.match(await send(page), /^401 no_credential/);
  assert.match(await page.locator('#details').textContent(), /What to change: Choose claims/);
  await page.getByLabel('bearer token', { exact: true }).check();
  await page.locator('#bearer').fill('x.y.z');
  assert.match(await send(page), /^401 invalid_credential/);
  assert.match(await page.locator('#details').textContent(), /Not authenticated: /);
});

test('while a request runs, no earlier response is shown, and a server that is down is named', async (t) => {
  const page = await open(t, { expected: ['Failed to load resource: net::ERR_FAILED'] });
  assert.match(await send(page), /^401 no_credential/);
  let abort;
  const reached = new Promise((resolve) => page.route('**/_page/ask', (route) => resolve((abort = () => route.abort()))));
  await page.getByRole('button', { name: 'Send the request' }).click();
  await reached;
  assert.equal(await page.locator('#result').textContent(), 'Waiting for the response …');
  assert.equal(await page.locator('#details').textContent(), '');
  abort();
  await page.getByText('Not sent. The server is unreachable. Is roompass serve still running?').waitFor();
});

test('the edited text decides at once, its mistakes are at their lines, and nothing is saved until asked', async (t) => {
  const page = await open(t);
  const file = join(folder, 'roompass.toml');
  t.after(() => writeFileSync(file, CONFIG));
  await claims(page, { sub: 'ada', team: 'red' });
  await page.getByLabel('Room', { exact: true }).fill('red:1');
  assert.match(await send(page), /^403/);
  await page.locator('#policy').fill(CONFIG.replace('rooms = ["{claims.team}:lobby"]', 'rooms = ["{claims.team}:lobby"]\nttll = "1m"'));
  await page.getByText('Line 18, column 1').waitFor();
  assert.match(await page.locator('#policy-state').textContent(), /1 mistake.*unknown field `ttll`.*did you mean `ttl`/);
  assert.equal(await page.locator('#lines b').textContent(), '18');
  assert.ok(await page.getByRole('button', { name: 'Save' }).isDisabled());
  assert.match(await send(page), /^Not sent\. line 18/);
  await page.getByRole('button', { name: 'Line 18, column 1' }).click();
  assert.equal(await page.evaluate(() => document.activeElement.id), 'policy');

  await page.locator('#policy').fill(CONFIG.replace(':lobby', ':*'));
  await page.getByText('not saved').waitFor();
  assert.match(await send(page), /^201: a token\. By the edited text, which is not saved/);
  assert.equal(readFileSync(file, 'utf8'), CONFIG);
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Saved in').waitFor();
  const saved = CONFIG.replace(':lobby', ':*');
  assert.equal(readFileSync(file, 'utf8'), saved);
  assert.match(await send(page), /^201: a token\. By the saved text, which the server uses after a restart/);

  // A page that is loaded later has the saved text.
  const later = await open(t);
  assert.equal(await later.locator('#policy').inputValue(), saved);
  // A change of the file by another program is never overwritten.
  writeFileSync(file, `${saved}# by another program\n`);
  await later.locator('#policy').fill(`${saved}# by this page\n`);
  await later.getByText('not saved').waitFor();
  await later.getByRole('button', { name: 'Save' }).click();
  await later.getByText(`Not saved: ${file} was changed since its text was loaded.`).waitFor();
  assert.equal(readFileSync(file, 'utf8'), `${saved}# by another program\n`);
});

test('a policy that is saved or changed is used at once, by the page too', async (t) => {
  const file = join(folder, 'policy.toml');
  writeFileSync(file, CONFIG);
  const other = await startRoompass({ LIVEKIT_URL: livekit.url, ROOMPASS_POLICY: `file:${file}`, ROOMPASS_CONFIG: join(folder, 'roompass.toml') });
  t.after(() => other.stop());
  const page = await open(t, { url: other.url });
  await claims(page, { sub: 'ada', team: 'red' });
  await page.getByLabel('Room', { exact: true }).fill('red:1');
  assert.match(await send(page), /^403/);
  await page.locator('#policy').fill(CONFIG.replace(':lobby', ':*'));
  await page.getByText('not saved').waitFor();
  await page.getByRole('button', { name: 'Save' }).click();
  await page.getByText('It is used now.').waitFor();
  assert.match(await send(page), /^201: a token\. $/);
});

test('the request is shown as code for each client, and the tabs work by keyboard', async (t) => {
  const page = await open(t);
  await page.getByLabel('Room', { exact: true }).fill("it's red:1");
  const code = page.locator('#code');
  assert.match(await code.textContent(), /^curl -X POST '.*\/getToken'[^]*it'\\''s red:1/);
  await page.getByRole('tab', { name: 'curl' }).focus();
  for (const [name, expected] of [
    ['JavaScript', /TokenSource\.endpoint\(".*\/getToken"\)[^]*roomName: "it's red:1"/],
    ['Swift', /: EndpointTokenSource \{[^]*roomName: "it's red:1"/],
    ['Kotlin', /TokenSource\.fromEndpoint[^]*roomName = "it's red:1"/],
    ['Dart', /EndpointTokenSource\(url: Uri\.parse[^]*roomName: "it's red:1"/],
    ['Rust', /\.with_room_name\("it's red:1"\)[^]*endpoint\(/],
    ['Unity', /new TokenSourceEndpoint[^]*RoomName = "it's red:1"/],
  ]) {
    await page.keyboard.press('ArrowRight');
    assert.equal(await page.evaluate(() => document.activeElement.textContent), name);
    assert.match(await code.textContent(), expected);
  }
});

describe('the page is accessible and fits its window', () => {
  for (const colorScheme of ['light', 'dark']) {
    for (const width of [1280, 390]) {
      test(`${colorScheme}, ${width} pixels`, async (t) => {
        const page = await open(t, { colorScheme, viewport: { width, height: 844 } });
        await claims(page, { sub: 'ada', team: 'red', role: 'host' });
        await page.getByLabel('Room', { exact: true }).fill('red:1');
        assert.match(await send(page), /^201/);
        await page.locator('#policy').fill(`x = 1\n${CONFIG}`);
        await page.getByText('Line 1, column 1').waitFor();
        await page.evaluate(AXE);
        const { violations } = await page.evaluate(() => axe.run());
        assert.deepEqual(violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]), []);
        assert.ok(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth), 'no horizontal scrolling');
        if (process.env.ROOMPASS_SCREENSHOTS) {
          await page.screenshot({ path: `${process.env.ROOMPASS_SCREENSHOTS}/page-${colorScheme}-${width}.png`, fullPage: true });
        }
      });
    }
  }
});

test('other pages, other hosts and proxies get nothing, and neither does a server with its own keys', async () => {
  const post = (headers) => fetch(`${roompass.url}/_page/ask`, { method: 'POST', headers, body: '{}' });
  for (const headers of [{}, { 'x-roompass-page': '1', origin: 'https://evil.example' }, { 'x-roompass-page': '1', 'x-forwarded-for': '10.0.0.1' }]) {
    assert.equal((await post(headers)).status, 403);
  }
  const own = await startRoompass({
    ROOMPASS_CONFIG: join(folder, 'roompass.toml'), LIVEKIT_URL: 'wss://calls.example', LIVEKIT_API_KEY: 'APIk',
    LIVEKIT_API_SECRET: 'a secret of thirty-two bytes or more',
  });
  try {
    assert.match(await (await fetch(own.url)).text(), /^Roompass issues access tokens/);
    assert.equal((await fetch(`${own.url}/_page/state`)).status, 404);
  } finally {
    await own.stop();
  }
});
