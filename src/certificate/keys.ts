/** Keys for certificates. RSA keys take long to make: meanwhile the worker serves others. */
import { generateKeyPair, type KeyPair, type KeySpec } from '../pki/index.ts';

export class KeyMaker {
  readonly #made = new Map<string, { readonly spec: string; pair: KeyPair | undefined }>();
  readonly #ready: (key: string) => void;
  readonly #failed: (key: string, error: unknown) => void;

  /** @param ready called when a key that `take` did not have is there. */
  constructor(ready: (key: string) => void, failed: (key: string, error: unknown) => void) {
    this.#ready = ready;
    this.#failed = failed;
  }

  /** A fresh key pair, or undefined: it is being made, and `ready(key)` will be called. */
  async take(key: string, spec: KeySpec): Promise<KeyPair | undefined> {
    if (spec.algorithm !== 'RSA') return generateKeyPair(spec);
    const wanted = `${spec.algorithm} ${spec.size ?? ''}`;
    const known = this.#made.get(key);
    if (known?.spec === wanted) {
      if (known.pair !== undefined) this.#made.delete(key);
      return known.pair;
    }
    const entry: { spec: string; pair: KeyPair | undefined } = { spec: wanted, pair: undefined };
    this.#made.set(key, entry);
    generateKeyPair(spec).then(
      (pair) => {
        entry.pair = pair;
        if (this.#made.get(key) === entry) this.#ready(key);
      },
      (error: unknown) => {
        if (this.#made.get(key) !== entry) return;
        this.#made.delete(key);
        this.#failed(key, error);
      },
    );
    return undefined;
  }

  /** A key that nobody will use must not lie around. */
  forget(key: string): void {
    this.#made.delete(key);
  }
}
