import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Addresses, bothFamilies } from './addresses.ts';

const healthPort = 10_256;

/** Answers 200 when the rules for all Services are in place. */
export const proxyHealthUrl = (addresses: Addresses): string => `http://${addresses.node}:${healthPort}/healthz`;

/** Writes kube-proxy's configuration into `directory`. @returns its arguments */
export function proxyArgs(
  directory: string,
  of: { readonly kubeconfig: string; readonly name: string; readonly addresses: Addresses },
): string[] {
  const config = {
    apiVersion: 'kubeproxy.config.k8s.io/v1alpha1',
    kind: 'KubeProxyConfiguration',
    mode: 'nftables',
    clientConnection: { kubeconfig: of.kubeconfig },
    hostnameOverride: of.name,
    clusterCIDR: bothFamilies(of.addresses, 'pods'),
    healthzBindAddress: `${of.addresses.node}:${healthPort}`,
    nftables: { minSyncPeriod: '50ms' },
    // Connection tracking is set up for the whole machine, and not by a test.
    conntrack: { maxPerCore: 0, min: 0, tcpEstablishedTimeout: '0s', tcpCloseWaitTimeout: '0s' },
  };
  const file = join(directory, 'kube-proxy.json');
  writeFileSync(file, JSON.stringify(config, null, 2), { mode: 0o600 });
  return [`--config=${file}`];
}
