// The policy that is read at run time: the function reads it from each of AWS's stores, through a proxy that fails. Each test
// starts its own process and Runtime API.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { awsError, noResponse, reset, respondWith, startProxy } from './lib/faults.mjs';
import { repo, until } from './lib/programs.mjs';
import { startProcess } from './lib/runtime.mjs';
import { startSecretsManager } from './lib/services.mjs';
import { isSignedWith } from './lib/tokens.mjs';

const KEYS = { LIVEKIT_URL: 'wss://calls.example', LIVEKIT_API_KEY: 'APIpolicy', LIVEKIT_API_SECRET: 'a secret of thirty-two bytes or more' };

/** A policy that opens rooms with this prefix to anyone, refreshed every second. */
const opens = (prefix, more = '') => `
[keys]
refresh_after = "1s"
${more}
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = "r"
callers = ["anyone"]
rooms = ["${prefix}*"]
`;
const BAN = '[[deny]]\nroom = "standup"\nreason = "canary of the test"\n';
const versionOf = (text) => createHash('sha256').update(text).digest('hex').slice(0, 16);

/** What a store does instead of returning the text. */
const FAULTS = {
  'resets connections': reset,
  'does not respond': noResponse,
  'denies access': awsError(400, 'AccessDeniedException'),
  'throttles requests': awsError(400, 'ThrottlingException'),
  'returns an error of its own': respondWith(500, '{}'),
  'returns no JSON': respondWith(200, '<html>'),
};

let manager;
let names = 0;
before(async () => (manager = await startSecretsManager()));
after(() => manager?.stop());

/** Each store: how a text is stored, and its place in ROOMPASS_POLICY. */
const STORES = {
  'Secrets Manager': { prefix: 'secret:', put: async (name, text, isNew) => (isNew ? manager.create(name, text) : manager.update(name, text)) },
  'Parameter Store, String': { prefix: 'ssm:', put: (name, text) => manager.putParameter(name, text, 'String') },
  'Parameter Store, SecureString': { prefix: 'ssm:', put: (name, text) => manager.putParameter(name, text) },
};

