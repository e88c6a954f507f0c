import { PkiError } from '../pki/index.ts';

/** One entry of a Secret that cannot be read; the message begins with its key. */
export class UnreadablePart extends Error {
  override readonly name = 'UnreadablePart';
}

/** @throws UnreadablePart where `read` throws PkiError: its message alone does not say which entry is meant. */
export function readPart<T>(key: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (error instanceof PkiError) throw new UnreadablePart(`${key}: ${error.message}`);
    throw error;
  }
}
