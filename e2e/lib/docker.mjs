// Docker: the images of the Dockerfile, and containers of them.

import assert from 'node:assert/strict';
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { e2e, repo, run, until } from './programs.mjs';
import { bootstrap, roompass } from './services.mjs';

/** The images that the tests build from the Dockerfile. */
export const IMAGE = 'roompass-e2e/roompass';
export const LAMBDA_IMAGE = 'roompass-e2e/lambda';

/** This machine's glibc, in place of distroless/cc. */
export const BASE = 'roompass-e2e/base';

/** Runs a Docker command, and returns its output. It must succeed. */
export async function docker(args, options) {
  const { code, stdout, stderr } = await dockerExit(args, options);
  assert.equal(code, 0, `docker ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout.trim();
}

/** Runs a Docker command that may fail. */
export const dockerExit = async (args, options) => run(await client(), args, { env, timeout: 120_000, ...options });

/** Runs Docker Compose: the client's plugin, or the program that e2e/setup installs. */
export async function compose(args) {
  const isPlugin = (await dockerExit(['compose', 'version'])).code === 0;
  const [command, ...first] = isPlugin ? [await client(), 'compose'] : [`${e2e}/.tools/python/lib/python3.11/site-packages/compose/docker-compose`];
  const { code, stdout, stderr } = await run(command, [...first, ...args], { env, cwd: repo, timeout: 120_000 });
  assert.equal(code, 0, `compose ${args.join(' ')}\n${stdout}${stderr}`);
  return stdout;
}

/** Builds a target of the Dockerfile with a program of this machine: ROOMPASS_RELEASE_BIN or `roompass`, or the function. */
export async function buildPrebuilt(target, image) {
  const programs = { roompass: ['roompass', process.env.ROOMPASS_RELEASE_BIN || roompass()], lambda: ['bootstrap', bootstrap()] };
  const [name, program] = programs[target];
  const folder = mkdtempSync(`${tmpdir()}/roompass-image-`);
  try {
    copyFileSync(program, `${folder}/${name}`);
    const stripped = await run('strip', [`${folder}/${name}`]);
    assert.equal(stripped.code, 0, stripped.stderr);
    const args = ['--build-arg', 'PROGRAM=prebuilt', '--build-arg', `BASE=${BASE}`, '--target', target, '--tag', image];
    await docker(['build', '--quiet', '--file', `${repo}/Dockerfile`, ...args, folder]);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** How a container is run in production: without privileges, and with nothing that can be written. */
export const LOCKED_DOWN = ['--read-only', '--cap-drop', 'ALL', '--security-opt', 'no-new-privileges'];

/**
 * Starts a container with options of `docker run`, and removes it after the test. `url` is its address on this machine, if it
 * publishes the port.
 */
export async function startContainer(t, { image = IMAGE, options = [], args = [], port = 3000 } = {}) {
  const id = await docker(['run', '--detach', ...LOCKED_DOWN, '--publish', `127.0.0.1::${port}`, ...options, image, ...args]);
  t.after(() => docker(['rm', '--force', '--volumes', id]));
  const container = {
    id,
    inspect: async () => JSON.parse(await docker(['inspect', id]))[0],
    logs: async () => {
      const { stdout, stderr } = await dockerExit(['logs', id]);
      return stdout + stderr;
    },
    exec: (...command) => dockerExit(['exec', id, ...command]),
  };
  const published = await dockerExit(['port', id, `${port}`]);
  // A container that has already ended has no ports.
  return Object.assign(container, { url: published.code === 0 ? `http://${published.stdout.trim().split('\n')[0]}` : undefined });
}

/** Waits until a container responds at a path. */
export const responding = (container, path = '/healthz') =>
  until(async () => (await fetch(container.url + path)).ok, { of: `${container.url}${path}`, within: 30_000 });

/** The files of an image, as the program `tar` lists them: with their modes and owners. */
export async function filesOf(image) {
  const id = await docker(['create', image, 'none']);
  try {
    const tar = `${tmpdir()}/roompass-e2e-${id.slice(0, 12)}.tar`;
    await docker(['export', '--output', tar, id]);
    const { stdout } = await run('tar', ['--list', '--verbose', '--numeric-owner', '--file', tar]);
    rmSync(tar);
    return stdout.trim().split('\n').map((line) => {
      const [mode, owner, , , , ...path] = line.split(/ +/);
      return { mode, owner, path: path.join(' ') };
    });
  } finally {
    await docker(['rm', id]);
  }
}

const env = { ...process.env, DOCKER_BUILDKIT: '1' };

/** A client that builds with BuildKit: one with buildx, or Debian's. */
async function client() {
  chosen ??= (await run('docker', ['buildx', 'version'], { env })).code === 0 || !existsSync(DEBIANS) ? 'docker' : DEBIANS;
  return chosen;
}

const DEBIANS = '/usr/bin/docker';
let chosen;
