/** What is kept of a WorkloadCertificate: spec and status as compact text, read when it is judged. 50,000 of them have to fit. */
import {
  annotations,
  InvalidObjectError,
  labels,
  managers,
  parseStoredWorkloadCertificate,
  type WorkloadCertificate,
  type WorkloadCertificateStatus,
  workloadCertificateStatusSchema,
} from '../api/index.ts';
import { asRecord, asString, property, stringAt, stringMap } from '../kube/index.ts';
import { compactJson, expandJson } from './compactJson.ts';

export interface CertificateRecord {
  readonly resourceVersion: string;
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly generation: number;
  /** ms */
  readonly created: number;
  readonly deleting: boolean;
  readonly renewAt: string | undefined;
  readonly secretName: string;
  readonly authority: string;
  /** By `compactJson`. */
  readonly spec: string;
  /** By `compactJson`. */
  readonly status: string;
  /** As the status says (ms): metrics want it of every certificate at each scrape. */
  readonly renewalTime: number | undefined;
  /** Whether the condition Ready is True. */
  readonly ready: boolean;
  /** Whether spec.restart names workloads, or the status tells of restarts: nearly always false. */
  readonly restarts: boolean;
  /** Whether the status tells of pods that use the Secret. */
  readonly consumers: boolean;
  /** Whether the operator made it by itself. */
  readonly managed: boolean;
}

/** The status of an object that nobody has looked at yet. */
export const NO_STATUS = '{}';

/** @throws Error where the object is not a WorkloadCertificate by its outline. */
export function decodeCertificate(object: unknown): { key: string; value: CertificateRecord } {
  const { metadata: rawMetadata, spec, status } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const namespace = asString(metadata['namespace']);
  const name = asString(metadata['name']);
  const { secretName, authorityRef } = asRecord(spec);
  const value: CertificateRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    namespace,
    name,
    uid: asString(metadata['uid']),
    generation: Number(metadata['generation'] ?? 0),
    created: Date.parse(String(metadata['creationTimestamp'])),
    deleting: metadata['deletionTimestamp'] !== undefined,
    renewAt: stringMap(metadata['annotations'])[annotations.renewAt],
    secretName: String(secretName),
    authority: String(stringMap(authorityRef)['name'] ?? 'default'),
    spec: compactJson(JSON.stringify(spec)),
    status: status === undefined ? NO_STATUS : compactJson(JSON.stringify(status)),
    renewalTime: timeAt(status, 'renewalTime'),
    ready: conditionOf(status, 'Ready') === 'True',
    restarts: asRecord(spec)['restart'] !== undefined || conditionOf(status, 'Restarted') !== undefined,
    consumers: property(status, 'consumers') !== undefined,
    managed: stringAt(metadata['labels'], labels.managedBy) === managers.operator,
  };
  return { key: `${namespace}/${name}`, value };
}

function timeAt(status: unknown, field: string): number | undefined {
  const at = Date.parse(stringAt(status, field) ?? '');
  return Number.isNaN(at) ? undefined : at;
}

function conditionOf(status: unknown, type: string): string | undefined {
  const conditions = property(status, 'conditions');
  if (!Array.isArray(conditions)) return undefined;
  return stringAt(
    conditions.find((condition: unknown) => stringAt(condition, 'type') === type),
    'status',
  );
}

/** The object behind the record. @returns the problem where it was stored under an older schema and is not valid any more. */
export function readCertificate(record: CertificateRecord): WorkloadCertificate | { readonly problem: string } {
  const { namespace, name, uid, resourceVersion, generation } = record;
  try {
    return parseStoredWorkloadCertificate({
      metadata: { namespace, name, uid, resourceVersion, generation },
      spec: JSON.parse(expandJson(record.spec)),
      status: JSON.parse(expandJson(record.status)),
    });
  } catch (error) {
    if (error instanceof InvalidObjectError) return { problem: error.message };
    throw error;
  }
}

/** The status alone, for an object whose spec cannot be read; empty where it cannot be read either. */
export function statusOf({ status }: CertificateRecord): WorkloadCertificateStatus {
  return workloadCertificateStatusSchema.catch({}).parse(JSON.parse(expandJson(status)));
}
