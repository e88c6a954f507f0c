import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';

export interface CommandResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A command that could not be started or ended with another code than 0; the message carries the end of its output. */
export class CommandError extends Error {
  readonly code: number;
  readonly output: string;
  constructor(command: string, args: readonly string[], code: number, output: string) {
    const tail = output.trim().split('\n').slice(-30).join('\n');
    super(`${[command, ...args].join(' ')}: ${code === -1 ? 'could not be run' : `exit code ${code}`}\n${tail}`);
    this.name = 'CommandError';
    this.code = code;
    this.output = output;
  }
}

export interface CommandOptions extends Pick<SpawnOptions, 'cwd' | 'env' | 'signal'> {
  /** Standard input (default empty). */
  readonly input?: string | undefined;
  /** Called with each line of stderr as it comes. */
  readonly onErrorLine?: (line: string) => void;
  /** Starts the process (default: as any child), for example so that it ends with a guarded directory; takes no `signal`. */
  readonly launch?: ((command: readonly [string, ...string[]], options: LaunchOptions) => ChildProcess) | undefined;
}

type LaunchOptions = Pick<SpawnOptions, 'cwd' | 'env'> & { readonly stdio: ['ignore' | 'pipe', 'pipe', 'pipe'] };

/** Runs a command without a shell and resolves with what it wrote. @throws CommandError with everything that it wrote. */
export function run(command: string, args: readonly string[], options: CommandOptions = {}): Promise<CommandResult> {
  const { input, onErrorLine, launch = ([first, ...words], how) => spawn(first, words, how), ...rest } = options;
  return new Promise((resolve, reject) => {
    const stdin = input === undefined ? 'ignore' : 'pipe';
    const child = launch([command, ...args], { ...rest, stdio: [stdin, 'pipe', 'pipe'] });
    child.stdin?.on('error', () => {}); // it ended without reading: its exit code tells
    child.stdin?.end(input);
    let stdout = '';
    let stderr = '';
    let line = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk;
    });
    child.stderr?.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk;
      if (onErrorLine === undefined) return;
      const lines = (line + chunk).split('\n');
      line = lines.pop() ?? '';
      for (const whole of lines) onErrorLine(whole);
    });
    child.once('error', (error) => reject(new CommandError(command, args, -1, error.message)));
    child.once('close', (code, signal) => {
      if (code === 0) resolve({ code, stdout, stderr });
      else {
        // Both: some programs say what is wrong on one, some on the other.
        const how = signal === null ? '' : `\nended by ${signal}`;
        reject(new CommandError(command, args, code ?? -1, stdout + stderr + how));
      }
    });
  });
}
