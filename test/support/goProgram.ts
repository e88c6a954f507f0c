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
  const files = globSync('**/*', { cwd: directory, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .sort();
  const ingredients = files.flatMap((file) => [relative(directory, file), readFileSync(file)]);
  const cache = keyedDirectory('programs', `${name}-${goPlatform()}`, ingredients);
  const program = join(cache, name);
  if (await isIntact(program, false)) return program;
  await withLock(join(cache, 'lock'), `building ${name}`, progress, async () => {
    if (await isIntact(program, false)) return;
    const go = await findGo(neededGo(directory), progress);
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      const output = join(work, name);
      await goBuild(go, { directory, package: `./${folder}`, name, output }, progress);
      await putIntoCache(output, program, 'go');
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return program;
}

/** The folders of all Go programs that tests use. */
export function goProgramDirectories(): string[] {
  return globSync('**/go.mod', { cwd: testDirectory })
    .map((file) => join(testDirectory, file, '..'))
    .filter((directory) => directory !== join(testDirectory, 'cluster')) // its tools have a build of their own
    .sort();
}

function neededGo(directory: string): string {
  const file = join(directory, 'go.mod');
  const version = /^go (\d+\.\d+(?:\.\d+)?)/m.exec(readFileSync(file, 'utf8'))?.[1];
  if (version === undefined) throw new Error(`${file} does not say which Go it needs`);
  return version.split('.').length === 2 ? `${version}.0` : version;
}
