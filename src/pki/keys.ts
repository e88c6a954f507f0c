// Key pairs: made here, or brought along by somebody. The private half is held as PKCS#8 DER; node:crypto objects are made only when something
// is signed with it, because most keys are only written to a Secret and making the object costs more than the key.

import {
  createECDH,
  createPrivateKey,
  createPublicKey,
  generateKeyPair as generateKeyPairAsync,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';
import { promisify } from 'node:util';
import { assertKeyEncoding, type KeyEncoding, type KeySpec, type ResolvedKeySpec, resolveKeySpec } from './keySpec.ts';
import { encodePem } from './pem.ts';

export interface KeyPair {
  readonly spec: ResolvedKeySpec;
  /** SubjectPublicKeyInfo, DER. */
  readonly spki: Buffer;
  /** For signing; made at first use. */
  readonly privateKey: KeyObject;
  /** @throws PkiError InvalidKeyEncoding if the encoding cannot hold this kind of key */
  pem(encoding: KeyEncoding): string;
  /** @throws PkiError InvalidKeyEncoding if the encoding cannot hold this kind of key */
  der(encoding: KeyEncoding): Buffer;
}

const PEM_LABEL = { PKCS8: 'PRIVATE KEY', PKCS1: 'RSA PRIVATE KEY', SEC1: 'EC PRIVATE KEY' } as const;

/** Encodings that are at hand already, so that no key object has to be made for them. */
type KnownEncodings = { readonly PKCS8: Buffer; readonly SEC1?: Buffer };

/** A KeyPair. The private key is in private fields, so that no logger, inspector or JSON.stringify shows it by accident. */
export class DerKeyPair implements KeyPair {
  readonly spec: ResolvedKeySpec;
  readonly spki: Buffer;
  readonly #known: KnownEncodings;
  #privateKey: KeyObject | undefined;

  constructor(spec: ResolvedKeySpec, spki: Buffer, known: KnownEncodings, privateKey?: KeyObject) {
    this.spec = spec;
    this.spki = spki;
    this.#known = known;
    this.#privateKey = privateKey;
  }

  get privateKey(): KeyObject {
    this.#privateKey ??= createPrivateKey({ key: this.#known.PKCS8, format: 'der', type: 'pkcs8' });
    return this.#privateKey;
  }

  der(encoding: KeyEncoding): Buffer {
    assertKeyEncoding(this.spec.algorithm, encoding);
    if (encoding === 'PKCS8') return this.#known.PKCS8;
    if (encoding === 'SEC1') return this.#known.SEC1 ?? this.privateKey.export({ format: 'der', type: 'sec1' });
    return this.privateKey.export({ format: 'der', type: 'pkcs1' });
  }

  pem(encoding: KeyEncoding): string {
    return encodePem(PEM_LABEL[encoding], this.der(encoding));
  }
}

/**
 * A fresh key pair. ECDSA and Ed25519 take tens of microseconds and are made at once; RSA takes a second and is made on the thread pool, two at a
 * time in the whole process, so that neither the event loop nor other users of the pool (DNS, files) starve.
 * @throws PkiError InvalidKeySpec
 */
export async function generateKeyPair(spec: KeySpec): Promise<KeyPair> {
  const resolved = resolveKeySpec(spec);
  switch (resolved.algorithm) {
    case 'ECDSA':
      return generateEcKeyPair(resolved.size === 384 ? p384 : p256);
    case 'Ed25519':
      return generateEd25519KeyPair();
    case 'RSA':
      return await generateRsaKeyPair(resolved.size ?? 2048);
  }
}

// ---------------------------------------------------------------- ECDSA

interface Curve {
  readonly spec: ResolvedKeySpec;
  readonly ecdh: ReturnType<typeof createECDH>;
  /** The number of points, big-endian; private keys are 1 to one less. */
  readonly order: Buffer;
  readonly spkiPrefix: Buffer;
  readonly pkcs8Prefix: Buffer;
  readonly sec1Prefix: Buffer;
  /** Between private and public key in PKCS#8 and in SEC1, which also names the curve there. */
  readonly pkcs8Infix: Buffer;
  readonly sec1Infix: Buffer;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

// RFC 5480 SubjectPublicKeyInfo, RFC 5208 PrivateKeyInfo, RFC 5915 ECPrivateKey: everything but the key itself is constant for a curve.
// Filling these templates takes a tenth of the time of exporting from node:crypto. keys.test.ts compares them with what node:crypto exports.
const p256: Curve = {
  spec: { algorithm: 'ECDSA', size: 256 },
  ecdh: createECDH('prime256v1'),
  order: hex('ffffffff00000000 ffffffffffffffff bce6faada7179e84 f3b9cac2fc632551'),
  spkiPrefix: hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0342 00'),
  pkcs8Prefix: hex('308187 020100 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 046d 306b 020101 0420'),
  pkcs8Infix: hex('a144 0342 00'),
  sec1Prefix: hex('3077 020101 0420'),
  sec1Infix: hex('a00a 0608 2a8648ce3d030107 a144 0342 00'),
};

const p384: Curve = {
  spec: { algorithm: 'ECDSA', size: 384 },
  ecdh: createECDH('secp384r1'),
  order: hex('ffffffffffffffff ffffffffffffffff ffffffffffffffff c7634d81f4372ddf 581a0db248b0a77a ecec196accc52973'),
  spkiPrefix: hex('3076 3010 0607 2a8648ce3d0201 0605 2b81040022 0362 00'),
  pkcs8Prefix: hex('3081b6 020100 3010 0607 2a8648ce3d0201 0605 2b81040022 04819e 30819b 020101 0430'),
  pkcs8Infix: hex('a164 0362 00'),
  sec1Prefix: hex('3081a4 020101 0430'),
  sec1Infix: hex('a007 0605 2b81040022 a164 0362 00'),
};

/** Draws the private key and lets OpenSSL compute the public one: half the time of ECDH.generateKeys(). */
function generateEcKeyPair(curve: Curve): KeyPair {
  const scalar = drawScalar(curve.order, randomBytes);
  curve.ecdh.setPrivateKey(scalar);
  const point = curve.ecdh.getPublicKey();
  return new DerKeyPair(curve.spec, Buffer.concat([curve.spkiPrefix, point]), {
    PKCS8: Buffer.concat([curve.pkcs8Prefix, scalar, curve.pkcs8Infix, point]),
    SEC1: Buffer.concat([curve.sec1Prefix, scalar, curve.sec1Infix, point]),
  });
}

/**
 * A private key, uniform from 1 to order-1, as octets of the order's length: drawn until it fits (FIPS 186-5 A.2.2), which for our curves fails
 * once in four thousand million times.
 */
export function drawScalar(order: Buffer, random: (octets: number) => Buffer): Buffer {
  for (;;) {
    const scalar = random(order.length);
    if (scalar.compare(order) < 0 && scalar.some((octet) => octet !== 0)) return scalar;
  }
}

// ---------------------------------------------------------------- Ed25519

function generateEd25519KeyPair(): KeyPair {
  const { publicKey, privateKey } = generateKeyPairSync('ed25519', {
    publicKeyEncoding: { format: 'der', type: 'spki' },
    privateKeyEncoding: { format: 'der', type: 'pkcs8' },
  });
  return new DerKeyPair({ algorithm: 'Ed25519' }, publicKey, { PKCS8: privateKey });
}

// ---------------------------------------------------------------- RSA

const generateOnThreadPool = promisify(generateKeyPairAsync);
const MAX_RSA_IN_FLIGHT = 2;
let rsaInFlight = 0;
const rsaWaiting: (() => void)[] = [];

async function generateRsaKeyPair(bits: number): Promise<KeyPair> {
  if (rsaInFlight >= MAX_RSA_IN_FLIGHT) await new Promise<void>((resolve) => rsaWaiting.push(resolve));
  else rsaInFlight++;
  try {
    const { publicKey, privateKey } = await generateOnThreadPool('rsa', {
      modulusLength: bits,
      publicKeyEncoding: { format: 'der', type: 'spki' },
      privateKeyEncoding: { format: 'der', type: 'pkcs8' },
    });
    return new DerKeyPair({ algorithm: 'RSA', size: bits }, publicKey, { PKCS8: privateKey });
  } finally {
    // The place is handed over without being freed in between: nobody who comes just now can take it from the one who waits.
    const next = rsaWaiting.shift();
    if (next === undefined) rsaInFlight--;
    else next();
  }
}

// ---------------------------------------------------------------- comparing

/** Whether a certificate (or anything with its SubjectPublicKeyInfo) is for this key. */
export function keyMatches(
  key: KeyPair | KeyObject,
  certificate: { readonly spki: Buffer; readonly publicKey: KeyObject },
): boolean {
  if ('spki' in key && key.spki.equals(certificate.spki)) return true;
  const publicKey = 'spki' in key ? createPublicKey({ key: key.spki, format: 'der', type: 'spki' }) : toPublic(key);
  return samePublicKey(publicKey, certificate.publicKey);
}

const toPublic = (key: KeyObject): KeyObject => (key.type === 'private' ? createPublicKey(key) : key);

/**
 * Compared by their numbers, since one key may be encoded in two ways (compressed points). Not by KeyObject.equals: with keys of different kinds
 * it leaves an error in OpenSSL's queue (Node 24), and the next createPrivateKey, of a good key, throws it.
 */
function samePublicKey(a: KeyObject, b: KeyObject): boolean {
  if (a.asymmetricKeyType !== b.asymmetricKeyType) return false;
  try {
    const [left, right] = [a.export({ format: 'jwk' }), b.export({ format: 'jwk' })];
    return (['kty', 'crv', 'x', 'y', 'n', 'e'] as const).every((field) => left[field] === right[field]);
  } catch {
    // A kind of key that has no JWK: none of ours.
    return false;
  }
}
