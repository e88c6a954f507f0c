import { existsSync } from 'node:fs';
import { run } from './command.ts';
import { type Progress, withProgress } from './progress.ts';

/** Whether this process may install Debian packages: where it may not, it says what is missing instead. */
export function mayInstallPackages(): boolean {
  return process.getuid?.() === 0 && existsSync('/usr/bin/apt-get');
}

/** Installs packages without what they only recommend. Waits for others who install something; asks nothing. */
export async function installPackages(packages: readonly string[], progress: Progress): Promise<void> {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const patient = ['-q', '-o', 'DPkg::Lock::Timeout=300'];
  await withProgress(progress, `Installing ${packages.join(', ')}`, async () => {
    await run('apt-get', [...patient, 'update'], { env });
    await run('apt-get', [...patient, 'install', '-y', '--no-install-recommends', ...packages], { env });
  });
}
