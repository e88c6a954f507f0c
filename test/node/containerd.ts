import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Addresses } from './addresses.ts';
import type { Runtime } from './binaries.ts';

/** Within the node; seen from the machine it lies below the node's directory. */
export const containerdSocket = '/run/containerd/containerd.sock';

/**
 * Writes containerd's configuration and that of the pods' network into `directory`. @returns the arguments of containerd
 *
 * Each pod has a pair of interfaces of its own and is routed (`ptp`), not bridged: answers then always pass the rules by which kube-proxy
 * translated the question, which on a bridge they do only with a setting that not every kernel has.
 */
export function containerdArgs(
  directory: string,
  of: { readonly runtime: Runtime; readonly addresses: Addresses; readonly pauseImage: string },
): string[] {
  const { runtime, addresses, pauseImage } = of;
  const cni = join(directory, 'cni');
  mkdirSync(cni);
  writeFileSync(join(cni, '10-pods.conflist'), JSON.stringify(podNetwork(addresses), null, 2));
  const config = join(directory, 'containerd.toml');
  writeFileSync(config, configuration({ runtime, cni, pauseImage }));
  return [`--config=${config}`];
}

export function podNetwork({ ipv6, pods }: Pick<Addresses, 'pods' | 'ipv6'>): object {
  return {
    cniVersion: '1.0.0',
    name: 'pods',
    plugins: [
      {
        type: 'ptp',
        ipMasq: false, // this machine has a route to the pods
        ipam: {
          type: 'host-local',
          ranges: [[{ subnet: pods }], ...(ipv6 === undefined ? [] : [[{ subnet: ipv6.pods }]])],
          routes: [{ dst: '0.0.0.0/0' }, ...(ipv6 === undefined ? [] : [{ dst: '::/0' }])],
        },
      },
    ],
  };
}

export function configuration(of: {
  readonly runtime: Runtime;
  readonly cni: string;
  readonly pauseImage: string;
}): string {
  const { runtime, cni, pauseImage } = of;
  const pluginFolders = [...new Set([dirname(runtime.ptp), dirname(runtime.hostLocal)])];
  // JSON's strings, arrays and booleans are TOML's.
  const settings: Record<string, Record<string, unknown>> = {
    "plugins.'io.containerd.cri.v1.images'.pinned_images": { sandbox: pauseImage },
    "plugins.'io.containerd.cri.v1.runtime'": {
      disable_apparmor: true,
      // Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than itself.
      restrict_oom_score_adj: true,
      disable_hugetlb_controller: true,
      tolerate_missing_hugetlb_controller: true,
    },
    "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc": {
      runtime_type: 'io.containerd.runc.v2',
      runtime_path: runtime.shim,
    },
    "plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options": { SystemdCgroup: false },
    "plugins.'io.containerd.cri.v1.runtime'.cni": {
      bin_dirs: pluginFolders,
      conf_dir: cni,
      use_internal_loopback: true,
    },
  };
  const tables = Object.entries(settings).map(
    ([table, values]) =>
      `[${table}]\n${Object.entries(values)
        .map(([key, value]) => `${key} = ${JSON.stringify(value)}\n`)
        .join('')}`,
  );
  return ['version = 4\n', ...tables].join('\n');
}
