// What kind of key a SubjectPublicKeyInfo holds (RFC 5480, 8017, 8410).

import { type Element, malformed, readDer, tag } from './der.ts';
import { keySpecText } from './keySpec.ts';
import { oid } from './oids.ts';

/** As keySpecText; kinds that nobody here makes are named by their algorithm's DER, so that two kinds never look alike. @throws PkiError InvalidDer */
export function publicKeyText(spki: Element): string {
  const [algorithm, key, ...more] = spki.children();
  const [id, parameters] = algorithm?.children() ?? [];
  if (
    spki.tag !== tag.sequence ||
    algorithm === undefined ||
    id === undefined ||
    key?.tag !== tag.bitString ||
    more.length > 0
  ) {
    throw malformed('strange SubjectPublicKeyInfo');
  }
  if (key.content[0] !== 0) throw malformed('a public key that does not end on an octet');
  switch (id.oid()) {
    case oid.rsaEncryption:
      return keySpecText({ algorithm: 'RSA', size: modulusBits(key.content.subarray(1)) });
    case oid.ed25519:
      return keySpecText({ algorithm: 'Ed25519' });
    case oid.ecPublicKey: {
      const curve = parameters?.tag === tag.oid ? parameters.oid() : undefined;
      if (curve === oid.prime256v1) return keySpecText({ algorithm: 'ECDSA', size: 256 });
      if (curve === oid.secp384r1) return keySpecText({ algorithm: 'ECDSA', size: 384 });
    }
  }
  return algorithm.der.toString('hex');
}

function modulusBits(rsaPublicKey: Buffer): number {
  const [modulus] = readDer(rsaPublicKey).children();
  if (modulus?.tag !== tag.integer) throw malformed('strange RSA public key');
  const digits = modulus.content.subarray(modulus.content[0] === 0 ? 1 : 0);
  return digits.length * 8 - Math.clz32(digits[0] ?? 0) + 24;
}
