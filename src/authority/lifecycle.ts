/**
 * What a self-signed authority has to do now: pure, from its spec, its generations and the clock. One step at a time; after each
 * step the world is read again, so a crash between two steps loses nothing.
 */
import { isSignedBy, type KeySpec } from '../pki/index.ts';
import type { BrokenGeneration, Generation, Role } from './generation.ts';

const SECOND = 1000;

export interface SelfSignedSpec {
  readonly root: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly issuing: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly maxCertificateDurationSeconds: number;
}

/** What is remembered of roots elsewhere than in their own Secrets; a restore may have lost the one or the other. */
export interface Remembered {
  /** Roots that stand in status, with the Secret that held them where known. */
  readonly roots: readonly LostRoot[];
  /**
   * Fingerprints of roots in ca.crt of leaf Secrets. Whoever may write a Secret may put anything there, so this counts only where the CA's own
   * Secrets say nothing at all.
   */
  readonly rootsInUse: readonly string[];
  /** The roots whose loss the user has accepted (annotation replace-missing-root): fingerprints, separated by commas. */
  readonly acceptedLoss: string | undefined;
}

export interface LostRoot {
  readonly fingerprint: string;
  readonly secretName?: string | undefined;
}

export type Step =
  | { readonly step: 'CreateRoot'; readonly number: number }
  | { readonly step: 'CreateIssuing'; readonly number: number; readonly root: Generation; readonly because: string }
  | { readonly step: 'None' };

export interface Plan {
  readonly step: Step;
  /** The CA that signs now; undefined: nothing can be signed. */
  readonly issuing: Generation | undefined;
  readonly root: Generation | undefined;
  /** Issuing CAs whose leaves are good: of a root that is trusted, not expired. */
  readonly trustedIssuing: readonly Generation[];
  /** Roots that belong into ca.crt. */
  readonly trustedRoots: readonly Generation[];
  /** Superseded issuing CAs of which no leaf can be alive: their keys are only a liability. */
  readonly expired: readonly Generation[];
  /** When the issuing CA is renewed, ms. */
  readonly renewalTime: number | undefined;
  /** When time alone next changes this plan, ms. */
  readonly wakeAt: number;
  /** Roots whose Secret is gone, unless that is accepted: status must go on remembering them. */
  readonly lost: readonly LostRoot[];
  readonly problem?: { readonly reason: 'KeyMissing' | 'GenerationBroken' | 'RootExpired'; readonly message: string };
}

export function planSelfSigned(
  spec: SelfSignedSpec,
  found: readonly (Generation | BrokenGeneration)[],
  remembered: Remembered,
  now: number,
): Plan {
  const generations = found.filter((item): item is Generation => 'certificate' in item);
  const broken = found.filter((item): item is BrokenGeneration => 'problem' in item);
  const alive = (generation: Generation) => generation.certificate.notAfter.getTime() > now;
  const begun = (generation: Generation) => generation.certificate.notBefore.getTime() <= now;
  const issuingAll = generations.filter(({ role }) => role === 'Issuing').sort(newestFirst);
  const rootsFound = generations.filter(({ role }) => role === 'Root').sort(newestFirst);
  const rootsKnown = [...rootsFound, ...rootsWithoutSecret(rootsFound, issuingAll)];
  const trustedRoots = rootsKnown.filter(alive);
  const signer = trustedRoots.find(({ privateKey }) => privateKey !== undefined);
  const trustedIssuing = issuingAll.filter(
    (issuing) => alive(issuing) && trustedRoots.some((root) => isSignedBy(issuing.certificate, root.certificate)),
  );
  const able = trustedIssuing.filter(({ privateKey }) => privateKey !== undefined);
  // One that was made by a clock that ran ahead is good for nobody yet; it is better than none where even the root is not valid yet.
  const issuing = able.find(begun) ?? (signer !== undefined && begun(signer) ? undefined : able[0]);
  const renewalTime = issuing && issuingRenewalTime(issuing, signer, spec);
  const lost = lostRoots(rootsFound, rootsKnown, remembered);
  const base = {
    issuing,
    root: trustedRoots[0],
    trustedIssuing,
    trustedRoots,
    expired: issuingAll.filter((old) => !alive(old) && issuing !== undefined),
    renewalTime,
    lost,
    wakeAt: earliest(now, [
      renewalTime,
      ...[...trustedIssuing, ...trustedRoots].flatMap(({ certificate }) => [
        certificate.notBefore.getTime(),
        certificate.notAfter.getTime(),
      ]),
    ]),
  };
  const nothing = { step: 'None' } as const;
  const numberOfNext = (role: Role, items: readonly Generation[]): number =>
    Math.max(
      0,
      ...items.map(({ number }) => number),
      ...[...broken, ...lost, ...remembered.roots].map(numberIn(role)),
    ) + 1;

  const notice = damageOf(broken) ?? (lost.length > 0 ? rootMissing(lost, signer, issuing) : undefined);
  if (signer === undefined) {
    const problem = notice ?? rootKeyMissing(trustedRoots.find(hasSecret), issuing) ?? rootExpired(rootsFound);
    if (problem !== undefined) return { ...base, step: nothing, problem };
    return { ...base, step: { step: 'CreateRoot', number: numberOfNext('Root', rootsKnown) } };
  }
  const because = whyNewIssuing(issuing, renewalTime, now);
  const step =
    because === undefined
      ? nothing
      : ({ step: 'CreateIssuing', number: numberOfNext('Issuing', issuingAll), root: signer, because } as const);
  return { ...base, step, ...(notice && { problem: notice }) };
}

/**
 * A leaf must fit whole into the life of the CA that signs it, so a new issuing CA is due while a maximal leaf still fits, and no
 * later than at two thirds of the old one's life. Undefined where a new one could not last longer, since the root ends as soon.
 */
