// What an Agora token says, by Agora's own package for Node, which verifies its signature.

import assert from 'node:assert/strict';
import { createRequire } from 'node:module';

const require = createRequire(import.meta.url);
// The package hands out its builders alone; its readers stand in files of it.
const { AccessToken2 } = require('agora-token/src/AccessToken2.js');
const { AccessToken } = require('agora-token/src/AccessToken.js');

/** An app ID that no real app has. */
export const APP = { id: '970ca35de60c44645bbae8a215061b33', certificate: '5cfd2fd1755d40ecb72977518be15d3b' };

const SERVICES = { 1: 'rtc', 2: 'rtm', 5: 'chat' };

/** A token of version 007: when it was issued, how long it lasts, and each service's privileges and fields. */
export function read007(token) {
  const reader = new AccessToken2();
  assert.ok(reader.from_string(token), 'Agora reads it');
  assert.ok(reader.verifySignature(APP.certificate), 'Agora takes it');
  assert.ok(!reader.verifySignature(APP.certificate.replace('5', '6')), 'and only with its own certificate');
  assert.equal(text(reader.appId), APP.id);
  const services = reader.services.map((service) => {
    const { __type: type, __privileges: privileges, __channel_name: channel, __uid: uid, __user_id: user } = service;
    return [SERVICES[type], { privileges, channel: text(channel), user: text(uid ?? user) }];
  });
  assert.equal(services.length, new Set(services.map(([name]) => name)).size, 'one of each');
  return { issued: reader.issueTs, lasts: reader.expire, salt: reader.salt, services: Object.fromEntries(services) };
}

/** Asserts that a token of version 006 is the one that Agora builds for the same, to the letter; and its privileges. */
export function read006(token, channel, user) {
  const reader = new AccessToken('', '', '', '');
  assert.ok(reader.fromString(token), 'Agora reads it');
  const builder = new AccessToken(APP.id, APP.certificate, channel, user);
  Object.assign(builder, { salt: reader.salt, ts: reader.ts, messages: reader.messages });
  assert.equal(token, builder.build());
  return reader.messages;
}

const text = (value) => (value === undefined ? undefined : String(value));
