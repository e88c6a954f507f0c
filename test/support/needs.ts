/** What a test needs built or installed before it runs, by what it imports: nothing has to be told of a new test. */
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, relative } from 'node:path';
import { importsOf, resolveImport } from './layering.ts';

export type Need = 'controlPlane' | 'machine' | 'node' | 'oldest' | 'helm' | 'docker' | 'goPrograms';

/** Who imports the module, through others too, has the need. */
const modules: readonly (readonly [need: Need, module: string])[] = [
  ['controlPlane', 'test/cluster/index.ts'],
  // Containers and networks on this machine.
  ['machine', 'test/node/machine.ts'],
  ['node', 'test/node/start.ts'],
  ['oldest', 'test/oldest/oldest.test.ts'],
  ['helm', 'test/support/helm.ts'],
  ['docker', 'test/docker/machine.ts'],
  ['goPrograms', 'test/support/goProgram.ts'],
];

/**
 * @param root of the repository
 * @param files absolute, or from the root
 */
export function needsOf(root: string, files: readonly string[]): ReadonlySet<Need> {
  const reached = reach(
    root,
    files.map((file) => (isAbsolute(file) ? relative(root, file) : file)),
  );
  return new Set(modules.flatMap(([need, module]) => (reached.has(module) ? [need] : [])));
}

/** All files of the repository that these import, through others too, with themselves; from the root. */
function reach(root: string, files: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const open = [...files];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    // Tests of imports hold some in their texts, of files that are nowhere.
    if (reached.has(file) || !file.endsWith('.ts') || !existsSync(join(root, file))) continue;
    reached.add(file);
    for (const target of importsOf(readFileSync(join(root, file), 'utf8'))) {
      const near = resolveImport(file, target);
      if (near !== undefined) open.push(near);
    }
  }
  return reached;
}
