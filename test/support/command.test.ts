import { expect, test } from 'vitest';
import { CommandError, run } from './command.ts';

const node = (script: string) => run(process.execPath, ['-e', script]);

async function failure(script: string): Promise<CommandError> {
  const error = await node(script).catch((thrown: unknown) => thrown);
  if (error instanceof CommandError) return error;
  throw new Error('it did not fail');
}

test('resolves with what the command wrote', async () => {
  expect(await node('console.log("out"); console.error("err")')).toEqual({ code: 0, stdout: 'out\n', stderr: 'err\n' });
});

test('a failure carries what was written to either stream, and the code', async () => {
  const error = await failure('console.log("out"); console.error("err"); process.exitCode = 3');
  expect(error.code).toBe(3);
  expect(error.output).toContain('out');
  expect(error.output).toContain('err');
});

test('a failure without a word is a failure, and a signal is named', async () => {
  expect((await failure('process.exit(1)')).code).toBe(1);
  expect((await failure('process.kill(process.pid, "SIGKILL")')).output).toContain('SIGKILL');
});

test('a command that is not there is named', async () => {
  await expect(run('/no/such/program', [])).rejects.toThrow(/\/no\/such\/program: could not be run/);
});

test('lines of stderr are handed on whole', async () => {
  const lines: string[] = [];
  const script = 'process.stderr.write("one\\ntw"); setTimeout(() => process.stderr.write("o\\n"), 50)';
  await run(process.execPath, ['-e', script], { onErrorLine: (line) => lines.push(line) });
  expect(lines).toEqual(['one', 'two']);
});
