// JKS, the first keystore of Java, for programs that take nothing newer. Its protection of the key is weak: SHA-1, once, so that passwords are
// tried as fast as SHA-1 is computed. Java itself warns of it.

import { createHash, hash } from 'node:crypto';
import { encode, nil, objectIdentifier, tag, wrap } from './der.ts';
import type { KeystoreEntry, SaltSource } from './keystore.ts';
import type { KeystorePassword } from './keystorePassword.ts';
import { oid } from './oids.ts';

const MAGIC = 0xfeedfeed;
const VERSION = 2;

/** The file. */
export function jks(entries: readonly KeystoreEntry[], password: KeystorePassword, salts: SaltSource): Buffer {
  const parts = [int32(MAGIC), int32(VERSION), int32(entries.length)];
  for (const [i, entry] of entries.entries()) {
    const head = (type: number): Buffer[] => [int32(type), text(entry.alias), int64(entry.date.getTime())];
    if (entry.kind === 'trusted') {
      parts.push(...head(2), certificate(entry.der));
    } else {
      const key = protect(entry.keyDer, password, salts(`key ${i}: salt`, 20));
      parts.push(...head(1), counted(key), int32(entry.chain.length), ...entry.chain.map(certificate));
    }
  }
  const content = Buffer.concat(parts);
  // "Mighty Aphrodite" is what Java says here.
  const whole = createHash('sha1').update(password.wideOctets()).update('Mighty Aphrodite').update(content).digest();
  return Buffer.concat([content, whole]);
}

/** Java's KeyProtector: the key under a stream of chained SHA-1 digests, in an EncryptedPrivateKeyInfo of its own algorithm. */
function protect(keyDer: Buffer, password: KeystorePassword, salt: Buffer): Buffer {
  const wide = password.wideOctets();
  const hidden = Buffer.from(keyDer);
  let digest = salt;
  for (let at = 0; at < hidden.length; at += digest.length) {
    digest = hash('sha1', Buffer.concat([wide, digest]), 'buffer');
    for (let i = 0; i < digest.length && at + i < hidden.length; i++) hidden[at + i] = xor(hidden[at + i], digest[i]);
  }
  const check = hash('sha1', Buffer.concat([wide, keyDer]), 'buffer');
  return wrap(tag.sequence, algorithm, wrap(tag.octetString, salt, hidden, check));
}

const xor = (a = 0, b = 0): number => a ^ b;

const algorithm = wrap(tag.sequence, encode(objectIdentifier(oid.javaKeyProtector)), encode(nil()));

const certificate = (der: Buffer): Buffer => Buffer.concat([text('X.509'), counted(der)]);
const counted = (octets: Buffer): Buffer => Buffer.concat([int32(octets.length), octets]);

/** As DataOutput.writeUTF, for ASCII. */
function text(ascii: string): Buffer {
  const out = Buffer.alloc(2 + ascii.length);
  out.writeUInt16BE(ascii.length);
  out.write(ascii, 2, 'latin1');
  return out;
}

function int32(value: number): Buffer {
  const out = Buffer.alloc(4);
  out.writeUInt32BE(value);
  return out;
}

function int64(value: number): Buffer {
  const out = Buffer.alloc(8);
  out.writeBigInt64BE(BigInt(value));
  return out;
}
