// Headless Chromium, and the pages it opens.

import { once } from 'node:events';
import { createServer } from 'node:http';
import { build } from 'esbuild';
import { chromium } from 'playwright-core';
import { e2e } from './programs.mjs';

/** Starts Chromium with a fake camera. It connects to the tests' own servers only. */
export const startBrowser = () =>
  chromium.launch({
    executablePath: '/usr/bin/chromium',
    args: [
      '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
      '--disable-component-update', '--disable-sync', '--use-fake-device-for-media-stream',
      '--use-fake-ui-for-media-stream',
    ],
  });

/** Serves the page from `count` origins, each on its own port. */
export async function serveOrigins(count) {
  const bundle = await build({ entryPoints: [`${e2e}/browser/page.mjs`], bundle: true, format: 'esm', write: false });
  const script = bundle.outputFiles[0].text;
  const servers = Array.from({ length: count }, () =>
    createServer((request, response) => {
      const isScript = request.url === '/page.mjs';
      response.writeHead(200, { 'Content-Type': isScript ? 'text/javascript' : 'text/html; charset=utf-8' });
      response.end(isScript ? script : '<!doctype html><title>A call</title><body><script type="module" src="/page.mjs"></script>');
    }).listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  return {
    origins: servers.map((server) => `http://127.0.0.1:${server.address().port}`),
    stop: () => servers.forEach((server) => server.close().closeAllConnections()),
  };
}
