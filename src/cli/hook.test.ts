import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { HookError, runHook } from './hook.ts';

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
