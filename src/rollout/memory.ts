/**
 * What a leader remembers of the record of a namespace: what it holds, and since which version of the object each part of it says what it says: pure.
 *
 * Who has acknowledged a version has acknowledged whatever has not changed since an older one. Without that memory each step of one workload would have every other one wait for the
 * acknowledgements of a version that says nothing new to it. It is never more than a short cut: a leader that knows nothing takes everything to be new in the version that it finds.
 */
import type { MTLSRolloutSpec } from '../api/index.ts';
import type { PortEntry, RolloutRecord } from './record.ts';

export interface Memory {
  readonly uid: string;
  readonly generation: number;
  readonly spec: MTLSRolloutSpec;
  /** By `switchKey`. */
  readonly since: ReadonlyMap<string, Since>;
}

/**
 * The versions of the object since which servers, and since which clients are told just this. Apart, since a change for one side is no news to the other: else every proxy of the mesh would
 * have to acknowledge what is for a few servers, and one that hangs would hold up what has nothing to do with it.
 */
export interface Since {
  readonly servers: string;
  readonly clients: string;
}

type Instructions = Pick<PortEntry, 'servers' | 'clients'>;

/** One workload's ports without an entry of their own, or one port of it. */
export function switchKey(kind: string, name: string, port?: number): string {
  return port === undefined ? `${kind}/${name}` : `${kind}/${name}:${port}`;
}

/** Every switch of a record. */
export function* switchesOf(spec: MTLSRolloutSpec): Generator<readonly [key: string, of: Instructions]> {
  for (const entry of spec.workloads ?? []) {
    yield [switchKey(entry.kind, entry.name), entry];
    for (const port of entry.ports ?? []) yield [switchKey(entry.kind, entry.name, port.port), port];
  }
}

/**
 * After a record was written by ourselves, bound to the version that `before` is about: nobody else has written in between.
 * @param before undefined where there was no record.
 */
export function rememberOwn(
  before: Memory | undefined,
  { uid, generation, resourceVersion, spec }: RolloutRecord,
): Memory {
  const known = before?.uid === uid ? new Map(switchesOf(before.spec)) : new Map<string, Instructions>();
  const since = new Map<string, Since>();
  for (const [key, { clients, servers }] of switchesOf(spec)) {
    const was = known.get(key);
    const then = before?.since.get(key);
    since.set(key, {
      servers: (was?.servers === servers ? then?.servers : undefined) ?? resourceVersion,
      clients: (was?.clients === clients ? then?.clients : undefined) ?? resourceVersion,
    });
  }
  return { uid, generation, spec, since };
}

/** A record that somebody else wrote, or an unknown number of them: whatever it was in between may have reached proxies that have acknowledged nothing since. */
export function rememberForeign({ uid, generation, resourceVersion, spec }: RolloutRecord): Memory {
  const now = { servers: resourceVersion, clients: resourceVersion };
  const since = new Map([...switchesOf(spec)].map(([key]) => [key, now] as const));
  return { uid, generation, spec, since };
}

/** Whether the record still is what is remembered. Status and metadata may have changed: the generation counts changes of spec alone. */
export function stillHolds(memory: Memory, { uid, generation }: RolloutRecord): boolean {
  return memory.uid === uid && memory.generation === generation;
}
