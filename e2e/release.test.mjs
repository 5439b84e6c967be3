// The files that release/build makes: their contents, and that they work where there is no Rust.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { cpSync, existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { before, test } from 'node:test';
import { clean, e2e, repo, run, start, until } from './lib/programs.mjs';
import { account, startSecretsManager } from './lib/services.mjs';
import { assertClaims } from './lib/tokens.mjs';
import { testWith } from './lib/tools.mjs';

const out = `${repo}/release/out`;
const python = `${e2e}/.tools/python/bin/python`;
const manifest = readFileSync(`${repo}/Cargo.toml`, 'utf8');
const version = manifest.match(/^version = "(.+)"$/m)[1];
const targets = { x86_64: 'x86_64-unknown-linux-gnu', arm64: 'aarch64-unknown-linux-gnu' };
const testInDocker = testWith('lambda-image');

const folder = (architecture) => `roompass-${version}-${targets[architecture]}`;
const archive = (architecture) => `${out}/${folder(architecture)}.tar.gz`;
/** The processors of the release. e2e/run only builds for x86_64. */
const architectures = Object.keys(targets).filter((architecture) => architecture === 'x86_64' || existsSync(archive(architecture)));
const zip = (architecture) => `${out}/roompass-lambda-${architecture}.zip`;
const compiled = (architecture) => ({
  function: `${repo}/target/dist/function/${architecture}/lambda/roompass-lambda/bootstrap`,
  program: `${repo}/target/dist/program/${architecture}/${targets[architecture]}/release/roompass`,
});
const sha256 = (content) => createHash('sha256').update(content).digest('hex');
const sbom = () => JSON.parse(readFileSync(`${out}/roompass.cdx.json`));

async function output(command, args, options) {
  const done = await run(command, args, { cwd: repo, timeout: 120_000, ...options });
  assert.equal(done.code, 0, `${command} ${args.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

const entries = async (file) => JSON.parse(await output(python, [`${e2e}/archive.py`, file]));

/** An empty folder, which is removed after the test. */
function emptyFolder(t) {
  const path = mkdtempSync(`${tmpdir()}/roompass-release-`);
  t.after(() => rmSync(path, { recursive: true }));
  return path;
}

/** The time in a release: the commit's, in seconds. */
let seconds;
before(async () => {
  assert.ok(existsSync(`${out}/SHA256SUMS`), 'release/build makes the files that are tested here');
  seconds = Math.floor(Date.parse(sbom().metadata.timestamp) / 1000);
});

test('SHA256SUMS has the hash of every other file', () => {
  const files = readdirSync(out).filter((name) => name !== 'SHA256SUMS').sort();
  const expected = files.map((name) => `${sha256(readFileSync(`${out}/${name}`))}  ${name}\n`).join('');
  assert.equal(readFileSync(`${out}/SHA256SUMS`, 'utf8'), expected);
});

for (const architecture of architectures) {
  test(`for ${architecture}, the zip has the function only, as an executable with the time of the commit`, async () => {
    const content = sha256(readFileSync(compiled(architecture).function));
    // The times in a zip are even.
    assert.deepEqual(await entries(zip(architecture)), [{ name: 'bootstrap', mode: '100755', seconds: seconds - (seconds % 2), sha256: content }]);
  });

  test(`for ${architecture}, the archive has one folder with the program, the licences, a README and the documents`, async () => {
    const found = await entries(archive(architecture));
    const [top, licence, readme, thirdParty, ...rest] = found;
    const [program] = rest.splice(-1);
    const documents = readdirSync(`${repo}/docs`, { recursive: true }).filter((name) => name.endsWith('.md')).map((name) => `docs/${name}`).sort();
    assert.deepEqual([top.name, top.mode, top.seconds], [folder(architecture), '755', seconds]);
    const file = (name, mode, content) => ({ name: `${folder(architecture)}/${name}`, mode, seconds, sha256: sha256(content) });
    assert.deepEqual(licence, file('LICENSE', '644', readFileSync(`${repo}/LICENSE`)));
    assert.deepEqual(thirdParty, file('THIRD-PARTY-LICENCES.txt', '644', readFileSync(`${out}/THIRD-PARTY-LICENCES.txt`)));
    assert.deepEqual(rest, documents.map((name) => file(name, '644', readFileSync(`${repo}/${name}`))));
    assert.deepEqual(program, file('roompass', '755', readFileSync(compiled(architecture).program)));
    assert.deepEqual([readme.name, readme.mode, readme.seconds], [`${folder(architecture)}/README.md`, '644', seconds]);
    // Neither a file name nor a time in the header of gzip.
    assert.deepEqual([...readFileSync(archive(architecture)).subarray(3, 8)], [0, 0, 0, 0, 0]);
  });

  test(`for ${architecture}, the programs contain no path of the machine that built them`, () => {
    const paths = [repo, homedir(), process.env.CARGO_HOME, process.env.RUSTUP_HOME, '/registry/src/', '/.rustup/', '/.cargo/'].filter(Boolean);
    for (const file of Object.values(compiled(architecture))) {
      const content = readFileSync(file);
      for (const path of paths) assert.ok(!content.includes(path), `${file} contains ${path}`);
      assert.ok(content.includes('/crates/'), `${file} has its paths replaced by release/rustc`);
    }
  });

  test(`for ${architecture}, the program needs glibc 2.28 at most`, async () => {
    const symbols = await output('readelf', ['--dyn-syms', '-W', compiled(architecture).program]);
    const needed = [...symbols.matchAll(/@GLIBC_2\.(\d+)/g)].map((match) => Number(match[1]));
    assert.ok(needed.length > 0);
    console.log(`${architecture}: the program needs glibc 2.${Math.max(...needed)}`);
    assert.ok(Math.max(...needed) <= 28, `2.${Math.max(...needed)}`);
  });

  test(`for ${architecture}, cargo-binstall's templates in Cargo.toml name the archive and the program in it`, async () => {
    const values = { repo: 'https://example.com/roompass', name: 'roompass', version, target: targets[architecture], bin: 'roompass', 'binary-ext': '' };
    const filled = (key) => manifest.match(new RegExp(`^${key} = "(.+)"$`, 'm'))[1].replace(/\{ ([a-z-]+) \}/g, (_, name) => values[name]);
    const url = new URL(filled('pkg-url'));
    assert.equal(`${url}`, `https://example.com/roompass/releases/download/v${version}/${folder(architecture)}.tar.gz`);
    assert.ok(readdirSync(out).includes(url.pathname.split('/').at(-1)));
    const names = (await entries(archive(architecture))).map(({ name }) => name);
    assert.ok(names.includes(filled('bin-dir')), filled('bin-dir'));
  });
}

