/** One merge patch of a WorkloadCertificate's status. */
import { workloadCertificateKind } from '../api/index.ts';
import { patchStatus, type Transport } from '../kube/index.ts';
import { type CertificateRecord, decodeCertificate } from './certificateRecord.ts';

/** @returns the object as it is after the write; undefined where it is gone. */
export async function writeStatus(
  transport: Pick<Transport, 'request'>,
  { namespace, name, uid }: CertificateRecord,
  patch: object,
  signal: AbortSignal,
): Promise<ReturnType<typeof decodeCertificate> | undefined> {
  const path = workloadCertificateKind.path(namespace, name, 'status');
  const written = await patchStatus(transport, path, uid, patch, signal);
  return written === undefined ? undefined : decodeCertificate(written);
}
