import type { ChildProcess } from 'node:child_process';
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import type { GuardedDirectory } from './guardian.ts';

const logTailBytes = 4_096;

export interface ProcessSpec {
  readonly name: string;
  readonly command: string;
  readonly args: readonly string[];
  /** The cluster's directory. */
  readonly directory: GuardedDirectory;
  readonly logFile: string;
  /** Resolves true once the process serves; called again and again until then. */
  readonly ready: (signal: AbortSignal) => Promise<boolean>;
  readonly readyTimeoutMs?: number;
  /** The command waits for its one child, which is the server (as nsenter does): signals go to that, and its end is the command's. */
  readonly isChild?: boolean;
}

/** A part of the control plane could not be started; `log` is the end of what it wrote. */
export class StartError extends Error {
  readonly log: string;
  constructor(message: string, log: string) {
    super(log === '' ? message : `${message}\n${log}`);
    this.name = 'StartError';
    this.log = log;
  }
}

/** undefined before it has one. */
function childOf(pid: number): number | undefined {
  try {
    const [first = ''] = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ');
    return first === '' ? undefined : Number(first);
  } catch (error) {
    if (existsSync(`/proc/${pid}`)) throw error; // a kernel without CONFIG_PROC_CHILDREN
    return undefined; // it has ended
  }
}

/**
 * One process of the control plane, which a test may stop, kill, freeze and start again: always with the same arguments, so with the same
 * port and the same data. Calls must not overlap.
 */
export class ControlPlaneProcess {
  readonly name: string;
  readonly #spec: ProcessSpec;
  #child: ChildProcess | undefined;
  #ended: Promise<string> = Promise.resolve('never started');
  #logStart = 0;

  constructor(spec: ProcessSpec) {
    this.name = spec.name;
    this.#spec = spec;
  }

  /** undefined while it does not run. */
  get pid(): number | undefined {
    const pid = this.#child?.pid;
    return pid !== undefined && this.#spec.isChild === true ? (childOf(pid) ?? pid) : pid;
  }

  get running(): boolean {
    return this.#child !== undefined;
  }

  /** Starts it and waits until it serves. */
  async start(): Promise<void> {
    this.launch();
    await this.untilReady();
  }

  /** Starts it without waiting; `untilReady` does that. */
  launch(): void {
    if (this.#child !== undefined) throw new Error(`${this.name} runs already`);
    const { command, args, directory, logFile } = this.#spec;
    const log = openSync(logFile, 'a', 0o600);
    try {
      this.#logStart = fstatSync(log).size;
      const child = directory.launch([command, ...args], {
        stdio: ['ignore', log, log],
        env: { PATH: process.env['PATH'], HOME: directory.path, TMPDIR: directory.path },
      });
      child.unref(); // whoever forgets to stop the cluster still comes to an end, and the guardian cleans up
      this.#child = child;
      this.#ended = new Promise((resolve) => {
        const end = (how: string) => {
          if (this.#child === child) this.#child = undefined;
          resolve(how);
        };
        child.once('exit', (code, signal) => end(signal === null ? `exit code ${code}` : `signal ${signal}`));
        child.once('error', (error) => end(error.message));
      });
    } finally {
      closeSync(log);
    }
  }

  /** @throws StartError when it ends before it serves, or does not serve in time (120 s). */
  async untilReady(): Promise<void> {
    const limit = this.#spec.readyTimeoutMs ?? 120_000;
    const until = performance.now() + limit;
    const looking = new AbortController();
    let ended: string | undefined;
    void this.#ended.then((how) => {
      ended = how;
      looking.abort();
    });
    for (;;) {
      if (ended !== undefined)
        throw new StartError(`${this.name} ended before it was ready: ${ended}`, this.log(logTailBytes));
      const answer = AbortSignal.any([looking.signal, AbortSignal.timeout(2_000)]);
      if (await this.#spec.ready(answer).catch(() => false)) return;
      if (performance.now() > until)
        throw new StartError(`${this.name} not ready after ${limit / 1000} s`, this.log(logTailBytes));
      await delay(25);
    }
  }

  /** Ends it in its own time (SIGTERM), or at once with SIGKILL; resolves when it is gone. Frozen processes are woken for it. */
  async stop(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM', patienceMs = 20_000): Promise<void> {
    const child = this.#child;
    if (child === undefined) return;
    child.ref(); // its end is all that we wait for: without it Node might end first
    this.#signal(signal);
    if (signal !== 'SIGKILL') {
      this.#signal('SIGCONT');
      const waiting = new AbortController();
      const impatient = delay(patienceMs, undefined, { signal: waiting.signal, ref: false }).then(
        () => this.#signal('SIGKILL'),
        () => {},
      );
      await this.#ended;
      waiting.abort();
      await impatient;
    }
    await this.#ended;
  }

  /** Ends it without warning. */
  async kill(): Promise<void> {
    await this.stop('SIGKILL');
  }

  /** Stops it, starts it with the same port and data, waits until it serves. */
  async restart(signal: 'SIGTERM' | 'SIGKILL' = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  /** Freezes it (SIGSTOP): connections stay open and go silent. */
  pause(): void {
    this.#signalRunning('SIGSTOP');
  }

  /** Wakes it again. */
  resume(): void {
    this.#signalRunning('SIGCONT');
  }

  #signalRunning(signal: 'SIGSTOP' | 'SIGCONT'): void {
    if (this.#child === undefined) throw new Error(`${this.name} does not run`);
    this.#signal(signal);
  }

  #signal(signal: NodeJS.Signals): void {
    const child = this.#child;
    const server = this.pid;
    if (child === undefined || server === undefined) return;
    if (server !== child.pid) {
      try {
        process.kill(server, signal);
      } catch {
        // It has just ended, and so will the one that waits for it.
      }
    }
    // Who waits stops and goes on together with the other; by all else it learns of the other's end.
    if (server === child.pid || signal === 'SIGCONT') child.kill(signal);
  }

  /** What it has written since it was last started: all of it, or the last `bytes`. */
  log(bytes = Number.POSITIVE_INFINITY): string {
    const log = openSync(this.#spec.logFile, 'r');
    try {
      const size = fstatSync(log).size;
      const from = Math.max(this.#logStart, size - bytes);
      const tail = Buffer.alloc(size - from);
      readSync(log, tail, 0, tail.length, from);
      return tail.toString('utf8');
    } finally {
      closeSync(log);
    }
  }
}
