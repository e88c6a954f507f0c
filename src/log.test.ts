import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';

const fixture = fileURLToPath(new URL('log.fixture.ts', import.meta.url));

function start() {
  const child = spawn(process.execPath, [fixture], { stdio: ['ignore', 'pipe', 'pipe'] });
  child.stderr.setEncoding('utf8');
  return child;
}

const crash = (...args: string[]) => {
  const program = fileURLToPath(new URL('log.crash.fixture.ts', import.meta.url));
  return spawn(process.execPath, [program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
};

test('a reader who does not read stops neither the process nor its end', async () => {
  const child = start();
  try {
    expect(await once(child.stderr, 'data')).toEqual(['alive\n']);
    const exit = once(child, 'exit');
    child.kill('SIGTERM');
    await exit;
  } finally {
    child.kill('SIGKILL');
  }
});

test('a reader who reads gets every line whole, in order, and the last ones at the end', async () => {
  const child = start();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  await once(child.stderr, 'data');
  const close = once(child, 'close');
  child.kill('SIGTERM');
  expect(await close).toEqual([0, null]);
  const lines = text.trimEnd().split('\n');
  expect(lines.length).toBeGreaterThanOrEqual(2_000);
  for (const [index, line] of lines.entries()) expect(JSON.parse(line)).toMatchObject({ lines: index + 1 });
});

test('the last lines are written also when the process ends by an error that nobody caught', async () => {
  const child = crash();
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  const [code]: unknown[] = await once(child, 'close');
  expect(code).toBe(1);
  const lines = text.trimEnd().split('\n');
  expect(lines.map((line) => JSON.parse(line))).toMatchObject([
    { msg: 'the last word' },
    { level: 60, error: 'a defect', stack: expect.stringContaining('log.crash.fixture.ts') },
  ]);
});

test('an error that is none is told of too', async () => {
  const child = crash('nothing');
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
  });
  expect(await once(child, 'close')).toEqual([1, null]);
  expect(text).toContain('"error":"undefined"');
});
