import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../cluster/index.ts';
import type { Addresses } from './addresses.ts';

const readyPort = 8181;

/** Answers 200 when the names of all Services are known. */
export const dnsReadyUrl = (addresses: Addresses): string => `http://${addresses.node}:${readyPort}/ready`;

const user = 'system:coredns';

const access = {
  apiVersion: 'v1',
  kind: 'List',
  items: [
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: user },
      rules: [
        { apiGroups: [''], resources: ['services', 'namespaces'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: user },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: user },
      subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user }],
    },
  ],
};

/**
 * Lets CoreDNS see Services, and writes its configuration into `directory`. It serves on the node's own address, as a cache on each node does, and
 * knows no names but the cluster's. @returns its arguments
 */
export async function dnsArgs(
  directory: string,
  of: { readonly cluster: Cluster; readonly addresses: Addresses },
): Promise<string[]> {
  const { cluster, addresses } = of;
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(access) });
  const kubeconfig = await cluster.kubeconfigFor({ name: user });
  const corefile = join(directory, 'Corefile');
  writeFileSync(
    corefile,
    `.:53 {
  bind ${addresses.node}
  ready ${addresses.node}:${readyPort}
  errors
  kubernetes cluster.local in-addr.arpa {
    kubeconfig ${kubeconfig}
  }
}
`,
    { mode: 0o600 },
  );
  return ['-conf', corefile];
}
