/**
 * Every key of ours on objects of Kubernetes, in one place: these are as much an API as the kinds, since a restart, a
 * restore and a newer version of the operator read them again.
 */
import { hash } from 'node:crypto';
import { GROUP } from './kinds.ts';

const key = <Name extends string>(name: Name): `${typeof GROUP}/${Name}` => `${GROUP}/${name}`;

export const labels = {
  /**
   * On every Secret that the operator writes. Its caches select on it, so that they hold our Secrets and never all of
   * the cluster's. Values: `purposes`.
   */
  purpose: key('purpose'),
  /** On a Secret of a CA generation: the CertificateAuthority's name (which is a label value by its length). */
  authority: key('authority'),
  /**
   * Written by people, on a namespace or a pod: whether pods get a sidecar. Values: `injectionValues`. A pod's comes before
   * its namespace's.
   */
  injection: key('injection'),
  /**
   * On a WorkloadCertificate that the operator made by itself, and keeps as it made it. Whoever takes it off takes the object
   * over. Values: `managers`.
   */
  managedBy: key('managed-by'),
} as const;

export const managers = { operator: 'operator' } as const;

/** Name of the Secret, and of its WorkloadCertificate, that sidecars of a service account read: this and the account. */
export const SIDECAR_SECRET_PREFIX = 'mtls-proxy-';
/** The longest name that the API server allows; behind a longer one stands its digest. */
export const LONGEST_OBJECT_NAME = 253;

export const injectionValues = { enabled: 'enabled', disabled: 'disabled' } as const;

export const purposes = {
  /** Key and certificate of a WorkloadCertificate. */
  workloadCertificate: 'workload-certificate',
  /** Key and certificate of one generation of an authority's root or issuing CA. */
  authority: 'authority',
} as const;

export const annotations = {
  // Written by people.
  /**
   * On a WorkloadCertificate: an RFC 3339 time. One certificate is issued at that time, whatever the present one is
   * like.
   */
  renewAt: key('renew-at'),
  /**
   * On a Secret of type kubernetes.io/tls: the name of the WorkloadCertificate that may take it over and replace its
   * contents.
   */
  adopt: key('adopt'),
  /**
   * On a CertificateAuthority of which a root's or issuing CA's Secret is lost: fingerprints of the lost CAs, separated
   * by commas, by which their loss is accepted and others made.
   */
  replaceMissing: key('replace-missing'),

  // Written by people on a pod (or the template of pods), for its sidecar.
  /** Container ports that the sidecar does not stand before: numbers, separated by commas. */
  excludeInboundPorts: key('exclude-inbound-ports'),
  /** Ports of destinations that are dialled past the sidecar: numbers, separated by commas. */
  excludeOutboundPorts: key('exclude-outbound-ports'),
  /** Destinations that are dialled past the sidecar: CIDRs, separated by commas. */
  excludeOutboundRanges: key('exclude-outbound-ranges'),
  /** Container ports whose servers speak first, as those of MySQL and SMTP do: numbers or names, separated by commas. */
  serverFirstPorts: key('server-first-ports'),
  /** Resources of the sidecar, as quantities. */
  proxyCpuRequest: key('proxy-cpu-request'),
  proxyCpuLimit: key('proxy-cpu-limit'),
  proxyMemoryRequest: key('proxy-memory-request'),
  proxyMemoryLimit: key('proxy-memory-limit'),

  // Written by the webhook on a pod.
  /** What injection has done: probes as they were, which ports speak first, and which are excluded (JSON). Proxies are rendered from it. */
  injected: key('injected'),

  // Written by the operator on a CertificateAuthority.
  /**
   * The CAs whose certificates may be in use, as status lists them. Kept here too since a restore loses status: an
   * authority that is restored before its Secrets must not make a new root. Entries `<Secret>=<fingerprint>/<not after>`,
   * separated by commas.
   */
  generations: key('generations'),

  // Written by the operator on a WorkloadCertificate's Secret.
  /**
   * Name of the WorkloadCertificate that owns the Secret. This, not an owner reference, is ownership: it survives
   * backup and restore.
   */
  certificate: key('certificate'),
  /** Name of the authority that signed. */
  authority: key('authority'),
  /** Number of issuances so far, decimal. Kept here too since a restore loses status. */
  revision: key('revision'),
  /** Value of `renewAt` that was honoured last: the same request is honoured once. */
  renewedAt: key('renewed-at'),
  /**
   * The keys of the template's labels and annotations as written (JSON): they are ours to remove when the template
   * loses them.
   */
  template: key('template'),

  // Written by the operator on the Secret of a CA generation, and nowhere else remembered.
  /** UID of the CertificateAuthority for which it was made. */
  authorityUid: key('authority-uid'),
  /** `Root` or `Issuing`. */
  role: key('role'),
  /** Counts the generations of a role, decimal from 1. */
  generation: key('generation'),
  /** SHA-256 fingerprint of the certificate, lower-case hex. */
  fingerprint: key('fingerprint'),
  /** `Prepared`, `Active` or `Retired`. */
  phase: key('phase'),
  /** When it was made, RFC 3339. */
  createdAt: key('created-at'),
  /** Validity of the certificate, RFC 3339. */
  notBefore: key('not-before'),
  notAfter: key('not-after'),

  // Written by the operator on the pod template of a workload in spec.restart, beside `restartedForKey`.
  /** When it was restarted last, RFC 3339. */
  restartedAt: key('restarted-at'),
} as const;

/** The longest that the API server allows behind the slash of a key. */
const LONGEST_KEY_NAME = 63;

/**
 * On the pod template of a workload in spec.restart: the serial number of the certificate in the Secret of this name for which
 * the workload was restarted last. One key for each Secret, since pods may mount several. A name that is too long for a key
 * ends in its digest.
 */
export function restartedForKey(secretName: string): string {
  const name =
    secretName.length <= LONGEST_KEY_NAME
      ? secretName
      : `${secretName.slice(0, LONGEST_KEY_NAME - 11)}-${hash('sha256', secretName).slice(0, 10)}`;
  return `restarted-for.${GROUP}/${name}`;
}

/** Holds a CertificateAuthority that WorkloadCertificates still ask for. */
export const AUTHORITY_FINALIZER = key('authority-in-use');

/** Name of the Lease of the operator that leads. */
export const OPERATOR_LEASE = 'mtls-operator';

/** Field manager of every write. */
export const FIELD_MANAGER = 'mtls-operator';
