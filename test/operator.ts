import { accessSync, constants } from 'node:fs';
import { resolve } from 'node:path';
import { buildOperator, operatorEnvironment, operatorNodeFlags } from '../build.ts';
import { exitCodes } from '../src/cli/end.ts';

const usage = `Usage: npm run operator -- --kubeconfig FILE [flags of the operator]
       npm run -s operator -- fetch --kubeconfig FILE [flags of mtls-operator fetch]

Bundles the operator and runs it against a cluster. The file must be named: the one in your home directory is never used unasked.
With --help it lists the flags.
\`npm run cluster\` starts a cluster to try it on, and prints the path of its kubeconfig.
`;

/** What follows `--kubeconfig`, or the `=` in it; undefined if the flag is missing or empty. */
function kubeconfigOf(args: readonly string[]): string | undefined {
  for (const [index, arg] of args.entries()) {
    const value =
      arg === '--kubeconfig' ? args[index + 1] : arg.startsWith('--kubeconfig=') ? arg.slice(13) : undefined;
    if (value !== undefined && value !== '' && !value.startsWith('-')) return value;
  }
  return undefined;
}

/** Exits as the program itself would, were its flags wrong. */
function fail(message: string): never {
  process.stderr.write(message);
  process.exit(isFetch ? exitCodes.usage : 2);
}

const args = process.argv.slice(2);
const isFetch = args[0] === 'fetch';
const kubeconfig = kubeconfigOf(args);
// With --server no kubeconfig is read.
const readsNone = args.includes('--help') || (isFetch && args.some((arg) => /^--server(=|$)/.test(arg)));
if (kubeconfig === undefined && !readsNone) fail(usage);
try {
  if (kubeconfig !== undefined && !readsNone) accessSync(kubeconfig, constants.R_OK);
} catch {
  fail(`There is no readable kubeconfig at ${resolve(kubeconfig ?? '')}.\n\n${usage}`);
}
const bundle = await buildOperator();
if (process.execve === undefined) throw new Error('this platform cannot replace a process');
// This process becomes the operator: signals, exit code, terminal and memory are its own, with nothing in between to pass them on.
process.execve(process.execPath, [process.execPath, ...operatorNodeFlags, bundle, ...args], {
  ...definedVariables(),
  ...operatorEnvironment,
});

function definedVariables(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(process.env).flatMap(([name, value]) => (value === undefined ? [] : [[name, value]])),
  );
}
