// Reads tokens with two of LiveKit's verifiers, and makes invalid tokens.

import assert from 'node:assert/strict';
import { createHmac } from 'node:crypto';
import { TokenVerifier } from 'livekit-server-sdk';
import { clean, e2e, run } from './programs.mjs';
import { DEVELOPMENT_KEYS } from './services.mjs';

/** A token's claims, after LiveKit's packages for Node and Python have both verified it and read the same claims. */
export async function verified(token, key, secret) {
  const claims = await new TokenVerifier(key, secret).verify(token);
  const python = await run(`${e2e}/.tools/python/bin/python`, [`${e2e}/verify.py`, key, secret], { env: clean(), input: token });
  assert.equal(python.code, 0, python.stderr);
  const [byPython] = JSON.parse(python.stdout);
  const byNode = {
    identity: claims.sub,
    name: claims.name ?? '',
    metadata: claims.metadata ?? '',
    attributes: claims.attributes ?? {},
    kind: claims.kind ?? '',
    // The Python package adds LiveKit's defaults.
    video: { canPublish: true, canSubscribe: true, canPublishData: true, ...claims.video },
    roomConfig: claims.roomConfig ?? null,
  };
  assert.deepEqual(byPython, byNode, 'both verifiers read the same');
  return claims;
}

/** Asserts that a token has exactly these claims and its times, and is valid for ten minutes from now. */
export async function assertClaims(token, expected, keys = DEVELOPMENT_KEYS) {
  const { exp, nbf, ...claims } = await verified(token, keys.key, keys.secret);
  assert.deepEqual(claims, { iss: keys.key, ...expected });
  assert.equal(exp - nbf, 600, 'lasts ten minutes');
  const age = Date.now() / 1000 - nbf;
  assert.ok(age > -2 && age < 30, `begins now, not ${age} s ago`);
  return claims;
}

/** A token's claims, without verification. */
export const payload = (token) => JSON.parse(Buffer.from(token.split('.')[1], 'base64url'));

/** The same token with other claims and its old signature. */
export function withClaims(token, claims) {
  const [header, , signature] = token.split('.');
  return [header, encoded(claims), signature].join('.');
}

/** The same token with one bit of its signature flipped. */
export function withAnotherSignature(token) {
  const [header, body, signature] = token.split('.');
  const bytes = Buffer.from(signature, 'base64url');
  bytes[0] ^= 1;
  return [header, body, bytes.toString('base64url')].join('.');
}

/** A token with the same header and other claims, signed with the correct secret. */
export function signed(token, claims, { secret } = DEVELOPMENT_KEYS) {
  const unsigned = `${token.split('.')[0]}.${encoded(claims)}`;
  return `${unsigned}.${createHmac('sha256', secret).update(unsigned).digest('base64url')}`;
}

/** Whether a token is signed with this secret. */
export function isSignedWith(token, secret) {
  const [header, body, signature] = token.split('.');
  return createHmac('sha256', secret).update(`${header}.${body}`).digest('base64url') === signature;
}

const encoded = (claims) => Buffer.from(JSON.stringify(claims)).toString('base64url');
