/** The authority that the operator makes by itself, so that one `kubectl apply` of a WorkloadCertificate is enough. */
import { API_VERSION, AUTHORITY_FINALIZER, certificateAuthorityKind } from '../api/index.ts';
import { isAlreadyExists, type Log, type Transport } from '../kube/index.ts';

/** What spec.authorityRef names where it is left out. */
export const DEFAULT_AUTHORITY = 'default';

/**
 * Called by the leader after a successful LIST. Where there is any authority already, its owner has decided; never made by a chart, since
 * an uninstalled chart would take the CA with it.
 *
 * @returns the object, as the API server answered, where it was made: certificates that are looked at before the watch tells of it must not miss it.
 */
export async function ensureDefaultAuthority(options: {
  readonly transport: Transport;
  readonly log: Log;
  /** Names of authorities. */
  readonly existing: Iterable<string>;
  readonly trustDomain: string;
  readonly signal: AbortSignal;
}): Promise<unknown> {
  const { transport, log, existing, trustDomain, signal } = options;
  const others = [...existing];
  if (others.includes(DEFAULT_AUTHORITY)) return undefined;
  if (others.length > 0) {
    log.info(
      { authorities: others.slice(0, MOST_NAMED) },
      'made no default authority, since there are others: apply a CertificateAuthority "default" if certificates without authorityRef are wanted',
    );
    return undefined;
  }
  const body = {
    apiVersion: API_VERSION,
    kind: certificateAuthorityKind.kind,
    metadata: { name: DEFAULT_AUTHORITY, finalizers: [AUTHORITY_FINALIZER] },
    spec: { trustDomain, selfSigned: {} },
  };
  try {
    const made = await transport.request({ method: 'POST', path: certificateAuthorityKind.path(), body, signal });
    log.info({ authority: DEFAULT_AUTHORITY, trustDomain }, 'made the default authority');
    return made;
  } catch (error) {
    if (!isAlreadyExists(error)) throw error;
    return undefined;
  }
}

/** Names in one line of the log. */
const MOST_NAMED = 10;
