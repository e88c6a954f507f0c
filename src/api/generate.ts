/**
 * Writes what is generated from this folder: crds/, the operator's permissions, their like in the chart, docs/reference.md and docs/values.md. With --check it
 * writes nothing and fails if a file is out of date, missing or left over.
 */
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { serviceAccountPolicy, serviceAccountPolicyBinding } from './admission.ts';
import { kindTemplate, OPERATOR_USER, ruleTemplates } from './chart.ts';
import { chartValuesPage } from './chartValues.ts';
import { customResourceDefinition, kindDefinitions } from './crd.ts';
import { editRole, everywhereRules, operatorAccount, operatorRbac, ownNamespaceRules, viewRole } from './rbac.ts';
import { reference } from './reference.ts';
import { restartPolicy, restartPolicyBinding } from './restartAdmission.ts';
import { yamlFile } from './yamlFile.ts';

export const repository = join(import.meta.dirname, '..', '..');

/** Folders in which every file is generated. */
const generatedFolders = ['crds', 'charts/mtls-operator/templates/kinds'];

/** Text by path below the repository. */
export function generatedFiles(): ReadonlyMap<string, string> {
  const files = new Map<string, string>();
  const user = `system:serviceaccount:${operatorAccount.namespace}:${operatorAccount.name}`;
  for (const [name, object] of kindObjects(user)) files.set(`crds/${name}.yaml`, yamlFile([object]));
  for (const [name, object] of kindObjects(OPERATOR_USER)) {
    files.set(`charts/mtls-operator/templates/kinds/${name}.yaml`, kindTemplate(object));
  }
  files.set('charts/mtls-operator/templates/_rules.tpl', ruleTemplates());
  files.set(
    'charts/mtls-operator/files/rbac.yaml',
    yamlFile(operatorRbac, [
      ...everywhereRules.map(({ why }, index) => [1, ['rules', index], why] as const),
      ...ownNamespaceRules.map(({ why }, index) => [3, ['rules', index], why] as const),
    ]),
  );
  files.set('docs/reference.md', reference());
  const values = readFileSync(join(repository, 'charts/mtls-operator/values.yaml'), 'utf8');
  files.set('docs/values.md', chartValuesPage(values));
  return files;
}

/** What has to be in a cluster for our kinds to be used in it, by the name of its file. */
function kindObjects(operator: string): readonly (readonly [name: string, object: object])[] {
  return [
    ...kindDefinitions.map((definition) => [definition.kind.plural, customResourceDefinition(definition)] as const),
    ['policy-serviceaccounts', serviceAccountPolicy(operator)],
    ['policy-serviceaccounts-binding', serviceAccountPolicyBinding],
    ['policy-restarts', restartPolicy],
    ['policy-restarts-binding', restartPolicyBinding],
    ['role-edit', editRole],
    ['role-view', viewRole],
  ];
}

/** Paths whose file differs from what would be written. */
export function outdatedFiles(root = repository): string[] {
  const files = generatedFiles();
  const outdated = [...files].filter(([path, text]) => readIfThere(join(root, path)) !== text).map(([path]) => path);
  return [...outdated, ...leftOver(files, root)];
}

function leftOver(files: ReadonlyMap<string, string>, root: string): string[] {
  return generatedFolders.flatMap((folder) => {
    const present = readdirSync(join(root, folder)).map((name) => `${folder}/${name}`);
    return present.filter((path) => !files.has(path));
  });
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function write(root = repository): void {
  for (const folder of generatedFolders) mkdirSync(join(root, folder), { recursive: true });
  const files = generatedFiles();
  for (const path of leftOver(files, root)) rmSync(join(root, path));
  for (const [path, text] of files) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
}

if (import.meta.main) {
  if (!process.argv.includes('--check')) {
    write();
  } else {
    const outdated = outdatedFiles();
    if (outdated.length > 0) {
      console.error(`Out of date: ${outdated.join(', ')}. Run "npm run generate" and commit the result.`);
      process.exitCode = 1;
    }
  }
}
