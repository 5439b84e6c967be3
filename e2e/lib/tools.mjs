// Optional tools: if one is missing, the tests that need it are skipped, and fail in CI.

import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { e2e } from './programs.mjs';

/** `test`, for tests that need an optional tool of e2e/setup. */
export function testWith(tool) {
  if (!isMissing(tool)) return test;
  const reason = `${tool} is not available: ${readFileSync(noteOf(tool), 'utf8').trim()}`;
  if (process.env.CI) return (name) => test(name, () => assert.fail(reason));
  return (name, body) => test(name, { skip: reason }, body);
}

/** Whether e2e/setup could not install an optional tool. */
export const isMissing = (tool) => existsSync(noteOf(tool));

const noteOf = (tool) => `${e2e}/.tools/missing/${tool}`;
