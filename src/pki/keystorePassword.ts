// Passwords of keystores: which are taken, and new ones.

import { randomBytes } from 'node:crypto';
import { PkiError } from './errors.ts';

/** keytool takes no shorter one. */
const SHORTEST = 6;
/** More than any password has, and less than would cost time. */
const LONGEST = 128;

/**
 * A password that every reader of keystores takes: ASCII, because programs disagree on how other characters become octets, and printable, because a
 * line break at its end is a mistake that nobody sees. Private, so that no logger, inspector or JSON.stringify shows it by accident.
 */
export class KeystorePassword {
  readonly #text: string;

  private constructor(text: string) {
    this.#text = text;
  }

  /** @throws PkiError InvalidPassword, with nothing of the password in it */
  static read(octets: Buffer): KeystorePassword {
    const problem = problemOf(octets);
    if (problem !== undefined) throw new PkiError('InvalidPassword', problem);
    return new KeystorePassword(octets.toString('latin1'));
  }

  /** 192 bits. */
  static generate(): KeystorePassword {
    return new KeystorePassword(randomBytes(24).toString('base64url'));
  }

  /** ASCII, as it is typed. */
  octets(): Buffer {
    return Buffer.from(this.#text, 'latin1');
  }

  /** Two octets a character, the high one first: as PKCS#12 and JKS digest it. */
  wideOctets(): Buffer {
    return Buffer.from(this.#text, 'utf16le').swap16();
  }
}

function problemOf(octets: Buffer): string | undefined {
  if (octets.length === 0) return 'the password is empty';
  if (octets.at(-1) === 0x0a || octets.at(-1) === 0x0d) return 'the password ends with a line break';
  if (octets.some((octet) => octet < 0x20 || octet > 0x7e))
    return 'the password has other than printable ASCII characters';
  if (octets.length < SHORTEST) return 'the password is too short';
  return octets.length > LONGEST ? 'the password is too long' : undefined;
}
