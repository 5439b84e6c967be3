// Lambda's Runtime API, one a process, so that a test says when a process starts, what it's asked and when it's frozen.
// AWS's own emulator is in services.mjs; it runs one function, one request after the other.

import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { REGION, account, bootstrap, httpAnswer } from './services.mjs';
import { clean, start, until } from './programs.mjs';

/**
 * Starts the `roompass-lambda` function as one environment of Lambda's. An invocation waits until it asks for one. One
 * that is `held` is stopped before its first instruction, until it's thawed.
 */
export async function startProcess(env = {}, { held = false } = {}) {
  const waiting = [];
  const asking = [];
  const running = new Map();
  const next = () => {
    while (waiting.length && asking.length) {
      const [invocation, response] = [waiting.shift(), asking.shift()];
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
      asking.push(response);
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
    /** Once it has started, and asks for its first invocation. */
    ready,
    /** What the function answers to an event, or to the text of one, and in `took` after how many milliseconds. */
    invoke: async (event) => {
      const began = performance.now();
      const json = typeof event === 'string' ? event : JSON.stringify(event);
      const answered = new Promise((resolve, reject) => waiting.push({ id: randomUUID(), event: json, resolve, reject }));
      next();
      const answer = await answered.catch((reason) => assert.fail(`no answer: ${reason}\n${program.output()}`));
      return { ...httpAnswer(JSON.parse(answer)), took: performance.now() - began };
    },
    /** As Lambda does between requests; and as it does with the next one. */
    freeze: () => program.signal('SIGSTOP'),
    thaw: () => program.signal('SIGCONT'),
    /** How much memory it has, and the most it ever had, in bytes. */
    memory: () => {
      const [now, most] = ['VmRSS', 'VmHWM'].map((name) => 1024 * status().match(`${name}:\\s+(\\d+) kB`)[1]);
      return { now, most };
    },
    /** Its log lines so far, each one JSON object. */
    log: () => program.output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)),
    stop: async () => {
      await stop();
      server.closeAllConnections();
      server.close();
    },
  });
}
