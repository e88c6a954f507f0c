/** The operator's image as its Dockerfile makes it, for whoever runs it: built when something that goes into it has changed, else taken from the cache. */
import { globSync, readdirSync, readFileSync, rmSync, statSync, utimesSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { version } from '../../src/version.ts';
import { type Dockerd, startDockerd } from '../docker/dockerd.ts';
import { isIntact, keyedDirectory, putIntoCache } from '../support/cache.ts';
import { withLock } from '../support/lock.ts';
import { noProgress, type Progress, withProgress } from '../support/progress.ts';
import { baseIngredients, loadBases } from './bases.ts';

const root = join(import.meta.dirname, '..', '..');

/** What the chart asks for if it is told nothing else. */
export const operatorImageName = `localhost/mtls-operator:${version}`;

export interface OperatorImage {
  readonly reference: string;
  /** Path of what `docker save` writes; containerd imports it, too. */
  readonly archive: string;
}

export async function operatorImage(progress: Progress = noProgress): Promise<OperatorImage> {
  const cache = keyedDirectory('images', 'mtls-operator', [...baseIngredients(), ...context()]);
  const image = { reference: operatorImageName, archive: join(cache, 'image.tar') };
  if (!(await isIntact(image.archive, false))) {
    await withLock(join(cache, 'lock'), 'building the image', progress, async () => {
      if (!(await isIntact(image.archive, false))) await make(image, progress);
    });
  }
  utimesSync(cache, new Date(), new Date());
  removeUnused(dirname(cache));
  return image;
}

async function make(image: OperatorImage, progress: Progress): Promise<void> {
  await using dockerd = await startDockerd({ progress });
  await loadBases(dockerd, progress);
  await withProgress(progress, `Building the image ${image.reference}`, async () => {
    await buildOperatorImage(dockerd, image.reference);
    const partial = `${image.archive}.${process.pid}`;
    await dockerd.docker(['save', `--output=${partial}`, image.reference]);
    await putIntoCache(partial, image.archive, 'docker');
  });
}

/** @param more flags of `docker build` */
export async function buildOperatorImage(
  dockerd: Dockerd,
  reference: string,
  more: readonly string[] = [],
  directory = root,
): Promise<void> {
  await dockerd.docker(['build', `--tag=${reference}`, ...more, directory], { DOCKER_BUILDKIT: '1' });
}

/** All that .dockerignore lets through, and what decides on it. */
function context(): (string | Buffer)[] {
  const files = [
    'Dockerfile',
    '.dockerignore',
    'build.ts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'LICENSE',
  ];
  const sources = globSync('src/**/*.ts', { cwd: root }).filter((file) => !/\.(test|fixture)\.ts$/.test(file));
  return [...files, ...sources.sort()].flatMap((file) => [file, readFileSync(join(root, file))]);
}

const unusedAfterMs = 24 * 3_600_000;

/** Each change of the sources gives another image of 150 MB: those that nobody has asked for in a day go. */
function removeUnused(folder: string): void {
  for (const name of readdirSync(folder)) {
    const directory = join(folder, name);
    if (!name.startsWith('mtls-operator-') || Date.now() - statSync(directory).mtimeMs < unusedAfterMs) continue;
    rmSync(directory, { recursive: true, force: true });
  }
}
