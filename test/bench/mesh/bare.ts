/** The parent's hand on the bare server. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Identity } from '../../proxy/identities.ts';
import { type BareOrder, bareAnswerSchema } from './bareServer.ts';

export class BareServer {
  readonly #child: ChildProcess;
  readonly port: number;

  private constructor(child: ChildProcess, port: number) {
    this.#child = child;
    this.port = port;
  }

  static async start({ chainPem, keyPem, rootsPem }: Identity): Promise<BareServer> {
    const child = fork(join(import.meta.dirname, 'bareServer.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    const { port } = await ask(child, { keyPem, chainPem, rootsPem });
    return new BareServer(child, port);
  }

  get pid(): number {
    return this.#child.pid ?? 0;
  }

  async streams(): Promise<number> {
    return (await ask(this.#child, {})).streams;
  }

  /** To each stream so many messages, of so many bytes together. */
  async send(messages: number, bytes: number): Promise<void> {
    await ask(this.#child, { send: { messages, bytes } });
  }

  end(): void {
    this.#child.disconnect();
  }
}

async function ask(child: ChildProcess, order: BareOrder) {
  const answer = once(child, 'message');
  child.send(order);
  const [said]: unknown[] = await answer;
  return bareAnswerSchema.parse(said);
}
