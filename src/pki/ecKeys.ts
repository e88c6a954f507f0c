// Elliptic curve keys by template: RFC 5480 SubjectPublicKeyInfo, RFC 5208 PrivateKeyInfo and RFC 5915 ECPrivateKey are constant for a curve but for
// the key itself. Filling and recognising these templates takes a tenth of the time that node:crypto takes to export and import keys.
// ecKeys.test.ts compares them with what node:crypto exports.

import { createECDH, randomBytes } from 'node:crypto';
import { type KeyPair, LazyKeyPair } from './keyPair.ts';
import type { ResolvedKeySpec } from './keySpec.ts';

interface Curve {
  readonly spec: ResolvedKeySpec;
  readonly ecdh: ReturnType<typeof createECDH>;
  /** The number of points, big-endian; private keys are 1 to one less. */
  readonly order: Buffer;
  readonly spkiPrefix: Buffer;
  readonly pkcs8: Template;
  readonly sec1: Template;
}

/** Before the private key, and between it and the public key. */
interface Template {
  readonly prefix: Buffer;
  readonly infix: Buffer;
}

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');

const p256: Curve = {
  spec: { algorithm: 'ECDSA', size: 256 },
  ecdh: createECDH('prime256v1'),
  order: hex('ffffffff00000000 ffffffffffffffff bce6faada7179e84 f3b9cac2fc632551'),
  spkiPrefix: hex('3059 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 0342 00'),
  pkcs8: {
    prefix: hex('308187 020100 3013 0607 2a8648ce3d0201 0608 2a8648ce3d030107 046d 306b 020101 0420'),
    infix: hex('a144 0342 00'),
  },
  sec1: { prefix: hex('3077 020101 0420'), infix: hex('a00a 0608 2a8648ce3d030107 a144 0342 00') },
};

const p384: Curve = {
  spec: { algorithm: 'ECDSA', size: 384 },
  ecdh: createECDH('secp384r1'),
  order: hex('ffffffffffffffff ffffffffffffffff ffffffffffffffff c7634d81f4372ddf 581a0db248b0a77a ecec196accc52973'),
  spkiPrefix: hex('3076 3010 0607 2a8648ce3d0201 0605 2b81040022 0362 00'),
  pkcs8: {
    prefix: hex('3081b6 020100 3010 0607 2a8648ce3d0201 0605 2b81040022 04819e 30819b 020101 0430'),
    infix: hex('a164 0362 00'),
  },
  sec1: { prefix: hex('3081a4 020101 0430'), infix: hex('a007 0605 2b81040022 a164 0362 00') },
};

/** Draws the private key and lets OpenSSL compute the public one: half the time of ECDH.generateKeys(). */
export function generateEcKeyPair(size: 256 | 384): KeyPair {
  const curve = size === 256 ? p256 : p384;
  const scalar = drawScalar(curve.order, randomOctets);
  return fill(curve, scalar, publicPoint(curve, scalar));
}

let pool = Buffer.alloc(0);
let poolAt = 0;

/** One call of randomBytes costs as much as a hundred scalars. What has been handed out is wiped from the pool: it may be a private key. */
function randomOctets(octets: number): Buffer {
  if (poolAt + octets > pool.length) {
    pool = randomBytes(64 * 48);
    poolAt = 0;
  }
  const drawn = pool.subarray(poolAt, poolAt + octets);
  poolAt += octets;
  const copy = Buffer.from(drawn);
  drawn.fill(0);
  return copy;
}

/**
 * A private key, uniform from 1 to order-1, as octets of the order's length: drawn until it fits (FIPS 186-5 A.2.2), which for our curves fails
 * once in four thousand million times.
 */
export function drawScalar(order: Buffer, random: (octets: number) => Buffer): Buffer {
  for (;;) {
    const scalar = random(order.length);
    if (isScalar(scalar, order)) return scalar;
  }
}

const isScalar = (octets: Buffer, order: Buffer): boolean =>
  octets.compare(order) < 0 && octets.some((octet) => octet !== 0);

function publicPoint(curve: Curve, scalar: Buffer): Buffer {
  curve.ecdh.setPrivateKey(scalar);
  return curve.ecdh.getPublicKey();
}

function fill(curve: Curve, scalar: Buffer, point: Buffer): KeyPair {
  return new LazyKeyPair(curve.spec, Buffer.concat([curve.spkiPrefix, point]), {
    PKCS8: Buffer.concat([curve.pkcs8.prefix, scalar, curve.pkcs8.infix, point]),
    SEC1: Buffer.concat([curve.sec1.prefix, scalar, curve.sec1.infix, point]),
  });
}

/** The key pair of a private key, big-endian and as long as the order of the curve; undefined if it is out of range. */
export function ecKeyPairOf(size: 256 | 384, scalar: Buffer): KeyPair | undefined {
  const curve = size === 256 ? p256 : p384;
  return scalar.length === curve.order.length && isScalar(scalar, curve.order)
    ? fill(curve, scalar, publicPoint(curve, scalar))
    : undefined;
}

/**
 * The key pair in PKCS#8 or SEC1 DER that is written just as ours are; 'mismatch' if it carries another key's public half; undefined
 * if it is written in another way or is no EC key.
 */
export function recogniseEcKeyPair(type: 'pkcs8' | 'sec1', der: Buffer): KeyPair | 'mismatch' | undefined {
  for (const curve of [p256, p384]) {
    const { prefix, infix } = curve[type];
    const size = curve.order.length;
    const scalarEnd = prefix.length + size;
    const pointStart = scalarEnd + infix.length;
    if (der.length !== pointStart + 1 + 2 * size) continue;
    if (!der.subarray(0, prefix.length).equals(prefix) || !der.subarray(scalarEnd, pointStart).equals(infix)) continue;
    const scalar = der.subarray(prefix.length, scalarEnd);
    if (!isScalar(scalar, curve.order)) return undefined;
    const point = publicPoint(curve, scalar);
    return point.equals(der.subarray(pointStart)) ? fill(curve, scalar, point) : 'mismatch';
  }
  return undefined;
}
