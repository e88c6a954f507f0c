import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Credential } from '../cluster/index.ts';
import { type Addresses, bothFamilies } from './addresses.ts';
import { containerdSocket } from './containerd.ts';

const healthPort = 10_248;

/** Answers 200 when it serves. */
export const kubeletHealthUrl = (addresses: Addresses): string => `http://${addresses.node}:${healthPort}/healthz`;

export interface KubeletFiles {
  readonly kubeconfig: string;
  readonly caFile: string;
  readonly serving: Credential;
}

/** Writes the kubelet's files into `directory`. @returns its arguments */
export function kubeletArgs(
  directory: string,
  of: KubeletFiles & { readonly name: string; readonly cgroup: string; readonly addresses: Addresses },
): string[] {
  const write = (file: string, text: string): string => {
    const path = join(directory, file);
    writeFileSync(path, text, { mode: 0o600 });
    return path;
  };
  const config = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    address: of.addresses.node,
    healthzBindAddress: of.addresses.node,
    healthzPort: healthPort,
    authentication: { anonymous: { enabled: false }, webhook: { enabled: true }, x509: { clientCAFile: of.caFile } },
    authorization: { mode: 'Webhook' },
    tlsCertFile: write('kubelet.crt', of.serving.certificate),
    tlsPrivateKeyFile: write('kubelet.key', of.serving.key),
    containerRuntimeEndpoint: `unix://${containerdSocket}`,
    volumePluginDir: '/var/lib/kubelet/volume-plugins', // by default in /usr, which is the machine's
    clusterDomain: 'cluster.local',
    clusterDNS: [of.addresses.node],
    resolvConf: '', // the machine's name servers cannot be reached from here
    failSwapOn: false,
    failCgroupV1: false, // refused by default since 1.35
    cgroupDriver: 'cgroupfs',
    cgroupRoot: `/${of.cgroup}`,
    enforceNodeAllocatable: [],
    localStorageCapacityIsolation: false,
    makeIPTablesUtilChains: false,
    oomScoreAdj: 0,
    // The disk and the memory are shared with whatever else this machine does: nothing that it does may cost pods their place.
    evictionHard: Object.fromEntries(
      ['memory.available', 'nodefs.available', 'nodefs.inodesFree', 'imagefs.available', 'imagefs.inodesFree'].map(
        (signal) => [signal, '0%'],
      ),
    ),
    imageGCHighThresholdPercent: 100,
    // A changed Secret reaches its pods when the kubelet looks at them the next time: by default that is once in a minute.
    configMapAndSecretChangeDetectionStrategy: 'Watch',
    syncFrequency: '1s',
    nodeStatusUpdateFrequency: '1s',
    nodeStatusReportFrequency: '1m', // where nothing has changed
    nodeLeaseDurationSeconds: 20, // renewed four times as often: the sign of life
  };
  return [
    `--config=${write('kubelet.json', JSON.stringify(config, null, 2))}`,
    `--kubeconfig=${of.kubeconfig}`,
    `--hostname-override=${of.name}`,
    `--node-ip=${bothFamilies(of.addresses, 'node')}`,
  ];
}
