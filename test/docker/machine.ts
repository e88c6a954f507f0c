import { readFileSync } from 'node:fs';
import { isOnPath, obstacles } from '../node/machine.ts';
import { installPackages, mayInstallPackages } from '../support/apt.ts';
import type { Progress } from '../support/progress.ts';

// What a Docker daemon of the tests' own takes from the machine, with the Debian package that brings it.
const packages = {
  dockerd: 'docker.io',
  containerd: 'containerd',
  ip: 'iproute2',
  iptables: 'iptables',
  mmdebstrap: 'mmdebstrap', // makes base images out of packages
  nsenter: 'util-linux',
  runc: 'runc',
  slirp4netns: 'slirp4netns',
  unshare: 'util-linux',
} as const;

/** Debian's: a machine may have other programs of these names before them on its PATH. */
export const docker = '/usr/bin/docker';
export const dockerd = '/usr/sbin/dockerd';

/**
 * Sees to it that a Docker daemon can run on this machine; installs what is missing where it may.
 * @throws with what is in the way.
 */
export async function prepareForDocker(progress: Progress): Promise<void> {
  const problems = obstacles({
    platform: process.platform,
    uid: process.getuid?.(),
    mountinfo: () => readFileSync('/proc/self/mountinfo', 'utf8'),
  });
  if (problems.length > 0) throw new Error(`A Docker daemon cannot run on this machine: ${problems.join('; ')}.`);
  const missing = Object.entries(packages).filter(([program]) => !isOnPath(program));
  if (missing.length === 0) return;
  const programs = missing.map(([program]) => program).join(', ');
  const wanted = [...new Set(missing.map(([, name]) => name))];
  if (!mayInstallPackages()) {
    throw new Error(`A Docker daemon needs ${programs}, as in Debian's packages ${wanted.join(', ')}: install them.`);
  }
  progress(`A Docker daemon needs ${programs}, which this machine lacks`);
  await installPackages(wanted, progress);
}
