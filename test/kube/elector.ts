import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { Cluster } from '../cluster/index.ts';

export interface ElectorOptions {
  readonly kubeconfig: string;
  readonly namespace: string;
  readonly identity: string;
  readonly leaseDurationMs: number;
  readonly renewDeadlineMs: number;
  readonly retryPeriodMs: number;
}

/** A candidate for the Lease `lease` in a process of its own, that can be killed, frozen and thawed. */
export interface Elector {
  readonly leading: boolean;
  /** What leader election ended with. */
  readonly outcome: Promise<string>;
  freeze(): void;
  thaw(): void;
  /** SIGTERM. */
  terminate(): void;
  kill(): Promise<void>;
}

/** It ends with the cluster at the latest. */
export async function startElector(cluster: Cluster, more: Omit<ElectorOptions, 'kubeconfig'>): Promise<Elector> {
  const options: ElectorOptions = { ...more, kubeconfig: cluster.kubeconfig };
  const script = fileURLToPath(new URL('./electorProcess.ts', import.meta.url));
  const child = cluster.launch([process.execPath, script, JSON.stringify(options)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const ended = once(child, 'exit');
  let leading = false;
  let output = '';
  const { promise: outcome, resolve } = Promise.withResolvers<string>();
  child.stdout?.setEncoding('utf8');
  child.stdout?.on('data', (text: string) => {
    output += text;
    if (output.includes('leading\n')) leading = true;
    const found = /outcome (\w+)\n/.exec(output)?.[1];
    if (found !== undefined) resolve(found);
  });
  await once(child, 'spawn');
  return {
    get leading() {
      return leading;
    },
    outcome,
    freeze: () => child.kill('SIGSTOP'),
    thaw: () => child.kill('SIGCONT'),
    terminate: () => child.kill('SIGTERM'),
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
  };
}
