// The templates, and what CloudWatch makes of the function's log by them: metric filters and alarms.

import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { clean, e2e, repo, run } from './programs.mjs';

const python = `${e2e}/.tools/python/bin/python`;

/** The templates of deployments, as paths in the repository. */
export const TEMPLATES = ['template.yaml', ...readdirSync(`${repo}/deploy`).filter((file) => file.endsWith('.yaml')).map((file) => `deploy/${file}`)];

/** A template as JSON: a function such as `!Ref x` is the object `{ Ref: 'x' }`. */
export async function readTemplate(path) {
  const script = 'import json, sys; from samcli.yamlhelper import yaml_parse; print(json.dumps(yaml_parse(sys.stdin.read())))';
  return pythonJson(script, path);
}

/** A template after SAM's transformation, with these parameters, as CloudFormation gets it. */
export async function transformed(path, parameters) {
  const script = `
import json, sys
from samcli.yamlhelper import yaml_parse
from samtranslator.translator.transform import transform
class NoPolicies:
    def load(self): return {}
template = yaml_parse(sys.stdin.read())
template["Resources"]["TokenFunction"]["Properties"]["CodeUri"] = "s3://bucket/zip"
print(json.dumps(transform(template, ${JSON.stringify(parameters)}, NoPolicies())))`;
  return pythonJson(script, path, { AWS_DEFAULT_REGION: 'eu-central-1' });
}

async function pythonJson(script, path, env) {
  const done = await run(python, ['-c', script], { env: clean(env), input: readFileSync(`${repo}/${path}`, 'utf8') });
  assert.equal(done.code, 0, done.stderr);
  return JSON.parse(done.stdout);
}

/**
 * Whether a line of the log matches the pattern of a metric filter. Implements the part of CloudWatch's syntax that the
 * template uses: comparisons with strings and numbers, joined by `&&`. Any other syntax is an error.
 */
export function matches(pattern, line) {
  const inner = pattern.match(/^\{ (.+) \}$/)?.[1];
  assert.ok(inner, `a pattern in braces: ${pattern}`);
  return inner.split(' && ').every((term) => {
    const [, field, operator, text, number] = term.match(/^\$\.(\w+) (=|>=) (?:"([^"]*)"|(\d+))$/) ?? assert.fail(`unknown syntax: ${term}`);
    const value = line[field];
    if (text !== undefined) return operator === '=' ? value === text : assert.fail(`unknown syntax: ${term}`);
    return typeof value === 'number' && (operator === '=' ? value === Number(number) : value >= Number(number));
  });
}

/** The values that a metric filter extracts from lines of the log. */
export function valuesOf({ Properties: { FilterPattern: pattern, MetricTransformations: [{ MetricValue: value }] } }, lines) {
  const field = value.match(/^\$\.(\w+)$/)?.[1];
  return lines.filter((line) => matches(pattern, line)).map((line) => (field ? line[field] : Number(value)));
}

/**
 * Whether an alarm is active after its periods, each with these values of its metric. A period without values counts as one
 * without an error. `parameters` are the template's.
 */
export function isActive({ Properties: alarm }, periods, parameters) {
  assert.equal(alarm.TreatMissingData, 'notBreaching');
  const threshold = alarm.Threshold.Ref ? parameters[alarm.Threshold.Ref] : alarm.Threshold;
  assert.equal(typeof threshold, 'number');
  const statistic = {
    Sum: (values) => values.reduce((sum, value) => sum + value, 0),
    Maximum: (values) => Math.max(...values),
    p99: (values) => [...values].sort((a, b) => a - b)[Math.ceil(values.length * 0.99) - 1],
  }[alarm.Statistic ?? alarm.ExtendedStatistic];
  const breaches = {
    GreaterThanOrEqualToThreshold: (value) => value >= threshold,
    GreaterThanThreshold: (value) => value > threshold,
  }[alarm.ComparisonOperator];
  const evaluated = periods.slice(-alarm.EvaluationPeriods);
  return evaluated.filter((values) => values.length && breaches(statistic(values))).length >= alarm.DatapointsToAlarm;
}
