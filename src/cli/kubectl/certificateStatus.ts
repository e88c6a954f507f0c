/** What the command line wants to know of a WorkloadCertificate. Pure: whatever stands there, it is read as far as it goes. */
import { findCondition, workloadCertificateStatusSchema } from '../../api/index.ts';
import { property, stringAt } from '../../kube/index.ts';

export interface CertificateStatus {
  readonly namespace: string;
  readonly name: string;
  readonly secretName: string | undefined;
  readonly account: string | undefined;
  readonly dnsNames: readonly string[];
  readonly ready: boolean;
  /** Of the condition Ready. */
  readonly reason: string | undefined;
  readonly message: string | undefined;
  /** ms; undefined: none has been issued. */
  readonly notBefore: number | undefined;
  readonly notAfter: number | undefined;
  readonly renewal: number | undefined;
  readonly serialNumber: string | undefined;
}

export function readCertificate(object: unknown): CertificateStatus | undefined {
  const metadata = property(object, 'metadata');
  const namespace = stringAt(metadata, 'namespace');
  const name = stringAt(metadata, 'name');
  if (!namespace || !name) return undefined;
  const spec = property(object, 'spec');
  const status = workloadCertificateStatusSchema.catch({}).parse(property(object, 'status') ?? {});
  const condition = findCondition(status.conditions, 'Ready');
  return {
    namespace,
    name,
    secretName: stringAt(spec, 'secretName'),
    account: stringAt(spec, 'serviceAccountName'),
    dnsNames: strings(property(spec, 'dnsNames')),
    ready: condition?.status === 'True',
    reason: condition?.reason,
    message: condition?.message,
    notBefore: timeOf(status.notBefore),
    notAfter: timeOf(status.notAfter),
    renewal: timeOf(status.renewalTime),
    serialNumber: status.serialNumber,
  };
}

function strings(list: unknown): readonly string[] {
  return Array.isArray(list) ? list.filter((entry) => typeof entry === 'string') : [];
}

/** @returns ms; undefined where it is none. */
export function timeOf(text: string | undefined): number | undefined {
  const at = Date.parse(text ?? '');
  return Number.isNaN(at) ? undefined : at;
}
