// What deploys the function: the templates, and the examples for the CDK and Terraform. Without an AWS account, they are linted
// and synthesized.

import assert from 'node:assert/strict';
import { existsSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { test } from 'node:test';
import { clean, e2e, repo, run } from './lib/programs.mjs';
import { TEMPLATES, readTemplate, transformed } from './lib/templates.mjs';

const ARN = 'arn:aws:secretsmanager:eu-central-1:123456789012:secret:roompass-AbCd12';

async function runs(command, args, options) {
  const done = await run(command, args, { cwd: repo, timeout: 180_000, ...options });
  assert.equal(done.code, 0, `${command} ${args.join(' ')}\n${done.stdout}\n${done.stderr}`);
  return done.stdout;
}

test('cfn-lint finds nothing in any template', async () => {
  await runs(`${e2e}/.tools/python/bin/cfn-lint`, [...TEMPLATES, 'local.yaml'], { env: clean() });
});

test('cfn-lint finds a wrong parameter of a nested template', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/roompass-`);
  t.after(() => rmSync(folder, { recursive: true }));
  const wrong = readFileSync(`${repo}/template.yaml`, 'utf8').replaceAll('deploy/', `${repo}/deploy/`).replace('        JwtAudience: !Ref JwtAudience\n', '        Audience: !Ref JwtAudience\n');
  writeFileSync(`${folder}/template.yaml`, wrong);
  const { code, stdout } = await run(`${e2e}/.tools/python/bin/cfn-lint`, [`${folder}/template.yaml`], { env: clean() });
  assert.notEqual(code, 0);
  assert.match(stdout, /Audience/);
});

test('checkov finds nothing in the templates of deployments, but what e2e/checkov.yaml gives a reason for', async () => {
  const files = TEMPLATES.flatMap((file) => ['-f', file]);
  const text = await runs(`${e2e}/.tools/checkov/bin/checkov`, ['--config-file', 'e2e/checkov.yaml', '--skip-download', '--framework', 'cloudformation', '--output', 'json', ...files], { env: clean() });
  const { summary } = JSON.parse(text);
  assert.equal(summary.failed, 0);
  assert.equal(summary.parsing_errors, 0);
  assert.ok(summary.passed >= 9, `${summary.passed} checks`);
  const lines = readFileSync(`${e2e}/checkov.yaml`, 'utf8').split('\n');
  for (const [at, line] of lines.entries()) if (line.startsWith('  - ')) assert.match(lines[at - 1], /^  # .+\.$/, `${line} has a reason`);
});

test('a deployment publishes a version behind an alias, moves to it gradually, and is rolled back by the alarms on errors', async () => {
  const { Resources: resources } = await transformed('template.yaml', { SecretArn: ARN });
  const of = (type) => Object.values(resources).filter(({ Type }) => Type === type);
  const [alias, group, [version]] = [of('AWS::Lambda::Alias'), of('AWS::CodeDeploy::DeploymentGroup'), of('AWS::Lambda::Version')];
  assert.deepEqual([alias.length, group.length], [1, 1]);
  assert.equal(alias[0].Properties.Name, 'live');
  assert.ok(alias[0].UpdatePolicy.CodeDeployLambdaAliasUpdate);
  assert.deepEqual(group[0].Properties.DeploymentConfigName['Fn::Sub'][1], { ConfigName: 'Canary10Percent5Minutes' });
  const [, { Alarms: alarms }] = group[0].Properties.AlarmConfiguration['Fn::If'];
  assert.deepEqual(alarms.map(({ Name: { Ref } }) => Ref), ['FunctionErrorAlarm', 'FailedRequestAlarm']);
  assert.ok(group[0].Properties.AutoRollbackConfiguration.Events.includes('DEPLOYMENT_STOP_ON_ALARM'));
  // The policy is replaced if a setting changes, and its name is in what makes a version.
  assert.deepEqual(version.Properties.Description, { Ref: 'ReadPolicy' });
  for (const nested of ['HttpApi', 'RestApi', 'FunctionUrl']) assert.deepEqual(resources[nested].Properties.Parameters.FunctionArn, { Ref: 'TokenFunctionAliaslive' });
});

test('the function has its own memory, tracing and concurrency only if a parameter sets them', async () => {
  const properties = async (parameters) => (await transformed('template.yaml', { SecretArn: ARN, ...parameters })).Resources.TokenFunction.Properties;
  const plain = await properties({});
  assert.equal(plain.TracingConfig, undefined);
  assert.deepEqual(plain.ReservedConcurrentExecutions, { 'Fn::If': ['HasReservedConcurrency', { Ref: 'ReservedConcurrency' }, { Ref: 'AWS::NoValue' }] });
  assert.deepEqual(plain.MemorySize, { Ref: 'MemorySize' });
  assert.deepEqual((await properties({ Tracing: 'Active' })).TracingConfig, { Mode: { Ref: 'Tracing' } });
});

test('the firewall of the REST API limits each address and each of the two credentials', async () => {
  const { Resources: { Firewall } } = await readTemplate('deploy/rest-api.yaml');
  const limits = Firewall.Properties.Rules.map(({ Statement: { RateBasedStatement: rate }, Action }) => {
    assert.equal(Action.Block.CustomResponse.ResponseCode, 429);
    return [rate.AggregateKeyType, rate.CustomKeys?.[0].Header.Name, rate.Limit.Ref];
  });
  assert.deepEqual(limits, [
    ['IP', undefined, 'AddressRateLimit'],
    ['CUSTOM_KEYS', 'authorization', 'CallerRateLimit'],
    ['CUSTOM_KEYS', 'x-api-key', 'CallerRateLimit'],
  ]);
});

test('an open Function URL has both permissions, and one for signed requests has neither', async () => {
  const { Resources: { Url, ...others } } = await readTemplate('deploy/function-url.yaml');
  assert.deepEqual(Url.Properties.AuthType, { Ref: 'AuthType' });
  const permissions = Object.values(others).filter(({ Type }) => Type === 'AWS::Lambda::Permission');
  assert.deepEqual(permissions.map(({ Condition, Properties: { Action, FunctionUrlAuthType, InvokedViaFunctionUrl } }) => [Condition, Action, FunctionUrlAuthType, InvokedViaFunctionUrl]), [
    ['IsOpen', 'lambda:InvokeFunctionUrl', 'NONE', undefined],
    ['IsOpen', 'lambda:InvokeFunction', undefined, true],
  ]);
});

test('the dashboard is valid JSON with and without the detailed metrics, and shows every alarm and every metric of a filter', async () => {
  const { Resources: resources } = await readTemplate('template.yaml');
  const [text, { DetailedWidgets: { 'Fn::If': [, { 'Fn::Sub': detailed }] } }] = resources.Dashboard.Properties.DashboardBody['Fn::Sub'];
  const body = (more) => JSON.parse(text.replace('${DetailedWidgets}', more));
  const plain = body('').widgets;
  assert.equal(body(detailed).widgets.length, plain.length + 6);
  // The metrics that the function writes with ROOMPASS_METRICS=emf, each with one of its sets of dimensions.
  const searches = JSON.stringify(body(detailed).widgets.slice(plain.length)).matchAll(/\{Roompass,FunctionName,(\w+)\} MetricName=\\+"(\w+)/g);
  assert.deepEqual([...searches].map(([, dimension, metric]) => `${metric} by ${dimension}`), [
    'TokensIssued by rule', 'TokensIssued by caller', 'TokensIssued by project', 'Refusals by code', 'IssuerFetchFailures by caller', 'SigningKeysAge by project',
  ]);
  const [{ properties: { alarms } }] = plain;
  const names = Object.entries(resources).filter(([, { Type }]) => Type === 'AWS::CloudWatch::Alarm').map(([name]) => `\${${name}.Arn}`);
  assert.deepEqual(alarms, ['${ServerErrorAlarmArn}', ...names]);
  const shown = new Set(plain.flatMap(({ properties: { metrics = [] } }) => metrics).filter(([namespace]) => namespace.startsWith('Roompass/')).map(([, metric]) => metric));
  const written = Object.values(resources).filter(({ Type }) => Type === 'AWS::Logs::MetricFilter').map(({ Properties: { MetricTransformations: [{ MetricName }] } }) => MetricName);
  assert.deepEqual([...written].filter((metric) => !shown.has(metric)), ['NoCallers']);
  assert.ok([...shown].every((metric) => written.includes(metric)), [...shown].join());
  // Ten custom metrics are free of charge.
  assert.ok(written.length <= 10, `${written.length} metrics`);
});

test('the CDK example synthesizes a function, an alias, a gradual deployment and an HTTP API, which reads one secret', async (t) => {
  const folder = mkdtempSync(`${tmpdir()}/roompass-`);
  t.after(() => rmSync(folder, { recursive: true }));
  writeFileSync(`${folder}/function.zip`, 'zip');
  const env = clean({ CDK_OUTDIR: `${folder}/out`, ROOMPASS_ZIP: `${folder}/function.zip`, ROOMPASS_SECRET_ID: ARN, ROOMPASS_CORS_ORIGINS: 'https://app.example.com' });
  await runs('node', ['app.mjs'], { cwd: `${repo}/deploy/cdk`, env });
  const { Resources: resources } = JSON.parse(readFileSync(`${folder}/out/Roompass.template.json`));
  const of = (type) => Object.values(resources).filter(({ Type }) => Type === type).map(({ Properties }) => Properties);
  const [lambda] = of('AWS::Lambda::Function').filter(({ Runtime }) => Runtime === 'provided.al2023');
  const { Architectures, Handler, MemorySize, Timeout, Environment } = lambda;
  assert.deepEqual({ Architectures, Handler, MemorySize, Timeout }, { Architectures: ['arm64'], Handler: 'bootstrap', MemorySize: 256, Timeout: 10 });
  assert.deepEqual(Environment.Variables, { ROOMPASS_SECRET_ID: ARN, ROOMPASS_CORS_ORIGINS: 'https://app.example.com', SSL_CERT_FILE: '/etc/pki/tls/certs/ca-bundle.crt' });
  const statements = of('AWS::IAM::Policy').flatMap(({ PolicyDocument: { Statement } }) => Statement);
  const reads = statements.filter(({ Action }) => [Action].flat().some((action) => action.startsWith('secretsmanager:')));
  assert.deepEqual(reads.map(({ Resource }) => Resource), [ARN]);
  assert.equal(of('AWS::Lambda::Alias')[0].Name, 'live');
  assert.equal(of('AWS::CodeDeploy::DeploymentGroup')[0].DeploymentConfigName, 'CodeDeployDefault.LambdaCanary10Percent5Minutes');
  assert.deepEqual(of('AWS::ApiGatewayV2::Route').map(({ RouteKey }) => RouteKey), ['$default']);
  assert.deepEqual(of('AWS::ApiGatewayV2::Stage')[0].DefaultRouteSettings, { ThrottlingBurstLimit: 200, ThrottlingRateLimit: 100 });
  // The CDK adds dependencies that are already there by reference.
  await runs(`${e2e}/.tools/python/bin/cfn-lint`, ['--ignore-checks', 'W3005', '--', `${folder}/out/Roompass.template.json`], { env: clean() });
});

test('the Terraform example is formatted', async () => {
  const files = readdirSync(`${repo}/deploy/terraform`).filter((file) => file.endsWith('.tf')).map((file) => `deploy/terraform/${file}`);
  assert.ok(files.length > 0);
  await runs(`${e2e}/.tools/bin/hclfmt`, ['-require-no-change', ...files], { env: clean() });
});

test('the Terraform example has only arguments, blocks, references and variables that exist, and all that are required', async () => {
  const module = `${repo}/deploy/terraform`;
  const files = readdirSync(module).filter((file) => file.endsWith('.tf'));
  const texts = files.map((file) => readFileSync(`${module}/${file}`, 'utf8'));
  const { schema } = JSON.parse(readFileSync(`${e2e}/terraform-schema.json`));
  const script = 'import hcl2, json, sys; print(json.dumps([hcl2.loads(text) for text in json.load(sys.stdin)]))';
  const parsed = JSON.parse(await runs(`${e2e}/.tools/checkov/bin/python`, ['-c', script], { env: clean(), input: JSON.stringify(texts) }));
  const declared = (kind) => parsed.flatMap((file) => file[kind] ?? []).flatMap((one) => Object.entries(one));
  const named = (kind, prefix) => declared(kind).flatMap(([type, byName]) => Object.entries(byName).map(([name, body]) => [`${prefix}${type}.${name}`, `${prefix.replace('.', '_')}${type.replace(/^aws_/, prefix ? 'aws_' : '')}`, body]));
  const all = [...named('resource', ''), ...named('data', 'data.')];
  const addresses = new Map();
  for (const [address, type, body] of all) {
    assert.ok(schema[type], `${type} is in e2e/terraform-schema.json`);
    addresses.set(address, schema[type]);
    assertBlock(body, schema[type], address);
  }
  assert.ok(all.length > 10, `${all.length} resources`);
  const text = texts.join('\n');
  for (const [, address, attribute] of text.matchAll(/\b((?:data\.)?aws_\w+\.\w+)\.(\w+)/g)) {
    assert.ok(addresses.get(address)?.attributes.includes(attribute) || attribute in (addresses.get(address)?.arguments ?? {}), `${address}.${attribute}`);
  }
  const variables = declared('variable').map(([name]) => name);
  const used = new Set([...text.matchAll(/\bvar\.(\w+)/g)].map(([, name]) => name));
  assert.deepEqual([...used].sort(), [...variables].sort());
});

/** Asserts that a block has only what its schema has, and all that is required. */
function assertBlock(body, { arguments: known, blocks }, place) {
  const META = ['depends_on', 'lifecycle', 'count', 'for_each', '__start_line__', '__end_line__'];
  const given = Object.entries(body).filter(([name]) => !META.includes(name) && name !== 'dynamic');
  const dynamic = (body.dynamic ?? []).flatMap((one) => Object.entries(one)).map(([name, { content }]) => [name, content]);
  const names = new Set();
  for (const [name, value] of [...given, ...dynamic]) {
    names.add(name);
    if (blocks[name]) for (const nested of [value].flat()) assertBlock(nested, blocks[name], `${place}.${name}`);
    else assert.ok(name in known, `${place} has no argument ${name}`);
  }
  for (const [name, isRequired] of Object.entries(known)) assert.ok(!isRequired || names.has(name), `${place} needs ${name}`);
  for (const [name, { required }] of Object.entries(blocks)) assert.ok(!required || names.has(name), `${place} needs a block ${name}`);
}

test('template.yaml nests every other template', async () => {
  const { Resources } = await readTemplate('template.yaml');
  const nested = Object.values(Resources).filter(({ Type }) => Type === 'AWS::CloudFormation::Stack').map(({ Properties: { TemplateURL } }) => TemplateURL);
  assert.deepEqual(nested.sort(), TEMPLATES.filter((path) => path !== 'template.yaml').sort());
  for (const path of nested) assert.ok(existsSync(`${repo}/${path}`), path);
});
