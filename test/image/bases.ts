/**
 * Stand-ins for the base images of the Dockerfile, which lie in registries that tests do not need: made of Debian packages, Node and npm. They have the names that the Dockerfile
 * asks for, so that it is built as it stands.
 */
import { chmodSync, copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { dirname, join } from 'node:path';
import type { Dockerd } from '../docker/dockerd.ts';
import { isIntact, keyedDirectory, putIntoCache } from '../support/cache.ts';
import { run } from '../support/command.ts';
import { withLock } from '../support/lock.ts';
import { type Progress, withProgress } from '../support/progress.ts';

const root = join(import.meta.dirname, '..', '..');
const nodeBinary = join(root, 'node_modules', `node-linux-${arch()}`, 'bin', 'node');
const machineCertificates = '/etc/ssl/certs/ca-certificates.crt';
const npmVersion = '11.6.2';

interface Base {
  readonly name: string;
  readonly packages: readonly string[];
  /** As mmdebstrap names it: `extract` runs no script and brings no shell. */
  readonly variant: 'minbase' | 'extract';
  /** Adds what is not a Debian package. */
  readonly complete: (rootfs: string) => Promise<void>;
  /** Lines of a Dockerfile for the image's configuration. */
  readonly changes: readonly string[];
}

/** For `ARG BUILD_IMAGE`: Debian, Node and npm. */
const buildBase: Base = {
  name: 'node:24-bookworm-slim',
  packages: ['ca-certificates', 'libstdc++6'],
  variant: 'minbase',
  complete: async (rootfs) => {
    place(nodeBinary, join(rootfs, 'usr/local/bin/node'), 0o755);
    const prefix = join(rootfs, 'usr/local');
    await run('npm', ['install', '--global', `--prefix=${prefix}`, '--no-audit', '--no-fund', `npm@${npmVersion}`]);
    // Where all traffic passes a proxy that signs it anew, only the machine's own certificates tell that it is right.
    place(machineCertificates, join(rootfs, machineCertificates));
  },
  changes: [`ENV NODE_EXTRA_CA_CERTS=${machineCertificates}`, 'CMD ["node"]'],
};

/** For `ARG RUNTIME_IMAGE`: Node, the libraries that it needs, and nothing else. */
const runtimeBase: Base = {
  name: 'gcr.io/distroless/nodejs24-debian13:nonroot',
  packages: ['base-files', 'libc6', 'libgcc-s1', 'libstdc++6', 'netbase', 'tzdata'],
  variant: 'extract',
  complete: async (rootfs) => {
    place(nodeBinary, join(rootfs, 'nodejs/bin/node'), 0o755);
    place(machineCertificates, join(rootfs, machineCertificates));
    writeFileSync(join(rootfs, 'etc/passwd'), 'nonroot:x:65532:65532:nonroot:/home/nonroot:/sbin/nologin\n');
    mkdirSync(join(rootfs, 'tmp'), { recursive: true });
    chmodSync(join(rootfs, 'tmp'), 0o1777);
  },
  changes: ['USER 65532', 'ENTRYPOINT ["/nodejs/bin/node"]'],
};

const bases = [buildBase, runtimeBase];

/** What their content depends on, as far as we choose it. */
export function baseIngredients(): string[] {
  const node = readFileSync(join(root, 'node_modules', `node-linux-${arch()}`, 'package.json'), 'utf8');
  return [readFileSync(import.meta.filename, 'utf8'), node];
}

/** Gives a daemon the base images. They are made once, in half a minute each, and cached. */
export async function loadBases(dockerd: Dockerd, progress: Progress): Promise<void> {
  for (const base of bases) {
    const archive = await archiveOf(base, progress);
    const changes = base.changes.flatMap((change) => ['--change', change]);
    await dockerd.docker(['import', ...changes, archive, base.name]);
  }
}

async function archiveOf(base: Base, progress: Progress): Promise<string> {
  const label = base.name.replace(/[^a-z0-9.-]+/g, '-');
  const cache = keyedDirectory('images', label, baseIngredients());
  const archive = join(cache, 'rootfs.tar');
  if (await isIntact(archive, false)) return archive;
  await withLock(join(cache, 'lock'), `making ${base.name}`, progress, async () => {
    if (await isIntact(archive, false)) return;
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      await withProgress(progress, `Making a stand-in for the image ${base.name}`, async () => {
        const rootfs = join(work, 'rootfs');
        const include = `--include=${base.packages.join(',')}`;
        // Without apt's lists and what dpkg needs to be run again.
        const lean = ['--customize-hook=rm -rf "$1"/var/lib/apt/lists/* "$1"/var/cache/apt/*'];
        await run('mmdebstrap', ['--mode=root', `--variant=${base.variant}`, include, ...lean, 'bookworm', rootfs]);
        await base.complete(rootfs);
        await run('tar', [
          '--create',
          '--numeric-owner',
          `--file=${join(work, 'rootfs.tar')}`,
          `--directory=${rootfs}`,
          '.',
        ]);
      });
      await putIntoCache(join(work, 'rootfs.tar'), archive, 'mmdebstrap');
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return archive;
}

function place(source: string, target: string, mode = 0o644): void {
  mkdirSync(dirname(target), { recursive: true });
  rmSync(target, { force: true });
  copyFileSync(source, target);
  chmodSync(target, mode);
}
