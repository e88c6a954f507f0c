/**
 * CAs whose Secret or key is gone: what counts as evidence that one existed, and what is said of it. Pure. A lost CA is never silently
 * remade: workloads trust the root, and an issuing CA that is merely missing may come back with a backup.
 */
import { annotations } from '../api/index.ts';
import { isSignedBy, type ParsedCertificate } from '../pki/index.ts';
import { type Generation, generationSecretName, type Role } from './generation.ts';

export interface LostCa {
  readonly role: Role;
  /** SHA-256 of the certificate, lower-case hex. */
  readonly fingerprint: string;
  readonly secretName?: string | undefined;
  /** ms, where known: after it the loss means nothing any more. */
  readonly notAfter?: number | undefined;
  /** namespace/name of a leaf Secret, where only such Secrets tell of it. */
  readonly seenIn?: string | undefined;
}

export interface RootInUse {
  readonly fingerprint: string;
  /** namespace/name of a leaf Secret that has it in ca.crt. */
  readonly secret: string;
}

/** What is remembered of CAs elsewhere than in their own Secrets; a restore may have lost the one or the other. */
export interface Remembered {
  /** CAs of our own making that stand in status. */
  readonly noted: readonly LostCa[];
  /**
   * Roots in ca.crt of leaf Secrets. Whoever may write a Secret may put anything there, so this counts only where the CA's own Secrets say nothing
   * at all, and the Secret is named: a new authority of that name would wait for a root that never was.
   */
  readonly rootsInUse: readonly RootInUse[];
  /** Certificates from behind the leaves in leaf Secrets. Only those that a root of the authority has signed count. */
  readonly issuersInUse: readonly ParsedCertificate[];
  /** `caIdOf` the CAs that leaf Secrets hang on and that were searched for, whether or not their certificate was found. */
  readonly soughtIssuers?: ReadonlySet<string> | undefined;
  /** The CAs whose loss the user has accepted (annotation replace-missing): fingerprints, separated by commas. */
  readonly acceptedLoss: string | undefined;
}

export function acceptedLosses({ acceptedLoss }: Remembered): ReadonlySet<string> {
  return new Set(acceptedLoss?.split(',').map((text) => text.trim().toLowerCase()));
}

/**
 * Issuing CAs whose Secret is gone, read from the Secrets of the leaves below them. They sign nothing any more, but what they have signed stays good:
 * only a root of the authority could have made their certificate.
 */
export function issuingWithoutSecret(
  found: readonly Generation[],
  roots: readonly Generation[],
  { issuersInUse }: Remembered,
): Generation[] {
  const known = new Set(found.map(({ certificate }) => certificate.fingerprint));
  return issuersInUse.flatMap((certificate) => {
    if (!certificate.isCa || certificate.selfSigned || known.has(certificate.fingerprint)) return [];
    const root = roots.find((above) => isSignedBy(certificate, above.certificate));
    if (root === undefined) return [];
    known.add(certificate.fingerprint);
    const number = numberOfSubject(certificate.subject);
    const secretName = number === 0 ? '' : generationSecretName(root.authority, 'Issuing', number);
    const missing = { privateKey: undefined, roots: [], phase: 'Retired' };
    return [{ authority: root.authority, role: 'Issuing' as const, number, secretName, certificate, ...missing }];
  });
}

/** The number in the common name that `makeGeneration` gives an issuing CA; 0 where there is none. */
function numberOfSubject(subject: string): number {
  return Number(/CN=[^,]*\bissuing (\d{1,9})\b/.exec(subject)?.[1] ?? 0);
}

/** @param known roots with a Secret of their own (`found`), and those read from the Secrets of issuing CAs. */
export function lostRoots(
  found: readonly Generation[],
  known: readonly Generation[],
  remembered: Remembered,
): LostCa[] {
  const role = 'Root' as const;
  const hearsay =
    known.length > 0
      ? []
      : remembered.rootsInUse.map(({ fingerprint, secret }) => ({ role, fingerprint, seenIn: secret }));
  const readFromBelow = known
    .filter((root) => root.secretName === '')
    .map(({ certificate: { fingerprint } }) => ({ role, fingerprint }));
  return without(
    [...hearsay, ...readFromBelow, ...remembered.noted.filter((noted) => noted.role === role)],
    found,
    remembered,
  );
}

/**
 * @param found issuing CAs that have a Secret.
 * @param recovered issuing CAs of which leaf Secrets alone still tell.
 * @returns also those whose Secret cannot be read: the memory of them must outlast that Secret.
 */
