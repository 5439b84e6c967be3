// A real OpenID provider, whose keys can be changed and which can be stopped.

import { generateKeyPairSync } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import Provider from 'oidc-provider';
import { freePort } from './programs.mjs';

/** What its access tokens are for. */
export const AUDIENCE = 'urn:roompass:calls';

/** A signing key with a name. */
export function newKey(kid) {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  return { ...privateKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' };
}

/** A provider with these keys, on a port of its own. It signs with the first. */
export async function startProvider(keys, { port } = {}) {
  port ??= await freePort();
  const issuer = `http://127.0.0.1:${port}`;
  let server;
  const self = {
    issuer,
    /** Serves with other keys, at the same place. */
    async serve(keys) {
      await self.stop();
      const provider = new Provider(issuer, configuration(keys));
      const answer = provider.callback();
      // No connection outlives an answer, so that none is found dead after a change.
      server = createServer((request, response) => answer(request, response.setHeader('connection', 'close')));
      server.listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    async stop() {
      if (!server) return;
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
      server = undefined;
    },
    /** An access token, by the ordinary client-credentials flow. */
    async token(client = 'ada') {
      const response = await fetch(`${issuer}/token`, {
        method: 'POST',
        headers: { authorization: `Basic ${Buffer.from(`${client}:${SECRET}`).toString('base64')}` },
        body: new URLSearchParams({ grant_type: 'client_credentials', resource: AUDIENCE }),
      });
      const answer = await response.json();
      if (!response.ok) throw new Error(JSON.stringify(answer));
      return answer.access_token;
    },
  };
  await self.serve(keys);
  return self;
}

const SECRET = 'a secret that only the clients of this test have';

const configuration = (keys) => ({
  jwks: { keys },
  clients: ['ada', 'bob'].map((client_id) => ({
    client_id,
    client_secret: SECRET,
    grant_types: ['client_credentials'],
    redirect_uris: [],
    response_types: [],
    id_token_signed_response_alg: 'ES256',
  })),
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: () => ({
        scope: '',
        audience: AUDIENCE,
        accessTokenFormat: 'jwt',
        accessTokenTTL: 600,
        jwt: { sign: { alg: 'ES256' } },
      }),
    },
  },
  extraTokenClaims: (_, token) => ({ team: 'red', role: token.clientId === 'ada' ? 'host' : 'guest' }),
});
