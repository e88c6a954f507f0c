/** A control plane with everything that `kubectl apply -f crds/` installs, and the operator's permissions. */
import { join } from 'node:path';
import { operatorAccount } from '../../src/api/rbac.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { printProgress } from '../support/progress.ts';

const repository = join(import.meta.dirname, '..', '..');

export async function startClusterWithKinds(): Promise<Cluster> {
  const cluster = await startCluster({ log: printProgress });
  try {
    await cluster.kubectl(['apply', '-f', join(repository, 'crds')]);
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    await cluster.kubectl(['create', 'namespace', operatorAccount.namespace]);
    await cluster.kubectl(['apply', '-f', join(repository, 'charts/mtls-operator/files/rbac.yaml')]);
    await cluster.kubectl(['create', 'namespace', 'shop']);
    return cluster;
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}
