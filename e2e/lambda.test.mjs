// The function as it is deployed, under Lambda's runtime, with its secret in an emulated Secrets Manager.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { freePort, repo, until } from './lib/programs.mjs';
import { startBootstrap, startFunction, startSecretsManager } from './lib/services.mjs';
import { assertClaims, payload } from './lib/tokens.mjs';

const OPEN = `
[cors]
origins = ["*"]
[[caller]]
name = "anyone"
kind = "anonymous"
[[rule]]
name = "open"
callers = ["anyone"]
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
`;
const KEYS = { key: 'APIe2e', secret: 'canary-5f0e, a secret of thirty-two bytes or more' };
const SERVER = 'wss://calls.example';
const SECRET = JSON.stringify({ LIVEKIT_URL: SERVER, LIVEKIT_API_KEY: KEYS.key, LIVEKIT_API_SECRET: KEYS.secret });
const UNAVAILABLE = { status: 503, code: 'keys_unavailable', retryAfter: '5' };

const event = (name) => JSON.parse(readFileSync(`${repo}/events/${name}.json`));

let manager;
before(async () => (manager = await startSecretsManager()));
after(() => manager?.stop());

describe('every sample event', () => {
  let lambda;
  before(async () => {
    await manager.create('events', SECRET);
    lambda = await startFunction({ AWS_ENDPOINT_URL: manager.url, ROOMPASS_SECRET_ID: 'events', ROOMPASS_CONFIG: OPEN });
  });
  after(() => lambda?.stop());

  const expected = expectedStatuses();

  test('is in the table of events/README.md', () => {
    const samples = readdirSync(`${repo}/events`).filter((name) => name.endsWith('.json'));
    assert.deepEqual(samples.map((name) => name.replace('.json', '')).sort(), [...expected.keys()].sort());
  });

  for (const [name, status] of expected) {
    test(`${name} gets a response with status ${status}`, async () => {
      const answer = await lambda.invoke(event(name));
      assert.equal(answer.status, status);
      assert.match(answer.headers['x-request-id'], /^[0-9a-f-]{36}$/, "Lambda's request ID");
      if (status === 201) {
        const { participant_token: token, ...rest } = answer.body;
        assert.deepEqual(rest, { server_url: SERVER });
        assert.equal(answer.headers['content-type'], 'application/json; charset=utf-8');
        await assertClaims(token, requested(event(name), payload(token)), KEYS);
      } else {
        assert.ok(!JSON.stringify(answer.body ?? '').includes('token":'), 'no token');
      }
      if (status >= 400) {
        assert.equal(answer.headers['content-type'], 'application/problem+json');
        assert.equal(answer.body.status, status);
        assert.equal(answer.body.request_id, answer.headers['x-request-id']);
      }
    });
  }

  test('is handled by the same process', () => {
    assert.equal(lambda.inits().length, 1);
  });
});

