import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';

// Nothing that we start may outlive us, not even after SIGKILL, when no handler of ours runs. So each cluster has a guardian: a shell that
// blocks on a pipe whose other end only we hold. The kernel closes it however we end; then the guardian kills and removes what is left.
//
// Every child is started through a second shell that leaves its pid as the name of a file in <directory>/pids before it becomes the child
// (`exec` keeps the pid). The guardian first renames that folder: a child that is a moment late finds it gone and ends by itself, so no
// child can slip through between two steps. A pid is only killed while its command line names our directory (where /proc tells), so
// that a number which the kernel has given to somebody else is left alone. The guardian makes the directory, too: it exists no
// moment without somebody to remove it.
const guardianScript = `
directory=$1
trap '' INT TERM HUP PIPE
mkdir -m 700 "$directory" "$directory/pids" && echo ready
exec >/dev/null 2>&1
read -r word
if [ "$word" = done ]; then exit 0; fi
mv "$directory/pids" "$directory/gone"
for file in "$directory"/gone/*; do
  pid=\${file##*/}
  if [ -r "/proc/$pid/cmdline" ] && ! grep -qF "$directory" "/proc/$pid/cmdline"; then continue; fi
  kill -KILL "$pid"
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$directory" && exit 0
  sleep 0.2
done
`;

const registeringScript = `: > "$1/pids/$$" || exit 125; shift; exec "$@"`;

export interface GuardedDirectory {
  /** Mode 0700; goes, with every process launched in it, when this process ends in whatever way. */
  readonly path: string;
  /**
   * The words to put before a command, so that its process counts as launched in here. `path` must stand somewhere in the
   * command's own arguments.
   */
  readonly launcher: readonly [command: string, ...args: string[]];
  /** Says that a launched process has ended. */
  forget(pid: number): void;
  /** Removes the directory. Its processes must have ended. */
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
    launcher: ['/bin/sh', '-c', registeringScript, 'sh', path],
    forget: (pid) => rmSync(join(path, 'pids', String(pid)), { force: true }),
    remove: async () => {
      rmSync(path, { recursive: true, force: true, maxRetries: 5 });
      guardian.ref(); // its end is all that we wait for: without it Node might end first
      guardian.stdin.end('done\n');
      await ended;
    },
  };
}
