/** What holds where not everybody asks for the same: pure. */
import type { Mode } from '../api/index.ts';

/** What policies ask for, and which policy does. */
export interface Wanted {
  readonly mode: Mode;
  /** namespace/name; undefined: none does, it is the default. */
  readonly policy: string | undefined;
}

/**
 * One mode for all of them: theirs where they agree, else Permissive. That serves every client, whatever it was told to speak, while Strict would refuse clients that one of them wants
 * served, and Disabled would have clients of the mesh speak plaintext to servers that one of them wants to be spoken to in mutual TLS.
 * @param all at least one.
 */
export function together(all: readonly Wanted[]): Wanted {
  const [first] = all;
  if (first === undefined) throw new Error('nobody asks for anything');
  const mode = all.every((one) => one.mode === first.mode) ? first.mode : 'Permissive';
  // One of those that want just this, else one of all: the first by name, so that the same world has the same record.
  const wantIt = all.filter((one) => one.mode === mode);
  const names = (wantIt.length === 0 ? all : wantIt).flatMap(({ policy }) => policy ?? []).sort();
  return { mode, policy: names[0] };
}
