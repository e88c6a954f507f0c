// A private key with its public half, in whichever forms are at hand.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { assertKeyEncoding, type KeyEncoding, type ResolvedKeySpec } from './keySpec.ts';
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
const DER_TYPE = { PKCS8: 'pkcs8', PKCS1: 'pkcs1', SEC1: 'sec1' } as const;

/** What a key pair is made from: its object, or encodings of which PKCS8 is one. */
export type KeyMaterial = KeyObject | { readonly PKCS8: Buffer; readonly SEC1?: Buffer };

/**
 * A KeyPair that makes its node:crypto object only when something is signed with it: most keys are only written to a Secret, and the object costs
 * more than the key. The private half is in private fields, so that no logger, inspector or JSON.stringify shows it by accident.
 */
export class LazyKeyPair implements KeyPair {
  readonly spec: ResolvedKeySpec;
  readonly spki: Buffer;
  readonly #material: KeyMaterial;
  #privateKey: KeyObject | undefined;

  constructor(spec: ResolvedKeySpec, spki: Buffer, material: KeyMaterial) {
    this.spec = spec;
    this.spki = spki;
    this.#material = material;
  }

  get privateKey(): KeyObject {
    if (!('PKCS8' in this.#material)) return this.#material;
    this.#privateKey ??= createPrivateKey({ key: this.#material.PKCS8, format: 'der', type: 'pkcs8' });
    return this.#privateKey;
  }

  der(encoding: KeyEncoding): Buffer {
    assertKeyEncoding(this.spec.algorithm, encoding);
    const known = 'PKCS8' in this.#material && encoding !== 'PKCS1' ? this.#material[encoding] : undefined;
    return known ?? this.privateKey.export({ format: 'der', type: DER_TYPE[encoding] });
  }

  pem(encoding: KeyEncoding): string {
    return encodePem(PEM_LABEL[encoding], this.der(encoding));
  }
}
