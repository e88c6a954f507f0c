import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CommandError, run } from './support/command.ts';

const script = join(import.meta.dirname, 'operator.ts');

async function refusal(...args: readonly string[]): Promise<CommandError> {
  try {
    await run(process.execPath, [script, ...args]);
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error('it ran');
}

test.each([[[]], [['--kubeconfig']], [['--kubeconfig=']], [['--kubeconfig', '--workers=2']]])(
  'npm run operator says that a kubeconfig must be named (%j)',
  async (args) => {
    const { code, output } = await refusal(...args);
    expect(code).toBe(2);
    expect(output).toContain('--kubeconfig FILE');
  },
);

test('npm run operator names the kubeconfig that is not there', async () => {
  const { code, output } = await refusal('--kubeconfig', 'no/such/file');
  expect(code).toBe(2);
  expect(output).toContain(join(process.cwd(), 'no/such/file'));
});

test('the program is the operator, also under the name run, and fetch has flags of its own', async () => {
  const main = join(import.meta.dirname, '..', 'src', 'main.ts');
  const help = async (...command: readonly string[]): Promise<string> =>
    (await run(process.execPath, [main, ...command, '--help'])).stdout;
  const operator = await help();
  expect(operator).toContain('--create-default-authority');
  expect(await help('run')).toBe(operator);
  expect(await help('fetch')).toMatch(/--secret[\s\S]*--out/);
});
