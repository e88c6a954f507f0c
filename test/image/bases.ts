/**
 * Stand-ins for the base images of the Dockerfile, which lie in registries that tests do not need: made of Debian packages, Node and npm. They have the names that the Dockerfile
 * asks for, so that it is built as it stands.
 */
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import type { Dockerd } from '../docker/dockerd.ts';
import { run } from '../support/command.ts';
import type { Progress } from '../support/progress.ts';
import { place, type Rootfs, rootfsArchive } from './rootfs.ts';

const root = join(import.meta.dirname, '..', '..');
const nodeBinary = join(root, 'node_modules', `node-linux-${arch()}`, 'bin', 'node');
const machineCertificates = '/etc/ssl/certs/ca-certificates.crt';
const npmVersion = '11.6.2';

interface Base extends Rootfs {
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
  const sources = [import.meta.filename, join(import.meta.dirname, 'rootfs.ts')];
  return [...sources.map((file) => readFileSync(file, 'utf8')), node];
}

/** Gives a daemon the base images. They are made once, in half a minute each, and cached. */
export async function loadBases(dockerd: Dockerd, progress: Progress): Promise<void> {
  for (const base of bases) {
    const archive = await rootfsArchive(base, baseIngredients(), progress);
    const changes = base.changes.flatMap((change) => ['--change', change]);
    await dockerd.docker(['import', ...changes, archive, base.name]);
  }
}
