/** Runs the operator as a node does: what ends is started again at once. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import type { Cluster } from '../cluster/index.ts';

export interface SupervisorOptions {
  /** The operator ends with it at the latest. */
  readonly cluster: Cluster;
  /** The file that node runs, and its arguments. */
  readonly program: readonly string[];
  /** On top of this process' environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Can be sent messages: see `send`. */
  readonly ipc?: boolean;
}

const keptLines = 400;

export class Supervisor implements AsyncDisposable {
  /** The last lines that the operators wrote. */
  readonly lines: string[] = [];
  /** Lines with key material in them: there must be none. */
  readonly leaks: string[] = [];
  /** Ends that nobody asked for: a lost Lease, or a crash. */
  readonly ends: string[] = [];
  readonly #options: SupervisorOptions;
  #child: ChildProcess | undefined;
  #stopping = false;
  #running: Promise<void> | undefined;
  #starts = 0;
  #killing = false;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get starts(): number {
    return this.#starts;
  }

  get pid(): number | undefined {
    return this.#child?.pid;
  }

  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  /** SIGKILL, or SIGTERM and the orderly end; resolves when the process is gone. The next one starts at once. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' = 'SIGKILL'): Promise<void> {
    const child = this.#child;
    if (child === undefined || ended(child)) return;
    this.#killing = true;
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  /** Stands still, as a process does whose machine is suspended, until `thaw`. */
  freeze(): void {
    this.#child?.kill('SIGSTOP');
  }

  thaw(): void {
    this.#child?.kill('SIGCONT');
  }

  send(message: object): void {
    this.#child?.send(message);
  }

  /** The next message from the operator's process. */
  async message(): Promise<unknown> {
    if (this.#child === undefined) throw new Error('the operator does not run');
    const [message] = await once(this.#child, 'message');
    return message;
  }

  /** SIGTERM, and the orderly end. */
  async stop(): Promise<void> {
    this.#stopping = true;
    this.thaw();
    this.#child?.kill('SIGTERM');
    await this.#running;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      this.#starts += 1;
      const child = this.#options.cluster.launch([process.execPath, ...this.#options.program], {
        stdio: ['ignore', 'pipe', 'pipe', ...(this.#options.ipc ? (['ipc'] as const) : [])],
        env: { ...process.env, ...this.#options.env },
      });
      this.#child = child;
      for (const stream of [child.stdout, child.stderr]) {
        if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#take(line));
      }
      const [code, signal] = await once(child, 'exit');
      if (this.#stopping) return;
      if (!this.#killing) {
        this.ends.push(`${String(signal ?? code)}: ${this.lines.at(-1) ?? 'without a word'}`);
        await delay(100);
      }
      this.#killing = false;
    }
  }

  #take(line: string): void {
    if (line.includes('PRIVATE KEY')) this.leaks.push(line);
    this.lines.push(line);
    if (this.lines.length > 2 * keptLines) this.lines.splice(0, keptLines);
  }
}

function ended(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}
