/** The authority that the operator makes by itself, so that one `kubectl apply` of a WorkloadCertificate is enough. */
import { API_VERSION, AUTHORITY_FINALIZER, certificateAuthorityKind } from '../api/index.ts';
import { isAlreadyExists, type Log, type Transport } from '../kube/index.ts';

/**
 * Called by the leader after a successful LIST. Where there is any authority already, its owner has decided; never made by a chart, since
 * an uninstalled chart would take the CA with it.
 */
export async function ensureDefaultAuthority(options: {
  readonly transport: Transport;
  readonly log: Log;
  readonly existing: number;
  readonly trustDomain: string;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { transport, log, existing, trustDomain, signal } = options;
  if (existing > 0) return;
  const body = {
    apiVersion: API_VERSION,
    kind: certificateAuthorityKind.kind,
    metadata: { name: 'default', finalizers: [AUTHORITY_FINALIZER] },
    spec: { trustDomain, selfSigned: {} },
  };
  try {
    await transport.request({ method: 'POST', path: certificateAuthorityKind.path(), body, signal });
    log.info({ authority: 'default', trustDomain }, 'made the default authority');
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
  }
}
