/**
 * Of which policies the sidecars have yet to be counted: since a leader began, or since something was said that may decide for others. Told by older counts, or by none, a policy would seem to have
 * lost its sidecars for a moment.
 */
import { namespaceOf } from './proxies.ts';

export class Uncounted {
  readonly #meshNamespace: string;
  /** Namespaces that have to be counted, with the number of the change since which that is so. */
  readonly #changed = new Map<string, number>();
  /** Policies that have been asked about before they were counted. */
  readonly #asked = new Set<string>();
  #number = 0;
  #begun = false;

  /** @param meshNamespace the operator's: policies there are for the whole mesh. */
  constructor(meshNamespace: string) {
    this.#meshNamespace = meshNamespace;
  }

  /** A term begins: whatever was counted before may have changed. @param namespaces with pods in the mesh. */
  begin(namespaces: Iterable<string>): void {
    this.#begun = true;
    for (const namespace of namespaces) this.change(namespace);
  }

  /** Something may decide otherwise for pods of a namespace, which is to be counted. */
  change(namespace: string): void {
    this.#number += 1;
    this.#changed.set(namespace, this.#number);
  }

  /** Grows with each change. A count that begins now knows of all until here. */
  get number(): number {
    return this.#number;
  }

  /**
   * @param number as it was when the count began: what has changed since has to be counted again.
   * @returns policies that were asked about, and are counted now.
   */
  counted(namespace: string, number: number): ReadonlySet<string> {
    const since = this.#changed.get(namespace);
    if (since !== undefined && since <= number) this.#changed.delete(namespace);
    return this.takeCounted();
  }

  /** Policies that were asked about, and are counted now: each once. */
  takeCounted(): ReadonlySet<string> {
    const found = new Set<string>();
    for (const policy of this.#asked) {
      if (this.#waits(policy)) continue;
      this.#asked.delete(policy);
      found.add(policy);
    }
    return found;
  }

  /** @param policy namespace/name. */
  has(policy: string): boolean {
    const waits = this.#waits(policy);
    if (waits) this.#asked.add(policy);
    else this.#asked.delete(policy);
    return waits;
  }

  #waits(policy: string): boolean {
    const namespace = namespaceOf(policy);
    return !this.#begun || (namespace === this.#meshNamespace ? this.#changed.size > 0 : this.#changed.has(namespace));
  }
}