describe('the secret', () => {
  test('may be created after the function: requests return 503 until then, and no restart is needed', async () => {
    await withFunction({ ROOMPASS_SECRET_ID: 'late' }, async (lambda) => {
      assert.deepEqual(refusal(await lambda.invoke(event('http-api'))), UNAVAILABLE);
      const refused = await line(lambda, ({ message }) => message === 'request failed');
      assert.match(refused.cause, /^secret not found: /);
      await manager.create('late', SECRET);
      const { status, body } = await lambda.invoke(event('http-api'));
      assert.equal(status, 201);
      await assertClaims(body.participant_token, requested(event('http-api')), KEYS);
      assert.equal(lambda.inits().length, 1);
    });
  });

  test('is reported as malformed, without its content', async () => {
    const canary = 'canary-0c9d';
    const malformed = [
      [canary, 'it is not a JSON object'],
      [`{"LIVEKIT_API_SECRET": "${canary}", "LIVEKIT_API_SECRET": "${canary}"}`, 'LIVEKIT_API_SECRET is listed more than once'],
      [`{"LIVEKIT_URL": "${SERVER}", "LIVEKIT_API_SECRET": "${canary}"}`, 'LIVEKIT_API_KEY is missing'],
      [`{"LIVEKIT_URL": "${canary}", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "${canary}"}`, 'LIVEKIT_URL must be a URL'],
      [`{"LIVEKIT_URL": "${SERVER}", "LIVEKIT_API_KEY": "k", "LIVEKIT_API_SECRET": "${canary} "}`, 'LIVEKIT_API_SECRET must have 32 bytes or more'],
    ];
    await manager.create('malformed', malformed[0][0]);
    await withFunction({ ROOMPASS_SECRET_ID: 'malformed', RUST_LOG: 'trace' }, async (lambda) => {
      for (const [text, problem] of malformed) {
        await manager.update('malformed', text);
        const answer = await lambda.invoke(event('http-api'));
        assert.deepEqual(refusal(answer), UNAVAILABLE);
        assert.ok(!JSON.stringify(answer).includes(canary));
        const { cause } = await line(lambda, ({ request_id: id }) => id === answer.body.request_id);
        assert.ok(cause.startsWith(`the secret is malformed: ${problem}`), cause);
      }
      await manager.update('malformed', SECRET);
      assert.equal((await lambda.invoke(event('http-api'))).status, 201);
      assert.ok(!lambda.output().includes(canary));
    });
  });

  test("is not logged if the store's response is invalid", async () => {
    const canary = 'canary-b17e';
    const unreadable = [
      `{"Name": "x", "SecretString": "${canary}", "CreatedDate": "never"}`,
      `{"Name": "x", "SecretString": "${canary}`,
      `{"Name": "x", "SecretString": "${canary}\\q"}`,
      `{"Name": "x", "SecretString": {"${canary}": "${canary}"}}`,
      `{"Name": "x", "SecretBinary": "${canary}"}`,
    ];
    let next;
    await withStore((_, response) => json(response, 200, next), async (url) => {
      await withFunction({ AWS_ENDPOINT_URL: url, ROOMPASS_SECRET_ID: 'x', RUST_LOG: 'trace' }, async (lambda) => {
        for (next of unreadable) {
          const answer = await lambda.invoke(event('http-api'));
          assert.deepEqual(refusal(answer), UNAVAILABLE);
          const { cause } = await line(lambda, ({ request_id: id }) => id === answer.body.request_id);
          assert.ok(cause, 'the log has the cause');
          assert.ok(!lambda.output().includes(canary), `the log contains the secret:\n${lambda.output()}`);
        }
      });
    });
  });

  test('has different causes in the log if access is denied and if it is missing', async () => {
    const denied = JSON.stringify({ __type: 'AccessDeniedException', Message: 'User is not authorized' });
    await withStore((_, response) => json(response, 400, denied), async (url) => {
      await withFunction({ AWS_ENDPOINT_URL: url, ROOMPASS_SECRET_ID: 'x' }, async (lambda) => {
        assert.deepEqual(refusal(await lambda.invoke(event('http-api'))), UNAVAILABLE);
        const { cause } = await line(lambda, ({ message }) => message === 'request failed');
        assert.match(cause, /^access to the secret denied: /);
      });
    });
  });
});

