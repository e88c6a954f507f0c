// `npm test [-- file filters and vitest's flags]`: builds what the chosen tests need, runs them, and ends with `N passed, M failed`.
import { join } from 'node:path';
import { findOrBuildBinaries, findOrBuildOldestApiServer } from './cluster/index.ts';
import { prepareForDocker } from './docker/machine.ts';
import { findOrBuildNode, prepareMachine } from './node/index.ts';
import { goProgram, goProgramDirectories } from './support/goProgram.ts';
import { helmProgram } from './support/helm.ts';
import { needsOf } from './support/needs.ts';
import { printProgress } from './support/progress.ts';
import { runTests } from './support/runTests.ts';

const root = join(import.meta.dirname, '..');

async function prepare(files: readonly string[]): Promise<void> {
  const needs = needsOf(root, files);
  if (needs.has('controlPlane')) await findOrBuildBinaries(printProgress);
  // Where there can be no node, and no network of one's own, its tests fail and say why; the others run.
  if (needs.has('machine')) await prepareMachine(printProgress).catch((error: Error) => printProgress(error.message));
  if (needs.has('node')) await findOrBuildNode(printProgress);
  if (needs.has('oldest')) await findOrBuildOldestApiServer(printProgress);
  if (needs.has('goPrograms'))
    for (const directory of goProgramDirectories()) await goProgram(directory, printProgress);
  if (needs.has('helm')) await helmProgram(printProgress);
  // Where there can be no Docker daemon its tests fail and say why; the others run.
  if (needs.has('docker')) await prepareForDocker(printProgress).catch((error: Error) => printProgress(error.message));
}

process.exitCode = await runTests(join(root, 'test', 'vitest.config.ts'), process.argv.slice(2), prepare);
