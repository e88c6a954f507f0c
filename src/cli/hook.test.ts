import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HookError, hookPauseAfter, runHook } from './hook.ts';

test('a hook is not begun when we are to end already', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'mtls-operator-hook-'));
  try {
    const mark = join(directory, 'ran');
    const hook = { command: ['/bin/sh', '-c', `: >'${mark}'`], timeoutMs: 10_000 } as const;
    const error: unknown = await runHook(hook, directory, AbortSignal.abort()).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(HookError);
    expect(error).toMatchObject({ fault: 'interrupted' });
    expect(existsSync(mark)).toBe(false);
    await runHook(hook, directory, new AbortController().signal);
    expect(existsSync(mark)).toBe(true);
  } finally {
    rmSync(directory, { recursive: true });
  }
});

const minute = 60_000;

test.each([
  [1, minute, minute],
  [2, minute, 2 * minute],
  [3, minute, 4 * minute],
  [4, minute, 8 * minute],
  [5, minute, 15 * minute],
  [5_000, minute, 15 * minute],
  [1, 60 * minute, 60 * minute],
  [9, 60 * minute, 60 * minute],
])('after %i failures, with an interval of %i ms, the hook is left alone for %i ms', (failures, interval, pause) => {
  expect(hookPauseAfter(failures, interval)).toBe(pause);
});
