import { existsSync, readdirSync, readFileSync, readlinkSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { run } from '../support/command.ts';
import { cgroupHierarchies, machinePath } from './machine.ts';

/** What shows on this machine of the clusters whose directories lie in `parent`: all empty when they are gone. */
export interface Traces {
  readonly files: readonly string[];
  readonly mounts: readonly string[];
  readonly cgroups: readonly string[];
  readonly interfaces: readonly string[];
  /** Command lines. */
  readonly processes: readonly string[];
}

const linksSchema = z.array(z.object({ ifname: z.string(), ifalias: z.string().default('') }));

/** @param names of all clusters' directories that there have been: cgroups outlive them */
export async function tracesBelow(parent: string, names: ReadonlySet<string>): Promise<Traces> {
  const mountinfo = readFileSync('/proc/self/mountinfo', 'utf8');
  const { stdout } = await run('ip', ['-json', 'link'], { env: { PATH: machinePath } });
  return {
    files: readdirSync(parent),
    mounts: mountinfo.split('\n').filter((line) => line.includes(parent)),
    cgroups: cgroupHierarchies(mountinfo).flatMap(({ path }) =>
      [...names].map((name) => join(path, name)).filter((cgroup) => existsSync(cgroup)),
    ),
    interfaces: linksSchema
      .parse(JSON.parse(stdout))
      .filter(({ ifalias }) => ifalias.startsWith(parent))
      .map(({ ifname }) => ifname),
    processes: processes(parent, names),
  };
}

// Those that name the directory, and those of its cgroups: what runs in a pod knows nothing of it.
function processes(parent: string, names: ReadonlySet<string>): string[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid)) return [];
    try {
      const line = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ').trim();
      const cgroups = readFileSync(`/proc/${pid}/cgroup`, 'utf8');
      const ours = line.includes(parent) || [...names].some((name) => cgroups.includes(`/${name}`));
      return ours && !line.includes('victim.fixture.ts') ? [line] : [];
    } catch {
      return []; // ended while we looked
    }
  });
}

/** What a node must leave as it was, though kubelet and containerd write to such places: settings of the kernel, rules, and folders. */
export async function machineState(): Promise<object> {
  const settings = ['kernel/panic', 'kernel/panic_on_oops', 'vm/overcommit_memory', 'net/ipv4/ip_forward'];
  const places = [
    '/run/containerd',
    '/run/netns',
    '/var/lib/kubelet',
    '/var/lib/containerd',
    '/var/lib/cni',
    '/var/log/pods',
  ];
  const { stdout } = await run('nft', ['list', 'tables'], { env: { PATH: machinePath } });
  return {
    settings: settings.map((setting) => `${setting}=${readFileSync(`/proc/sys/${setting}`, 'utf8').trim()}`),
    places: places.map((place) => `${place}: ${existsSync(place) ? readdirSync(place).sort().join(' ') : 'missing'}`),
    tables: stdout.split('\n').filter((line) => line.includes('kube-proxy')),
    network: readlinkSync('/proc/self/ns/net'),
  };
}
