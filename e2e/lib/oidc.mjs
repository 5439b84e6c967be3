// A real OpenID provider, certified software in this very process, that gives programs access tokens for an API.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';

// It warns of each thing that only a test may do: the runtime, the memory it keeps tokens in.
const { warn } = console;
console.warn = (text, ...more) => `${text}`.startsWith('oidc-provider WARNING') || warn(text, ...more);
const { default: Provider } = await import('oidc-provider');

/** The API that tokens are for, unless another is asked for. */
export const AUDIENCE = 'https://calls.example.com';

/** A key to sign with, private half and all. */
export function newKey(id) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: id, alg: 'RS256', use: 'sig' };
}

/**
 * Starts a provider. It shows the public halves of `keys` and signs with the one called `signsWith`. `people` are the
 * programs that may ask for tokens, each by its name and with the claims of its own in them. `issuer` is what it calls
 * itself, if that isn't where it listens.
 */
export async function startProvider({ keys, signsWith = keys[0].kid, people, issuer }) {
  const calls = {};
  let server = await listening(createServer(), 0);
  const { port } = server.address();
  const url = `http://127.0.0.1:${port}`;
  const name = issuer ?? url;

  const serve = (shown, signing) => {
    const answer = provider(name, shown, signing, people).callback();
    server.on('request', (request, response) => {
      calls[request.url] = (calls[request.url] ?? 0) + 1;
      // So that no client reuses a connection to the previous server for the next one.
      response.setHeader('Connection', 'close');
      answer(request, response);
    });
  };
  const stop = async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  };

  serve(keys, signsWith);
  return {
    issuer: name,
    /** Where it listens. */
    url,
    /** How often its key set was asked for. */
    keySetsGiven: () => calls['/jwks'] ?? 0,
    /** An access token for one of the people, by the client credentials flow. Without a `resource` it's an opaque one. */
    async token(who, { resource = AUDIENCE } = {}) {
      const response = await fetch(`${url}/token`, {
        method: 'POST',
        headers: { Authorization: `Basic ${btoa(`${who}:${SECRET}`)}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', ...(resource && { resource }) }),
      });
      const answer = await response.json();
      assert.equal(response.status, 200, JSON.stringify(answer));
      assert.equal(answer.token_type, 'Bearer');
      return answer.access_token;
    },
    stop,
    /** Ends it and starts another in its place, as issuers do to change their keys. */
    async restart(changed) {
      await stop();
      server = await listening(createServer(), port);
      serve(changed.keys, changed.signsWith ?? changed.keys[0].kid);
    },
    /** Ends it, and leaves in its place a server that accepts connections and never responds. */
    async fallSilent() {
      await stop();
      const open = new Set();
      server = await listening(createSocket((socket) => open.add(socket.on('error', () => {}))), port);
      server.closeAllConnections = () => open.forEach((socket) => socket.destroy());
    },
  };
}

function provider(issuer, keys, signsWith, people) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: Object.keys(people).map((name) => ({
      client_id: name,
      client_secret: SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    extraTokenClaims: (context, token) => people[token.clientId],
    features: {
      clientCredentials: { enabled: true },
      devInteractions: { enabled: false },
      resourceIndicators: {
        enabled: true,
        getResourceServerInfo: (context, audience) => ({
          audience,
          scope: '',
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'RS256', kid: signsWith } },
        }),
      },
    },
    ttl: { ClientCredentials: 600 },
  });
}

async function listening(server, port) {
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return server;
}

const SECRET = 'what the people of this test share';
