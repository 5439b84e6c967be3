// A real OpenID provider (certified software, in this process) that issues access tokens for an API.

import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createServer as createSocket } from 'node:net';

// Hides its warnings about settings for development, such as tokens that are stored in memory.
const { warn } = console;
console.warn = (text, ...more) => `${text}`.startsWith('oidc-provider WARNING') || warn(text, ...more);
const { default: Provider } = await import('oidc-provider');

/** The default audience of tokens. */
export const AUDIENCE = 'https://calls.example.com';

/** A new signing key as a private JWK. */
export function newKey(id) {
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  return { ...privateKey.export({ format: 'jwk' }), kid: id, alg: 'RS256', use: 'sig' };
}

/**
 * Starts a provider. It publishes the public keys of `keys`, and signs with the key whose ID is `signsWith`. `users`
 * maps the clients that may request tokens to their claims. `issuer` is the provider's URL if it isn't the one that it
 * listens on.
 */
export async function startProvider({ keys, signsWith = keys[0].kid, users, issuer }) {
  const calls = {};
  let server = await listening(createServer(), 0);
  const { port } = server.address();
  const url = `http://127.0.0.1:${port}`;
  const name = issuer ?? url;

  const serve = (shown, signing) => {
    const answer = provider(name, shown, signing, users).callback();
    server.on('request', (request, response) => {
      calls[request.url] = (calls[request.url] ?? 0) + 1;
      // Prevents clients from reusing a connection to the previous server.
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
    /** The URL that it listens on. */
    url,
    /** The number of requests for its key set. */
    keySetRequests: () => calls['/jwks'] ?? 0,
    /** An access token for a user, by the client credentials flow. Without a `resource` it is an opaque token. */
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
    /** Restarts the provider with other keys. */
    async restart(changed) {
      await stop();
      server = await listening(createServer(), port);
      serve(changed.keys, changed.signsWith ?? changed.keys[0].kid);
    },
    /** Replaces the provider with a server that accepts connections and never responds. */
    async hang() {
      await stop();
      const open = new Set();
      server = await listening(createSocket((socket) => open.add(socket.on('error', () => {}))), port);
      server.closeAllConnections = () => open.forEach((socket) => socket.destroy());
    },
  };
}

function provider(issuer, keys, signsWith, users) {
  return new Provider(issuer, {
    jwks: { keys },
    clients: Object.keys(users).map((name) => ({
      client_id: name,
      client_secret: SECRET,
      grant_types: ['client_credentials'],
      redirect_uris: [],
      response_types: [],
    })),
    extraTokenClaims: (context, token) => users[token.clientId],
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

const SECRET = 'the client secret of every user';
