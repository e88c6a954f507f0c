/** Since when servers take no plaintext any more, in the memory of one leader: a new one begins the wait anew. */
import type { Clock } from '../kube/index.ts';

interface Begun {
  /** Version of the record that told them. */
  readonly since: string;
  /** Monotonic: the wall clock may jump over the wait. */
  readonly at: number;
}

export class Draining {
  readonly #clock: Clock;
  readonly #waitMs: number;
  readonly #begun = new Map<string, Map<string, Begun>>();

  /** @param waitMs proxies close what is left of older connections after their drain time; this has to be a little more. */
  constructor(clock: Clock, waitMs: number) {
    this.#clock = clock;
    this.#waitMs = waitMs;
  }

  /** To be called when all servers have acknowledged `since`: the first time begins the wait. */
  isOver(namespace: string, key: string, since: string): boolean {
    const all = this.#begun.get(namespace) ?? new Map<string, Begun>();
    this.#begun.set(namespace, all);
    let begun = all.get(key);
    if (begun?.since !== since) {
      begun = { since, at: this.#clock.monotonic() };
      all.set(key, begun);
    }
    return this.#clock.monotonic() - begun.at >= this.#waitMs;
  }

  /** How long until the next of them is over (ms), of those in `keys`; undefined: none waits. The others are forgotten. */
  next(namespace: string, keys: ReadonlySet<string>): number | undefined {
    const all = this.#begun.get(namespace);
    let next: number | undefined;
    for (const [key, { at }] of all ?? []) {
      if (!keys.has(key)) {
        all?.delete(key);
        continue;
      }
      const left = at + this.#waitMs - this.#clock.monotonic();
      if (left > 0 && (next === undefined || left < next)) next = left;
    }
    if (all?.size === 0) this.#begun.delete(namespace);
    return next;
  }
}
