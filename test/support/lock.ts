import { randomBytes } from 'node:crypto';
import { link, readFile, rename, rm, stat, utimes, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { type Progress, withProgress } from './progress.ts';

// The holder touches its lock file this often; one that has not been touched for much longer was left behind by a process that was killed.
const heartbeatMs = 2_000;
const staleMs = 30_000;

/**
 * Runs `work` while no other process that asks for the same `path` does; waits for as long as it takes. A lock left behind is noticed at once
 * on the same host (its process is gone), elsewhere after 30 s. Saves double work only: what runs under it must itself write atomically.
 */
export async function withLock<T>(path: string, what: string, progress: Progress, work: () => Promise<T>): Promise<T> {
  if (!(await tryLock(path))) {
    await withProgress(progress, `Waiting for another process that is busy with ${what}`, async () => {
      while (!(await tryLock(path))) await delay(250);
    });
  }
  const heart = setInterval(() => {
    const now = new Date();
    utimes(path, now, now).catch(() => {}); // gone: someone took us for dead, which costs double work and nothing else
  }, heartbeatMs);
  heart.unref();
  try {
    return await work();
  } finally {
    clearInterval(heart);
    await rm(path, { force: true });
  }
}

async function tryLock(path: string): Promise<boolean> {
  // Written first and linked then, so that nobody ever reads an empty lock.
  const own = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  await writeFile(own, `${process.pid} ${hostname()}\n`);
  try {
    await link(own, path);
    return true;
  } catch {
    if (await isStale(path)) await rename(path, own).catch(() => {}); // whoever renames first removes it; all try again
    return false;
  } finally {
    await rm(own, { force: true });
  }
}

async function isStale(path: string): Promise<boolean> {
  try {
    const [pid = '', host] = (await readFile(path, 'utf8')).trim().split(' ');
    if (host === hostname() && !isAlive(Number(pid))) return true;
    return Date.now() - (await stat(path)).mtimeMs > staleMs;
  } catch {
    return false; // given back just now
  }
}

/** Whether a process of this number exists on this host. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
