// Reads and verifies Agora tokens with Agora's own package for Node.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
// The package exports only its builders. The readers are in these files.
const { AccessToken2 } = require('agora-token/src/AccessToken2.js');
const { AccessToken } = require('agora-token/src/AccessToken.js');

/** A made-up app. */
export const APP = { id: '970ca35de60c44645bbae8a215061b33', certificate: '5cfd2fd1755d40ecb72977518be15d3b' };

const SERVICES = { 1: 'rtc', 2: 'rtm', 5: 'chat' };

/** A token of version 007: when it was issued, how long it lasts, and each service's privileges and fields. */
export function read007(token) {
  const reader = new AccessToken2();
  assert.ok(reader.from_string(token), "Agora's package can read the token");
  assert.ok(reader.verifySignature(APP.certificate), 'the signature is valid');
  assert.ok(!reader.verifySignature(APP.certificate.replace('5', '6')), 'the signature is invalid for another certificate');
  assert.equal(text(reader.appId), APP.id);
  const services = reader.services.map((service) => {
    const { __type: type, __privileges: privileges, __channel_name: channel, __uid: uid, __user_id: user } = service;
    return [SERVICES[type], { privileges, channel: text(channel), user: text(uid ?? user) }];
  });
  assert.equal(services.length, new Set(services.map(([name]) => name)).size, 'each service once');
  return { issued: reader.issueTs, lasts: reader.expire, salt: reader.salt, services: Object.fromEntries(services) };
}

/** Asserts that a token of version 006 equals the one that Agora's package builds. Returns its privileges. */
export function read006(token, channel, user) {
  const reader = new AccessToken('', '', '', '');
  assert.ok(reader.fromString(token), "Agora's package can read the token");
  const builder = new AccessToken(APP.id, APP.certificate, channel, user);
  Object.assign(builder, { salt: reader.salt, ts: reader.ts, messages: reader.messages });
  assert.equal(token, builder.build());
  return reader.messages;
}

const text = (value) => (value === undefined ? undefined : String(value));
