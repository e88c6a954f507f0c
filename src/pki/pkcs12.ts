// PKCS#12 (RFC 7292) as OpenSSL 3, Java 17 and their successors write it by default, "Modern2023" elsewhere: PBES2 with PBKDF2-HMAC-SHA-256 and
// AES-256-CBC for keys and certificates, HMAC-SHA-256 over the whole.

import { createCipheriv, createHmac, hash, pbkdf2 } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { promisify } from 'node:util';
import { context, encode, nil, objectIdentifier, smallInteger, tag, wrap } from './der.ts';
import type { KeystoreEntry, SaltSource } from './keystore.ts';
import type { KeystorePassword } from './keystorePassword.ts';
import { oid } from './oids.ts';
import { Turns } from './turns.ts';

/** As OpenSSL. It makes trying passwords dear, no more: whoever reads the Secret has the key beside it. */
const ITERATIONS = 2048;
const SALT_OCTETS = 16;

const turns = new Turns(2);

/** The file. Takes some milliseconds, of which most on the thread pool. */
export async function pkcs12(
  entries: readonly KeystoreEntry[],
  password: KeystorePassword,
  salts: SaltSource,
): Promise<Buffer> {
  return await turns.take(async () => {
    const certificates = wrap(tag.sequence, ...entries.flatMap(certificateBags));
    const contents = [await encryptedData(certificates, password, salts)];
    const keys: Buffer[] = [];
    for (const [i, entry] of entries.entries()) {
      if (entry.kind === 'key') keys.push(await keyBag(entry, password, salts, i));
    }
    if (keys.length > 0) contents.push(data(wrap(tag.sequence, ...keys)));
    const safe = wrap(tag.sequence, ...contents);
    return wrap(tag.sequence, integer(3), data(safe), await macData(safe, password, salts));
  });
}

// ---------------------------------------------------------------- bags

/** The key's own certificate carries its name and the mark by which readers join the two; those above it carry nothing. */
function certificateBags(entry: KeystoreEntry): Buffer[] {
  if (entry.kind === 'trusted') {
    // By this attribute Java tells a certificate to trust from one that is only there to complete a chain.
    const trusted = attribute(oid.javaTrustedKeyUsage, objectId(oid.anyExtendedKeyUsage));
    return [certificateBag(entry.der, [friendlyName(entry.alias), trusted])];
  }
  const [own, ...above] = entry.chain;
  if (own === undefined) throw new Error('a key without a certificate makes no keystore');
  return [
    certificateBag(own, [friendlyName(entry.alias), localKeyId(own)]),
    ...above.map((der) => certificateBag(der, [])),
  ];
}

function certificateBag(der: Buffer, attributes: readonly Buffer[]): Buffer {
  const certificate = wrap(tag.sequence, objectId(oid.x509Certificate), explicit(wrap(tag.octetString, der)));
  return bag(oid.certBag, certificate, attributes);
}

async function keyBag(
  { alias, keyDer, chain }: Extract<KeystoreEntry, { kind: 'key' }>,
  password: KeystorePassword,
  salts: SaltSource,
  number: number,
): Promise<Buffer> {
  const { algorithm, ciphertext } = await encrypt(keyDer, password, salts, `key ${number}`);
  const [own = Buffer.alloc(0)] = chain;
  const shrouded = wrap(tag.sequence, algorithm, wrap(tag.octetString, ciphertext));
  return bag(oid.shroudedKeyBag, shrouded, [friendlyName(alias), localKeyId(own)]);
}

function bag(type: string, value: Buffer, attributes: readonly Buffer[]): Buffer {
  const set = attributes.length === 0 ? [] : [wrap(tag.set, ...[...attributes].sort(Buffer.compare))];
  return wrap(tag.sequence, objectId(type), explicit(value), ...set);
}

function attribute(type: string, value: Buffer): Buffer {
  return wrap(tag.sequence, objectId(type), wrap(tag.set, value));
}

const friendlyName = (alias: string): Buffer =>
  attribute(oid.friendlyName, wrap(tag.bmpString, Buffer.from(alias, 'utf16le').swap16()));

