import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { installPackages, mayInstallPackages } from '../support/apt.ts';
import type { Progress } from '../support/progress.ts';

// What a node takes from the machine, with the Debian package that brings it. The rest is built from Go modules.
const packages = {
  ip: 'iproute2',
  mount: 'mount',
  nft: 'nftables',
  nsenter: 'util-linux',
  runc: 'runc', // a build of it needs a C compiler and libseccomp's headers
  unshare: 'util-linux',
} as const;

/** Cgroup v1 controllers that a kubelet cannot do without. */
const controllers = ['cpu', 'cpuacct', 'cpuset', 'memory'];

/** PATH, with the folders of these programs behind it: a user's often lacks them. */
export const machinePath = [process.env['PATH'] ?? '', '/usr/local/sbin', '/usr/sbin', '/sbin', '/usr/bin', '/bin']
  .filter((folder) => folder !== '')
  .join(delimiter);

/**
 * Sees to it that a node can run on this machine; installs what is missing where it may.
 * @throws with everything that is in the way.
 */
export async function prepareMachine(progress: Progress): Promise<void> {
  const problems = obstacles({
    platform: process.platform,
    uid: process.getuid?.(),
    mountinfo: () => readFileSync('/proc/self/mountinfo', 'utf8'),
  });
  const missing = Object.entries(packages).filter(([program]) => !isOnPath(program));
  if (missing.length > 0) {
    const wanted = [...new Set(missing.map(([, name]) => name))];
    const programs = missing.map(([program]) => program).join(', ');
    if (problems.length === 0 && mayInstallPackages()) {
      progress(`A node needs ${programs}, which this machine lacks`);
      await installPackages(wanted, progress);
    } else problems.push(`it needs ${programs}, as in Debian's packages ${wanted.join(', ')}`);
  }
  if (problems.length > 0) throw new Error(`A node cannot run on this machine: ${problems.join('; ')}.`);
}

/** What is in the way of a node, whatever may be installed. */
export function obstacles(machine: {
  readonly platform: NodeJS.Platform;
  readonly uid: number | undefined;
  readonly mountinfo: () => string;
}): string[] {
  if (machine.platform !== 'linux') return ['this is not Linux'];
  if (machine.uid !== 0) return ['it needs root, for namespaces, mounts and cgroups'];
  return missingControllers(machine.mountinfo());
}

/** Whether a program of this name can be run. */
export function isOnPath(program: string): boolean {
  return machinePath.split(delimiter).some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

export interface Hierarchy {
  readonly path: string;
  /** Of cgroup v1; undefined for v2. */
  readonly controllers: readonly string[] | undefined;
}

/** Where cgroups are mounted, by the text of /proc/<pid>/mountinfo. */
export function cgroupHierarchies(mountinfo: string): Hierarchy[] {
  return mountinfo.split('\n').flatMap((line): Hierarchy[] => {
    const [, , , root, path] = line.split(' ');
    const [type, , options] = (line.split(' - ')[1] ?? '').split(' ');
    if (root !== '/' || path === undefined) return []; // of a part of a hierarchy, which somebody mounted for a container
    if (type === 'cgroup2') return [{ path, controllers: undefined }];
    return type === 'cgroup' ? [{ path, controllers: (options ?? '').split(',') }] : [];
  });
}

function missingControllers(mountinfo: string): string[] {
  const hierarchies = cgroupHierarchies(mountinfo);
  if (hierarchies.length === 0) return ['no cgroups are mounted'];
  const ofV1 = hierarchies.flatMap((hierarchy) => hierarchy.controllers ?? []);
  if (ofV1.length === 0) return []; // v2 alone has all of them
  const missing = controllers.filter((controller) => !ofV1.includes(controller));
  return missing.length === 0 ? [] : [`cgroups are mounted without the controllers ${missing.join(', ')}`];
}
