/** From spec and authority to what is to be issued, or to the reason why it cannot be: pure. */

import { parseDuration, type WorkloadCertificateSpec } from '../api/index.ts';
import { type AuthorityView, caIdOf, DEFAULT_AUTHORITY, deniedNames, describeDenied } from '../authority/index.ts';
import { buildLeafProfile, checkNameConstraints, type LeafProfile, PkiError, spiffeId } from '../pki/index.ts';
import type { Refusal } from './reasons.ts';

export interface RequestContext {
  /** ms */
  readonly now: number;
  readonly namespace: string;
  readonly namespaceLabels: Readonly<Record<string, string>>;
  readonly clusterDomain: string;
  readonly authorityName: string;
  readonly authority: AuthorityView | undefined;
}

export interface Request {
  /** Absent: what is asked for cannot be told at present. */
  readonly profile: LeafProfile | undefined;
  /** Absent: it may be issued. */
  readonly refusal: Refusal | undefined;
}

export function requestFor(spec: WorkloadCertificateSpec, context: RequestContext): Request {
  const { authority, authorityName } = context;
  if (authority === undefined) {
    return refused(
      'AuthorityNotFound',
      `there is no CertificateAuthority "${authorityName}": create it, or correct spec.authorityRef.name${unmade(authorityName)}`,
    );
  }
  if (authority.unreadable !== undefined)
    return { profile: undefined, refusal: cannotSign(authorityName, 'SpecInvalid', authority.unreadable) };
  const profile = profileFor(spec, context.namespace, authority);
  if ('reason' in profile) return { profile: undefined, refusal: profile };
  const denied = deniedNames(
    namesAsked(spec, profile, context, authority),
    authority.spec.names ?? [],
    context.clusterDomain,
  );
  if (denied.length > 0)
    return { profile, refusal: { reason: 'NamesDenied', message: describeDenied(denied, authorityName) } };
  if (authority.issuer === undefined) {
    const { reason, message } = authority.notReady ?? { reason: 'Pending', message: 'the CA is being made' };
    return { profile, refusal: cannotSign(authorityName, reason, message) };
  }
  const until = signsUntil(authority);
  if (until !== undefined && until <= context.now) {
    return {
      profile,
      refusal: cannotSign(authorityName, 'Expired', `its CA ended at ${new Date(until).toISOString()}`),
    };
  }
  const violations = checkNameConstraints(
    { ...profile.request, subjectDer: profile.subjectDer },
    authority.issuer.chain,
  );
  if (violations.length > 0) {
    return {
      profile,
      refusal: { reason: 'NamesDenied', message: violations.map(({ message }) => message).join('; ') },
    };
  }
  return { profile, refusal: undefined };
}

/** Others expect to find that one. */
function unmade(authorityName: string): string {
  if (authorityName !== DEFAULT_AUTHORITY) return '';
  return ` (the operator makes "${DEFAULT_AUTHORITY}" by itself only with --create-default-authority, and where it finds no authority at all when it begins to lead)`;
}

function cannotSign(authority: string, reason: string, message: string): Refusal {
  return {
    reason: 'AuthorityNotReady',
    message: `the CertificateAuthority "${authority}" cannot sign (${reason}): ${message}`,
  };
}

/** When the CA that signs at present, or one above it, ends (ms): no certificate lasts longer. Undefined where none signs. */
export function signsUntil({ issuer, knownIssuers }: AuthorityView): number | undefined {
  return issuer && knownIssuers.get(caIdOf(issuer.certificate))?.notAfter;
}

function refused(reason: Refusal['reason'], message: string): Request {
  return { profile: undefined, refusal: { reason, message } };
}

function profileFor(spec: WorkloadCertificateSpec, namespace: string, authority: AuthorityView): LeafProfile | Refusal {
  const { privateKey } = spec;
  try {
    const identity = identityOf(spec, namespace, authority);
    return buildLeafProfile({
      subject: { ...spec.subject, ...(spec.commonName === undefined ? {} : { commonName: spec.commonName }) },
      dnsNames: spec.dnsNames ?? [],
      ipAddresses: spec.ipAddresses ?? [],
      uris: [...(identity === undefined ? [] : [identity]), ...(spec.uris ?? [])],
      emailAddresses: spec.emailAddresses ?? [],
      usages: spec.usages,
      key:
        privateKey.size === undefined
          ? { algorithm: privateKey.algorithm }
          : { algorithm: privateKey.algorithm, size: privateKey.size },
    });
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    return { reason: 'RequestInvalid', message: error.message };
  }
}

function identityOf(
  { serviceAccountName }: WorkloadCertificateSpec,
  namespace: string,
  authority: AuthorityView,
): string | undefined {
  if (serviceAccountName === undefined) return undefined;
  return spiffeId({ trustDomain: authority.spec.trustDomain, namespace, serviceAccountName });
}

function namesAsked(
  spec: WorkloadCertificateSpec,
  { request }: LeafProfile,
  context: RequestContext,
  authority: AuthorityView,
) {
  const identity = identityOf(spec, context.namespace, authority);
  return {
    ...request,
    namespace: context.namespace,
    namespaceLabels: context.namespaceLabels,
    serviceAccountName: spec.serviceAccountName,
    // The SPIFFE ID is the operator's to give, and exactly this one.
    uris: request.uris.filter((uri) => uri !== identity),
  };
}

/** Seconds. */
export function durationsOf(spec: WorkloadCertificateSpec): {
  durationSeconds: number;
  renewBeforeSeconds: number | undefined;
} {
  return {
    durationSeconds: parseDuration(spec.duration),
    renewBeforeSeconds: spec.renewBefore === undefined ? undefined : parseDuration(spec.renewBefore),
  };
}
