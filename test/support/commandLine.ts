/** What somebody has who types the commands of the documentation: a home of their own, with the programs on the PATH and one current cluster. */
import { copyFileSync, existsSync, mkdirSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster } from '../cluster/index.ts';
import { run } from './command.ts';

export interface CommandLine {
  readonly env: NodeJS.ProcessEnv;
  /** Runs lines as bash does, in the root of this repository, until one fails. @returns stdout; @throws CommandError */
  run(script: string): Promise<string>;
}

const root = join(import.meta.dirname, '..', '..');

/** @param programs by the names under which they are called; kubectl is the cluster's. @param variables of the environment, beside the caller's own. */
export function commandLine(
  directory: string,
  cluster: Cluster,
  programs: Readonly<Record<string, string>> = {},
  variables: Readonly<Record<string, string>> = {},
): CommandLine {
  const home = join(directory, 'home');
  mkdirSync(join(home, '.kube'), { recursive: true });
  copyFileSync(cluster.kubeconfig, join(home, '.kube', 'config'));
  const bin = join(directory, 'bin');
  mkdirSync(bin);
  for (const [name, program] of Object.entries({ kubectl: cluster.binaries.kubectl, ...programs })) {
    if (!existsSync(program)) throw new Error(`there is no ${program}`);
    symlinkSync(program, join(bin, name));
  }
  // Caches stay where they are.
  const { KUBECONFIG: _, ...inherited } = process.env;
  const path = `${bin}:${inherited['PATH'] ?? ''}`;
  const env = { ...inherited, ...variables, HOME: home, TMPDIR: directory, PATH: path };
  return {
    env,
    run: async (script) => (await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: root, env })).stdout,
  };
}
