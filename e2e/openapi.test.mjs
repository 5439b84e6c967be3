// openapi.yaml: a linter finds nothing in it, and generated requests of every kind get the responses that it describes.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { clean, e2e, repo, run } from './lib/programs.mjs';
import { startRoompass } from './lib/services.mjs';

// Agora's keys are not public. So the page at `/` isn't served, as in a deployment.
const AGORA = { AGORA_APP_ID: '970ca35de60c44645bbae8a215061b33', AGORA_APP_CERTIFICATE: '5cfd2fd1755d40ecb72977518be15d3b' };

test('a linter finds nothing', async () => {
  const env = clean({ REDOCLY_TELEMETRY: 'off', REDOCLY_SUPPRESS_UPDATE_NOTICE: 'true' });
  const args = ['lint', `${repo}/openapi.yaml`, '--format', 'json', '--extends', 'recommended-strict'];
  const { code, stdout, stderr } = await run(`${e2e}/node_modules/.bin/redocly`, args, { env, cwd: e2e });
  assert.equal(code, 0, stdout + stderr);
  const { totals } = JSON.parse(stdout.slice(stdout.indexOf('{')));
  assert.deepEqual(totals, { errors: 0, warnings: 0, ignored: 0 });
});

test('generated requests get the described responses', { timeout: 240_000 }, async () => {
  const program = await startRoompass({ ROOMPASS_CORS_ORIGINS: '*', ...AGORA });
  try {
    const args = [
      ...['--config-file', `${e2e}/schemathesis.toml`, 'run', `${repo}/openapi.yaml`, '--url', program.url, '--no-color'],
      // The same requests in each run. New ones are generated for up to a minute.
      ...['--generation-deterministic', '--max-examples', '20', '--max-time', '60', '--continue-on-failure'],
      ...['--phases', 'examples,coverage,fuzzing', '--exclude-path', '/metrics'],
    ];
    const { code, stdout, stderr } = await run(`${e2e}/.tools/python/bin/st`, args, { cwd: `${e2e}/.tools`, timeout: 200_000 });
    assert.equal(code, 0, stdout + stderr);
    const [, generated] = stdout.match(/(\d+) generated/) ?? [];
    assert.ok(generated > 200, stdout);
    console.log(`${generated} requests`);
  } finally {
    await program.stop();
  }
});