describe('a policy in', { concurrency: 3 }, () => {
  for (const [store, { prefix, put }] of Object.entries(STORES)) {
    describe(store, { concurrency: 6 }, () => {
      test('a ban and its removal take effect within refresh_after, with the version in the log and in the health check', async (t) => {
        const { lambda, name } = await started(t, opens(''));
        await assertMinted(lambda, 'standup');
        await assertVersion(lambda, opens(''));
        for (const [text, code] of [[opens('', BAN), 'denied'], [opens('other'), 'room_not_allowed'], [opens(''), undefined]]) {
          await put(name, text);
          const stored = Date.now();
          await until(async () => (await ask(lambda, 'standup')).body.code === code, { of: `the code ${code}`, program: lambda });
          assert.ok(Date.now() - stored < 3_500, `${Date.now() - stored} ms`);
          await assertVersion(lambda, text);
        }
        const changes = lambda.log().filter(({ message }) => message === 'policy changed').map(({ version, previous }) => [previous, version]);
        const versions = [opens(''), opens('', BAN), opens('other'), opens('')].map(versionOf);
        assert.deepEqual(changes, versions.slice(1).map((version, at) => [versions[at], version]));
        const denied = lambda.log().find(({ code }) => code === 'denied');
        assert.equal(denied.cause, 'denied by [[deny]] number 1: canary of the test');
      });

      for (const [what, wrong, cause] of [
        ['is empty', '\n', /the policy has neither a \[\[rule\]\] nor a \[\[deny\]\]/],
        ['is not TOML', '[[rule]\n', /:1:8: unclosed array table/],
        ['has an unknown caller', opens('').replace('["anyone"]', '["anyon"]'), /unknown caller "anyon".*did you mean `anyone`/],
      ]) {
        test(`a text that ${what} is logged with its place, and not used`, async (t) => {
          const { lambda, name } = await started(t, opens('standup'));
          await assertMinted(lambda, 'standup');
          await put(name, wrong);
          await untilRefreshFails(lambda, 'standup');
          await assertMinted(lambda, 'standup');
          await assertRefused(lambda, 'other', 403, 'room_not_allowed');
          const { cause: mistake, version } = lambda.log().find(({ message }) => message === 'invalid policy');
          assert.match(mistake, cause);
          assert.ok(mistake.startsWith(`${prefix}${name}:`), mistake);
          assert.equal(version, versionOf(wrong));
          await put(name, opens('other'));
          await until(async () => (await ask(lambda, 'other')).status === 201, { of: 'the corrected policy', within: 17_000, program: lambda });
          await assertRefused(lambda, 'standup', 403, 'room_not_allowed');
        });
      }

      for (const [fault, how] of Object.entries(FAULTS)) {
        test(`while the store ${fault}, the last valid policy decides, and no request waits for long`, async (t) => {
          const { lambda, proxy, name } = await started(t, opens('standup'));
          await assertMinted(lambda, 'standup');
          await put(name, opens('other'));
          proxy.fault = how;
          await untilRefreshFails(lambda, 'standup');
          for (let time = 0; time < 5; time += 1) await assertMinted(lambda, 'standup');
          proxy.fault = undefined;
          await until(async () => (await ask(lambda, 'other')).status === 201, { of: 'the new policy', within: 17_000, program: lambda });
          await assertRefused(lambda, 'standup', 403, 'room_not_allowed');
        });

        test(`a new process while the store ${fault} returns 503 until it can read the policy`, async (t) => {
          const { lambda, proxy } = await started(t, opens('standup'), how);
          // The configuration itself would allow everything.
          await assertRefused(lambda, 'standup', 503, 'policy_unavailable');
          const health = await lambda.invoke(JSON.parse(readFileSync(`${repo}/events/healthz.json`)));
          assert.deepEqual([health.status, health.body.code], [503, 'policy_unavailable']);
          proxy.fault = undefined;
          await assertMinted(lambda, 'standup');
          await assertRefused(lambda, 'other', 403, 'room_not_allowed');
        });
      }

      /** A process whose policy is in this store, behind a proxy. */
      async function started(t, text, fault) {
        const name = prefix === 'ssm:' ? `/policies/${(names += 1)}` : `policy-${(names += 1)}`;
        await put(name, text, true);
        const proxy = await startProxy(manager.url);
        t.after(() => proxy.stop());
        proxy.fault = fault;
        const lambda = await startProcess({ ...KEYS, AWS_ENDPOINT_URL: proxy.url, ROOMPASS_POLICY: `${prefix}${name}`, ROOMPASS_CONFIG: opens('') });
        t.after(() => lambda.stop());
        return { lambda, proxy, name };
      }
    });
  }
});

const EVENT = JSON.parse(readFileSync(`${repo}/events/http-api.json`));

async function ask(lambda, room) {
  const answer = await lambda.invoke({ ...EVENT, headers: { 'content-type': 'application/json' }, body: JSON.stringify({ room_name: room }) });
  assert.ok(answer.took < 3_000, `${answer.took} ms`);
  return answer;
}

async function assertMinted(lambda, room) {
  const { status, body, took } = await ask(lambda, room);
  assert.equal(status, 201, `${JSON.stringify(body)}\n${lambda.output()}`);
  assert.ok(isSignedWith(body.participant_token, KEYS.LIVEKIT_API_SECRET));
  assert.ok(took < 1_500, `a request waited for ${took} ms`);
}

async function assertRefused(lambda, room, status, code) {
  const answer = await ask(lambda, room);
  assert.deepEqual([answer.status, answer.body.code], [status, code], lambda.output());
  assert.ok(!JSON.stringify(answer).includes('eyJ'), 'no token');
}

/** Asserts that requests are decided by this text. */
async function assertVersion(lambda, text) {
  await ask(lambda, 'standup');
  const requests = lambda.log().filter(({ path }) => path === '/getToken');
  assert.equal(requests.at(-1).policy_version, versionOf(text));
  const health = await lambda.invoke(JSON.parse(readFileSync(`${repo}/events/healthz.json`)));
  assert.equal(health.body.policy_version, versionOf(text));
}

/** Sends requests, which the last valid policy decides, until a refresh has failed. */
const untilRefreshFails = (lambda, room) =>
  until(
    async () => {
      await assertMinted(lambda, room);
      return lambda.log().some(({ message }) => message === 'policy refresh failed; using cached policy');
    },
    { of: 'a refresh that fails', program: lambda },
  );
