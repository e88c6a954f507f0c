/** Which WorkloadCertificates ask for which Secret and which authority: indexes over the store, kept by its changes. */
import type { Change } from '../kube/index.ts';
import type { CertificateRecord } from './certificateRecord.ts';

/** Keys by some property. Nearly every value has one key: then the key itself is kept, not a set of one. */
class Index {
  readonly #keys = new Map<string, string | Set<string>>();

  add(value: string, key: string): void {
    const known = this.#keys.get(value);
    if (known === undefined) this.#keys.set(value, key);
    else if (typeof known !== 'string') known.add(key);
    else if (known !== key) this.#keys.set(value, new Set([known, key]));
  }

  delete(value: string, key: string): void {
    const known = this.#keys.get(value);
    if (known === key) this.#keys.delete(value);
    if (known === undefined || typeof known === 'string') return;
    known.delete(key);
    if (known.size === 0) this.#keys.delete(value);
  }

  get(value: string): readonly string[] {
    const known = this.#keys.get(value);
    if (known === undefined) return [];
    return typeof known === 'string' ? [known] : [...known];
  }
}

export class Claims {
  readonly #bySecret = new Index();
  readonly #byAuthority = new Index();

  apply({ key, before, after }: Change<CertificateRecord>): void {
    if (before !== undefined && before.secretName !== after?.secretName) this.#bySecret.delete(secretKey(before), key);
    if (before !== undefined && before.authority !== after?.authority) this.#byAuthority.delete(before.authority, key);
    if (after === undefined) return;
    this.#bySecret.add(secretKey(after), key);
    this.#byAuthority.add(after.authority, key);
  }

  /** Keys of the WorkloadCertificates that ask for a Secret, given as namespace/name. */
  ofSecret(secret: string): readonly string[] {
    return this.#bySecret.get(secret);
  }

  ofAuthority(authority: string): readonly string[] {
    return this.#byAuthority.get(authority);
  }
}

export function secretKey({ namespace, secretName }: Pick<CertificateRecord, 'namespace' | 'secretName'>): string {
  return `${namespace}/${secretName}`;
}
