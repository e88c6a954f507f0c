import { join } from 'node:path';
import { expect, test } from 'vitest';
import { CommandError, run } from './support/command.ts';

const script = join(import.meta.dirname, 'operator.ts');
const main = join(import.meta.dirname, '..', 'src', 'main.ts');

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

test.each([[['--help']], [['fetch', '--help']], [['proxy-api', '--help']]])(
  'npm run operator passes %j on to the program',
  async (args) => {
    const { stdout } = await run(process.execPath, [script, ...args]);
    expect(stdout).toBe((await run(process.execPath, [main, ...args])).stdout);
  },
);

test.each([
  [['fetch', '--secret', 'web'], '--kubeconfig FILE'],
  [['fetch', '--kubeconfig', 'no/such/file', '--secret', 'web'], join(process.cwd(), 'no/such/file')],
  [['fetch', '--server', 'https://127.0.0.1:1', '--out', 'x'], 'mtls-operator fetch: --token-file is missing'],
])('npm run operator %j ends as fetch does with wrong flags', async (args, message) => {
  const { code, output } = await refusal(...args);
  expect(code).toBe(1);
  expect(output).toContain(message);
});

test.each([
  [['--trust-domian', 'x'], "mtls-operator: Unknown option '--trust-domian'; see mtls-operator --help"],
  [['run', 'shop'], "mtls-operator: Unexpected argument 'shop'; see mtls-operator --help"],
  [['--log-level', 'loud'], 'mtls-operator: --log-level is "loud": give one of trace, debug, info, warn, error; see'],
  [
    ['proxy-api', '--prot', '1'],
    "mtls-operator proxy-api: Unknown option '--prot'; see mtls-operator proxy-api --help",
  ],
])('the program says in one line what is wrong with %j', async (args, message) => {
  const failed = run(process.execPath, [main, ...args]);
  const error = await failed.then(
    () => undefined,
    (error: unknown) => error,
  );
  if (!(error instanceof CommandError)) throw new Error('it ran', { cause: error });
  expect(error.code).toBe(2);
  expect(error.output).toContain(message);
  expect(error.output.trim().split('\n')).toHaveLength(1);
});

test('the program is the operator, also under the name run, and fetch has flags of its own', async () => {
  const help = async (...command: readonly string[]): Promise<string> =>
    (await run(process.execPath, [main, ...command, '--help'])).stdout;
  const operator = await help();
  expect(operator).toContain('--create-default-authority');
  expect(await help('run')).toBe(operator);
  expect(await help('fetch')).toMatch(/--secret[\s\S]*--out/);
});
