import { join } from 'node:path';
import { findOrBuildNodeBinaries, type NodeBinaries } from '../cluster/index.ts';
import { goProgram, goTool } from '../support/goProgram.ts';
import type { Progress } from '../support/progress.ts';

/** Programs that run pods, apart from Kubernetes' own; absolute paths. */
export interface Runtime {
  readonly containerd: string;
  readonly shim: string;
  readonly ctr: string;
  /** CNI plugins. */
  readonly ptp: string;
  readonly hostLocal: string;
  /** CoreDNS. */
  readonly dns: string;
}

export type NodePrograms = NodeBinaries & Runtime;

const containerd = 'github.com/containerd/containerd/v2/cmd';
const plugins = 'github.com/containernetworking/plugins/plugins';

/** All programs of a node, from the cache or built from Go modules. */
export async function findOrBuildNode(progress: Progress): Promise<NodePrograms> {
  const tool = (path: string) => goTool(join(import.meta.dirname, 'runtime'), path, progress);
  return {
    ...(await findOrBuildNodeBinaries(progress)),
    containerd: await tool(`${containerd}/containerd`),
    shim: await tool(`${containerd}/containerd-shim-runc-v2`),
    ctr: await tool(`${containerd}/ctr`),
    ptp: await tool(`${plugins}/main/ptp`),
    hostLocal: await tool(`${plugins}/ipam/host-local`),
    dns: await goProgram(join(import.meta.dirname, 'dns'), progress),
  };
}
