import { basename, join } from 'node:path';
import { type Cluster, type ClusterOptions, startCluster } from '../cluster/index.ts';
import { noProgress } from '../support/progress.ts';
import { type Addresses, bothFamilies } from './addresses.ts';
import { findOrBuildNode } from './binaries.ts';
import { makeCgroups } from './cgroups.ts';
import { makePauseImage } from './images.ts';
import { connect } from './link.ts';
import { prepareMachine } from './machine.ts';
import { makeNamespaces, type Namespaces } from './namespaces.ts';
import { type Node, startNode } from './node.ts';
import { startScheduler } from './scheduler.ts';

export interface ClusterWithNodeOptions extends Omit<ClusterOptions, 'prepareNetwork' | 'controllerManager'> {
  /** IPv6 beside IPv4, which stays the first family. Default: IPv4 alone. */
  readonly dualStack?: boolean;
}

export interface ClusterWithNode extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly node: Node;
}

/**
 * Starts a control plane, a scheduler and one node, and resolves when pods can be made. All of it is gone without trace after `cluster.stop`, or when this
 * process ends, in whatever way.
 * @throws with what is in the way, where this machine cannot run a node.
 */
export async function startClusterWithNode(options: ClusterWithNodeOptions = {}): Promise<ClusterWithNode> {
  const progress = options.log ?? noProgress;
  await prepareMachine(progress);
  const programs = await findOrBuildNode(progress);
  const pause = await makePauseImage(progress);
  let place: { directory: string; cgroup: string; namespaces: Namespaces; addresses: Addresses } | undefined;
  const cluster = await startCluster({
    ...options,
    prepareNetwork: async (guarded) => {
      const directory = join(guarded.path, 'node');
      const cgroup = basename(guarded.path);
      makeCgroups(guarded, cgroup);
      const namespaces = await makeNamespaces(guarded, directory);
      const addresses = await connect(namespaces, guarded.path, options.dualStack);
      place = { directory, cgroup, namespaces, addresses };
      const { machine, apiService } = addresses;
      return {
        address: machine,
        serviceRange: bothFamilies(addresses, 'services'),
        apiServiceAddress: apiService,
      };
    },
  });
  try {
    if (place === undefined) throw new Error('the cluster was started without the network of its node');
    const [node] = await Promise.all([
      startNode({ cluster, programs, ...place }, pause),
      startScheduler(cluster, programs.kubeScheduler),
    ]);
    return { cluster, node, [Symbol.asyncDispose]: () => cluster.stop() };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}