describe('while the secret store is down', () => {
  test('the function starts, and returns 503 within three seconds (the store refuses connections)', async () => {
    await returns503InTime(`http://127.0.0.1:${await freePort()}`);
  });

  test('the function starts, and returns 503 within three seconds (the store does not respond)', async () => {
    const sockets = new Set();
    const silent = createServer((socket) => sockets.add(socket.on('error', () => {}))).listen(0, '127.0.0.1');
    await once(silent, 'listening');
    try {
      await returns503InTime(`http://127.0.0.1:${silent.address().port}`);
      assert.ok(sockets.size > 0, 'the store got a connection');
    } finally {
      sockets.forEach((socket) => socket.destroy());
      silent.close();
    }
  });

  async function returns503InTime(store) {
    await withFunction({ AWS_ENDPOINT_URL: store, ROOMPASS_SECRET_ID: 'x' }, async (lambda) => {
      // The first invocation also waits for the init phase, which Lambda limits to 10 seconds.
      assert.deepEqual(refusal(await lambda.invoke(event('http-api'))), UNAVAILABLE);
      const sent = Date.now();
      assert.deepEqual(refusal(await lambda.invoke(event('http-api'))), UNAVAILABLE);
      const took = Date.now() - sent;
      assert.ok(took < 3_000, `a response took ${took} ms`);
      const inits = await until(() => lambda.inits().length && lambda.inits(), { of: "the emulator's report of the init phase" });
      assert.equal(inits.length, 1);
      assert.ok(inits[0] < 10_000, `init took ${inits[0]} ms`);
      const { cause } = await line(lambda, ({ message }) => message === 'request failed');
      assert.match(cause, /^the secret store is unavailable: /);
    });
  }
});

test('without a configured caller, every request is refused, and the log names the fix', async () => {
  await manager.create('no-callers', SECRET);
  await withFunction({ ROOMPASS_SECRET_ID: 'no-callers', ROOMPASS_CONFIG: '' }, async (lambda) => {
    for (const name of ['http-api', 'rest-api', 'function-url', 'alb', 'refused-invalid-json']) {
      const { status, code } = refusal(await lambda.invoke(event(name)));
      assert.deepEqual({ status, code }, { status: 403, code: 'no_callers_configured' }, name);
    }
    const { message } = await line(lambda, ({ level }) => level === 'WARN');
    assert.match(message, /add a \[\[caller\]\] and a \[\[rule\]\] to roompass\.toml.*ROOMPASS_CONFIG/);
  });
});

describe('the log', () => {
  before(() => manager.create('log', SECRET));

  for (const level of [{}, { RUST_LOG: 'trace' }, { AWS_LAMBDA_LOG_LEVEL: 'TRACE' }]) {
    const setting = Object.entries(level).map((pair) => pair.join('=')).join() || 'the default level';
    test(`with ${setting} has one line for each token, and neither the token nor the secret`, async () => {
      await withFunction({ ROOMPASS_SECRET_ID: 'log', ...level }, async (lambda) => {
        const minted = await lambda.invoke(event('http-api'));
        assert.equal(minted.status, 201);
        // Once a later request is in the log, every line of the first request is there too.
        const later = await lambda.invoke(event('healthz'));
        await line(lambda, ({ request_id: id }) => id === later.headers['x-request-id']);

        const id = minted.headers['x-request-id'];
        const lines = lambda.log().filter(({ request_id: of }) => of === id);
        assert.equal(lines.length, 1);
        const [{ timestamp, duration_ms: duration, grants, ...audit }] = lines;
        const token = minted.body.participant_token;
        assert.deepEqual(audit, {
          level: 'INFO',
          message: 'token issued',
          status: 201,
          method: 'POST',
          path: '/getToken',
          caller: 'anyone',
          rule: 'open',
          project: 'default',
          room: 'standup',
          identity: 'ada',
          ttl_seconds: 600,
          token_sha256: createHash('sha256').update(token).digest('hex').slice(0, 16),
          policy_version: createHash('sha256').update(OPEN).digest('hex').slice(0, 16),
          request_id: id,
        });
        assert.deepEqual(JSON.parse(grants), {});
        assert.ok(Number.isInteger(duration) && Math.abs(Date.parse(timestamp) - Date.now()) < 60_000);

        const [, claims, signature] = token.split('.');
        for (const never of [claims, signature, KEYS.secret, 'canary-5f0e']) {
          assert.ok(!lambda.output().includes(never), `the log contains ${never}`);
        }
      });
    });
  }
});