export function lostIssuing(
  found: readonly Generation[],
  recovered: readonly Generation[],
  remembered: Remembered,
  now: number,
): LostCa[] {
  const unable = [...found, ...recovered].filter(({ privateKey }) => privateKey === undefined);
  const candidates: LostCa[] = [
    ...unable.map(({ certificate, secretName }) => ({
      role: 'Issuing' as const,
      fingerprint: certificate.fingerprint,
      notAfter: certificate.notAfter.getTime(),
      secretName: secretName === '' ? undefined : secretName,
    })),
    ...remembered.noted.filter(({ role }) => role === 'Issuing'),
  ];
  const able = found.filter(({ privateKey }) => privateKey !== undefined);
  // Of one that has ended no certificate is alive: it need not come back.
  return without(candidates, able, remembered).filter(({ notAfter }) => notAfter === undefined || notAfter > now);
}

/**
 * Each once; where one is told of twice the last wins, as status knows the names of Secrets. In an order of their own: what tells of them comes in
 * any, and each change of order would be written into the status, or wake every certificate.
 */
function without(candidates: readonly LostCa[], found: readonly Generation[], remembered: Remembered): LostCa[] {
  const lost = new Map(candidates.map((ca) => [ca.fingerprint, ca]));
  for (const { certificate } of found) lost.delete(certificate.fingerprint);
  for (const accepted of acceptedLosses(remembered)) lost.delete(accepted);
  const rank = ({ secretName = '', fingerprint }: LostCa) => `${secretName} ${fingerprint}`;
  return [...lost.values()].sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
}

export function untilWhen(issuing: Generation | undefined): string {
  if (issuing === undefined) return 'nothing can be signed';
  return `certificates are signed until ${issuing.certificate.notAfter.toISOString()}`;
}

/** What is gone, what that means for the present, and both ways out. */
export function describeLoss(
  all: readonly LostCa[],
  signer: Generation | undefined,
  issuing: Generation | undefined,
): string {
  const lost = all.slice(0, MOST_TOLD);
  const roots = lost.filter(({ role }) => role === 'Root');
  const below = lost.filter(({ role }) => role === 'Issuing');
  const what = [
    ...(roots.length === 0 ? [] : [`the Secret of a root that workloads trust is gone: ${named(roots)}`]),
    ...(below.length === 0 ? [] : [`the Secret or key of an issuing CA is gone: ${named(below)}`]),
    ...(lost.length === all.length ? [] : [`${all.length - lost.length} more, which are told of after these`]),
  ].join('; ');
  const hearsay = lost.some(({ seenIn }) => seenIn !== undefined)
    ? ' Only leaf Secrets tell of that root: if this authority never had it, delete those Secrets.'
    : '';
  const healthy =
    signer === undefined || roots.length > 0 ? '' : ` The root in Secret "${signer.secretName}" is healthy.`;
  const meanwhile =
    signer !== undefined && issuing !== undefined && below.length === 0
      ? ''
      : ` Meanwhile ${untilWhen(issuing)}; certificates that have been issued stay as they are.`;
  const fingerprints = lost.map(({ fingerprint }) => fingerprint).join(',');
  const anew =
    roots.length > 0
      ? 'a new one is made, which every workload has to learn to trust'
      : `${issuing === undefined ? 'a new one is made, and ' : ''}every certificate of the lost one is issued anew`;
  return (
    `${what}.${hearsay}${healthy}${meanwhile} Restore it from a backup (docs/backup.md). To give it up for good (${anew}), annotate this ` +
    `CertificateAuthority with ${annotations.replaceMissing}=${fingerprints}`
  );
}

/** For a superseded issuing CA, while another signs: nothing is wrong yet. */
export function describeSuperseded(lost: readonly LostCa[]): string | undefined {
  if (lost.length === 0) return undefined;
  return `the Secret of a superseded issuing CA that certificates in use hang on is gone: ${named(lost)}; they stay as they are until their own renewal`;
}

function named(lost: readonly LostCa[]): string {
  return lost
    .map(({ fingerprint, secretName, seenIn }) => {
      if (secretName !== undefined) return `"${secretName}" (${fingerprint})`;
      return seenIn === undefined ? fingerprint : `${fingerprint} (in ca.crt of the Secret ${seenIn})`;
    })
    .join(', ');
}

/** Leaf Secrets can tell of any number, and a condition's message has an end. */
const MOST_TOLD = 16;

/** The number in the name of a generation's Secret of this role; 0 for others. A number is never used again, whatever became of it. */
export function numberIn(role: Role): (item: { readonly secretName?: string | undefined }) => number {
  const suffix = new RegExp(`-${role.toLowerCase()}-(\\d{1,9})$`);
  return ({ secretName = '' }) => Number(suffix.exec(secretName)?.[1] ?? 0);
}
