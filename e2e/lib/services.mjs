// The services that the tests use: Roompass, a LiveKit server, an emulated Secrets Manager, and Lambda's runtime.

import assert from 'node:assert/strict';
import { readdirSync } from 'node:fs';
import { clean, e2e, freePort, freePorts, repo, start, until } from './programs.mjs';

/** LiveKit's development key pair, which `server --dev` accepts and `roompass` signs with by default. */
export const DEVELOPMENT_KEYS = { key: 'devkey', secret: 'secret' };

/** Starts the `roompass` command. `url` is its base URL, `endpoint` its token endpoint. */
export async function startRoompass(env = {}) {
  const program = start(roompass(), ['--listen', '127.0.0.1:0'], { env: clean(env) });
  const url = await ready(program, () => program.output().match(/listening on (http:\S+)/)?.[1]);
  await ready(program, async () => (await fetch(`${url}/healthz`)).ok);
  return Object.assign(program, { url, endpoint: `${url}/getToken` });
}

/**
 * Starts a LiveKit server with the development keys on free ports, and more lines of its configuration. `url` is for
 * clients, `http` for its HTTP API.
 */
export async function startLiveKit(more = '') {
  const [port, tcp, udp] = await freePorts(3);
  const config = `port: ${port}\nrtc:\n  tcp_port: ${tcp}\n  udp_port: ${udp}\n  enable_loopback_candidate: true\n${more}`;
  const program = start(`${e2e}/.tools/bin/server`, ['--dev', '--bind', '127.0.0.1', '--node-ip', '127.0.0.1'], {
    env: clean({ LIVEKIT_CONFIG: config }),
  });
  const http = `http://127.0.0.1:${port}`;
  await ready(program, async () => (await (await fetch(http)).text()) === 'OK');
  return Object.assign(program, { http, url: `ws://127.0.0.1:${port}` });
}

/** Starts moto's Secrets Manager and Parameter Store, which implement AWS's protocols. */
export async function startSecretsManager() {
  const port = await freePort();
  const program = start(`${e2e}/.tools/python/bin/moto_server`, ['-H', '127.0.0.1', '-p', `${port}`], { env: clean() });
  const url = `http://127.0.0.1:${port}`;
  // Loading takes seconds on a busy machine.
  await ready(program, async () => (await fetch(`${url}/moto-api/`)).ok, { within: 60_000, every: 100 });
  const callOf = (service, target) => async (action, body) => {
    const response = await fetch(url, {
      method: 'POST',
      headers: {
        'Content-Type': 'application/x-amz-json-1.1',
        'X-Amz-Target': `${target}.${action}`,
        // moto finds the service by the credential's scope, and does not check the signature.
        Authorization: `AWS4-HMAC-SHA256 Credential=test/20260101/${REGION}/${service}/aws4_request, SignedHeaders=host, Signature=0`,
      },
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`${action}: ${response.status} ${await response.text()}`);
    return response.json();
  };
  const call = callOf('secretsmanager', 'secretsmanager');
  const callSsm = callOf('ssm', 'AmazonSSM');
  // moto loads a service with its first request, which takes longer than the function waits.
  await callSsm('DescribeParameters', {});
  return Object.assign(program, {
    url,
    /** Adds a version of a parameter. */
    putParameter: (name, text, type = 'SecureString') => callSsm('PutParameter', { Name: name, Value: text, Type: type, Overwrite: true }),
    removeParameter: (name) => callSsm('DeleteParameter', { Name: name }),
    create: (name, text) => call('CreateSecret', { Name: name, SecretString: text }),
    /** Adds a version, at AWSCURRENT unless another stage is given. */
    update: (name, text, stage = 'AWSCURRENT') => call('PutSecretValue', { SecretId: name, SecretString: text, VersionStages: [stage] }),
    updateBinary: (name, text) => call('PutSecretValue', { SecretId: name, SecretBinary: Buffer.from(text).toString('base64'), VersionStages: ['AWSCURRENT'] }),
    /** Moves AWSCURRENT from one version to another. */
    makeCurrent: (name, to, from) =>
      call('UpdateSecretVersionStage', { SecretId: name, VersionStage: 'AWSCURRENT', MoveToVersionId: to, RemoveFromVersionId: from }),
    remove: (name) => call('DeleteSecret', { SecretId: name, ForceDeleteWithoutRecovery: true }),
    markForRemoval: (name) => call('DeleteSecret', { SecretId: name, RecoveryWindowInDays: 7 }),
    restore: (name) => call('RestoreSecret', { SecretId: name }),
    stages: async (name) => (await call('DescribeSecret', { SecretId: name })).VersionIdsToStages,
  });
}

/**
 * Starts the `roompass-lambda` function under Lambda's runtime interface emulator. The emulator starts the function at
 * the first invocation.
 */
export async function startFunction(env = {}) {
  const [invocations, runtime] = await freePorts(2);
  const addresses = ['--runtime-interface-emulator-address', `127.0.0.1:${invocations}`, '--runtime-api-address', `127.0.0.1:${runtime}`];
  const program = start(emulator(), ['--log-level', 'debug', ...addresses, bootstrap()], { env: clean({ ...account, ...env }) });
  const url = `http://127.0.0.1:${invocations}`;
  // Any response means that the emulator is up. It has no route for health checks.
  await ready(program, () => fetch(url));
  return Object.assign(program, {
    /** The function's response to an event: its status, its headers, and its body parsed as JSON if it has one. */
    invoke: async (event) => {
      const path = '/2015-03-31/functions/function/invocations';
      const response = await fetch(url + path, { method: 'POST', body: JSON.stringify(event) });
      return httpAnswer(JSON.parse(await response.text()));
    },
    /** The function's log lines so far, parsed from JSON. */
    log: () => program.output().split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line)),
    /** The duration of each init phase, in milliseconds. */
    inits: () => [...program.output().matchAll(/INIT REPORT\(durationMs: ([\d.]+)/g)].map(([, duration]) => Number(duration)),
  });
}

