// The function's program: what is linked into it, its size, and what it needs from the system. Also, that the build for
// arm64, the default architecture, handles an event.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { test } from 'node:test';
import { repo, run, start } from './lib/programs.mjs';
import { verified } from './lib/tokens.mjs';
import { testWith } from './lib/tools.mjs';

const functions = {
  x86_64: process.env.ROOMPASS_BOOTSTRAP ?? `${repo}/target/dist/function/x86_64/lambda/roompass-lambda/bootstrap`,
  arm64: process.env.ROOMPASS_BOOTSTRAP_ARM64 ?? `${repo}/target/dist/function/arm64/lambda/roompass-lambda/bootstrap`,
};

async function output(command, args) {
  const done = await run(command, args, { cwd: repo, timeout: 120_000 });
  assert.equal(done.code, 0, `${command} ${args.join(' ')}\n${done.stderr}`);
  return done.stdout;
}

async function linked() {
  const args = ['tree', '--no-default-features', '--features', 'lambda', '-e', 'normal', '--prefix', 'none', '--locked'];
  return new Set((await output('cargo', args)).split('\n').map((line) => line.split(' ').slice(0, 2).join(' ')));
}

test('one TLS stack and one HTTP stack are linked into it', async () => {
  const crates = [...(await linked())];
  const versions = (name) => crates.filter((crate) => crate.split(' ')[0] === name).length;
  for (const one of ['rustls', 'aws-lc-rs', 'hyper', 'http']) assert.equal(versions(one), 1, one);
  for (const none of ['ring', 'openssl', 'openssl-sys', 'native-tls', 'reqwest', 'ureq', 'curl', 'h3']) assert.equal(versions(none), 0, none);
});

test('nothing that only a laptop needs is linked into it', async () => {
  const crates = [...(await linked())].map((crate) => crate.split(' ')[0]);
  for (const name of ['clap', 'clap_builder', 'anstyle']) assert.ok(!crates.includes(name), name);
});

// If ROOMPASS_BOOTSTRAP_ARM64 names a program, no compiler is needed.
const testBuilt = { x86_64: test, arm64: process.env.ROOMPASS_BOOTSTRAP_ARM64 ? test : testWith('arm64-compiler') };

for (const [architecture, bootstrap] of Object.entries(functions)) {
  testBuilt[architecture](`for ${architecture}, its zip is under 3.25 MiB`, async () => {
    const zip = `${repo}/e2e/.tools/${architecture}.zip`;
    await output('rm', ['-f', zip]);
    await output('zip', ['-q', '-9', '-j', zip, bootstrap]);
    const { size } = statSync(zip);
    console.log(`${architecture}: ${statSync(bootstrap).size} bytes, ${size} zipped`);
    assert.ok(size < 3.25 * 1024 * 1024, `${size} bytes`);
  });

  testBuilt[architecture](`for ${architecture}, it needs no glibc newer than Amazon Linux 2023's 2.34`, async () => {
    const needed = [...(await output('readelf', ['--dyn-syms', '-W', bootstrap])).matchAll(/@GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
    assert.ok(needed.length > 0);
    console.log(`${architecture}: needs glibc 2.${Math.max(...needed)}`);
    assert.ok(Math.max(...needed) <= 34, `2.${Math.max(...needed)}`);
    const machine = await output('readelf', ['-h', bootstrap]);
    assert.match(machine, architecture === 'arm64' ? /AArch64/ : /X86-64/);
  });
}

testBuilt.arm64('for arm64, it handles an event', async (t) => {
  const event = readFileSync(`${repo}/events/http-api.json`);
  let answered;
  const answer = new Promise((resolve) => (answered = resolve));
  // The Runtime API: it sends one event.
  let given = false;
  const api = createServer((request, response) => {
    if (request.url.endsWith('/invocation/next')) {
      if (given) return;
      given = true;
      response.writeHead(200, {
        'content-type': 'application/json',
        'lambda-runtime-aws-request-id': '8476a536-e9f4-11e8-9739-2dfe598c3fcd',
        'lambda-runtime-deadline-ms': String(Date.now() + 60_000),
        'lambda-runtime-invoked-function-arn': 'arn:aws:lambda:eu-central-1:123456789012:function:roompass',
      });
      return response.end(event);
    }
    const body = [];
    request.on('data', (part) => body.push(part));
    request.on('end', () => {
      response.writeHead(202).end();
      if (request.url.endsWith('/response')) answered(JSON.parse(Buffer.concat(body)));
      else answered(Promise.reject(new Error(`${request.url}: ${Buffer.concat(body)}`)));
    });
  });
  await new Promise((listening) => api.listen(0, '127.0.0.1', listening));
  t.after(() => (api.closeAllConnections(), api.close()));

  const wiring = JSON.parse(readFileSync(`${repo}/local.env.json`)).TokenFunction;
  const env = {
    PATH: process.env.PATH,
    ...wiring,
    AWS_SAM_LOCAL: 'true',
    AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${api.address().port}`,
    AWS_LAMBDA_FUNCTION_NAME: 'roompass',
    AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
    AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
    AWS_REGION: 'eu-central-1',
  };
  const program = process.arch === 'arm64' ? [functions.arm64] : ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', functions.arm64];
  assert.ok(existsSync(functions.arm64), functions.arm64);
  const running = start(program[0], program.slice(1), { env });
  t.after(() => running.stop());

  const ended = running.exited.then((code) => Promise.reject(new Error(`it ended with ${code}:\n${running.output()}`)));
  const { statusCode, body } = await Promise.race([answer, ended]);
  assert.equal(statusCode, 201, body);
  const claims = await verified(JSON.parse(body).participant_token, 'devkey', 'secret');
  assert.deepEqual([claims.video.room, claims.sub], ['standup', 'ada']);
  ended.catch(() => {});
});
