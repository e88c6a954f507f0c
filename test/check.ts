// `npm run check`: everything that can be said about the sources without running them. Ends with code 1 if anything is wrong.
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { CommandError, run } from './support/command.ts';
import { layeringViolations } from './support/layering.ts';
import { machinePaths } from './support/machinePaths.ts';
import { printProgress } from './support/progress.ts';

const root = join(import.meta.dirname, '..');

/** Resolves with what is wrong, empty if nothing. */
type Check = () => Promise<string>;

function command(program: string, ...args: readonly string[]): Check {
  return async () => {
    try {
      await run(program, args, { cwd: root });
      return '';
    } catch (error) {
      if (error instanceof CommandError) return error.output.trim() === '' ? error.message : error.output;
      throw error;
    }
  };
}

async function trackedFiles(): Promise<string[]> {
  // Files not yet added count too: they are what is about to be committed.
  const { stdout } = await run(
    'git',
    ['-c', 'safe.directory=*', 'ls-files', '-z', '--cached', '--others', '--exclude-standard'],
    { cwd: root },
  );
  return stdout.split('\0').filter((file) => file !== '' && existsSync(join(root, file)));
}

const read = (file: string): string => readFileSync(join(root, file), 'utf8');

const checks: readonly (readonly [name: string, check: Check])[] = [
  ['types (tsc)', command(join(root, 'node_modules', '.bin', 'tsc'), '-p', '.')],
  [
    'style and lint (biome)',
    command(join(root, 'node_modules', '.bin', 'biome'), 'ci', '--colors=off', '--max-diagnostics=200'),
  ],
  ['generated files', command(process.execPath, 'src/api/generate.ts', '--check')],
  [
    'layering',
    async () => {
      const files = (await trackedFiles()).filter((file) => file.startsWith('src/') && file.endsWith('.ts'));
      return layeringViolations(files.map((path) => ({ path, text: read(path) }))).join('\n');
    },
  ],
  [
    'no path of a machine in a tracked file',
    async () => {
      const found = (await trackedFiles()).flatMap((file) =>
        machinePaths(read(file)).map(({ line, path }) => `${file}:${line}: ${path}`),
      );
      return found.join('\n');
    },
  ],
];

let failures = 0;
for (const [name, check] of checks) {
  const started = performance.now();
  const problems = await check();
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  printProgress(`${problems === '' ? 'ok    ' : 'FAILED'} ${name} (${seconds} s)`);
  if (problems !== '') {
    failures++;
    process.stdout.write(`${problems.trimEnd()}\n\n`);
  }
}
printProgress(failures === 0 ? 'All checks passed.' : `${failures} of ${checks.length} checks failed.`);
process.exitCode = failures === 0 ? 0 : 1;