/** Starts the function's program without the emulator. */
export const startBootstrap = (env) => start(bootstrap(), [], { env: clean(env) });

/** A response of the function: its status, its headers, and its body, parsed if it is JSON. */
export function httpAnswer(answer) {
  assert.ok(answer.statusCode, `an HTTP answer, not ${JSON.stringify(answer)}`);
  assert.equal(answer.isBase64Encoded, false);
  const several = Object.entries(answer.multiValueHeaders ?? {}).map(([name, values]) => [name, values.join()]);
  const headers = { ...answer.headers, ...Object.fromEntries(several) };
  const isJson = /^application\/(problem\+)?json\b/.test(headers['content-type']);
  return {
    status: answer.statusCode,
    headers,
    body: isJson ? JSON.parse(answer.body) : answer.body || undefined,
  };
}

export const REGION = 'eu-central-1';

/** The function's environment variables for the AWS account. */
export const account = {
  AWS_REGION: REGION,
  AWS_ACCESS_KEY_ID: 'test',
  AWS_SECRET_ACCESS_KEY: 'canary-of-the-role',
};

/** The path of the `roompass` command. */
export const roompass = () => process.env.ROOMPASS_BIN || `${repo}/target/debug/roompass`;

/** The path of the function's program. */
export const bootstrap = () => process.env.ROOMPASS_BOOTSTRAP || `${repo}/target/dist/function/x86_64/lambda/roompass-lambda/bootstrap`;

/** The path of AWS's emulator, a part of the SAM CLI. */
function emulator() {
  const [version] = readdirSync(`${e2e}/.tools/python/lib`);
  return `${e2e}/.tools/python/lib/${version}/site-packages/samcli/local/rapid/aws-lambda-rie-x86_64`;
}

/** Waits until `isUp` returns a truthy value. Stops the program if it doesn't. */
async function ready(program, isUp, options) {
  try {
    return await until(isUp, { of: `${program.name} to be up`, program, ...options });
  } catch (error) {
    await program.stop();
    throw error;
  }
}
