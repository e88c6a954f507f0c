// `npm run e2e [-- vitest's flags]`: the end-to-end suite on the project's own node. `npm run e2e:kind`: the same on a kind cluster.
import { join } from 'node:path';
import { findOrBuildBinaries } from '../cluster/index.ts';
import { prepareForDocker } from '../docker/machine.ts';
import { operatorImage } from '../image/operatorImage.ts';
import { kindProgram } from '../kind/programs.ts';
import { findOrBuildNode, makeProbeImage, prepareMachine } from '../node/index.ts';
import { helmProgram } from '../support/helm.ts';
import { printProgress } from '../support/progress.ts';
import { runTests } from '../support/runTests.ts';

const [target = '', ...flags] = process.argv.slice(2);

const prepare: Readonly<Record<string, () => Promise<unknown>>> = {
  own: async () => {
    await prepareMachine(printProgress);
    await findOrBuildNode(printProgress);
  },
  kind: async () => {
    await prepareForDocker(printProgress);
    await kindProgram(printProgress);
  },
};

const prepareTarget = prepare[target];
if (prepareTarget === undefined) throw new Error(`there is no cluster "${target}" to test on: choose own or kind`);

const started = performance.now();
process.exitCode = await runTests(
  join(import.meta.dirname, 'vitest.config.ts'),
  [join('test', 'e2e', `${target}.e2e.ts`), ...flags],
  async () => {
    await findOrBuildBinaries(printProgress);
    await prepareTarget();
    await makeProbeImage(printProgress);
    await helmProgram(printProgress);
    await operatorImage(printProgress);
  },
);
printProgress(`Took ${Math.round((performance.now() - started) / 1000)} s`);
