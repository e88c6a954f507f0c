/** The status of a CertificateAuthority: pure, from what was found out about it. */
import { type CertificateAuthority, type CertificateAuthorityStatus, iso, setCondition } from '../api/index.ts';
import type { ParsedCertificate } from '../pki/index.ts';
import type { Generation } from './generation.ts';
import type { LostCa } from './lost.ts';

export interface AuthorityFindings {
  readonly ready: { readonly status: 'True' | 'False'; readonly reason: string; readonly message: string };
  /** Said while it is so, early enough to act. */
  readonly ending: { readonly reason: 'RootExpiring' | 'CAExpiring'; readonly message: string } | undefined;
  readonly root: { readonly certificate: ParsedCertificate; readonly secretName: string } | undefined;
  readonly issuing: { readonly certificate: ParsedCertificate; readonly secretName: string } | undefined;
  readonly renewalTime: number | undefined;
  readonly generations: readonly Generation[];
  /** CAs whose Secret is gone. */
  readonly lost: readonly LostCa[];
  readonly roots: readonly ParsedCertificate[];
}

/**
 * @returns the whole status that should stand there. What is not known at present (a CA whose Secret is gone) keeps the last known
 *   value: it is the only memory of what is missing.
 */
export function authorityStatus(
  authority: CertificateAuthority,
  findings: AuthorityFindings,
  now: string,
): CertificateAuthorityStatus {
  const { status: before, metadata } = authority;
  const { ready, ending, root, issuing, renewalTime, generations, lost, roots } = findings;
  // One that status has forgotten, as a restore makes it, goes back into it: else the next look would miss nothing.
  const notedBefore = lost.flatMap((ca) => {
    const known = before.generations?.find(({ fingerprint }) => fingerprint === ca.fingerprint);
    return known ?? noteOf(ca) ?? [];
  });
  const stillNoted = new Set(notedBefore.map(({ fingerprint }) => fingerprint));
  const observedGeneration = metadata.generation;
  let conditions = setCondition(before.conditions, { type: 'Ready', ...ready, observedGeneration }, now);
  conditions =
    ending === undefined
      ? conditions.filter(({ type }) => type !== EXPIRING)
      : setCondition(conditions, { type: EXPIRING, status: 'True', ...ending, observedGeneration }, now);
  return {
    conditions: [...conditions],
    observedGeneration: metadata.generation,
    phase: phaseOf(authority, ready),
    ...optional('root', root === undefined ? before.root : describe(root)),
    ...optional(
      'issuing',
      issuing === undefined
        ? before.issuing
        : {
            ...describe(issuing),
            serialNumber: issuing.certificate.serialNumber,
            ...optional('renewalTime', renewalTime === undefined ? undefined : iso(renewalTime)),
          },
    ),
    generations: [
      ...notedBefore,
      ...generations
        .filter(({ certificate }) => !stillNoted.has(certificate.fingerprint))
        .map((generation) => ({
          ...describe(generation),
          fingerprint: generation.certificate.fingerprint,
          role: generation.role,
          phase: phaseOfGeneration(generation, issuing),
        })),
    ].slice(0, MAX_LISTED),
    trust: {
      roots: roots.slice(0, MAX_LISTED).map(({ fingerprint, subject, notAfter }) => ({
        fingerprint,
        subject,
        notAfter: iso(notAfter.getTime()),
      })),
    },
  };
}

/** Only there while it is true, as conditions that tell of something unusual are. */
export const EXPIRING = 'Expiring';

/** The schema's limit. */
const MAX_LISTED = 64;

/** Undefined for one that is known by hearsay alone. */
function noteOf({ role, fingerprint, secretName, notAfter }: LostCa) {
  if (secretName === undefined || notAfter === undefined) return undefined;
  return { role, fingerprint, secretName, notAfter: iso(notAfter) };
}

function phaseOfGeneration(
  { role, certificate }: Generation,
  issuing: AuthorityFindings['issuing'],
): 'Active' | 'Retired' {
  return role === 'Root' || certificate === issuing?.certificate ? 'Active' : 'Retired';
}

function phaseOf(
  { metadata, spec }: CertificateAuthority,
  ready: AuthorityFindings['ready'],
): NonNullable<CertificateAuthorityStatus['phase']> {
  if (metadata.deletionTimestamp !== undefined) return 'Deleting';
  if (ready.status === 'True') return 'Ready';
  return spec.selfSigned !== undefined && ready.reason === 'Pending' ? 'Pending' : 'Unavailable';
}

function describe({ certificate, secretName }: { certificate: ParsedCertificate; secretName: string }) {
  return {
    fingerprint: certificate.fingerprint,
    subject: certificate.subject,
    notBefore: iso(certificate.notBefore.getTime()),
    notAfter: iso(certificate.notAfter.getTime()),
    ...optional('secretName', secretName === '' ? undefined : secretName),
  };
}

function optional<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}