function issuingRenewalTime(
  { certificate }: Generation,
  root: Generation | undefined,
  spec: SelfSignedSpec,
): number | undefined {
  const notAfter = certificate.notAfter.getTime();
  if (root !== undefined && root.certificate.notAfter.getTime() <= notAfter) return undefined;
  const life = notAfter - certificate.notBefore.getTime();
  const renewBefore = Math.max(life / 3, spec.maxCertificateDurationSeconds * SECOND);
  // A CA shorter than twice its longest leaf would renew at once and for ever: never before half of its life.
  return Math.round(notAfter - Math.min(renewBefore, life / 2));
}

function whyNewIssuing(
  issuing: Generation | undefined,
  renewalTime: number | undefined,
  now: number,
): string | undefined {
  if (issuing === undefined) return 'there is none that can sign';
  if (renewalTime !== undefined && now >= renewalTime) return 'the present one is due for renewal';
  return undefined;
}

/**
 * Roots whose own Secret is gone, read from the Secrets of the issuing CAs below them: as long as an issuing CA has its key, workloads
 * keep getting certificates, and nobody's trust changes.
 */
function rootsWithoutSecret(found: readonly Generation[], issuing: readonly Generation[]): Generation[] {
  const known = new Set(found.map(({ certificate }) => certificate.fingerprint));
  const lost = new Map<string, Generation>();
  for (const { authority, certificate: below, roots } of issuing) {
    for (const certificate of roots) {
      if (known.has(certificate.fingerprint) || !certificate.selfSigned || !isSignedBy(below, certificate)) continue;
      const missing = { secretName: '', privateKey: undefined, roots: [], phase: 'Active' };
      lost.set(certificate.fingerprint, { authority, role: 'Root', number: 1, certificate, ...missing });
    }
  }
  return [...lost.values()];
}

const hasSecret = ({ secretName }: Generation) => secretName !== '';

function lostRoots(found: readonly Generation[], known: readonly Generation[], remembered: Remembered): LostRoot[] {
  const hearsay = known.length > 0 ? [] : remembered.rootsInUse.map((fingerprint) => ({ fingerprint }));
  const readFromBelow = known
    .filter((root) => !hasSecret(root))
    .map(({ certificate: { fingerprint } }) => ({ fingerprint }));
  // The last one wins: status knows the names of Secrets.
  const lost = new Map<string, LostRoot>(
    [...hearsay, ...readFromBelow, ...remembered.roots].map((root) => [root.fingerprint, root]),
  );
  for (const { certificate } of found) lost.delete(certificate.fingerprint);
  for (const accepted of remembered.acceptedLoss?.split(',') ?? []) lost.delete(accepted.trim());
  return [...lost.values()];
}

type Problem = NonNullable<Plan['problem']>;

function damageOf(broken: readonly BrokenGeneration[]): Problem | undefined {
  if (broken.length === 0) return undefined;
  const list = broken.map(({ secretName, problem }) => `Secret "${secretName}": ${problem}`).join('; ');
  const message = `a CA generation cannot be read; restore its Secret from a backup (docs/backup.md): ${list}`;
  return { reason: 'GenerationBroken', message };
}

function untilWhen(issuing: Generation | undefined): string {
  if (issuing === undefined) return 'nothing can be signed';
  return `certificates are signed until ${issuing.certificate.notAfter.toISOString()}`;
}

function rootMissing(
  lost: readonly LostRoot[],
  signer: Generation | undefined,
  issuing: Generation | undefined,
): Problem {
  const names = lost.map(({ fingerprint, secretName }) =>
    secretName === undefined ? fingerprint : `"${secretName}" (${fingerprint})`,
  );
  const meanwhile = signer === undefined ? `; meanwhile ${untilWhen(issuing)}` : '';
  const fingerprints = lost.map(({ fingerprint }) => fingerprint).join(',');
  return {
    reason: 'KeyMissing',
    message:
      `the Secret of a root that workloads trust is gone: ${names.join(', ')}${meanwhile}. Restore it from a backup (docs/backup.md); ` +
      `to give it up for good, annotate this CertificateAuthority with mtls-operator.io/replace-missing-root=${fingerprints}`,
  };
}

function rootKeyMissing(root: Generation | undefined, issuing: Generation | undefined): Problem | undefined {
  if (root === undefined) return undefined;
  return {
    reason: 'KeyMissing',
    message: `Secret "${root.secretName}" holds the root without its key, so no issuing CA can be made; ${untilWhen(issuing)}. Restore the Secret with tls.key.`,
  };
}

function rootExpired(roots: readonly Generation[]): Problem | undefined {
  if (roots.length === 0) return undefined;
  const expired = roots.map(
    ({ secretName, certificate }) => `"${secretName}" at ${certificate.notAfter.toISOString()}`,
  );
  return {
    reason: 'RootExpired',
    message: `every root has expired: ${expired.join(', ')}. Check the clock; if it is right, make a new CertificateAuthority and move to it`,
  };
}

function newestFirst(a: Generation, b: Generation): number {
  return b.number - a.number;
}

/** The number in the name of a generation's Secret of this role; 0 for others. A number is never used again, whatever became of it. */
function numberIn(role: Role): (item: { readonly secretName?: string | undefined }) => number {
  const suffix = new RegExp(`-${role.toLowerCase()}-(\\d{1,9})$`);
  return ({ secretName = '' }) => Number(suffix.exec(secretName)?.[1] ?? 0);
}

function earliest(now: number, times: readonly (number | undefined)[]): number {
  return Math.min(...times.filter((time): time is number => time !== undefined && time > now), Number.MAX_SAFE_INTEGER);
}
