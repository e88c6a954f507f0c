/** Whom a container runs as, and with what rights it finds its files, in a pod with `runAsUser`, `fsGroup` and `defaultMode: 0440`. */
import { chmodSync, chownSync, mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import type { Command } from '../cluster/guardian.ts';
import type { Access } from '../support/mount.ts';

export interface PodUser {
  readonly name: string;
  /** Of the volume with the Secret. */
  readonly access: Access | undefined;
  /** The command as that user. */
  command(command: Command): Command;
  /** A new directory that belongs to that user. */
  directory(path: string): string;
}

/** Debian's nobody. */
const nobody = 65534;

/** Nobody where we are root, as in a pod; else ourselves, since we cannot become anybody else. */
export function podUser(): PodUser {
  if (process.getuid?.() !== 0) {
    return {
      name: userInfo().username,
      access: undefined,
      command: (command) => command,
      directory: (path) => makeDirectory(path),
    };
  }
  const identity = [`--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--no-new-privs'];
  return {
    name: 'nobody',
    access: { group: nobody, fileMode: 0o440 },
    command: (command) => ['setpriv', ...identity, '--', ...command],
    directory: (path) => {
      makeDirectory(path);
      chownSync(path, nobody, nobody);
      return path;
    },
  };
}

function makeDirectory(path: string): string {
  mkdirSync(path, { mode: 0o700 });
  chmodSync(path, 0o700);
  return path;
}
