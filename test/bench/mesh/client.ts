/** The parent's hand on the process of simulated proxies. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Identity } from '../../proxy/identities.ts';
import { type Look, lookSchema, type Order } from './proxies.ts';

export interface ProxyToAdd {
  readonly node: { readonly id: string; readonly cluster: string };
  readonly identity: Pick<Identity, 'keyPem' | 'chainPem' | 'rootsPem'>;
  readonly destinations: string[];
}

/** It ends with this process: its channel is closed then. */
export class ProxiesProcess {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'proxies.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  }

  async add(proxies: readonly ProxyToAdd[]): Promise<void> {
    await this.#ask({ do: 'add', proxies: [...proxies] });
  }

  async open(port: number, cold: boolean): Promise<void> {
    await this.#ask({ do: 'open', port, cold });
  }

  async close(): Promise<void> {
    await this.#ask({ do: 'close' });
  }

  async mark(): Promise<void> {
    await this.#ask({ do: 'mark' });
  }

  async look(): Promise<Look> {
    return lookSchema.parse(await this.#ask({ do: 'look' }));
  }

  end(): void {
    this.#child.disconnect();
  }

  /** One question at a time. */
  async #ask(order: Order): Promise<unknown> {
    const answer = once(this.#child, 'message');
    this.#child.send(order);
    const [said]: unknown[] = await answer;
    return said;
  }
}
