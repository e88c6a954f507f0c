/** Root file systems out of Debian packages, for images that are made here and not fetched from a registry. */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { isOnPath } from '../node/machine.ts';
import { installPackages, mayInstallPackages } from '../support/apt.ts';
import { isIntact, keyedDirectory, putIntoCache } from '../support/cache.ts';
import { run } from '../support/command.ts';
import { withLock } from '../support/lock.ts';
import { type Progress, withProgress } from '../support/progress.ts';

export interface Rootfs {
  /** The image that it is for. */
  readonly name: string;
  readonly packages: readonly string[];
  /** As mmdebstrap names it: `extract` runs no script and brings no shell. */
  readonly variant: 'minbase' | 'extract';
  /** Adds what is not a Debian package. */
  readonly complete: (rootfs: string) => Promise<void>;
}

/**
 * Path of a tar archive, which is made once from exactly `ingredients` and cached. They say all that it depends on, its packages and what completes it included;
 * the versions of the packages are Debian's of that day.
 */
export async function rootfsArchive(
  rootfs: Rootfs,
  ingredients: readonly (string | Buffer)[],
  progress: Progress,
): Promise<string> {
  const label = rootfs.name.replace(/[^a-z0-9.-]+/g, '-');
  const cache = keyedDirectory('images', label, ingredients);
  const archive = join(cache, 'rootfs.tar');
  if (await isIntact(archive, false)) return archive;
  await withLock(join(cache, 'lock'), `making ${rootfs.name}`, progress, async () => {
    if (await isIntact(archive, false)) return;
    await findMmdebstrap(rootfs.name, progress);
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      await withProgress(progress, `Making the image ${rootfs.name}`, () => make(rootfs, work));
      await putIntoCache(join(work, 'rootfs.tar'), archive, 'mmdebstrap');
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return archive;
}

async function findMmdebstrap(image: string, progress: Progress): Promise<void> {
  if (isOnPath('mmdebstrap')) return;
  if (!mayInstallPackages())
    throw new Error(`The image ${image} needs mmdebstrap, as in Debian's package: install it.`);
  await installPackages(['mmdebstrap'], progress);
}

async function make({ packages, variant, complete }: Rootfs, work: string): Promise<void> {
  const directory = join(work, 'rootfs');
  const include = `--include=${packages.join(',')}`;
  // Without apt's lists and what dpkg needs to be run again.
  const lean = ['--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*'];
  await run('mmdebstrap', ['--mode=root', `--variant=${variant}`, include, ...lean, 'bookworm', directory]);
  await complete(directory);
  const into = [`--file=${join(work, 'rootfs.tar')}`, `--directory=${directory}`];
  await run('tar', ['--create', '--numeric-owner', ...into, '.']);
}

/** Copies a file to its place in a root file system. */
export function place(source: string, target: string, mode = 0o644): void {
  mkdirSync(dirname(target), { recursive: true });
  rmSync(target, { force: true });
  copyFileSync(source, target);
  chmodSync(target, mode);
}
