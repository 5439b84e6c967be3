// Counts instructions with valgrind's callgrind: the function runs behind a Runtime API of this process, and each case is
// one event, sent several times. The mean of the later times is compared with the baseline.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { cpus, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { repo, start, until } from '../e2e/lib/programs.mjs';
import { startIssuer, suites } from './cases.mjs';
import { startRuntime } from './runtime.mjs';

/** A count may differ from the baseline by this much, in percent. A lower one must be in the baseline too, so that it stays. */
const TOLERANCE = 3;
/** The first events fetch keys and fill caches. They are not counted. */
const [WARM_UP, COUNTED] = [3, 10];
const BASELINE = `${repo}/benches/instructions.json`;

const { values: options, positionals } = parseArgs({
  allowPositionals: true,
  options: { check: { type: 'boolean' }, update: { type: 'boolean' } },
});
const bootstrap = resolve(process.env.ROOMPASS_BOOTSTRAP);
const folder = mkdtempSync(join(tmpdir(), 'roompass-benches-'));
process.on('exit', () => rmSync(folder, { recursive: true, force: true }));

const fixed = join(folder, 'fixed.so');
execFileSync('cc', ['-O1', '-shared', '-fPIC', '-o', fixed, `${repo}/benches/fixed.c`], { stdio: 'inherit' });

const counts = {};
const issuer = await startIssuer();
for (const suite of suites(issuer.url)) {
  const cases = suite.cases.filter(({ name }) => positionals.every((word) => name.includes(word)));
  if (cases.length) Object.assign(counts, await counted({ ...suite, cases }));
}
issuer.stop();
assert.ok(Object.keys(counts).length > 0, `no case has a name with ${positionals.join(' and ')}`);

const baseline = existsSync(BASELINE) ? JSON.parse(readFileSync(BASELINE, 'utf8')) : { counts: {} };
const machine = { compiler: output('rustc', ['--version']), valgrind: output('valgrind', ['--version']), processor: cpus()[0].model };
for (const [name, value] of Object.entries(machine)) {
  console.log(`${name}: ${value}${baseline[name] && baseline[name] !== value ? ` (baseline: ${baseline[name]})` : ''}`);
}
const changed = report();
if (options.update) {
  writeFileSync(BASELINE, `${JSON.stringify({ ...machine, counts: { ...baseline.counts, ...counts } }, null, 2)}\n`);
}
if (options.check && changed.length) {
  console.error(`not in the baseline, or more than ${TOLERANCE} % from it: ${changed.join('; ')}. If this is intended, run benches/run --update`);
  process.exitCode = 1;
}

/** The instructions of each case of a suite, in one process of the function. */
async function counted({ name: suite, config, env, cases }) {
  const [file, out] = [join(folder, 'roompass.toml'), join(folder, 'counts')];
  writeFileSync(file, config);
  for (const old of readdirSync(folder).filter((name) => name.startsWith('counts'))) rmSync(join(folder, old));
  const runtime = await startRuntime();
  const program = start('valgrind', ['--quiet', '--tool=callgrind', `--callgrind-out-file=${out}`, bootstrap], {
    env: {
      PATH: process.env.PATH,
      LD_PRELOAD: fixed,
      AWS_LAMBDA_RUNTIME_API: runtime.address,
      AWS_LAMBDA_FUNCTION_NAME: 'roompass',
      AWS_LAMBDA_FUNCTION_VERSION: '$LATEST',
      AWS_LAMBDA_FUNCTION_MEMORY_SIZE: '256',
      AWS_LAMBDA_LOG_FORMAT: 'JSON',
      ROOMPASS_CONFIG: file,
      ...env,
    },
  });
  runtime.serves(program);
  let parts = 0;
  /** The instructions since the last call. */
  const instructions = async () => {
    const part = `${out}.${(parts += 1)}`;
    await runtime.waits();
    program.signal('SIGUSR1');
    const totals = () => existsSync(part) && readFileSync(part, 'utf8').match(/^totals: (\d+)/m);
    const [, total] = await until(totals, { of: 'the counts', every: 5, program });
    await runtime.waits();
    return Number(total);
  };
  try {
    const counts = {};
    for (const { name, event, accepts } of cases) {
      const send = async (times) => {
        for (let time = 0; time < times; time += 1) {
          const answer = await runtime.invoke(JSON.stringify(event));
          try {
            accepts(answer);
          } catch (error) {
            assert.fail(`${name}: ${error.message}\n${JSON.stringify(answer)}\n${program.output()}`);
          }
        }
      };
      await send(WARM_UP);
      await instructions();
      await send(COUNTED);
      counts[name] = Math.round((await instructions()) / COUNTED);
    }
    return counts;
  } catch (error) {
    throw new Error(`${suite}: ${error.message}\n${program.output()}`, { cause: error });
  } finally {
    await program.stop();
    runtime.stop();
  }
}

/** Prints the counts beside the baseline. Returns the names of the cases that have no baseline, or are too far from it. */
function report() {
  const width = Math.max(...Object.keys(counts).map((name) => name.length));
  const changed = [];
  for (const [name, count] of Object.entries(counts)) {
    const before = baseline.counts[name];
    const change = before ? (count / before - 1) * 100 : NaN;
    if (!(Math.abs(change) <= TOLERANCE)) changed.push(name);
    const compared = before ? `${before.toLocaleString('en').padStart(12)} ${change.toFixed(1).padStart(7)} %` : '           -';
    console.log(`${name.padEnd(width)} ${count.toLocaleString('en').padStart(12)} ${compared}`);
  }
  return changed;
}

function output(command, args) {
  return execFileSync(command, args, { encoding: 'utf8', cwd: repo }).trim();
}
