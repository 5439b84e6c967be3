// Starts, stops and waits for programs.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The root of the project, and the directory of these tests. */
export const repo = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const e2e = `${repo}/e2e`;

/** An environment with `PATH` and the given variables only, so that no other variable affects a test. */
export const clean = (env = {}) => ({ PATH: process.env.PATH, ...env });

/** Starts a program that runs until it is stopped. */
export function start(command, args, { env, cwd } = {}) {
  const { child, kill } = spawned(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    // By lines, so that the two streams don't mix within a line.
    createInterface(stream).on('line', (line) => (output += `${line}\n`));
  }
  const program = {
    name: command.split('/').at(-1),
    pid: child.pid,
    /** Its output so far, of both streams. */
    output: () => output,
    /** Sends a signal to the program and its child processes. */
    signal: kill,
    /** Resolves to its exit code, the signal that ended it, or the error if it could not start. */
    exited: new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => resolve(code ?? signal));
    }).then((end) => (program.end = end)),
    /** Stops the program and its child processes, with SIGKILL if the signal doesn't stop them. */
    async stop(signal = 'SIGKILL') {
      kill(signal);
      await until(() => program.end !== undefined, { of: `the end of ${program.name}` }).catch(() => kill('SIGKILL'));
      await program.exited;
    },
  };
  return program;
}

/**
 * Calls `condition` until it returns a truthy value, and returns this value. While `condition` throws, it is called
 * again. Fails after `within` milliseconds, and immediately if `program` ends.
 */
export async function until(condition, { of, within = 15_000, every = 25, program } = {}) {
  const deadline = Date.now() + within;
  const waited = (why, cause) => new Error(`waited for ${of}, but ${why}${program ? `; it wrote:\n${program.output()}` : ''}`, { cause });
  let cause;
  do {
    if (program?.end !== undefined) throw waited(`${program.name} ended with ${program.end}`);
    try {
      const found = await condition();
      if (found) return found;
    } catch (error) {
      cause = error;
    }
    await new Promise((resolve) => setTimeout(resolve, every));
  } while (Date.now() < deadline);
  throw waited(`not in ${within} ms`, cause);
}

/** Runs a program until it ends. `timeout` is in milliseconds. */
export async function run(command, args, { env, cwd, input = '', timeout = 60_000 } = {}) {
  const { child, kill } = spawned(command, args, { env, cwd });
  const overdue = setTimeout(() => kill('SIGKILL'), timeout);
  const done = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].setEncoding('utf8').on('data', (text) => (done[stream] += text));
  // A program may end before it has read all input.
  child.stdin.on('error', () => {}).end(input);
  const [code, signal] = await once(child, 'close').finally(() => clearTimeout(overdue));
  return { code: code ?? signal, ...done };
}

/** Free ports. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const freePort = async () => (await freePorts(1))[0];

/**
 * Starts a program in its own process group, so that `kill` also reaches its child processes. It is killed when this
 * process exits, for example because the test runner ends a test that hangs.
 */
function spawned(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true });
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has already ended, or could not start.
    }
  };
  running.add(kill);
  child.on('close', () => running.delete(kill));
  return { child, kill };
}

const running = new Set();
process.on('exit', () => running.forEach((kill) => kill('SIGKILL')));
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(1));
