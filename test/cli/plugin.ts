/** `kubectl mtls` as users run it: a plugin that kubectl finds on PATH. */
import { symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildPlugin } from '../../build.ts';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { type Cluster, KubectlError, type KubectlOptions, type User } from '../cluster/index.ts';

export interface PluginRun {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

export class Plugin implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #guarded: GuardedDirectory;

  private constructor(cluster: Cluster, guarded: GuardedDirectory) {
    this.#cluster = cluster;
    this.#guarded = guarded;
  }

  static async install(cluster: Cluster): Promise<Plugin> {
    const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-plugin-');
    symlinkSync(await buildPlugin(join(guarded.path, 'plugin')), join(guarded.path, 'kubectl-mtls'));
    return new Plugin(cluster, guarded);
  }

  /** @param args behind `kubectl mtls`. */
  async run(args: readonly string[], options: KubectlOptions = {}): Promise<PluginRun> {
    try {
      const stdout = await this.#cluster.kubectl(['mtls', ...args], { plugins: this.#guarded.path, ...options });
      return { code: 0, stdout, stderr: '' };
    } catch (error) {
      if (error instanceof KubectlError) return error;
      throw error;
    }
  }

  async json(args: readonly string[], options: KubectlOptions = {}): Promise<unknown> {
    const { stderr, stdout } = await this.run([...args, '-o', 'json'], options);
    if (stdout === '') throw new Error(stderr);
    return JSON.parse(stdout);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guarded.remove();
  }
}

/** Somebody who may do no more than this. @param rules as `kubectl create clusterrole` takes them. */
export async function userWith(cluster: Cluster, name: string, rules: readonly string[]): Promise<User> {
  await cluster.kubectl(['create', 'clusterrole', name, ...rules]);
  await cluster.kubectl(['create', 'clusterrolebinding', name, `--clusterrole=${name}`, `--user=${name}`]);
  return { name };
}
