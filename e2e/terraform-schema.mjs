// Writes terraform-schema.json: the arguments, blocks and attributes of the resources in deploy/terraform, in the version of
// the AWS provider below. `terraform validate` would download the provider, which is impossible on machines without access to its
// registry. They are read from the types of the CDK for Terraform, which are generated from the provider's schema.
//
//   node e2e/terraform-schema.mjs

import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';

const PACKAGE = '@cdktf/provider-aws@21.22.1';
const here = fileURLToPath(new URL('.', import.meta.url));
const module = `${here}../deploy/terraform`;

const files = readdirSync(module).filter((file) => file.endsWith('.tf')).map((file) => readFileSync(`${module}/${file}`, 'utf8'));
const used = [...files.join('\n').matchAll(/^(resource|data) "aws_(\w+)"/gm)].map(([, kind, name]) => (kind === 'data' ? `data_aws_${name}` : name));
const folder = mkdtempSync(`${tmpdir()}/terraform-schema-`);
try {
  const [{ filename }] = JSON.parse(execFileSync('npm', ['pack', PACKAGE, '--json', '--silent'], { cwd: folder }));
  const paths = Object.fromEntries([...new Set(used)].sort().map((name) => [name, `package/lib/${name.replaceAll('_', '-')}/index.d.ts`]));
  execFileSync('tar', ['xzf', filename, ...Object.values(paths)], { cwd: folder });
  let version;
  const schema = {};
  for (const [name, path] of Object.entries(paths)) {
    const types = readFileSync(`${folder}/${path}`, 'utf8');
    [, version] = types.match(/hashicorp\/aws\/([\d.]+)\/docs/);
    const kind = pascal(name);
    schema[name] = { ...block(types, `${kind}Config`), attributes: attributes(types, kind) };
  }
  writeFileSync(`${here}terraform-schema.json`, `${JSON.stringify({ package: PACKAGE, provider: version, schema }, null, 1)}\n`);
} finally {
  rmSync(folder, { recursive: true });
}

/** The arguments of a block, each with whether it is required, and its blocks. */
function block(types, name) {
  const body = types.match(new RegExp(`export interface ${name} (?:extends \\S+ )?\\{\\n([\\s\\S]*?)\\n\\}`))[1];
  const result = { arguments: {}, blocks: {} };
  for (const [, comment, optional, type] of body.matchAll(/\/\*\*([\s\S]*?)\*\/\s+readonly \w+(\??): ([\s\S]*?);(?=\n {4}\/|\s*$)/g)) {
    const [, argument] = comment.match(/#(\w+) /);
    const nested = type.match(/^([A-Z]\w+)/)?.[1];
    if (nested && types.includes(`export interface ${nested} {`)) result.blocks[argument] = { required: optional === '', ...block(types, nested) };
    else result.arguments[argument] = optional === '';
  }
  return result;
}

/** The attributes that expressions can read. */
function attributes(types, kind) {
  const body = types.match(new RegExp(`export declare class ${kind} extends [\\s\\S]*?\\n\\}`))[0];
  return [...body.matchAll(/^ {4}get (\w+)\(\)/gm)].map(([, name]) => name.replace(/[A-Z0-9]+/g, (part) => (/^\d/.test(part) ? part : `_${part.toLowerCase()}`)))
    .filter((name) => !name.endsWith('_input')).sort();
}

function pascal(name) {
  return name.split('_').map((word) => word[0].toUpperCase() + word.slice(1)).join('');
}
