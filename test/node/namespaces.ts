import { once } from 'node:events';
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command, GuardedDirectory } from '../cluster/index.ts';
import { machinePath } from './machine.ts';

// A node has namespaces of its own for mounts, network and processes, whose first process is a shell that reaps orphans. When the shell is killed the
// kernel kills all that run in there, however they came to be, and then mounts, interfaces, routes, netfilter tables and settings of the
// network go with the namespaces. Nothing of it ever shows on the machine, so nothing has to be undone there.
//
// /run, /var/lib and /var/log are its own, so that every program may have its usual places. The kernel's settings that a kubelet insists on belong to the whole machine: it
// finds files there that hold what it wants to see, and changes nothing.
const hidden = ['/run', '/var/lib', '/var/log'] as const;

/** What a kubelet wants to see in /proc/sys, and writes there where it sees something else. */
export const kernelSettings = {
  'kernel/panic': 10,
  'kernel/panic_on_oops': 1,
  'kernel/keys/root_maxkeys': 1_000_000,
  'kernel/keys/root_maxbytes': 25_000_000,
  'vm/overcommit_memory': 1,
  'vm/panic_on_oom': 0,
} as const;

const script = `
set -eu
directory=$1
mount --make-rshared /
for place in ${hidden.join(' ')}; do mount --bind "$directory$place" "$place"; done
for setting in ${Object.keys(kernelSettings).join(' ')}; do
  if [ -e "/proc/sys/$setting" ]; then mount --bind "$directory/sys/$setting" "/proc/sys/$setting"; fi
done
ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
if [ -e /proc/sys/net/ipv6 ]; then echo 1 >/proc/sys/net/ipv6/conf/all/forwarding; fi
echo ready
exec >/dev/null
while :; do sleep 3600 & wait $! || :; done
`;

export interface Namespaces {
  /** A process of this machine that is in its network. */
  readonly pid: number;
  /** Put before a command it is run in there, with the PATH that there is. */
  readonly prefix: Command;
  /** The words that run a command in there, as the child of a process that stays outside and waits for it. */
  enter(command: Command): Command;
}

/** Makes the namespaces of a node; they end with the guarded directory. `directory` lies in it and holds the node's files. */
export async function makeNamespaces(guarded: GuardedDirectory, directory: string): Promise<Namespaces> {
  for (const place of hidden) {
    if (`${directory}/`.startsWith(`${place}/`))
      throw new Error(`a node's files cannot lie below ${place}: set TMPDIR to another folder`);
    mkdirSync(join(directory, place), { recursive: true, mode: 0o755 });
  }
  for (const [setting, value] of Object.entries(kernelSettings)) {
    const file = join(directory, 'sys', setting);
    mkdirSync(join(file, '..'), { recursive: true });
    writeFileSync(file, `${value}\n`);
  }
  const logFile = join(directory, 'namespaces.log');
  const log = openSync(logFile, 'a', 0o600);
  const flags = ['--mount', '--net', '--pid', '--fork', '--kill-child=KILL', '--mount-proc'];
  const shell = guarded.launch(['unshare', ...flags, '/bin/sh', '-c', script, 'sh', directory], {
    stdio: ['ignore', 'pipe', log],
    env: { PATH: machinePath },
  });
  closeSync(log);
  const { stdout, pid } = shell;
  if (stdout === null || pid === undefined) throw new Error('unshare could not be started');
  const ended = once(shell, 'exit').then(() => {
    throw new Error(`the namespaces of the node could not be made:\n${readFileSync(logFile, 'utf8')}`);
  });
  ended.catch(() => {}); // after it is ready, its end is the node's
  await Promise.race([once(stdout, 'data'), ended]);
  stdout.destroy();
  shell.unref();
  const of = `/proc/${pid}/ns`;
  const prefix: Command = ['nsenter', `--mount=${of}/mnt`, `--net=${of}/net`, `--pid=${of}/pid_for_children`, '--'];
  return { pid, prefix, enter: (command) => [...prefix, '/usr/bin/env', `PATH=${machinePath}`, ...command] };
}
