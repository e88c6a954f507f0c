import { isObject, numberAt, property, stringAt } from './json.ts';

/** What a Lease says of who leads, as far as it can be understood. */
export interface LeaseRecord {
  /** Empty: nobody. */
  readonly holder: string;
  readonly durationMs: number;
  /** The holder's clock; shown to people, and compared to itself only to see that it moves. */
  readonly renewTime: string;
  readonly acquireTime: string;
  readonly transitions: number;
}

/** A Lease that was read: what it says, and what is needed to write it. */
export interface ReadLease {
  readonly record: LeaseRecord;
  readonly resourceVersion: string;
  readonly raw: { readonly [key: string]: unknown };
}

/** Reads a Lease from the API server. Undefined if it is none. */
export function readLease(object: unknown): ReadLease | undefined {
  const resourceVersion = stringAt(property(object, 'metadata'), 'resourceVersion');
  if (!isObject(object) || !resourceVersion) return undefined;
  const spec = property(object, 'spec');
  const seconds = numberAt(spec, 'leaseDurationSeconds') ?? 0;
  const record = {
    holder: stringAt(spec, 'holderIdentity') ?? '',
    durationMs: Math.max(0, seconds) * 1000,
    renewTime: stringAt(spec, 'renewTime') ?? '',
    acquireTime: stringAt(spec, 'acquireTime') ?? '',
    transitions: numberAt(spec, 'leaseTransitions') ?? 0,
  };
  return { record, resourceVersion, raw: object };
}

export type LeaseAction =
  | { readonly action: 'wait'; readonly holder: string }
  | { readonly action: 'take' | 'renew'; readonly record: LeaseRecord };

/**
 * What a candidate does about a Lease (client-go's tryAcquireOrRenew).
 *
 * @param unchangedMs how long, on our own monotonic clock, we have seen this very record. The times inside it are another machine's.
 */
export function decideLease(
  record: LeaseRecord | undefined,
  own: { identity: string; durationMs: number; now: string; unchangedMs: number },
): LeaseAction {
  const fresh = {
    holder: own.identity,
    durationMs: own.durationMs,
    renewTime: own.now,
    acquireTime: own.now,
    transitions: 0,
  };
  if (record === undefined) return { action: 'take', record: fresh };
  if (record.holder === own.identity) {
    return {
      action: 'renew',
      record: { ...fresh, acquireTime: record.acquireTime || own.now, transitions: record.transitions },
    };
  }
  if (record.holder !== '' && own.unchangedMs < record.durationMs) return { action: 'wait', holder: record.holder };
  return { action: 'take', record: { ...fresh, transitions: record.transitions + 1 } };
}

/** The spec as coordination.k8s.io/v1 wants it. */
export function leaseSpec(record: LeaseRecord): object {
  return {
    holderIdentity: record.holder,
    leaseDurationSeconds: Math.max(1, Math.round(record.durationMs / 1000)),
    acquireTime: record.acquireTime,
    renewTime: record.renewTime,
    leaseTransitions: record.transitions,
  };
}

/** Kubernetes' MicroTime. */
export function microTime(wallMs: number): string {
  return new Date(wallMs).toISOString().replace(/Z$/, '000Z');
}
