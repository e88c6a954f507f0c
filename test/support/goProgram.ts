import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { basename, join, relative } from 'node:path';
import { isIntact, keyedDirectory, putIntoCache } from './cache.ts';
import { findGo, goBuild, goPlatform } from './go.ts';
import { withLock } from './lock.ts';
import { noProgress, type Progress } from './progress.ts';

const testDirectory = join(import.meta.dirname, '..');

/**
 * Path of the program that the Go module in `directory` makes of the `package main` in `folder` (its root, if not named). Built when any of the module's files
 * has changed, else taken from the cache in a millisecond; `npm test` builds all that have theirs at the root before the first test.
 */
export async function goProgram(directory: string, progress: Progress = noProgress, folder = '.'): Promise<string> {
  const name = basename(join(directory, folder));
  const files = [directory, ...localModules(directory)]
    .flatMap((module) => globSync('**/*', { cwd: module, withFileTypes: true }))
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const ingredients = files.flatMap((file) => [relative(directory, file), readFileSync(file)]);
  return await builtOnce({ directory, name, package: `./${folder}`, ingredients }, progress);
}

/**
 * Path of the program that the `tool` line for `path` in `directory`/go.mod names. Built when these pins have changed.
 * @param values for the linker, where a program wants to be told its version
 */
export async function goTool(
  directory: string,
  path: string,
  progress: Progress = noProgress,
  values: Readonly<Record<string, string>> = {},
): Promise<string> {
  const pins = ['go.mod', 'go.sum'].map((file) => readFileSync(join(directory, file)));
  const told = Object.entries(values).flat();
  return await builtOnce(
    { directory, name: basename(path), package: path, ingredients: [path, ...pins, ...told], values },
    progress,
  );
}

async function builtOnce(
  of: {
    readonly directory: string;
    readonly name: string;
    readonly package: string;
    readonly ingredients: readonly (string | Buffer)[];
    readonly values?: Readonly<Record<string, string>>;
  },
  progress: Progress,
): Promise<string> {
  const { directory, name, values } = of;
  const cache = keyedDirectory('programs', `${name}-${goPlatform()}`, of.ingredients);
  const program = join(cache, name);
  if (await isIntact(program, false)) return program;
  await withLock(join(cache, 'lock'), `building ${name}`, progress, async () => {
    if (await isIntact(program, false)) return;
    const go = await findGo(neededGo(directory), progress);
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      const output = join(work, name);
      const build = { directory, package: of.package, name, output };
      await goBuild(go, values === undefined ? build : { ...build, values }, progress);
      await putIntoCache(output, program, 'go');
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return program;
}

/** The folders of all Go programs of our own that tests use. */
export function goProgramDirectories(): string[] {
  return globSync('**/go.mod', { cwd: testDirectory })
    .map((file) => join(testDirectory, file, '..'))
    .filter((directory) => !/^tool\b/m.test(readFileSync(join(directory, 'go.mod'), 'utf8'))) // pins programs of others
    .sort();
}

/** Folders of modules that go.mod takes from beside it: a change in them is one of ours. */
function localModules(directory: string): string[] {
  const text = readFileSync(join(directory, 'go.mod'), 'utf8');
  return [...text.matchAll(/=> (\.\.?\/\S+)/g)].map(([, path]) => join(directory, path ?? ''));
}

function neededGo(directory: string): string {
  const file = join(directory, 'go.mod');
  const version = /^go (\d+\.\d+(?:\.\d+)?)/m.exec(readFileSync(file, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${file} does not say which Go it needs`);
  return version.split('.').length === 2 ? `${version}.0` : version;
}
