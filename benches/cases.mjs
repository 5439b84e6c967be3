// The cases: events, the configuration that each suite of them needs, and what a valid response is.

import assert from 'node:assert/strict';
import { createHash, createHmac } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { inflateSync } from 'node:zlib';
import { repo } from '../e2e/lib/programs.mjs';
import { ISSUER, NOW, SECRET, SHARED_ISSUER, SHARED_SECRET, issuerNumber } from './settings.mjs';

/** The public keys of the issuers, and their tokens. */
const { keys, tokens } = JSON.parse(readFileSync(new URL('tokens.json', import.meta.url), 'utf8'));
const APP = { id: '970ca35de60c44645bbae8a215061b33', certificate: '5cfd2fd1755d40ecb72977518be15d3b' };
const API_KEY = `rpk_${'0123456789abcdefghjk'.repeat(2)}`;

const ENV = {
  LIVEKIT_URL: 'wss://calls.example.com',
  LIVEKIT_API_KEY: 'APIbenchmarks',
  LIVEKIT_API_SECRET: SECRET,
  AGORA_APP_ID: APP.id,
  AGORA_APP_CERTIFICATE: APP.certificate,
  ROOMPASS_API_KEYS: JSON.stringify({ backend: `sha256:${createHash('sha256').update(API_KEY).digest('hex')}` }),
  SHARED_BY_LOGIN: SHARED_SECRET,
};

/** The standard request. */
const BODY = { room_name: 'standup', participant_identity: 'ada', participant_name: 'Ada', room_config: {} };

const ALL = `
rooms = ["*"]
client_may_set = ["participant_identity", "participant_name", "participant_metadata", "participant_attributes", "room_config"]
`;
const ANYONE = `
[[caller]]
name = "anyone"
kind = "anonymous"
`;
/** Two rules, of which the second one matches. */
const OPEN = `${ANYONE}
[[rule]]
name = "lobby"
callers = ["anyone"]
rooms = ["lobby"]

[[rule]]
name = "everything"
callers = ["anyone"]
agora_logins = ["rtm", "chat"]
${ALL}`;

