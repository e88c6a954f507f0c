/** Java's keytool, compiler and launcher, as they are on the machine. */
import { globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { Command } from '../cluster/guardian.ts';
import { isIntact, keyedDirectory, putIntoCache } from './cache.ts';
import { CommandError, run } from './command.ts';
import { withLock } from './lock.ts';
import { noProgress, type Progress } from './progress.ts';

/** The oldest Java that the examples are written for is 17. */
const OLDEST = 17;

let found: Promise<void> | undefined;

/** @throws Error that says what to install. */
export async function needJava(): Promise<void> {
  found ??= run('javac', ['-version'])
    .then(({ stdout, stderr }) => {
      const version = Number(/javac (\d+)/.exec(stdout + stderr)?.[1] ?? 0);
      if (version < OLDEST) throw new Error(`Java ${OLDEST} or newer is needed, this is Java ${version}`);
    })
    .catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new Error(
        `A JDK of Java ${OLDEST} or newer is needed for keystores and examples/java: install openjdk-${OLDEST}-jdk-headless`,
        { cause: error },
      );
    });
  await found;
}

/** For programs that live for seconds beside many others. */
const small = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC', '-Xmx64m'] as const;

/** The words that start a class of the sources in `directory`, which are compiled when any of them has changed. */
export async function javaCommand(directory: string, main: string, progress: Progress = noProgress): Promise<Command> {
  await needJava();
  const sources = globSync('*.java', { cwd: directory }).sort();
  const ingredients = sources.flatMap((file) => [file, readFileSync(join(directory, file))]);
  const cache = keyedDirectory('programs', `java-${basename(directory)}`, ingredients);
  const jar = join(cache, 'classes.jar');
  if (!(await isIntact(jar, false))) {
    await withLock(join(cache, 'lock'), `compiling ${directory}`, progress, async () => {
      if (await isIntact(jar, false)) return;
      const work = mkdtempSync(join(cache, 'making-'));
      try {
        const release = ['--release', String(OLDEST), '-Xlint:all', '-Werror'];
        await run('javac', [...release, '-d', join(work, 'classes'), ...sources.map((file) => join(directory, file))]);
        await run('jar', ['--create', '--file', join(work, 'classes.jar'), '-C', join(work, 'classes'), '.']);
        await putIntoCache(join(work, 'classes.jar'), jar, 'javac');
      } finally {
        rmSync(work, { recursive: true, force: true });
      }
    });
  }
  return ['java', ...small, '-cp', jar, main];
}

export interface ListedEntry {
  readonly alias: string;
  readonly type: string;
  /** SHA-256 in capital hexadecimal with colons, the entry's own certificate first. */
  readonly fingerprints: readonly string[];
}

/** What `keytool -list -v` says is in a keystore; it finds out by itself of which kind that is. The password goes by the environment. */
export async function listKeystore(file: string, password: string): Promise<ListedEntry[]> {
  await needJava();
  const args = ['-J-Duser.language=en', '-list', '-v', '-keystore', file, '-storepass:env', 'STORE_PASSWORD'];
  const { stdout } = await run('keytool', args, { env: { ...process.env, STORE_PASSWORD: password } });
  return stdout
    .split(/^Alias name: /m)
    .slice(1)
    .map((entry) => ({
      alias: /^.*/.exec(entry)?.[0] ?? '',
      type: /^Entry type: (.*)$/m.exec(entry)?.[1] ?? '',
      fingerprints: [...entry.matchAll(/^\s*SHA256: ([0-9A-F:]+)$/gm)].map(([, fingerprint]) => fingerprint ?? ''),
    }));
}
