// Writes tokens.json: the tokens of the cases, and the public keys that verify them. They are stored, because a new
// signature takes another number of instructions to verify. The private keys are not stored.

import { createHmac, generateKeyPairSync, sign } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { ISSUER, NOW, SHARED_ISSUER, SHARED_SECRET, issuerNumber } from './settings.mjs';

const pairs = {
  ES256: generateKeyPairSync('ec', { namedCurve: 'P-256' }),
  RS256: generateKeyPairSync('rsa', { modulusLength: 2048 }),
  EdDSA: generateKeyPairSync('ed25519'),
};

const tokens = {
  ...Object.fromEntries(Object.keys(pairs).map((algorithm) => [algorithm, token(algorithm, ISSUER)])),
  HS256: token('HS256', SHARED_ISSUER),
  first: token('ES256', issuerNumber(1)),
  last: token('ES256', issuerNumber(20)),
};
const keys = Object.entries(pairs).map(([alg, { publicKey }]) => ({ ...publicKey.export({ format: 'jwk' }), kid: alg, alg, use: 'sig' }));
writeFileSync(new URL('tokens.json', import.meta.url), `${JSON.stringify({ keys, tokens }, null, 2)}\n`);

function token(algorithm, issuer) {
  const header = { alg: algorithm, typ: 'JWT', ...(algorithm !== 'HS256' && { kid: algorithm }) };
  const claims = { iss: issuer, aud: 'calls', sub: 'ada', name: 'Ada', team: 'red', exp: NOW + 600, iat: NOW };
  const signed = [header, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
  const signature =
    algorithm === 'HS256'
      ? createHmac('sha256', SHARED_SECRET).update(signed).digest()
      : sign(algorithm === 'EdDSA' ? null : 'sha256', Buffer.from(signed), { key: pairs[algorithm].privateKey, dsaEncoding: 'ieee-p1363' });
  return `${signed}.${signature.toString('base64url')}`;
}
