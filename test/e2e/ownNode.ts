import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startClusterWithNode } from '../node/index.ts';
import { helmFor } from '../support/helm.ts';
import { printProgress } from '../support/progress.ts';
import type { Target } from './target.ts';

/** The project's own control plane and node. */
export async function startOwnNode(): Promise<Target> {
  const { cluster, node } = await startClusterWithNode({ log: printProgress });
  const home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  return {
    kubectl: (args, options) => cluster.kubectl(args, options),
    helm: await helmFor(home, cluster),
    load: (archive) => node.load(archive),
    kill: (container) => node.signal(container, 'SIGKILL'),
    [Symbol.asyncDispose]: async () => {
      await cluster.stop();
      await rm(home, { recursive: true, force: true });
    },
  };
}
