/** The certificate that proxy-api serves with: files of a mounted Secret, which kubelet replaces when the certificate is renewed. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import { type Clock, type Log, messageOf, sleep } from '../kube/index.ts';
import type { ServerIdentity } from '../xds/index.ts';

/** kubelet needs up to a minute to bring a renewed Secret: to look each few seconds adds little to that. */
const LOOK_EVERY = 5_000;

/** @throws Error that names the file where one is missing, or where key and certificate do not belong together. */
export async function readIdentity(directory: string): Promise<ServerIdentity> {
  const file = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  const [chain, key, roots] = await Promise.all([file('tls.crt'), file('tls.key'), file('ca.crt')]);
  try {
    // As the server would find out with its next client.
    createSecureContext({ cert: chain, key, ca: roots });
  } catch (error) {
    throw new Error(`${directory} has no key and certificate that can be served with: ${messageOf(error)}`);
  }
  return { chain, key, roots };
}

export interface IdentityWatch {
  readonly directory: string;
  readonly clock: Clock;
  readonly log: Log;
  readonly onChange: (identity: ServerIdentity) => void;
}

/** Tells of each change until the signal aborts. Files that cannot be used are passed over: what was read last stays in use. */
export async function watchIdentity(first: ServerIdentity, watch: IdentityWatch, signal: AbortSignal): Promise<void> {
  const { clock, directory, log, onChange } = watch;
  let present = first;
  let complained = '';
  while (!signal.aborted) {
    try {
      await sleep(clock, LOOK_EVERY, signal);
    } catch {
      return;
    }
    try {
      const next = await readIdentity(directory);
      complained = '';
      if (next.chain === present.chain && next.key === present.key && next.roots === present.roots) continue;
      present = next;
      onChange(next);
      log.info({ directory }, 'serving with a renewed certificate');
    } catch (error) {
      const message = messageOf(error);
      if (message !== complained)
        log.error({ error: message }, 'the renewed certificate cannot be used: serving with the one before');
      complained = message;
    }
  }
}
