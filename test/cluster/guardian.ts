import { type ChildProcess, type SpawnOptions, type StdioOptions, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

// Nothing that we start may outlive us, not even after SIGKILL, when no handler of ours runs. So each cluster has a guardian: a shell that
// blocks on a pipe whose other end only we hold. The kernel closes it however we end; then the guardian kills and removes what is left.
//
// Every child is started through a second shell that leaves its pid as the name of a file in <directory>/pids before it becomes the child
// (`exec` keeps the pid). The guardian first renames that folder: a child that is a moment late finds it gone and ends by itself, so no
// child can slip through between two steps. Each leads a process group, which goes as a whole: npm and shells have children. A pid is only
// killed while its environment names our directory (where /proc tells), so that a number which the kernel has given to somebody else
// is left alone; its command line would not do, since npm writes over its own. The guardian makes the directory, too: it exists no
// moment without somebody to remove it.
//
// What a process leaves behind that goes neither with it nor with the directory (cgroups, say) has a script in <directory>/undo, which the guardian runs
// when all processes have been killed.
const variable = 'GUARDED_DIRECTORY';

const guardianScript = `
directory=$1
trap '' INT TERM HUP PIPE
mkdir -m 700 "$directory" "$directory/pids" "$directory/undo" && echo ready
exec >/dev/null 2>&1
read -r word
mv "$directory/pids" "$directory/gone"
for file in "$directory"/gone/*; do
  pid=\${file##*/}
  if [ -r "/proc/$pid/environ" ] && ! grep -qF "${variable}=$directory" "/proc/$pid/environ"; then continue; fi
  kill -KILL "-$pid"
done
for script in "$directory"/undo/*; do
  if [ -f "$script" ]; then sh "$script"; fi
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$directory" && exit 0
  sleep 0.2
done
`;

const registeringScript = `: > "$1/pids/$$" || exit 125; shift; exec "$@"`;

export type Command = readonly [program: string, ...args: string[]];

/** Default of `env`: this process's own; of `cwd`: the directory. */
export interface LaunchOptions extends Pick<SpawnOptions, 'cwd' | 'env'> {
  readonly stdio: StdioOptions;
}

export interface GuardedDirectory {
  /** Mode 0700; goes, with every process launched in it, when this process ends in whatever way. */
  readonly path: string;
  /**
   * Starts a process that ends with the directory at the latest. It leads a process group of its own: Ctrl-C in the terminal reaches only
   * us, and in what order the parts go is for us to say.
   */
  launch(command: Command, options: LaunchOptions): ChildProcess;
  /** Has the shell run `script` when everything launched here has been killed. To be called before what it undoes is done. */
  undo(name: string, script: string): void;
  /** Ends what still runs in here, and removes the directory. */
  remove(): Promise<void>;
}

/** Makes a directory below `parent` whose name begins with `prefix`, with a guardian over it. */
export async function makeGuardedDirectory(parent: string, prefix: string): Promise<GuardedDirectory> {
  const path = join(parent, prefix + randomBytes(6).toString('hex'));
  // Its own session: neither Ctrl-C in our terminal nor a signal to our process group reaches it.
  const guardian = spawn('/bin/sh', ['-c', guardianScript, 'sh', path], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'pipe', 'pipe'],
  });
  const ended = new Promise<void>((resolve) => {
    guardian.once('exit', () => resolve());
    guardian.once('error', () => resolve());
  });
  guardian.stdin.on('error', () => {}); // it may be gone already when we dismiss it
  await new Promise<void>((resolve, reject) => {
    let complaint = '';
    guardian.stdout.once('data', () => resolve());
    guardian.stderr.on('data', (text: Buffer) => {
      complaint += text.toString();
    });
    void ended.then(() => reject(new Error(`cannot make ${path}: ${complaint}`)));
  });
  guardian.stdout.destroy();
  guardian.stderr.destroy();
  guardian.unref();
  return {
    path,
    launch: (command, { stdio, env = process.env, cwd = path }) => {
      const child = spawn('/bin/sh', ['-c', registeringScript, 'sh', path, ...command], {
        cwd,
        detached: true,
        stdio,
        env: { ...env, [variable]: path },
      });
      child.once('exit', () => rmSync(join(path, 'pids', String(child.pid)), { force: true }));
      return child;
    },
    undo: (name, script) => {
      // Renamed when it is whole, from a place where the guardian does not look.
      const partial = join(path, `${name}.undo`);
      writeFileSync(partial, script, { mode: 0o600 });
      renameSync(partial, join(path, 'undo', name));
    },
    remove: async () => {
      guardian.ref(); // its end is all that we wait for: without it Node might end first
      guardian.stdin.end();
      await ended;
      // It gives up without a word; and it may have been killed itself.
      if (existsSync(path)) rmSync(path, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
