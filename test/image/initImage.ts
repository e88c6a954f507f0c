/** A stand-in for the base of the Dockerfile's target `init`, and the image of sidecars' init container as that target makes it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { version } from '../../src/version.ts';
import type { Dockerd } from '../docker/dockerd.ts';
import type { Progress } from '../support/progress.ts';
import { type Rootfs, rootfsArchive } from './rootfs.ts';

const root = join(import.meta.dirname, '..', '..');

/** What the chart asks for if it is told nothing else. */
export const initImageName = `localhost/mtls-operator-init:${version}`;
export const initBaseName = 'debian:bookworm-slim';

/** For `ARG INIT_IMAGE`: Debian with apt, which fetches packages from where this machine does. */
const initBase: Rootfs = { name: initBaseName, packages: ['apt'], variant: 'minbase', complete: async () => {} };

/** Gives a daemon the base image, which is made once and cached. */
export async function loadInitBase(dockerd: Dockerd, progress: Progress): Promise<void> {
  const ingredients = [JSON.stringify(initBase), readFileSync(join(import.meta.dirname, 'rootfs.ts'))];
  const archive = await rootfsArchive(initBase, ingredients, progress);
  await dockerd.docker(['import', '--change', 'CMD ["bash"]', archive, initBaseName]);
}

/** @param more flags of `docker build` */
export async function buildInitImage(dockerd: Dockerd, more: readonly string[] = []): Promise<void> {
  const args = ['build', '--target=init', `--tag=${initImageName}`, ...more, root];
  await dockerd.docker(args, { DOCKER_BUILDKIT: '1' });
}
