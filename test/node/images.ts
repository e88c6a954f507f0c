import { join } from 'node:path';
import { goProgram } from '../support/goProgram.ts';
import { noProgress, type Progress } from '../support/progress.ts';
import { makeImage } from './image.ts';

/** Every pod begins with it. */
export const pauseImage = 'localhost/pause:1';

/** Of test/node/probe: what tests run in pods. */
export const probeImage = 'localhost/probe:1';

export async function makePauseImage(progress: Progress = noProgress): Promise<Buffer> {
  return await imageOf(pauseImage, 'pause', progress);
}

export async function makeProbeImage(progress: Progress = noProgress): Promise<Buffer> {
  return await imageOf(probeImage, 'probe', progress);
}

/** Path of what it runs. */
export function pauseProgram(progress: Progress = noProgress): Promise<string> {
  return goProgram(join(import.meta.dirname, 'pause'), progress);
}

async function imageOf(name: string, program: string, progress: Progress): Promise<Buffer> {
  const path = await goProgram(join(import.meta.dirname, program), progress);
  return makeImage({ name, files: { [`/${program}`]: path }, entrypoint: [`/${program}`], user: '65532:65532' });
}
