import { spawn } from 'node:child_process';
import { CliError } from './end.ts';

export interface Hook {
  /** Words, the program first; or one line for /bin/sh. */
  readonly command: readonly [string, ...string[]];
  readonly timeoutMs: number;
}

/** The files are in place, and their hook has not run to a good end: `hookFailed`, or `interrupted` by our own. */
export class HookError extends CliError {
  constructor(fault: 'hookFailed' | 'interrupted', program: string, what: string) {
    super(fault, `the files are in place, but the hook ${program} ${what}; it is run again the next time`);
  }
}

/** A hook that is told to end has so long to do it. */
const GRACE_MS = 5_000;

/**
 * Runs the hook to its end. It finds the directory in MTLS_DIRECTORY; what it writes goes where ours goes. When its time is up, or `signal` aborts, its process group
 * is asked to end and then made to.
 * @throws HookError
 */
export async function runHook(hook: Hook, directory: string, signal: AbortSignal): Promise<void> {
  const [program, ...args] = hook.command;
  if (signal.aborted) throw new HookError('interrupted', program, 'has not been run: we are to end');
  const ending = await new Promise<string | undefined>((resolve) => {
    const child = spawn(program, args, {
      stdio: ['ignore', 'inherit', 'inherit'],
      env: { ...process.env, MTLS_DIRECTORY: directory },
      detached: true, // a process group of its own, to end all of it
    });
    let why: string | undefined;
    let force: NodeJS.Timeout | undefined;
    const stop = (reason: string): void => {
      if (why !== undefined) return;
      why = reason;
      kill(child.pid, 'SIGTERM');
      force = setTimeout(() => kill(child.pid, 'SIGKILL'), GRACE_MS);
    };
    const interrupt = (): void => stop(INTERRUPTED);
    const timer = setTimeout(() => stop(`did not end within ${hook.timeoutMs / 1000} s`), hook.timeoutMs);
    signal.addEventListener('abort', interrupt, { once: true });
    const finish = (end: string | undefined): void => {
      clearTimeout(timer);
      clearTimeout(force);
      signal.removeEventListener('abort', interrupt);
      // What it has started may be there still when it did not end by itself.
      if (why !== undefined) kill(child.pid, 'SIGKILL');
      resolve(why ?? end);
    };
    child.once('error', (error) => finish(`could not be run: ${error.message}`));
    child.once('exit', (code, by) => {
      if (code === 0) finish(undefined);
      else finish(by === null ? `ended with code ${code}` : `was ended by ${by}`);
    });
  });
  if (ending === undefined) return;
  throw new HookError(ending === INTERRUPTED ? 'interrupted' : 'hookFailed', program, ending);
}

const INTERRUPTED = 'was interrupted';

const LONGEST_PAUSE_MS = 15 * 60_000;

/** With --watch: how long a hook that has failed so many times in a row is left alone, unless there are new files. What it restarts may be in use meanwhile. */
export function hookPauseAfter(failures: number, intervalMs: number): number {
  return Math.max(intervalMs, Math.min(intervalMs * 2 ** (failures - 1), LONGEST_PAUSE_MS));
}

function kill(group: number | undefined, signal: NodeJS.Signals): void {
  if (group === undefined) return;
  try {
    process.kill(-group, signal);
  } catch {
    // all of it has ended
  }
}
