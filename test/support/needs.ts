/** What a test needs built or installed before it runs, by what it imports: nothing has to be told of a new test. */
import { existsSync, readFileSync } from 'node:fs';
import { isAbsolute, join, relative, resolve } from 'node:path';
import { importsOf } from './layering.ts';

/** A need, and the modules without which nobody has it. */
const modules = {
  controlPlane: ['test/cluster/index.ts'],
  /** Containers and networks on this machine. */
  machine: ['test/node/machine.ts'],
  node: ['test/node/start.ts'],
  helm: ['test/support/helm.ts'],
  docker: ['test/docker/machine.ts'],
  goPrograms: ['test/support/goProgram.ts'],
} as const;

export type Need = keyof typeof modules;

/**
 * @param root of the repository
 * @param files absolute, or from the root
 */
export function needsOf(root: string, files: readonly string[]): ReadonlySet<Need> {
  const reached = reach(
    root,
    files.map((file) => (isAbsolute(file) ? file : join(root, file))),
  );
  const isReached = (module: string): boolean => reached.has(join(root, module));
  return new Set((Object.keys(modules) as Need[]).filter((need) => modules[need].some(isReached)));
}

/** All files of this repository that these import, through others too, with themselves. */
function reach(root: string, files: readonly string[]): ReadonlySet<string> {
  const reached = new Set<string>();
  const open = [...files];
  for (let file = open.pop(); file !== undefined; file = open.pop()) {
    // Tests of imports hold some in their texts, of files that are nowhere.
    if (reached.has(file) || relative(root, file).startsWith('..') || !existsSync(file)) continue;
    reached.add(file);
    const near = importsOf(readFileSync(file, 'utf8')).filter((target) => /^\.{1,2}\/.*\.ts$/.test(target));
    open.push(...near.map((target) => resolve(file, '..', target)));
  }
  return reached;
}
