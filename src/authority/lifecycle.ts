/**
 * What a self-signed authority has to do now: pure, from its spec, its generations and the clock. One step at a time; after each
 * step the world is read again, so a crash between two steps loses nothing.
 */
import { isSignedBy, type KeySpec } from '../pki/index.ts';
import type { BrokenGeneration, Generation } from './generation.ts';

const SECOND = 1000;

export interface SelfSignedSpec {
  readonly root: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly issuing: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly maxCertificateDurationSeconds: number;
}

/** What status or leaf Secrets remember of generations; a restore may have lost the one or the other. */
export interface Remembered {
  /** Fingerprints of roots that are known to have existed, with the Secret that held them where known. */
  readonly roots: readonly { readonly fingerprint: string; readonly secretName?: string | undefined }[];
  /** The root whose loss the user has accepted (annotation replace-missing-root). */
  readonly acceptedLoss: string | undefined;
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
  const issuingAll = generations.filter(({ role }) => role === 'Issuing').sort(newestFirst);
  const rootsFound = generations.filter(({ role }) => role === 'Root').sort(newestFirst);
  const roots = [...rootsFound, ...rootsWithoutSecret(rootsFound, issuingAll)];
  const trustedRoots = roots.filter(alive);
  const root = trustedRoots[0];
  const trustedIssuing = issuingAll.filter(
    (issuing) => alive(issuing) && trustedRoots.some((trusted) => isSignedBy(issuing.certificate, trusted.certificate)),
  );
  const issuing = trustedIssuing.find(({ privateKey }) => privateKey !== undefined);
  const renewalTime = issuing && issuingRenewalTime(issuing, spec);
  const base = {
    issuing,
    root,
    trustedIssuing,
    trustedRoots,
    expired: issuingAll.filter((old) => !alive(old) && old !== issuing && issuing !== undefined),
    renewalTime,
    wakeAt: earliest(now, [
      renewalTime,
      ...[...trustedIssuing, ...trustedRoots].map(({ certificate }) => certificate.notAfter.getTime()),
    ]),
  };
  const stay = { ...base, step: { step: 'None' } as const };

  const damage = describeDamage(broken);
  if (root === undefined) {
    if (damage !== undefined) return { ...stay, problem: { reason: 'GenerationBroken', message: damage } };
    if (roots.length > 0) return { ...stay, problem: rootExpired(roots) };
    const lost = remembered.roots.filter(({ fingerprint }) => fingerprint !== remembered.acceptedLoss);
    if (lost.length > 0) return { ...stay, problem: rootMissing(lost) };
    return { ...base, step: { step: 'CreateRoot', number: 1 } };
  }

  const lost = missingRoots(rootsFound, roots, remembered);
  const notice =
    damage !== undefined
      ? ({ reason: 'GenerationBroken', message: damage } as const)
      : lost.length > 0
        ? rootMissing(lost)
        : undefined;
  const because = whyNewIssuing(issuing, renewalTime, now);
  if (because === undefined) return { ...stay, ...(notice && { problem: notice }) };
  const signer = trustedRoots.find(({ privateKey }) => privateKey !== undefined);
  if (signer === undefined) return { ...stay, problem: rootKeyMissing(root, issuing) };
  const number = Math.max(0, ...issuingAll.map((generation) => generation.number), ...broken.map(numberOf)) + 1;
  return {
    ...base,
    step: { step: 'CreateIssuing', number, root: signer, because },
    ...(notice && { problem: notice }),
  };
}

/**
 * A leaf must fit whole into the life of the CA that signs it, so a new issuing CA is due while a maximal leaf still fits, and no
 * later than at two thirds of the old one's life.
 */
function issuingRenewalTime({ certificate }: Generation, spec: SelfSignedSpec): number {
  const notAfter = certificate.notAfter.getTime();
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
  if (issuing === undefined || renewalTime === undefined) return 'there is none that can sign';
  if (now >= renewalTime) return 'the present one is due for renewal';
  return undefined;
}

/**
 * Roots whose own Secret is gone, read from the Secrets of the issuing CAs below them: as long as an issuing CA has its key, workloads
 * keep getting certificates, and nobody's trust changes.
 */
function rootsWithoutSecret(found: readonly Generation[], issuing: readonly Generation[]): Generation[] {
  const known = new Set(found.map(({ certificate }) => certificate.fingerprint));
  const lost = new Map<string, Generation>();
  for (const { authority, roots, number } of issuing) {
    for (const certificate of roots) {
      if (known.has(certificate.fingerprint)) continue;
      const root = {
        authority,
        role: 'Root',
        number,
        secretName: '',
        certificate,
        privateKey: undefined,
        roots: [],
        phase: 'Active',
      } as const;
      lost.set(certificate.fingerprint, root);
    }
  }
  return [...lost.values()];
}

function missingRoots(
  found: readonly Generation[],
  known: readonly Generation[],
  remembered: Remembered,
): Remembered['roots'] {
  const missing = new Map(remembered.roots.map((root) => [root.fingerprint, root]));
  for (const { certificate, secretName } of known) {
    if (secretName === '' && !missing.has(certificate.fingerprint)) missing.set(certificate.fingerprint, certificate);
  }
  for (const { certificate } of found) missing.delete(certificate.fingerprint);
  if (remembered.acceptedLoss !== undefined) missing.delete(remembered.acceptedLoss);
  return [...missing.values()];
}

function describeDamage(broken: readonly BrokenGeneration[]): string | undefined {
  if (broken.length === 0) return undefined;
  const list = broken.map(({ secretName, problem }) => `Secret "${secretName}": ${problem}`).join('; ');
  return `a CA generation cannot be read; restore its Secret from a backup (docs/backup.md): ${list}`;
}

function rootMissing(lost: Remembered['roots']): NonNullable<Plan['problem']> {
  const names = lost.map(({ fingerprint, secretName }) =>
    secretName === undefined ? fingerprint : `"${secretName}" (${fingerprint})`,
  );
  return {
    reason: 'KeyMissing',
    message:
      `the Secret of a root that workloads trust is gone: ${names.join(', ')}. Restore it from a backup (docs/backup.md); ` +
      `to give it up for good, annotate this CertificateAuthority with mtls-operator.io/replace-missing-root=${lost[0]?.fingerprint ?? ''}`,
  };
}

function rootKeyMissing(root: Generation, issuing: Generation | undefined): NonNullable<Plan['problem']> {
  const until =
    issuing === undefined
      ? 'nothing can be signed'
      : `certificates go on until ${issuing.certificate.notAfter.toISOString()}`;
  return {
    reason: 'KeyMissing',
    message: `Secret "${root.secretName}" holds the root without its key, so no issuing CA can be made; ${until}. Restore the Secret with tls.key.`,
  };
}

function rootExpired(roots: readonly Generation[]): NonNullable<Plan['problem']> {
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

function numberOf({ secretName }: BrokenGeneration): number {
  return Number(/-(\d+)$/.exec(secretName)?.[1] ?? 0);
}

function earliest(now: number, times: readonly (number | undefined)[]): number {
  return Math.min(...times.filter((time): time is number => time !== undefined && time > now), Number.MAX_SAFE_INTEGER);
}