/** Serves the public keys of the issuers. */
export async function startIssuer() {
  const server = createServer((request, response) => {
    response.writeHead(200, { 'Content-Type': 'application/json', Connection: 'close' });
    response.end(JSON.stringify({ keys }));
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: `http://127.0.0.1:${server.address().port}/keys`, stop: () => server.close() };
}

/** The suites. Each is one process of the function. `jwks` is the URL of the issuers' keys. */
export function suites(jwks) {
  const jwt = (name, issuer, algorithms, keys) => `
[[caller]]
name = "${name}"
kind = "jwt"
issuer = "${issuer}"
audience = "calls"
algorithms = ${JSON.stringify(algorithms)}
${keys}
`;
  /** The rule of a caller's users: the rooms of their team. */
  const members = (caller) => `
[[rule]]
name = "${caller}"
callers = ["${caller}"]
rooms = ["{claims.team}:*"]
identity = "${caller}:{sub}"
participant_name = "{claims.name}"
`;
  const issuers = Array.from({ length: 20 }, (_, n) => [`login-${n + 1}`, issuerNumber(n + 1)]);
  return [
    {
      name: 'dialects',
      env: ENV,
      config: `dialects = ["standard", "sandbox", "token-server", "quickstart", "meet", "use-token", "openvidu", "agora"]
[sandbox]
ids = ["development"]
${OPEN}`,
      cases: dialects(),
    },
    {
      name: 'callers',
      env: ENV,
      config: [
        '[[caller]]\nname = "gateway"\nkind = "gateway"\nvia = "jwt"\n',
        jwt('app', ISSUER, keys.map(({ alg }) => alg), `jwks_url = "${jwks}"`),
        jwt('shared', SHARED_ISSUER, ['HS256'], 'secret = "SHARED_BY_LOGIN"'),
        '[[caller]]\nname = "backend"\nkind = "api-key"\n',
        ...['gateway', 'app', 'shared'].map(members),
        `[[rule]]\nname = "backend"\nidentity = "backend:{random}"\ncallers = ["backend"]\n${ALL}`,
      ].join(''),
      cases: callers(),
    },
    {
      name: 'large requests',
      env: ENV,
      config: `[limits]\nmax_token_size = 1048576\n${OPEN}`,
      cases: [
        accepted('64 KiB of metadata', http({ ...BODY, participant_metadata: 'metadata'.repeat(8192) })),
        accepted('500 attributes', http({ ...BODY, participant_attributes: Object.fromEntries(numbers(500).map((n) => [`attribute-${n}`, `value ${n}`])) })),
      ],
    },
    {
      name: 'rules',
      env: ENV,
      config: `${ANYONE}${numbers(1000).map((n) => `[[rule]]\nname = "rule-${n}"\ncallers = ["anyone"]\nrooms = ["room-${n}"]\nclient_may_set = ["participant_identity", "participant_name", "room_config"]\n`).join('')}`,
      cases: [1, 10, 100, 1000].map((n) => accepted(`1,000 rules, number ${n} matches`, http({ ...BODY, room_name: `room-${n}` }), { room: `room-${n}` })),
    },
    {
      name: 'issuers',
      env: ENV,
      config: issuers.map(([name, issuer]) => jwt(name, issuer, ['ES256'], `jwks_url = "${jwks}"`) + members(name)).join(''),
      cases: [issuers.at(0), issuers.at(-1)].map(([name], at) =>
        accepted(`20 issuers, number ${at ? 20 : 1} signed`, withToken(tokens[at ? 'last' : 'first']), { room: 'red:standup', identity: `${name}:ada` }),
      ),
    },
  ];
}

function dialects() {
  const get = (path, query) => http(undefined, { method: 'GET', path, query });
  const camel = { roomName: 'standup', participantName: 'Ada' };
  const query = new URLSearchParams(camel).toString();
  const generated = { identity: null };
  return [
    accepted('standard', http(BODY)),
    accepted('standard, REST API', sample('rest-api', BODY)),
    accepted('standard, Function URL', sample('function-url', BODY)),
    accepted('standard, load balancer', sample('alb', BODY)),
    accepted('standard, body in base64', { ...http(BODY), body: Buffer.from(JSON.stringify(BODY)).toString('base64'), isBase64Encoded: true }),
    accepted('standard, empty body', http(undefined), { room: null, identity: null }),
    accepted('sandbox', http(BODY, { path: '/api/v2/sandbox/connection-details', headers: { 'x-sandbox-id': 'development' } })),
    accepted('token-server', http(BODY, { path: '/createToken' })),
    accepted('quickstart', http(camel, { path: '/quickstart/token' }), generated),
    accepted('meet', get('/api/connection-details', query), generated),
    accepted('use-token', get('/api/livekit/token', new URLSearchParams({ roomName: 'standup', identity: 'ada', name: 'Ada' }).toString())),
    accepted('openvidu', http(camel, { path: '/openvidu/token' }), generated),
    { name: 'agora, rtc', event: get('/agora/rtc/standup/publisher/userAccount/ada/', 'expiry=600'), accepts: acceptsAgora },
    { name: 'agora, rtm', event: get('/agora/rtm/ada/', 'expiry=600'), accepts: acceptsAgora },
    { name: 'agora, body', event: http({ tokenType: 'rtc', channel: 'standup', role: 'publisher', uid: 'ada', expire: 600 }, { path: '/agora/getToken' }), accepts: acceptsAgora },
    { name: 'health check', event: get('/healthz', ''), accepts: ({ statusCode }) => assert.equal(statusCode, 200) },
    { name: 'refused: no JSON', event: { ...http(BODY), body: '{"room_name":' }, accepts: ({ statusCode }) => assert.equal(statusCode, 400) },
  ];
}

function callers() {
  const mine = { room: 'red:standup' };
  const claims = { iss: ISSUER, aud: 'calls', sub: 'ada', name: 'Ada', team: 'red', exp: `${NOW + 600}`, iat: `${NOW}` };
  const gateway = http({ room_name: 'red:standup' });
  gateway.requestContext.authorizer = { jwt: { claims, scopes: null } };
  const signed = keys.map(({ alg }) =>
    accepted(`JWT, ${alg}`, withToken(tokens[alg]), { ...mine, identity: 'app:ada' }),
  );
  return [
    accepted('API key', http(BODY, { headers: { 'x-api-key': API_KEY } })),
    accepted('gateway, JWT', gateway, { ...mine, identity: 'gateway:ada' }),
    accepted('JWT, HS256', withToken(tokens.HS256), { ...mine, identity: 'shared:ada' }),
    ...signed,
  ];
}

/** A case whose response has a LiveKit token for this room and identity, or for any if they are null. */
function accepted(name, event, { room = 'standup', identity = 'ada' } = {}) {
  return { name, event, accepts };

  function accepts({ statusCode, body }) {
    assert.ok(statusCode === 201 || statusCode === 200, `status ${statusCode}`);
    const [token] = body.match(/eyJ[\w-]+\.[\w-]+\.[\w-]+/) ?? assert.fail('no token');
    const [signed, signature] = [token.slice(0, token.lastIndexOf('.')), token.slice(token.lastIndexOf('.') + 1)];
    assert.equal(createHmac('sha256', SECRET).update(signed).digest('base64url'), signature);
    const claims = JSON.parse(Buffer.from(signed.split('.')[1], 'base64url'));
    assert.equal(claims.nbf, NOW);
    if (room) assert.equal(claims.video.room, room);
    if (identity) assert.equal(claims.sub, identity);
  }
}

/** A token of version 007 contains the app's ID, compressed. */
function acceptsAgora({ statusCode, body }) {
  assert.equal(statusCode, 200);
  const [, content] = body.match(/"007([\w+/=]+)"/) ?? assert.fail('no token');
  assert.ok(inflateSync(Buffer.from(content, 'base64')).includes(APP.id));
}

/** An event of an HTTP API. Without a body, it has none. */
function http(body, { method = 'POST', path = '/getToken', query = '', headers = {} } = {}) {
  const event = sample('http-api', body);
  Object.assign(event, { rawPath: path, rawQueryString: query });
  Object.assign(event.requestContext.http, { method, path });
  Object.assign(event.headers, headers);
  if (query) event.queryStringParameters = Object.fromEntries(new URLSearchParams(query));
  return event;
}

/** One of the sample events, with another body. */
function sample(name, body) {
  const event = JSON.parse(readFileSync(`${repo}/events/${name}.json`, 'utf8'));
  delete event.body;
  return body ? { ...event, body: JSON.stringify(body) } : event;
}

/** A request for the room of a team, with a token. */
function withToken(token) {
  return http({ room_name: 'red:standup' }, { headers: { authorization: `Bearer ${token}` } });
}

function numbers(count) {
  return Array.from({ length: count }, (_, at) => at + 1);
}
