/** What has which address. Several things may say that they have the same one: that passes, and until then it must be clear who is meant. */

/** An object and its key, kept once however many addresses it has. */
export interface Held<T> {
  readonly key: string;
  value: T;
}

const NONE: readonly never[] = [];

export class ByAddress<T> {
  readonly #held = new Map<string, Held<T>[]>();

  /** Once, however often it is said. */
  add(address: string, held: Held<T>): void {
    const there = this.#held.get(address);
    if (there === undefined) this.#held.set(address, [held]);
    else if (!there.includes(held)) there.push(held);
  }

  remove(address: string, held: Held<T>): void {
    const there = this.#held.get(address);
    const index = there?.indexOf(held) ?? -1;
    if (there === undefined || index < 0) return;
    if (there.length === 1) this.#held.delete(address);
    else there.splice(index, 1);
  }

  /** In no particular order. */
  at(address: string): readonly Held<T>[] {
    return this.#held.get(address) ?? NONE;
  }

  /** The one that comes last in an order. @param compare must tell any two apart. */
  last(address: string, compare: (one: Held<T>, other: Held<T>) => number): Held<T> | undefined {
    const [first, ...others] = this.at(address);
    return first && others.reduce((last, held) => (compare(held, last) > 0 ? held : last), first);
  }
}
