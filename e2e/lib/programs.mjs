// Programs that run while a test does: started, waited for, listened to, ended.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** The root of the project, and this part of it. */
export const repo = fileURLToPath(new URL('../..', import.meta.url)).replace(/\/$/, '');
export const e2e = `${repo}/e2e`;

/** Nothing of this process's environment but where programs are, so that no variable changes what is tested. */
export const clean = (env = {}) => ({ PATH: process.env.PATH, ...env });

/** Starts a program that runs until it's stopped. */
export function start(command, args, { env, cwd } = {}) {
  const { child, kill } = spawned(command, args, { env, cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    // Whole lines, so that the two streams don't cut into each other.
    createInterface(stream).on('line', (line) => (output += `${line}\n`));
  }
  const program = {
    name: command.split('/').at(-1),
    pid: child.pid,
    /** What it has written so far, to either stream. */
    output: () => output,
    /** Sends a signal to it and all it started. */
    signal: kill,
    /** The code or signal it ended with, or why it couldn't begin, once that's so. */
    exited: new Promise((resolve) => {
      child.on('error', (error) => resolve(error.message));
      child.on('close', (code, signal) => resolve(code ?? signal));
    }).then((end) => (program.end = end)),
    /** Ends it and all it started; with violence where it doesn't end when asked to. */
    async stop(signal = 'SIGKILL') {
      kill(signal);
      await until(() => program.end !== undefined, { of: `the end of ${program.name}` }).catch(() => kill('SIGKILL'));
      await program.exited;
    },
  };
  return program;
}

/**
 * Asks again until `condition` gives something truthy, and gives that; an error it throws means "not yet". Fails when
 * the time is up (in milliseconds), and at once when the `program` that it waits for ends.
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

/** Runs a program to its end. `timeout` is in milliseconds. */
export async function run(command, args, { env, cwd, input = '', timeout = 60_000 } = {}) {
  const { child, kill } = spawned(command, args, { env, cwd });
  const overdue = setTimeout(() => kill('SIGKILL'), timeout);
  const done = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr']) child[stream].setEncoding('utf8').on('data', (text) => (done[stream] += text));
  // A program may end without reading it all.
  child.stdin.on('error', () => {}).end(input);
  const [code, signal] = await once(child, 'close').finally(() => clearTimeout(overdue));
  return { code: code ?? signal, ...done };
}

/** Ports that nothing listens on. */
export async function freePorts(count) {
  const servers = Array.from({ length: count }, () => createServer().listen(0, '127.0.0.1'));
  await Promise.all(servers.map((server) => once(server, 'listening')));
  const ports = servers.map((server) => server.address().port);
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}

export const freePort = async () => (await freePorts(1))[0];

/**
 * A program in a group of its own, so that `kill` ends what it starts too. At the latest, it ends when this process
 * does, as when the test runner ends one that hangs.
 */
function spawned(command, args, options) {
  const child = spawn(command, args, { ...options, detached: true });
  const kill = (signal) => {
    try {
      process.kill(-child.pid, signal);
    } catch {
      // It has ended already, or never began.
    }
  };
  running.add(kill);
  child.on('close', () => running.delete(kill));
  return { child, kill };
}

const running = new Set();
process.on('exit', () => running.forEach((kill) => kill('SIGKILL')));
for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => process.exit(1));
