/** What comes of a look at an authority: the view for the rest of the operator, the findings for its status. Pure. */
import { type CertificateAuthority, parseDuration } from '../api/index.ts';
import { digestOf } from './digest.ts';
import type { Plan } from './lifecycle.ts';
import type { ProvidedResult } from './provided.ts';
import { bundleOf, issuingCaOf, knownIssuersOf } from './selfSigned.ts';
import type { AuthorityFindings } from './status.ts';
import { type AuthorityView, bundlePemOf, caIdOf, chainPemOf } from './view.ts';

export interface Outcome {
  readonly view: AuthorityView;
  readonly findings: AuthorityFindings;
  /** ms */
  readonly wakeAt: number;
}

export function selfSignedOutcome(authority: CertificateAuthority, plan: Plan): Outcome {
  const { issuing, root, problem, trustedRoots, trustedIssuing, renewalTime } = plan;
  const notReady = problem ?? { reason: 'Pending', message: 'the CA is being made' };
  const signs =
    issuing && `signs with ${issuing.certificate.subject}, valid until ${issuing.certificate.notAfter.toISOString()}`;
  return {
    view: viewOf(authority, {
      issuer: issuing && issuingCaOf(issuing),
      notReady: issuing === undefined ? notReady : undefined,
      knownIssuers: knownIssuersOf(plan),
      bundlePem: bundleOf(plan),
      certificates: [
        ...trustedRoots.map(({ certificate }) => ({ role: 'Root', certificate }) as const),
        ...(issuing === undefined ? [] : [{ role: 'Issuing', certificate: issuing.certificate } as const]),
      ],
      renewalTime,
    }),
    findings: {
      ready: signs !== undefined && problem === undefined ? ready(signs) : { status: 'False', ...notReady },
      root,
      issuing,
      renewalTime,
      generations: [...trustedRoots, ...trustedIssuing].filter(({ secretName }) => secretName !== ''),
      lost: plan.lost,
      roots: trustedRoots.map(({ certificate }) => certificate),
    },
    wakeAt: plan.wakeAt,
  };
}

export function providedOutcome(authority: CertificateAuthority, result: ProvidedResult): Outcome {
  const secretName = authority.spec.provided?.secretName ?? '';
  const nothing = { renewalTime: undefined, generations: [], lost: [] };
  if ('problem' in result) {
    const { problem } = result;
    const unknown = { issuer: undefined, knownIssuers: new Map(), bundlePem: '', certificates: [] };
    return {
      view: viewOf(authority, { ...unknown, notReady: problem, renewalTime: undefined }),
      findings: { ready: { status: 'False', ...problem }, root: undefined, issuing: undefined, roots: [], ...nothing },
      wakeAt: Number.MAX_SAFE_INTEGER,
    };
  }
  const { issuer, intermediates, roots, root, notAfter } = result.ca;
  const { certificate } = issuer;
  const known = { notAfter, chainPem: chainPemOf(certificate, intermediates), fingerprint: certificate.fingerprint };
  return {
    view: viewOf(authority, {
      issuer,
      notReady: undefined,
      knownIssuers: new Map([[caIdOf(certificate), known]]),
      bundlePem: bundlePemOf(roots),
      certificates: [
        ...roots.map((ca) => ({ role: 'Root', certificate: ca }) as const),
        { role: 'Issuing', certificate },
      ],
      renewalTime: undefined,
    }),
    findings: {
      ready: ready(
        `signs with ${certificate.subject} from Secret "${secretName}", valid until ${new Date(notAfter).toISOString()}`,
      ),
      root: { certificate: root, secretName },
      issuing: { certificate, secretName },
      roots,
      ...nothing,
    },
    wakeAt: notAfter,
  };
}

function ready(message: string): AuthorityFindings['ready'] {
  return { status: 'True', reason: 'Ready', message };
}

function viewOf(
  { metadata, spec }: CertificateAuthority,
  found: Omit<AuthorityView, 'name' | 'spec' | 'maxDurationSeconds' | 'digest'>,
): AuthorityView {
  const maxDurationSeconds = parseDuration(spec.maxCertificateDuration);
  const { issuer, notReady, knownIssuers, bundlePem } = found;
  const digest = digestOf([spec, issuer?.certificate.fingerprint, notReady, [...knownIssuers], bundlePem]);
  return { name: metadata.name, spec, maxDurationSeconds, digest, ...found };
}
