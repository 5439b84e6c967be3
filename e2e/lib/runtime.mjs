// Lambda's Runtime API, one for each process, so that a test controls when a process starts, is invoked and is frozen.
// AWS's own emulator is in services.mjs. It runs one function, and one request at a time.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { REGION, account, bootstrap, httpAnswer } from './services.mjs';
import { clean, start, until } from './programs.mjs';

/**
 * Starts the `roompass-lambda` function as one Lambda environment. Invocations are queued until the function requests
 * them. With `held`, the process is stopped before its first instruction, until `thaw`.
 */
export async function startProcess(env = {}, { held = false } = {}) {
  const waiting = [];
  const polls = [];
  const running = new Map();
  const next = () => {
    while (waiting.length && polls.length) {
      const [invocation, response] = [waiting.shift(), polls.shift()];
      running.set(invocation.id, invocation);
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Lambda-Runtime-Aws-Request-Id': invocation.id,
        'Lambda-Runtime-Deadline-Ms': `${Date.now() + 10_000}`,
        'Lambda-Runtime-Invoked-Function-Arn': `arn:aws:lambda:${REGION}:123456789012:function:roompass`,
      });
      response.end(invocation.event);
    }
  };
  let started;
  const ready = new Promise((resolve) => (started = resolve));
  const server = createServer(async (request, response) => {
    const [, , , , id, outcome] = request.url.split('/');
    if (id === 'next') {
      started();
      polls.push(response);
      next();
      return;
    }
    const said = await text(request);
    response.writeHead(202).end();
    running.get(id)?.[outcome === 'response' ? 'resolve' : 'reject'](said);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');

  const [command, ...args] = held ? ['sh', '-c', 'kill -STOP $$; exec "$0"', bootstrap()] : [bootstrap()];
  const program = start(command, args, {
    env: clean({
      ...account,
      AWS_LAMBDA_RUNTIME_API: `127.0.0.1:${server.address().port}`,
      AWS_LAMBDA_FUNCTION_NAME: 'roompass',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      ...env,
    }),
  });
  const status = () => readFileSync(`/proc/${program.pid}/status`, 'utf8');
  program.exited.then(() => [...waiting, ...running.values()].forEach(({ reject }) => reject('the process ended')));
  if (held) await until(() => /^State:\tT/m.test(status()), { of: 'a process to be stopped', program });
  const { stop } = program;
  return Object.assign(program, {
    /** Resolves when the function has started and requests its first invocation. */
    ready,
    /** The function's response to an event or to its JSON text, and the time in milliseconds as `took`. */
    invoke: async (event) => {
      const began = performance.now();
      const json = typeof event === 'string' ? event : JSON.stringify(event);
      const answered = new Promise((resolve, reject) => waiting.push({ id: randomUUID(), event: json, resolve, reject }));
      next();
      const answer = await answered.catch((reason) => assert.fail(`no answer: ${reason}\n${program.output()}`));
      return { ...httpAnswer(JSON.parse(answer)), took: performance.now() - began };
    },
    /** Lambda freezes a process after a request, and thaws it for the next one. */
    freeze: () => program.signal('SIGSTOP'),
    thaw: () => program.signal('SIGCONT'),
    /** Its current and its highest memory use, in bytes. */
    memory: () => {
      const [now, most] = ['VmRSS', 'VmHWM'].map((name) => 1024 * status().match(`${name}:\\s+(\\d+) kB`)[1]);
      return { now, most };
    },
    /** Its log lines so far, parsed from JSON. */
    log: () => program.output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)),
    stop: async () => {
      await stop();
      server.closeAllConnections();
      server.close();
    },
  });
}
