/** What the fault tests share: a control plane whose history can be read, with the operator's bundle, permissions and authority in place. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildOperator } from '../../build.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { installOperator, OPERATOR_NAMESPACE } from '../support/operator.ts';
import type { Progress } from '../support/progress.ts';
import { Client } from './client.ts';
import { readableHistory } from './history.ts';
import type { FaultProxy } from './proxy.ts';

export interface Arena extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly client: Client;
  /** Bundled, so that it starts in half the time. */
  readonly bundle: string;
  /** The operator's service account, by token, straight to the API server. */
  readonly kubeconfig: string;
  readonly token: string;
}

export async function startArena(log?: Progress): Promise<Arena> {
  const cluster = await startCluster({
    apiServerFlags: readableHistory,
    audit: 'off', // etcd's history tells more, and each write would wait for the disk
    ...(log === undefined ? {} : { log }),
  });
  try {
    const bundle = await buildOperator(join(cluster.directory, 'operator'));
    await installOperator(cluster);
    const account = { namespace: OPERATOR_NAMESPACE, name: 'mtls-operator' };
    const kubeconfig = await cluster.kubeconfigForServiceAccount(account);
    const token = await cluster.kubectl(['create', 'token', account.name, '-n', account.namespace, '--duration=24h']);
    const client = new Client(cluster);
    return {
      cluster,
      client,
      bundle,
      kubeconfig,
      token: token.trim(),
      [Symbol.asyncDispose]: async () => {
        client[Symbol.dispose]();
        await cluster.stop();
      },
    };
  } catch (error) {
    await cluster.stop();
    throw error;
  }
}

/** The operator's command line. */
export function operatorCommand(
  arena: Arena,
  options: { readonly kubeconfig?: string; readonly flags?: readonly string[] },
): string[] {
  const { kubeconfig = arena.kubeconfig, flags = [] } = options;
  const health = ['--health-port', '0', '--health-host', '127.0.0.1'];
  return [
    '--enable-source-maps',
    arena.bundle,
    '--kubeconfig',
    kubeconfig,
    '--create-default-authority',
    ...health,
    ...flags,
  ];
}

/** A kubeconfig that leads the operator through the proxy. */
export function kubeconfigThrough(arena: Arena, proxy: FaultProxy, name = 'through-proxy'): string {
  const path = join(arena.cluster.directory, 'users', `${name}.kubeconfig`);
  writeFileSync(path, proxy.kubeconfig(arena.token), { mode: 0o600 });
  return path;
}