test('the release has the templates that its templates nest', () => {
  for (const architecture of Object.keys(targets)) {
    const template = `${out}/template-${architecture}.yaml`;
    if (!existsSync(template)) continue;
    const nested = [...readFileSync(template, 'utf8').matchAll(/TemplateURL: (.+)/g)].map(([, name]) => name);
    assert.equal(nested.length, 3);
    for (const name of nested) assert.equal(sha256(readFileSync(`${out}/${name}`)), sha256(readFileSync(`${repo}/deploy/${name}`)));
  }
});

test('the README in an archive has no relative links', async () => {
  const readme = await output('tar', ['-xzOf', archive('x86_64'), `${folder('x86_64')}/README.md`]);
  assert.match(readme, /^# Roompass\n\nRoompass issues access tokens/);
  assert.match(readme, /^## Run a release$/m);
  assert.match(readme, /^\.\/roompass$/m);
  for (const [, target] of readme.matchAll(/\]\(([^)]*)\)/g)) assert.match(target, /^https:/);
});

test('the SBOM is valid CycloneDX', async () => {
  const validate = `
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
error = JsonStrictValidator(SchemaVersion.V1_6).validate_str(sys.stdin.read())
sys.exit(error and str(error))`;
  const valid = readFileSync(`${out}/roompass.cdx.json`, 'utf8');
  await output(python, ['-c', validate], { input: valid });
  const invalid = await run(python, ['-c', validate], { input: valid.replace('"library"', '"book"') });
  assert.notEqual(invalid.code, 0, 'a component of an unknown type is refused');
});

