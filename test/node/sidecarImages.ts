/** Images of what injection adds to a pod. They are made here, of Debian's packages and the Envoy that other tests run: no registry is asked. */
import { type Rootfs, rootfsArchive } from '../image/rootfs.ts';
import { findEnvoy } from '../support/envoy.ts';
import { noProgress, type Progress } from '../support/progress.ts';
import { makeImage } from './image.ts';

/** Envoy is what it runs, with the arguments of whoever runs it. */
export const proxyImage = 'localhost/envoy:1';

/** With a shell, `ip` and `nft`. */
export const initImage = 'localhost/mtls-init:1';

export async function makeProxyImage(progress: Progress = noProgress): Promise<Buffer> {
  const program = '/usr/local/bin/envoy';
  const files = { [program]: await findEnvoy(progress) };
  const rootfs = await packagesOnly(proxyImage, ['libc6'], progress);
  return makeImage({ name: proxyImage, files, rootfs, entrypoint: [program] });
}

export async function makeInitImage(progress: Progress = noProgress): Promise<Buffer> {
  const rootfs = await packagesOnly(initImage, ['dash', 'iproute2', 'nftables'], progress);
  return makeImage({ name: initImage, files: {}, rootfs });
}

/** Path of an archive with these Debian packages and what they depend on. */
async function packagesOnly(name: string, packages: readonly string[], progress: Progress): Promise<string> {
  const rootfs: Rootfs = { name, packages, variant: 'extract', complete: async () => {} };
  return await rootfsArchive(rootfs, [JSON.stringify(rootfs)], progress);
}
