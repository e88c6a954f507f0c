/** One merge patch of a WorkloadCertificate's status. */
import { workloadCertificateKind } from '../api/index.ts';
import { ApiError, isNotFound, type Transport } from '../kube/index.ts';
import { type CertificateRecord, decodeCertificate } from './certificateRecord.ts';

/**
 * Bound to the object's UID, not to its version: whoever writes here owns the fields that it changes.
 * @returns the object as it is after the write; undefined where it is gone.
 */
export async function writeStatus(
  transport: Pick<Transport, 'request'>,
  { namespace, name, uid }: CertificateRecord,
  patch: object,
  signal: AbortSignal,
): Promise<ReturnType<typeof decodeCertificate> | undefined> {
  const path = workloadCertificateKind.path(namespace, name, 'status');
  try {
    const body = { metadata: { uid }, status: patch };
    return decodeCertificate(await transport.request({ method: 'PATCH', path, body, signal }));
  } catch (error) {
    // Gone, or made anew under the same name: its own event brings it here.
    if (isNotFound(error) || (error instanceof ApiError && error.status === 409)) return undefined;
    throw error;
  }
}