test('the SBOM has every crate of Cargo.lock that is linked into a program, with its hash, and names the program', async () => {
  const lock = new Map();
  for (const [, name, of, rest] of readFileSync(`${repo}/Cargo.lock`, 'utf8').matchAll(/\[\[package\]\]\nname = "(.+)"\nversion = "(.+)"\n([^[]*)/g)) {
    lock.set(`${name} ${of}`, rest.match(/^checksum = "(.+)"$/m)?.[1]);
  }
  const { components, metadata, dependencies } = sbom();
  for (const { name, version: of, hashes, licenses, purl } of components) {
    assert.ok(lock.has(`${name} ${of}`), `${name} ${of}`);
    assert.equal(hashes?.[0].content, lock.get(`${name} ${of}`), name);
    assert.ok(licenses[0].expression, name);
    assert.equal(purl, `pkg:cargo/${name}@${encodeURIComponent(of)}`);
  }
  const features = { roompass: ['--features', 'local'], 'roompass-lambda': ['--no-default-features', '--features', 'lambda'] };
  for (const [program, args] of Object.entries(features)) {
    const tree = await output('cargo', ['tree', '--locked', '--package', 'roompass', '-e', 'normal,no-proc-macro', '--prefix', 'none', '--target', targets.x86_64, ...args]);
    const linked = new Set(tree.trim().split('\n').map((line) => line.split(' ').slice(0, 2).join(' ').replace(' v', ' ')));
    linked.delete(`roompass ${version}`);
    const named = components.filter(({ scope, properties }) => scope === 'required' && properties.some(({ value }) => value === program));
    assert.deepEqual(named.map(({ name, version: of }) => `${name} ${of}`).sort(), [...linked].sort());
  }
  const scopeOf = (crate) => components.find(({ name }) => name === crate)?.scope;
  assert.deepEqual(['aws-lc-sys', 'serde_derive', 'insta'].map(scopeOf), ['required', 'excluded', undefined]);
  assert.deepEqual(new Set(dependencies.map(({ ref }) => ref)), new Set([metadata.component, ...components].map((component) => component['bom-ref'])));
  assert.match(metadata.properties.find(({ name }) => name === 'roompass:commit').value, /^[0-9a-f]{40}$/);
  assert.doesNotMatch(JSON.stringify(sbom()), /file:|\/home\/|\/root\//);
});

test('THIRD-PARTY-LICENCES.txt has the licence of every crate that is linked into a program', () => {
  const [list, ...texts] = readFileSync(`${out}/THIRD-PARTY-LICENCES.txt`, 'utf8').split(`\n${'='.repeat(80)}\n`);
  const linked = sbom().components.filter(({ scope }) => scope === 'required');
  const lines = linked.map(({ name, version: of, licenses }) => `  ${name} ${of}: ${licenses[0].expression}`);
  assert.deepEqual(list.split('\n').filter((line) => line.startsWith('  ')), lines);
  const aws = texts.find((text) => text.startsWith('aws-lc-sys '));
  assert.match(aws, /SPDX-License-Identifier: Apache-2\.0 OR ISC/);
});

test("in an empty folder without Rust, the README's lines get a token from the archive within a minute", async (t) => {
  const started = Date.now();
  const cwd = emptyFolder(t);
  const tools = emptyFolder(t);
  for (const tool of ['bash', 'curl', 'gzip', 'tar']) symlinkSync((await output('which', [tool])).trim(), `${tools}/${tool}`);
  const env = { PATH: tools };
  // Without --norc, bash reads the user's .bashrc if its input is a socket, as here.
  const bash = ['--norc', '-ec'];
  for (const tool of ['cargo', 'rustc', 'rustup', 'cc']) {
    assert.equal((await run(`${tools}/bash`, [...bash, `command -v ${tool}`], { env })).code, 1, `${tool} is not found`);
  }
  const section = readFileSync(`${repo}/README.md`, 'utf8').split('\n### Run a release\n')[1].split(/\n##+ /)[0];
  const [serve, request] = [...section.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, lines]) => lines);
  cpSync(archive('x86_64'), `${cwd}/${folder('x86_64')}.tar.gz`);
  // Port 3000 may be in use on this machine.
  const program = start(`${tools}/bash`, [...bash, serve.replace(/^\.\/roompass$/m, '$& --listen 127.0.0.1:0')], { env, cwd });
  t.after(() => program.stop());
  const url = await until(() => program.output().match(/listening on (http:\S+)/)?.[1], { of: 'the start of the program', program });
  assert.match(request, /http:\/\/127\.0\.0\.1:3000\//);
  const answer = JSON.parse(await output(`${tools}/bash`, [...bash, request.replace('http://127.0.0.1:3000', url)], { env, cwd }));
  const { sub } = JSON.parse(Buffer.from(answer.participant_token.split('.')[1], 'base64url'));
  const took = Date.now() - started;
  const video = { roomJoin: true, room: 'hello', canUpdateOwnMetadata: true };
  await assertClaims(answer.participant_token, { sub, name: 'Ada', video });
  assert.match(sub, /^user-/);
  console.log(`a token after ${took} ms`);
  assert.ok(took < 60_000, `${took} ms`);
});

if (architectures.includes('arm64')) test('for arm64, the program in the archive issues a token', async (t) => {
  const cwd = emptyFolder(t);
  await output('tar', ['-xzf', archive('arm64'), '-C', cwd, '--strip-components=1']);
  const [command, ...args] = process.arch === 'arm64' ? [`${cwd}/roompass`] : ['qemu-aarch64-static', '-L', '/usr/aarch64-linux-gnu', `${cwd}/roompass`];
  const token = await output(command, [...args, 'token', '--room', 'hello', '--identity', 'ada'], { cwd, env: clean() });
  await assertClaims(token.trim(), { sub: 'ada', video: { roomJoin: true, room: 'hello', canUpdateOwnMetadata: true } });
});

const sam = (args, env = {}) => {
  const local = { SAM_CLI_TELEMETRY: '0', AWS_CONFIG_FILE: '/dev/null', AWS_SHARED_CREDENTIALS_FILE: '/dev/null' };
  return output('sam', args, { env: clean({ HOME: homedir(), ...local, ...env }), cwd: out, timeout: 300_000 });
};

for (const architecture of architectures) {
  test(`for ${architecture}, SAM finds no errors in the template, and uploads the zip as it is`, async (t) => {
    const template = `template-${architecture}.yaml`;
    const region = ['--region', account.AWS_REGION];
    assert.match(await sam(['validate', '--lint', '--template', template, ...region]), /is a valid SAM Template/);

    const store = await startSecretsManager();
    t.after(() => store.stop());
    const bucket = `<CreateBucketConfiguration><LocationConstraint>${account.AWS_REGION}</LocationConstraint></CreateBucketConfiguration>`;
    assert.equal((await fetch(`${store.url}/releases`, { method: 'PUT', body: bucket })).status, 200);
    const aws = { ...account, AWS_ENDPOINT_URL: store.url };
    const packaged = await sam(['package', '--template', template, '--s3-bucket', 'releases', ...region], aws);
    const [, key] = packaged.match(/CodeUri: s3:\/\/releases\/(\S+)/);
    // moto does not check the signature.
    const authorization = `AWS4-HMAC-SHA256 Credential=test/20260101/${account.AWS_REGION}/s3/aws4_request, SignedHeaders=host, Signature=0`;
    const uploaded = await fetch(`${store.url}/releases/${key}`, { headers: { authorization } });
    assert.equal(uploaded.status, 200);
    assert.equal(sha256(Buffer.from(await uploaded.arrayBuffer())), sha256(readFileSync(zip(architecture))));
  });
}

testInDocker('SAM runs the function from the zip without a build', async (t) => {
  // Only local.yaml has the variables that `sam local` sets.
  const local = `${emptyFolder(t)}/local.yaml`;
  const build = /    Metadata:\n      BuildMethod: .*\n      BuildProperties:\n        Binary: .*\n/;
  const text = readFileSync(`${repo}/local.yaml`, 'utf8');
  assert.match(text, build);
  writeFileSync(local, text.replace(build, '').replace('CodeUri: .\n', `CodeUri: ${zip('x86_64')}\n`));
  const event = ['--event', `${repo}/events/http-api.json`, '--env-vars', `${repo}/local.env.json`];
  const invoked = await sam(['local', 'invoke', 'TokenFunction', '--template', local, '--skip-pull-image', ...event]);
  const answer = JSON.parse(invoked.trim().split('\n').at(-1));
  assert.equal(answer.statusCode, 201, invoked);
  await assertClaims(JSON.parse(answer.body).participant_token, { sub: 'ada', name: 'Ada', video: { roomJoin: true, room: 'standup', canUpdateOwnMetadata: true } });
});
