/** Which sidecars act by which policy, counted for a namespace: pure. */
import type { MTLSRolloutSpec } from '../api/index.ts';
import type { MeshPod } from '../inventory/index.ts';
import { type Answers, decidersIn, type PolicyProxies } from '../policy/index.ts';
import { switchKey } from './memory.ts';
import { namespaceOf } from './proxies.ts';

/** A pod with a sidecar. */
export interface TalliedPod {
  /** namespace/name */
  readonly key: string;
  readonly mesh: MeshPod;
  readonly answers: Answers;
  readonly acknowledged: boolean;
  /** What its proxy says that refuses. */
  readonly refusal: string | undefined;
}

export type Tally = ReadonlyMap<string, PolicyProxies>;

const MOST_NAMES = 5;
const MOST_WORDS = 500;

interface Counts {
  policy: string | undefined;
  sidecars: number;
  sidecarsIn: Record<string, number>;
  total: number;
  acknowledged: number;
  enforced: number;
  lagging: string[];
  refused: { pod: string; error: string }[];
}

/** @returns what each policy comes to by which some port of theirs is in its mode. */
export function tally(pods: Iterable<TalliedPod>, spec: MTLSRolloutSpec): Tally {
  const workloads = new Map((spec.workloads ?? []).map((entry) => [switchKey(entry.kind, entry.name), entry]));
  const found = new Map<string, Counts>();
  for (const { acknowledged, answers, key, mesh, refusal } of pods) {
    const entry = workloads.get(switchKey(mesh.workload.kind, mesh.workload.name));
    const switches = entry === undefined ? [] : [entry, ...(entry.ports ?? [])];
    for (const { key: policy, version } of decidersIn(answers)) {
      const counts = found.get(policy) ?? none(version);
      found.set(policy, counts);
      counts.sidecars += 1;
      const namespace = namespaceOf(key);
      counts.sidecarsIn[namespace] = (counts.sidecarsIn[namespace] ?? 0) + 1;
      if (mesh.sidecar?.running !== true) continue;
      counts.total += 1;
      if (refusal !== undefined) counts.refused.push({ pod: key, error: readable(refusal) });
      if (!acknowledged) {
        counts.lagging.push(key);
        continue;
      }
      counts.acknowledged += 1;
      // Its own ports; where it shares them with what the others have, all of them.
      const own = switches.filter((one) => one.policy === policy);
      const settled = (own.length === 0 ? switches : own).every(({ phase }) => phase === 'Settled');
      if (entry !== undefined && settled) counts.enforced += 1;
    }
  }
  for (const counts of found.values()) shorten(counts);
  return found;
}

const none = (policy: string | undefined): Counts => ({
  policy,
  sidecars: 0,
  sidecarsIn: {},
  total: 0,
  acknowledged: 0,
  enforced: 0,
  lagging: [],
  refused: [],
});

function shorten(counts: Counts): void {
  counts.lagging = counts.lagging.sort().slice(0, MOST_NAMES);
  counts.refused = counts.refused.sort((a, b) => (a.pod < b.pod ? -1 : 1)).slice(0, MOST_NAMES);
}

/** It comes from a proxy and goes into a status: bounded, and on one line. */
export function readable(text: string): string {
  return text
    .slice(0, MOST_WORDS)
    .replace(/[\p{C}\s]+/gu, ' ')
    .trim();
}

/** All namespaces together: what policies are told. */
export class Tallies {
  readonly #byNamespace = new Map<string, Tally>();

  /** @returns the policies for which something is different. */
  set(namespace: string, next: Tally): ReadonlySet<string> {
    const before = this.#byNamespace.get(namespace);
    if (next.size === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, next);
    const policies = new Set([...(before?.keys() ?? []), ...next.keys()]);
    for (const policy of policies) {
      if (JSON.stringify(before?.get(policy)) === JSON.stringify(next.get(policy))) policies.delete(policy);
    }
    return policies;
  }

  of(policy: string): PolicyProxies | undefined {
    let sum: Counts | undefined;
    for (const tallied of this.#byNamespace.values()) {
      const one = tallied.get(policy);
      if (one === undefined) continue;
      sum ??= none(one.policy);
      if (sum.policy !== one.policy) sum.policy = undefined;
      sum.sidecars += one.sidecars;
      Object.assign(sum.sidecarsIn, one.sidecarsIn);
      sum.total += one.total;
      sum.acknowledged += one.acknowledged;
      sum.enforced += one.enforced;
      sum.lagging.push(...one.lagging);
      sum.refused.push(...one.refused);
    }
    if (sum !== undefined) shorten(sum);
    return sum;
  }
}