const localKeyId = (certificate: Buffer): Buffer =>
  attribute(oid.localKeyId, wrap(tag.octetString, hash('sha256', certificate, 'buffer')));

// ---------------------------------------------------------------- contents

const data = (content: Buffer): Buffer =>
  wrap(tag.sequence, objectId(oid.data), explicit(wrap(tag.octetString, content)));

async function encryptedData(content: Buffer, password: KeystorePassword, salts: SaltSource): Promise<Buffer> {
  const { algorithm, ciphertext } = await encrypt(content, password, salts, 'certificates');
  const encrypted = wrap(tag.sequence, objectId(oid.data), algorithm, wrap(context(0, false), ciphertext));
  return wrap(tag.sequence, objectId(oid.encryptedData), explicit(wrap(tag.sequence, integer(0), encrypted)));
}

const deriveOnThreadPool = promisify(pbkdf2);

/** PBES2 (RFC 8018). */
async function encrypt(content: Buffer, password: KeystorePassword, salts: SaltSource, purpose: string) {
  const salt = salts(`${purpose}: salt`, SALT_OCTETS);
  const iv = salts(`${purpose}: initialisation vector`, 16);
  const key = await deriveOnThreadPool(password.octets(), salt, ITERATIONS, 32, 'sha256');
  const cipher = createCipheriv('aes-256-cbc', key, iv);
  const parameters = wrap(tag.sequence, wrap(tag.octetString, salt), integer(ITERATIONS), hmacWithSha256);
  const algorithm = wrap(
    tag.sequence,
    objectId(oid.pbes2),
    wrap(
      tag.sequence,
      wrap(tag.sequence, objectId(oid.pbkdf2), parameters),
      wrap(tag.sequence, objectId(oid.aes256Cbc), wrap(tag.octetString, iv)),
    ),
  );
  return { algorithm, ciphertext: Buffer.concat([cipher.update(content), cipher.final()]) };
}

async function macData(content: Buffer, password: KeystorePassword, salts: SaltSource): Promise<Buffer> {
  const salt = salts('MAC: salt', SALT_OCTETS);
  const mac = createHmac('sha256', await macKey(password, salt))
    .update(content)
    .digest();
  const digest = wrap(tag.sequence, sha256, wrap(tag.octetString, mac));
  return wrap(tag.sequence, digest, wrap(tag.octetString, salt), integer(ITERATIONS));
}

const HASH_BLOCK = 64;
/** Some hundred microseconds: no longer may anybody else wait for us. */
const HASHES_AT_ONCE = 256;

/** RFC 7292, appendix B.2, for a key as long as the hash. There is no such function in node:crypto, and none for it on the thread pool. */
async function macKey(password: KeystorePassword, salt: Buffer): Promise<Buffer> {
  const diversifier = Buffer.alloc(HASH_BLOCK, 3); // for a MAC
  const wide = Buffer.concat([password.wideOctets(), Buffer.alloc(2)]);
  let key: Buffer = Buffer.concat([diversifier, repeated(salt), repeated(wide)]);
  for (let i = 0; i < ITERATIONS; i++) {
    if (i % HASHES_AT_ONCE === HASHES_AT_ONCE - 1) await setImmediate();
    key = hash('sha256', key, 'buffer');
  }
  return key;
}

/** As often as it takes to fill whole blocks. */
const repeated = (octets: Buffer): Buffer => Buffer.alloc(Math.ceil(octets.length / HASH_BLOCK) * HASH_BLOCK, octets);

// ---------------------------------------------------------------- DER

const integer = (value: number): Buffer => encode(smallInteger(value));
const objectId = (dotted: string): Buffer => encode(objectIdentifier(dotted));
const explicit = (content: Buffer): Buffer => wrap(context(0, true), content);
const sha256 = wrap(tag.sequence, objectId(oid.sha256), encode(nil()));
const hmacWithSha256 = wrap(tag.sequence, objectId(oid.hmacWithSha256), encode(nil()));
