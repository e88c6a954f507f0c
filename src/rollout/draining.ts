/**
 * Since when servers take no plaintext any more, in the memory of one leader: a new one begins the wait anew. It is told the time, one instant for a whole look: by a clock that is read again
 * a wait that was not over may be over when it is asked for its end, and nobody would come back for it.
 */

interface Begun {
  /** Version of the record that told them. */
  readonly since: string;
  /** Monotonic: the wall clock may jump over the wait. */
  readonly at: number;
}

export class Draining {
  readonly #waitMs: number;
  readonly #begun = new Map<string, Map<string, Begun>>();

  /** @param waitMs proxies close what is left of older connections after their drain time; this has to be a little more. */
  constructor(waitMs: number) {
    this.#waitMs = waitMs;
  }

  /** To be called when all servers have acknowledged `since`: the first time begins the wait. @param now monotonic (ms). */
  isOver(namespace: string, key: string, since: string, now: number): boolean {
    const all = this.#begun.get(namespace) ?? new Map<string, Begun>();
    this.#begun.set(namespace, all);
    let begun = all.get(key);
    if (begun?.since !== since) {
      begun = { since, at: now };
      all.set(key, begun);
    }
    return now - begun.at >= this.#waitMs;
  }

  /** How long from `now` until the next of them is over (ms), of those in `keys`; undefined: none waits. The others are forgotten. */
  next(namespace: string, keys: ReadonlySet<string>, now: number): number | undefined {
    const all = this.#begun.get(namespace);
    let next: number | undefined;
    for (const [key, { at }] of all ?? []) {
      if (!keys.has(key)) {
        all?.delete(key);
        continue;
      }
      const left = at + this.#waitMs - now;
      if (left > 0 && (next === undefined || left < next)) next = left;
    }
    if (all?.size === 0) this.#begun.delete(namespace);
    return next;
  }
}
