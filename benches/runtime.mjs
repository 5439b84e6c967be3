// Lambda's Runtime API for one process whose instructions are counted. It responds only while the process waits for it,
// so that every run has the same system calls.

import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { text } from 'node:stream/consumers';
import { until } from '../e2e/lib/programs.mjs';

/** Starts the API. `serves` names the process. */
export async function startRuntime() {
  let program, poll, answered;
  let polled = () => {};
  /** Resolves when the process is blocked. */
  const waits = () =>
    until(() => /^State:\tS/m.test(readFileSync(`/proc/${program.pid}/status`, 'utf8')), { of: 'the process to wait', every: 1, within: 60_000, program });
  const server = createServer(async (request, response) => {
    if (request.url.endsWith('/invocation/next')) {
      poll = response;
      return polled();
    }
    const body = await text(request);
    await waits();
    response.sendDate = false;
    response.writeHead(202).end();
    answered({ failed: !request.url.endsWith('/response'), body });
  });
  server.keepAliveTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${server.address().port}`,
    serves: (started) => (program = started),
    waits,
    /** The function's response to an event: the event's own format, parsed. */
    async invoke(event) {
      if (!poll) await started(new Promise((resolve) => (polled = resolve)));
      const response = poll;
      poll = undefined;
      const answer = new Promise((resolve) => (answered = resolve));
      await waits();
      response.sendDate = false;
      response.writeHead(200, {
        'Content-Type': 'application/json',
        'Content-Length': Buffer.byteLength(event),
        'Lambda-Runtime-Aws-Request-Id': '8476a536-e9f4-11e8-9739-2dfe598c3fcd',
        'Lambda-Runtime-Deadline-Ms': '1800000010000',
        'Lambda-Runtime-Invoked-Function-Arn': 'arn:aws:lambda:eu-central-1:123456789012:function:roompass',
      });
      response.end(event);
      const { failed, body } = await started(answer);
      if (failed) throw new Error(`the invocation failed: ${body}`);
      return JSON.parse(body);
    },
    stop() {
      server.closeAllConnections();
      server.close();
    },
  };

  /** What the promise resolves to. Fails if the process ends. */
  function started(promise) {
    const ended = program.exited.then((end) => Promise.reject(new Error(`the function ended with ${end}`)));
    return Promise.race([promise, ended]);
  }
}
