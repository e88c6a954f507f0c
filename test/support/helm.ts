/** The real helm, built from its Go module: test/helm/go.mod pins the version. */
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Cluster, Command } from '../cluster/index.ts';
import { run } from './command.ts';
import { goTool } from './goProgram.ts';
import { noProgress, type Progress } from './progress.ts';

const directory = join(import.meta.dirname, '..', 'helm');

export const chartDirectory = join(import.meta.dirname, '..', '..', 'charts', 'mtls-operator');

/** Path of the program, which is built if it is not cached: about four minutes on two cores. */
export function helmProgram(progress: Progress = noProgress): Promise<string> {
  const version = /helm\.sh\/helm\/v4 (v\d+\.\d+\.\d+)/.exec(readFileSync(join(directory, 'go.mod'), 'utf8'))?.[1];
  if (version === undefined) throw new Error('test/helm/go.mod does not say the version of helm');
  return goTool(directory, 'helm.sh/helm/v4/cmd/helm', progress, {
    'helm.sh/helm/v4/internal/version.version': version,
  });
}

/** Runs helm and resolves with its stdout. @throws CommandError */
export type Helm = (...args: readonly string[]) => Promise<string>;

/**
 * helm with nothing of the user's: no repositories, no plugins, no kubeconfig but the cluster's.
 * @param home for its caches
 * @param enter the words that run a command where the cluster can be reached, if that is not here
 */
export async function helmFor(
  home: string,
  cluster?: Pick<Cluster, 'kubeconfig'>,
  enter: (command: Command) => Command = (command) => command,
): Promise<Helm> {
  const program = await helmProgram();
  mkdirSync(home, { recursive: true });
  const env = {
    PATH: process.env['PATH'],
    HOME: home,
    HELM_CACHE_HOME: join(home, 'cache'),
    HELM_CONFIG_HOME: join(home, 'config'),
    HELM_DATA_HOME: join(home, 'data'),
    KUBECONFIG: cluster?.kubeconfig ?? join(home, 'none'),
  };
  return async (...args) => {
    const [first, ...words] = enter([program, ...args]);
    return (await run(first, words, { env, cwd: home })).stdout;
  };
}
