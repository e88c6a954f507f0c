// `npm test [-- file filters and vitest's flags]`: builds what the chosen tests need, runs them, and ends with `N passed, M failed`.
import { join, relative } from 'node:path';
import { findOrBuildBinaries, findOrBuildOldestApiServer } from './cluster/index.ts';
import { prepareForDocker } from './docker/machine.ts';
import { findOrBuildNode, prepareMachine } from './node/index.ts';
import { goProgram, goProgramDirectories } from './support/goProgram.ts';
import { helmProgram } from './support/helm.ts';
import { printProgress } from './support/progress.ts';
import { runTests } from './support/runTests.ts';

const root = join(import.meta.dirname, '..');

/** Tests of units and of this folder's own helpers need nothing but Node. */
function needsRealParts(file: string): boolean {
  const path = relative(root, file);
  return path.startsWith('test/') && !path.startsWith('test/support/') && path.split('/').length > 2;
}

/** Tests below these paths start pods. */
const withNode: readonly string[] = ['test/node/', 'test/sidecar/', 'test/chart/pods'];

function needsNode(file: string): boolean {
  return withNode.some((path) => relative(root, file).startsWith(path));
}

/** Tests below these paths have networks of their own, without a node. */
const needsNetworks = (file: string): boolean => /^test\/(?:proxy|xds)\//.test(relative(root, file));

const needsHelm = (file: string): boolean => /^test\/(?:chart\/|oldest\/|readme|sidecar\/)/.test(relative(root, file));

const needsOldest = (file: string): boolean => relative(root, file).startsWith('test/oldest/');

const needsDocker = (file: string): boolean =>
  /^test\/(?:docker\/|image\/|chart\/(?:docs|pods)|readme|sidecar\/)/.test(relative(root, file));

async function prepare(files: readonly string[]): Promise<void> {
  if (!files.some(needsRealParts) && !files.some(needsHelm)) return;
  await findOrBuildBinaries(printProgress);
  // Where there can be no node, and no network of one's own, its tests fail and say why; the others run.
  if (files.some((file) => needsNode(file) || needsNetworks(file)))
    await prepareMachine(printProgress).catch((error: Error) => printProgress(error.message));
  if (files.some(needsNode)) await findOrBuildNode(printProgress);
  if (files.some(needsOldest)) await findOrBuildOldestApiServer(printProgress);
  for (const directory of goProgramDirectories()) await goProgram(directory, printProgress);
  if (files.some(needsHelm)) await helmProgram(printProgress);
  // Where there can be no Docker daemon its tests fail and say why; the others run.
  if (files.some(needsDocker))
    await prepareForDocker(printProgress).catch((error: Error) => printProgress(error.message));
}

process.exitCode = await runTests(join(root, 'test', 'vitest.config.ts'), process.argv.slice(2), prepare);
