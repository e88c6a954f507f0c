/** What users do with programs for the command line: the same command, again and again. */
import { setTimeout as delay } from 'node:timers/promises';
import { CommandError, run } from '../support/command.ts';
import { waitFor } from '../support/waitFor.ts';
import type { Fleet } from './fleet.ts';

export interface ShellOptions {
  readonly env?: NodeJS.ProcessEnv;
  readonly cwd?: string;
}

/** Runs a line of a shell that ends with the fleet at the latest. @throws CommandError */
export async function shell(fleet: Fleet, script: string, options: ShellOptions = {}): Promise<string> {
  const launch = (command: readonly [string, ...string[]], how: Parameters<Fleet['guarded']['launch']>[1]) =>
    fleet.guarded.launch(command, how);
  const { stdout } = await run('sh', ['-euc', script], { ...options, launch });
  return stdout;
}

/** How a command failed: what it wrote. Fails if it does not. */
export async function failureOf(attempt: Promise<unknown>): Promise<string> {
  try {
    await attempt;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
  throw new Error('it was not refused');
}

/** One action after the other, from now until it is stopped. */
export class Traffic {
  readonly name: string;
  /** Answers that differ from the one before, in order. */
  readonly answers: string[] = [];
  readonly failures: string[] = [];
  #count = 0;
  #stopped = false;
  readonly #running: Promise<void>;

  constructor(name: string, act: () => Promise<string>, pauseMs = 100) {
    this.name = name;
    this.#running = this.#repeat(act, pauseMs);
  }

  /** How often it succeeded. */
  get count(): number {
    return this.#count;
  }

  async #repeat(act: () => Promise<string>, pauseMs: number): Promise<void> {
    while (!this.#stopped) {
      try {
        const answer = await act();
        this.#count++;
        if (this.answers.at(-1) !== answer) this.answers.push(answer);
      } catch (error) {
        this.failures.push(String(error));
      }
      await delay(pauseMs);
    }
  }

  /** Lets the action that is under way finish. */
  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }
}

/** Waits until each has seen so many different answers, stops them all, and returns what failed. */
export async function untilAllHaveSeen(answers: number, traffic: readonly Traffic[]): Promise<string[]> {
  const progress = () => traffic.map((each) => `${each.name}: ${each.answers.length}`).join(', ');
  const failed = () => traffic.some(({ failures }) => failures.length > 0);
  try {
    await waitFor(
      `${answers} answers that differ`,
      () => {
        if (failed() || traffic.every((each) => each.answers.length >= answers)) return true;
        throw new Error(progress());
      },
      { timeoutMs: 110_000, intervalMs: 250 },
    );
  } finally {
    await Promise.all(traffic.map((each) => each.stop()));
  }
  return traffic.flatMap(({ name, failures }) => failures.map((failure) => `${name}: ${failure}`));
}
