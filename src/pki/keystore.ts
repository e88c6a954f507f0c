// What the two kinds of keystore have in common: what is put into one, and where its salts come from.

import { createHmac, hash } from 'node:crypto';

/** A private key with its certificates, or a certificate that is trusted. Aliases are lower-case ASCII. */
export type KeystoreEntry =
  | {
      readonly kind: 'key';
      readonly alias: string;
      /** PKCS#8, DER. */
      readonly keyDer: Buffer;
      /** DER: the key's own certificate, then those above it. */
      readonly chain: readonly Buffer[];
      /** Shown as the entry's date by JKS. */
      readonly date: Date;
    }
  | { readonly kind: 'trusted'; readonly alias: string; readonly der: Buffer; readonly date: Date };

/** Gives octets for one purpose, at most 32. */
export type SaltSource = (purpose: string, length: number) => Buffer;

/**
 * Salts and initialisation vectors that follow from what is sealed, so that the same entries under the same password are the same file to the bit, and
 * whether a keystore is right is found by making it again: no digest has to be kept that could be forged or tried passwords against.
 * They are the output of a PRF under the private key: like random to everybody who does not have it, different for each content, and without the
 * password in them, since whoever has the key could else try passwords without the cost that PKCS#12 puts on that. With another password the
 * same salt gives another key.
 */
export function saltSource(secret: Buffer, entries: readonly KeystoreEntry[]): SaltSource {
  const digests = entries.flatMap((entry) => {
    const parts = entry.kind === 'key' ? [entry.keyDer, ...entry.chain] : [entry.der];
    return [entry.kind, entry.alias, entry.date.toISOString(), ...parts.map((part) => hash('sha256', part))];
  });
  const content = hash('sha256', JSON.stringify(digests));
  return (purpose, length) =>
    createHmac('sha256', secret)
      .update(JSON.stringify(['keystore salt', purpose, content]))
      .digest()
      .subarray(0, length);
}
