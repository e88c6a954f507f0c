/** `mtls-operator fetch` as users run it: the bundle, on Node, with nothing of this process's environment. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect } from 'vitest';
import { buildOperator } from '../../build.ts';

export interface FetchEnd {
  /** -1 if it was killed. */
  readonly code: number;
  /** What it wrote, to stdout and stderr. */
  readonly said: string;
}

export interface FetchRun {
  readonly env?: Readonly<Record<string, string>>;
  /** Flags of Node. */
  readonly node?: readonly string[];
}

export class FetchProgram {
  readonly #bundle: string;
  readonly #home: string;

  private constructor(bundle: string, home: string) {
    this.#bundle = bundle;
    this.#home = home;
  }

  static async build(directory: string): Promise<FetchProgram> {
    const home = join(directory, 'fetch-home');
    mkdirSync(home, { recursive: true });
    return new FetchProgram(await buildOperator(), home);
  }

  /** Runs it to its end. Nothing that it ever says may look like a key. */
  async run(args: readonly string[], options: FetchRun = {}): Promise<FetchEnd> {
    const running = this.start(args, options);
    const [code] = await once(running.child, 'close');
    expect(running.said).not.toMatch(/PRIVATE KEY|MIG[A-Za-z0-9+/]{20}/);
    return { code: typeof code === 'number' ? code : -1, said: running.said };
  }

  start(
    args: readonly string[],
    { env = {}, node = [] }: FetchRun = {},
  ): { child: ChildProcess; readonly said: string } {
    const child = spawn(process.execPath, [...node, this.#bundle, 'fetch', ...args], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: this.#home, ...env },
    });
    let said = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
      });
    return {
      child,
      get said() {
        return said;
      },
    };
  }
}
