/** Which pods use which Secret: an index over the store of pods, kept by its changes. */
import { type Change, splitKey } from '../kube/index.ts';
import type { PodRecord } from './pod.ts';

const NOBODY: ReadonlySet<string> = new Set();

export class UsesIndex {
  readonly #pods = new Map<string, Set<string>>();

  /** @returns keys of the Secrets for which something has changed. */
  apply({ key, before, after }: Change<PodRecord>): readonly string[] {
    const { namespace } = splitKey(key);
    const names = (record: PodRecord | undefined) =>
      new Map(record?.uses.map((use) => [`${namespace}/${use.secret}`, use]));
    const [was, is] = [names(before), names(after)];
    const changed: string[] = [];
    for (const [secret, use] of was) {
      const now = is.get(secret);
      if (now?.startedAt !== use.startedAt || now.frozenAt !== use.frozenAt) changed.push(secret);
      if (now === undefined) this.#remove(secret, key);
    }
    for (const secret of is.keys()) {
      if (was.has(secret)) continue;
      changed.push(secret);
      this.#pods.set(secret, (this.#pods.get(secret) ?? new Set()).add(key));
    }
    return changed;
  }

  /** Keys of the pods that use a Secret, given as namespace/name. */
  of(secret: string): ReadonlySet<string> {
    return this.#pods.get(secret) ?? NOBODY;
  }

  secrets(): Iterable<string> {
    return this.#pods.keys();
  }

  #remove(secret: string, pod: string): void {
    const pods = this.#pods.get(secret);
    pods?.delete(pod);
    if (pods?.size === 0) this.#pods.delete(secret);
  }
}
