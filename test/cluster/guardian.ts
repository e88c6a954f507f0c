import { type ChildProcess, spawn } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

// Nothing that we start may outlive us, not even after SIGKILL, when no handler of ours runs. So each cluster has a guardian: a shell that
// blocks on a pipe whose other end only we hold. The kernel closes it however we end; then the guardian kills and removes what is left.
//
// Every child is started through a second shell that leaves its pid as the name of a file in <directory>/pids before it becomes the child
// (`exec` keeps the pid). The guardian first renames that folder: a child that is a moment late finds it gone and ends by itself, so no
// child can slip through between two steps. A pid is only killed while its command line names our directory (where /proc tells), so
// that a number which the kernel has given to somebody else is left alone.
const guardianScript = `
directory=$1
trap '' INT TERM HUP
read -r word
if [ "$word" = done ]; then exit 0; fi
mv "$directory/pids" "$directory/gone" 2>/dev/null
for file in "$directory"/gone/*; do
  pid=\${file##*/}
  if [ -r "/proc/$pid/cmdline" ] && ! grep -qF "$directory" "/proc/$pid/cmdline"; then continue; fi
  kill -KILL "$pid" 2>/dev/null
done
for attempt in 1 2 3 4 5 6 7 8 9 10; do
  rm -rf "$directory" 2>/dev/null && exit 0
  sleep 0.2
done
`;

const registeringScript = `: > "$1/pids/$$" || exit 125; shift; exec "$@"`;

/** What to put before a command, so that the guardian of `directory` knows it. The directory must stand in the command's own arguments. */
export function launcher(directory: string): readonly [command: string, ...args: string[]] {
  return ['/bin/sh', '-c', registeringScript, 'sh', directory];
}

export interface Guardian {
  /** Forgets a child that has ended. */
  forget(pid: number): void;
  /** Everything is cleaned up already: the guardian ends without doing anything. */
  dismiss(): Promise<void>;
}

/** Sets a guardian over `directory`, which it will remove together with every process registered in it. */
export function startGuardian(directory: string): Guardian {
  mkdirSync(join(directory, 'pids'), { mode: 0o700 });
  // Its own session: neither Ctrl-C in our terminal nor a signal to our process group reaches it.
  const shell: ChildProcess = spawn('/bin/sh', ['-c', guardianScript, 'sh', directory], {
    detached: true,
    cwd: '/',
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  const ended = new Promise<void>((resolve) => {
    shell.once('exit', () => resolve());
    shell.once('error', () => resolve());
  });
  shell.stdin?.on('error', () => {}); // it may be gone already when we dismiss it
  shell.unref();
  return {
    forget: (pid) => rmSync(join(directory, 'pids', String(pid)), { force: true }),
    dismiss: async () => {
      shell.ref();
      shell.stdin?.end('done\n');
      await ended;
    },
  };
}