describe("LiveKit's public development pair", () => {
  const PAIR = { LIVEKIT_URL: SERVER, LIVEKIT_API_KEY: 'devkey', LIVEKIT_API_SECRET: 'secret', ROOMPASS_CONFIG: OPEN };

  test('stops a deployed function at startup, with one log line', async () => {
    const program = startBootstrap({ ...PAIR, AWS_LAMBDA_RUNTIME_API: '127.0.0.1:9' });
    try {
      assert.equal(await program.exited, 1);
      const lines = program.output().trim().split('\n');
      assert.equal(lines.length, 1, program.output());
      const { level, cause } = JSON.parse(lines[0]);
      assert.equal(level, 'ERROR');
      assert.equal(cause, "LIVEKIT_API_SECRET: must not be LiveKit's public development secret, except with `sam local`");
    } finally {
      await program.stop();
    }
  });

  test('in Secrets Manager is a malformed secret: every request returns 503, and the log has the cause', async () => {
    const { ROOMPASS_CONFIG, ...pair } = PAIR;
    await manager.create('development', JSON.stringify(pair));
    await withFunction({ ROOMPASS_SECRET_ID: 'development', ROOMPASS_CONFIG }, async (lambda) => {
      for (const name of ['http-api', 'healthz']) {
        const answer = await lambda.invoke(event(name));
        assert.deepEqual(refusal(answer), UNAVAILABLE);
        const { cause } = await line(lambda, ({ request_id: id }) => id === answer.body.request_id);
        assert.equal(cause, "the secret is malformed: LIVEKIT_API_SECRET must not be LiveKit's public development secret, except with `sam local`");
      }
      assert.ok(!lambda.log().some(({ message }) => message === 'token issued'), 'no token is issued');
    });
  });

  test('signs tokens under `sam local`', async () => {
    await withFunction({ ...PAIR, AWS_SAM_LOCAL: 'true' }, async (lambda) => {
      const { status, body } = await lambda.invoke(event('http-api'));
      assert.equal(status, 201);
      await assertClaims(body.participant_token, requested(event('http-api')));
    });
  });
});

/** Runs `use` with a function that has the open rule. */
async function withFunction(env, use) {
  const lambda = await startFunction({ AWS_ENDPOINT_URL: manager.url, ROOMPASS_CONFIG: OPEN, ...env });
  try {
    await use(lambda);
  } finally {
    await lambda.stop();
  }
}

/** Runs `use` with a secret store that handles every request with `respond`. */
async function withStore(respond, use) {
  const server = createHttpServer(respond).listen(0, '127.0.0.1');
  await once(server, 'listening');
  try {
    await use(`http://127.0.0.1:${server.address().port}`);
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

const json = (response, status, body) => response.writeHead(status, { 'Content-Type': 'application/x-amz-json-1.1' }).end(body);

/** Waits for the first matching line of the function's log. */
const line = (lambda, fits) => until(() => lambda.log().find(fits), { of: 'a line of the log', program: lambda });

/** The parts of a refusal that a client can act on. */
const refusal = ({ status, headers, body }) => ({ status, code: body.code, retryAfter: headers['retry-after'] });

/** The claims that an event's body requests. Those that it omits are taken from `generated`. */
function requested({ body, isBase64Encoded }, generated) {
  const { room_name: room, participant_identity: sub, participant_name: name } =
    JSON.parse(Buffer.from(body || (isBase64Encoded ? 'e30=' : '{}'), isBase64Encoded ? 'base64' : 'utf8'));
  return {
    sub: sub ?? generated.sub,
    ...(name && { name }),
    video: { roomJoin: true, room: room ?? generated.video.room },
  };
}

/** Each sample event and its status in the table of events/README.md. */
function expectedStatuses() {
  const rows = readFileSync(`${repo}/events/README.md`, 'utf8').matchAll(/^\| (`.*`) \|.*\| (\d{3}) \|$/gm);
  return new Map([...rows].flatMap(([, names, status]) =>
    [...names.matchAll(/`([^`]+)`/g)].map(([, name]) => [name, Number(status)])));
}
