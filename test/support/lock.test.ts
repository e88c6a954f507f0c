import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { withLock } from './lock.ts';
import { noProgress } from './progress.ts';

let directory: string;
let lock: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mtls-lock-'));
  lock = join(directory, 'lock');
});

afterEach(() => rmSync(directory, { recursive: true }));

async function deadPid(): Promise<number> {
  const child = spawn('true');
  await once(child, 'exit');
  return child.pid ?? 0;
}

test('one at a time, however many ask', async () => {
  let inside = 0;
  let most = 0;
  const work = async () => {
    inside++;
    most = Math.max(most, inside);
    await delay(20);
    inside--;
  };
  await Promise.all(Array.from({ length: 8 }, () => withLock(lock, 'testing', noProgress, work)));
  expect(most).toBe(1);
  expect(readdirSync(directory)).toEqual([]);
});

test('given back when the work throws', async () => {
  const failing = withLock(lock, 'testing', noProgress, () => Promise.reject(new Error('on purpose')));
  await expect(failing).rejects.toThrow('on purpose');
  expect(existsSync(lock)).toBe(false);
});

test('taken over from a process of this host that is gone', async () => {
  writeFileSync(lock, `${await deadPid()} ${hostname()}\n`);
  expect(await withLock(lock, 'testing', noProgress, async () => 'done')).toBe('done');
});

test('taken over from another host once nobody touches it any more', async () => {
  writeFileSync(lock, `${process.pid} elsewhere\n`);
  const longAgo = new Date(Date.now() - 60_000);
  utimesSync(lock, longAgo, longAgo);
  expect(await withLock(lock, 'testing', noProgress, async () => 'done')).toBe('done');
});

test('not taken from a living holder', async () => {
  writeFileSync(lock, `${process.pid} ${hostname()}\n`);
  let entered = false;
  const waiting = withLock(lock, 'testing', noProgress, async () => {
    entered = true;
  });
  await delay(600);
  expect(entered).toBe(false);
  rmSync(lock);
  await waiting;
  expect(entered).toBe(true);
});
