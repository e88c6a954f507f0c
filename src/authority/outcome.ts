/** What comes of a look at an authority: the view for the rest of the operator, the findings for its status. Pure. */
import { type CertificateAuthority, parseDuration } from '../api/index.ts';
import { digestOf } from './digest.ts';
import { warnOfEndAt } from './ending.ts';
import type { Generation } from './generation.ts';
import type { Plan } from './lifecycle.ts';
import { untilWhen } from './lost.ts';
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

/** How long a problem of a CA that was brought along rests (ms). */
const RECHECK = 60_000;

/** @param unmade why the next generation could not be stored; what signs goes on signing. */
export function selfSignedOutcome(
  authority: CertificateAuthority,
  plan: Plan,
  unmade?: { readonly reason: string; readonly message: string },
): Outcome {
  const { ending, issuing, note, root, trustedRoots, trustedIssuing, renewalTime } = plan;
  const problem = unmade === undefined ? plan.problem : withOther(unmade, plan);
  const notReady = problem ?? { reason: 'Pending', message: 'the CA is being made' };
  const signs =
    issuing && `signs with ${issuing.certificate.subject}, valid until ${issuing.certificate.notAfter.toISOString()}`;
  return {
    view: viewOf(authority, {
      issuer: issuing && issuingCaOf(issuing),
      notReady: issuing === undefined ? notReady : undefined,
      knownIssuers: knownIssuersOf(plan),
      soughtIssuers: plan.soughtIssuers,
      bundlePem: bundleOf(plan),
      certificates: [
        ...trustedRoots.map(({ certificate }) => ({ role: 'Root', certificate }) as const),
        ...(issuing === undefined ? [] : [{ role: 'Issuing', certificate: issuing.certificate } as const]),
      ],
      renewalTime,
    }),
    findings: {
      ready:
        signs !== undefined && problem === undefined
          ? ready(note === undefined ? signs : `${signs}; ${note}`)
          : { status: 'False', ...notReady },
      ending: ending && {
        reason: 'RootExpiring',
        message:
          `${describeRoot(ending)} ends at ${ending.certificate.notAfter.toISOString()}, and with it everything below it: ` +
          'make another CertificateAuthority and move the WorkloadCertificates there (spec.authorityRef) before',
      },
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

/** One whose own Secret is gone is known from below an issuing CA. */
function describeRoot({ secretName, certificate: { subject, fingerprint } }: Generation): string {
  return secretName === '' ? `the root ${subject} (${fingerprint})` : `the root in Secret "${secretName}"`;
}

function withOther({ reason, message }: { readonly reason: string; readonly message: string }, plan: Plan) {
  const others = plan.problem === undefined ? '' : `. Besides, ${plan.problem.message}`;
  return { reason, message: `${message}; ${untilWhen(plan.issuing)}${others}` };
}

/** @param note what else is to be said although the authority signs. */
export function withNote(plan: Plan, note: string | undefined): Plan {
  return note === undefined ? plan : { ...plan, note: plan.note === undefined ? note : `${plan.note}; ${note}` };
}

/** @param wakeAt ms, where something else than time asks for another look. */
export function wokenAt(wakeAt: number | undefined, outcome: Outcome): Outcome {
  return wakeAt === undefined ? outcome : { ...outcome, wakeAt: Math.min(outcome.wakeAt, wakeAt) };
}

/** @param now ms */
export function providedOutcome(authority: CertificateAuthority, result: ProvidedResult, now: number): Outcome {
  const secretName = authority.spec.provided?.secretName ?? '';
  const nothing = { renewalTime: undefined, generations: [], lost: [] };
  if ('problem' in result) {
    const { problem } = result;
    const unknown = { issuer: undefined, knownIssuers: new Map(), bundlePem: '', certificates: [] };
    return {
      view: viewOf(authority, { ...unknown, notReady: problem, renewalTime: undefined }),
      findings: {
        ready: { status: 'False', ...problem },
        root: undefined,
        issuing: undefined,
        roots: [],
        ending: undefined,
        ...nothing,
      },
      // What somebody does about it is told by events; time, and an event that was overtaken, are not.
      wakeAt: Math.min(result.begins ?? Number.MAX_SAFE_INTEGER, now + RECHECK),
    };
  }
  const { issuer, intermediates, roots, root, notAfter } = result.ca;
  const { certificate } = issuer;
  const longest = parseDuration(authority.spec.maxCertificateDuration);
  const warnAt = warnOfEndAt(certificate.notBefore, new Date(notAfter), longest);
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
      ending:
        now < warnAt
          ? undefined
          : {
              reason: 'CAExpiring',
              message:
                `the CA in Secret "${secretName}", or one above it, ends at ${new Date(notAfter).toISOString()}, and with it every certificate: ` +
                'put a longer one into the Secret before',
            },
      ...nothing,
    },
    wakeAt: now < warnAt ? warnAt : notAfter,
  };
}

/**
 * What is seen of an authority whose object cannot be read and never could since the start: nothing is known of its CAs, so nothing
 * that hangs on them is judged.
 */
export function unreadableView(name: string, problem: string): AuthorityView {
  const notReady = { reason: 'SpecInvalid', message: problem };
  return {
    name,
    unreadable: problem,
    spec: { trustDomain: '', maxCertificateDuration: '0s' },
    maxDurationSeconds: 0,
    issuer: undefined,
    notReady,
    knownIssuers: new Map(),
    bundlePem: '',
    certificates: [],
    renewalTime: undefined,
    digest: digestOf([name, notReady]),
  };
}

function ready(message: string): AuthorityFindings['ready'] {
  return { status: 'True', reason: 'Ready', message };
}

function viewOf(
  { metadata, spec }: CertificateAuthority,
  found: Omit<AuthorityView, 'name' | 'unreadable' | 'spec' | 'maxDurationSeconds' | 'digest'>,
): AuthorityView {
  const maxDurationSeconds = parseDuration(spec.maxCertificateDuration);
  const { issuer, notReady, knownIssuers, bundlePem } = found;
  const digest = digestOf([spec, issuer?.certificate.fingerprint, notReady, [...knownIssuers], bundlePem]);
  return { name: metadata.name, spec, maxDurationSeconds, digest, ...found };
}
