import { join } from 'node:path';
import { printProgress } from './progress.ts';
import { Tally } from './tally.ts';

const root = join(import.meta.dirname, '..', '..');

/**
 * Runs the tests of a vitest configuration and resolves with the exit code; the last line of the output is `N passed, M failed`.
 * @param args file filters and vitest's flags
 * @param prepare builds what the chosen files need, before the first of them runs
 */
export async function runTests(
  config: string,
  args: readonly string[],
  prepare: (files: readonly string[]) => Promise<void>,
): Promise<number> {
  try {
    return await run(config, args, prepare);
  } catch (error) {
    process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n0 passed, 1 failed\n`);
    return 1;
  }
}

async function run(
  config: string,
  args: readonly string[],
  prepare: (files: readonly string[]) => Promise<void>,
): Promise<number> {
  // A log is not a terminal, even where CI=true makes libraries believe that it takes colours. Before vitest is loaded: it looks once.
  if (!process.stdout.isTTY && process.env['FORCE_COLOR'] === undefined) process.env['NO_COLOR'] = '1';
  const { createVitest, parseCLI } = await import('vitest/node');
  const { filter, options } = parseCLI(['vitest', ...args]);
  const tally = new Tally(process.stdout.isTTY ? undefined : printProgress);
  const vitest = await createVitest({ ...options, root, config, watch: false, reporters: ['default', tally] });
  try {
    const specifications = await vitest.globTestSpecifications(filter);
    if (specifications.length === 0) {
      process.stderr.write(`No test file matches ${filter.join(' ')}\n`);
    } else {
      await prepare(specifications.map((specification) => specification.moduleId));
      await vitest.start(filter);
    }
  } finally {
    await vitest.close();
  }
  process.stdout.write(`${tally.summary()}\n`);
  return tally.succeeded ? 0 : 1;
}
