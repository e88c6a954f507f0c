/** What is kept of an MTLSPolicy. */
import { InvalidObjectError, type MTLSPolicyStatus, mtlsPolicyStatusSchema, parseMTLSPolicy } from '../api/index.ts';
import { asRecord, asString } from '../kube/index.ts';
import { type Policy, readPolicy } from './policy.ts';

export interface PolicyRecord {
  readonly resourceVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  readonly deleting: boolean;
  /** The problem, where it was stored under an older schema and is not valid any more: then it is not heard. */
  readonly content: { readonly policy: Policy } | { readonly problem: string };
  /** Empty where it cannot be read: it is ours to write anew. */
  readonly status: MTLSPolicyStatus;
}

/** @throws Error where the object is not an MTLSPolicy by its outline. */
export function decodePolicy(object: unknown): { key: string; value: PolicyRecord } {
  const { metadata: rawMetadata, status } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const namespace = asString(metadata['namespace']);
  const name = asString(metadata['name']);
  const value: PolicyRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    namespace,
    name,
    uid: asString(metadata['uid']),
    generation: Number(metadata['generation'] ?? 0),
    deleting: metadata['deletionTimestamp'] !== undefined,
    content: contentOf(object),
    status: mtlsPolicyStatusSchema.catch({}).parse(status ?? {}),
  };
  return { key: `${namespace}/${name}`, value };
}

function contentOf(object: unknown): PolicyRecord['content'] {
  try {
    return { policy: readPolicy(parseMTLSPolicy(object)) };
  } catch (error) {
    if (error instanceof InvalidObjectError || error instanceof RangeError) return { problem: error.message };
    throw error;
  }
}
