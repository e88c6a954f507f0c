/** The programs of examples/, as processes of their own. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import type { Command, GuardedDirectory } from '../cluster/guardian.ts';
import { CommandError, run } from './command.ts';
import { goProgram } from './goProgram.ts';
import { javaCommand } from './java.ts';
import { noProgress, type Progress } from './progress.ts';
import { waitFor } from './waitFor.ts';

const examples = join(import.meta.dirname, '..', '..', 'examples');

export const languages = ['go', 'node', 'python', 'java'] as const;
export type Language = (typeof languages)[number];
export type Role = 'server' | 'client' | 'meshclient';

/** What the programs write: a JSON object a line. */
const lineSchema = z.discriminatedUnion('msg', [
  z.object({ msg: z.literal('serving'), address: z.string() }),
  z.object({ msg: z.literal('loaded') }),
  z.object({ msg: z.literal('peer'), name: z.string(), serial: z.string(), notAfter: z.string() }),
  z.object({ msg: z.literal('answer'), status: z.number(), body: z.string() }),
  z.object({ msg: z.literal('failed'), error: z.string() }),
  z.object({ msg: z.literal('cannot go on'), error: z.string() }),
  z.object({ msg: z.literal('count'), handshakes: z.number(), failures: z.number() }),
]);
export type ProgramLine = z.output<typeof lineSchema>;

/** A peer that came with a certificate which it had not used before. */
export type PeerLine = Extract<ProgramLine, { msg: 'peer' }>;

/** The words that start an example; a Go program is built first. */
export async function exampleCommand(
  language: Language,
  role: Role,
  progress: Progress = noProgress,
): Promise<Command> {
  switch (language) {
    case 'go':
      return [await goProgram(join(examples, 'go'), progress, role)];
    case 'node':
      return [process.execPath, join(examples, 'node', `${role}.mjs`)];
    case 'python':
      return [await findPython(), '-B', join(examples, 'python', `${role}.py`)]; // -B: no __pycache__ in the sources
    case 'java':
      return await javaCommand(join(examples, 'java'), javaClasses[role], progress);
  }
}

const javaClasses: Readonly<Record<Role, string>> = { server: 'Server', client: 'Client', meshclient: 'MeshClient' };

let python: Promise<string> | undefined;

/** The oldest Python that the examples are written for is 3.9. */
async function findPython(): Promise<string> {
  python ??= run('python3', ['-c', 'import sys, ssl; sys.exit(sys.version_info < (3, 9) or not ssl.HAS_TLSv1_3)'])
    .then(() => 'python3')
    .catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new Error('Python 3.9 or newer with TLS 1.3 is needed to run examples/python: install it as python3', {
        cause: error,
      });
    });
  return python;
}

/** A running server or client of examples/. */
export class ExampleProgram {
  readonly name: string;
  readonly child: ChildProcess;
  handshakes = 0;
  failures = 0;
  /** The last error of each kind that it told, at most a hundred. */
  readonly errors: string[] = [];
  /** In order, as they came. */
  readonly peers: PeerLine[] = [];
  /** What it was answered, the last hundred. */
  readonly answers: string[] = [];
  /** Where a server listens. */
  address: string | undefined;
  /** How often it has read another certificate, the first one included. */
  loads = 0;
  readonly #stray: string[] = [];
  readonly #listeners = new Set<(line: ProgramLine) => void>();
  readonly #closed: Promise<unknown>;

  /** It ends with the guarded directory at the latest. */
  static launch(name: string, guarded: GuardedDirectory, command: Command): ExampleProgram {
    return new ExampleProgram(name, guarded.launch(command, { stdio: ['ignore', 'pipe', 'pipe'] }));
  }

  private constructor(name: string, child: ChildProcess) {
    this.name = name;
    this.child = child;
    this.#closed = once(child, 'close');
    this.#closed.catch(() => {}); // could not be started: `exited` tells
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (line) => this.#take(line));
    }
  }

  get exited(): boolean {
    return this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined;
  }

  /** Exit code; undefined while it runs. */
  get code(): number | undefined {
    return this.child.exitCode ?? (this.exited ? -1 : undefined);
  }

  /** What it said that is no line of its protocol, e.g. a stack trace. */
  get stray(): string {
    return this.#stray.join('\n');
  }

  onLine(listener: (line: ProgramLine) => void): void {
    this.#listeners.add(listener);
  }

  /** Resolves with the address of a server once it serves. */
  async serving(): Promise<string> {
    return await waitFor(`${this.name} to serve`, () => {
      if (this.exited) throw new Error(`${this.name} has ended: ${this.stray} ${this.errors.join('; ')}`);
      return this.address;
    });
  }

  /** Waits for it to end by itself. @returns its exit code */
  async ended(): Promise<number> {
    await this.#closed;
    return this.code ?? -1;
  }

  /** SIGTERM; it finishes what it is at. @returns its exit code */
  async stop(): Promise<number> {
    if (!this.exited) this.child.kill('SIGTERM');
    return await this.ended();
  }

  #take(text: string): void {
    const line = parseLine(text);
    if (line === undefined) {
      if (this.#stray.length < 100) this.#stray.push(text);
      return;
    }
    if (line.msg === 'serving') this.address = line.address;
    else if (line.msg === 'loaded') this.loads++;
    else if (line.msg === 'peer') this.peers.push(line);
    else if (line.msg === 'answer') this.#answered(line);
    else if (line.msg === 'count') {
      this.handshakes = line.handshakes;
      this.failures = line.failures;
    } else if (this.errors.length < 100) this.errors.push(line.error);
    for (const listener of this.#listeners) listener(line);
  }

  #answered({ status, body }: Extract<ProgramLine, { msg: 'answer' }>): void {
    if (this.answers.length === 100) this.answers.shift();
    this.answers.push(`${status} ${body}`);
  }
}

function parseLine(text: string): ProgramLine | undefined {
  try {
    return lineSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}
