/**
 * What a self-signed authority has to do now: pure, from its spec, its generations and the clock. One step at a time; after each
 * step the world is read again, so a crash between two steps loses nothing.
 */
import { annotations } from '../api/index.ts';
import { isSignedBy, type KeySpec } from '../pki/index.ts';
import { warnOfEndAt } from './ending.ts';
import type { BrokenGeneration, Generation, Role } from './generation.ts';
import {
  acceptedLosses,
  describeLoss,
  describeSuperseded,
  issuingWithoutSecret,
  type LostCa,
  lostIssuing,
  lostRoots,
  numberIn,
  type Remembered,
  untilWhen,
} from './lost.ts';
import { isOver } from './retirement.ts';

const SECOND = 1000;
/** Nothing reports that the last leaf of a lost CA has been renewed, and the note about it is over (ms). */
const NOTE_RECHECK = 600_000;

export interface SelfSignedSpec {
  readonly root: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly issuing: { readonly durationSeconds: number; readonly key: KeySpec };
  readonly maxCertificateDurationSeconds: number;
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
  /** Superseded issuing CAs of which, by our clock, no leaf can be alive: their keys are only a liability. */
  readonly expired: readonly Generation[];
  /** Issuing CAs that have their key. */
  readonly able: readonly Generation[];
  /** When the issuing CA is renewed, ms. */
  readonly renewalTime: number | undefined;
  /** When time alone next changes this plan, ms. */
  readonly wakeAt: number;
  /** CAs whose Secret is gone or damaged, unless that is accepted: status must go on remembering them for as long as they are alive. */
  readonly lost: readonly LostCa[];
  /** `caIdOf` the CAs that leaves were seen to hang on: those that are not in `trustedIssuing` are none of this authority. */
  readonly soughtIssuers: ReadonlySet<string>;
  /** The root that is near its end, if it is. */
  readonly ending: Generation | undefined;
  /** What is to be said although the authority signs. */
  readonly note?: string | undefined;
  readonly problem?: {
    readonly reason: 'KeyMissing' | 'GenerationBroken' | 'RootExpired';
    readonly message: string;
  };
}

export function planSelfSigned(
  spec: SelfSignedSpec,
  found: readonly (Generation | BrokenGeneration)[],
  remembered: Remembered,
  now: number,
): Plan {
  const generations = found.filter((item): item is Generation => 'certificate' in item);
  const broken = found.filter((item): item is BrokenGeneration => 'problem' in item);
  const alive = ({ certificate }: Generation) => certificate.notAfter.getTime() > now;
  const begun = ({ certificate }: Generation) => certificate.notBefore.getTime() <= now;
  const issuingFound = generations.filter(({ role }) => role === 'Issuing');
  const rootsFound = generations.filter(({ role }) => role === 'Root').sort(newestFirst);
  const rootsKnown = [...rootsFound, ...rootsWithoutSecret(rootsFound, issuingFound)];
  const recovered = issuingWithoutSecret(issuingFound, rootsKnown, remembered);
  const givenUp = acceptedLosses(remembered);
  const issuingKnown = [...issuingFound, ...recovered]
    .filter(({ certificate, privateKey }) => privateKey !== undefined || !givenUp.has(certificate.fingerprint))
    .sort(newestFirst);
  const trustedRoots = rootsKnown.filter(alive);
  const signer = trustedRoots.find(hasKey);
  const trustedIssuing = issuingKnown.filter(
    (issuing) => alive(issuing) && trustedRoots.some((root) => isSignedBy(issuing.certificate, root.certificate)),
  );
  const able = trustedIssuing.filter(hasKey);
  // One that was made by a clock that ran ahead is good for nobody yet; it is better than none where even the root is not valid yet.
  const issuing = able.find(begun) ?? (signer !== undefined && begun(signer) ? undefined : able[0]);
  const renewalTime = issuing && issuingRenewalTime(issuing, signer, spec);
  const missingRoots = lostRoots(rootsFound, rootsKnown, remembered);
  const missingIssuing = lostIssuing(issuingFound, recovered, remembered, now);
  const damaged = new Set(broken.map(({ secretName }) => secretName));
  const absent = missingIssuing.filter(({ secretName }) => secretName === undefined || !damaged.has(secretName));
  const inUse = new Set(recovered.map(({ certificate }) => certificate.fingerprint));
  // What an older one has to stand in for: nothing is made before its loss is accepted, as long as it can be told what is lost.
  const awaited =
    issuing === undefined ? missingIssuing : missingIssuing.filter((ca) => numberIn('Issuing')(ca) > issuing.number);
  const topmost = signer ?? trustedRoots[0];
  const warnAt =
    topmost && warnOfEndAt(topmost.certificate.notBefore, topmost.certificate.notAfter, spec.issuing.durationSeconds);
  const base = {
    issuing,
    root: trustedRoots[0],
    trustedIssuing,
    trustedRoots,
    able,
    expired: issuing === undefined ? [] : issuingFound.filter((old) => isOver(old, able, now)),
    renewalTime,
    lost: [...missingRoots, ...missingIssuing],
    soughtIssuers: remembered.soughtIssuers ?? new Set(),
    ending: warnAt !== undefined && now >= warnAt ? topmost : undefined,
    wakeAt: earliest(now, [
      renewalTime,
      warnAt,
      ...missingIssuing.map(({ notAfter }) => notAfter),
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
      ...[...broken, ...recovered, ...missingRoots, ...remembered.noted].map(numberIn(role)),
    ) + 1;

  // What stands in the way of signing, or of the root's next signature.
  const missing = [...missingRoots, ...absent.filter((ca) => awaited.includes(ca))];
  const loss =
    missing.length === 0
      ? undefined
      : ({ reason: 'KeyMissing', message: describeLoss(missing, signer, issuing) } as const);
  const notice = damageOf(broken) ?? loss;
  if (signer === undefined) {
    const keyless = trustedRoots.find(
      ({ secretName, certificate }) => secretName !== '' && !givenUp.has(certificate.fingerprint),
    );
    const problem = notice ?? rootKeyMissing(keyless, issuing) ?? rootExpired(trustedRoots, rootsFound);
    if (problem !== undefined) return { ...base, step: nothing, problem };
    return { ...base, step: { step: 'CreateRoot', number: numberOfNext('Root', rootsKnown) } };
  }
  // While a newer one signs, one that nothing hangs on is remembered without a word: its leaves may only be restored after it.
  const note = describeSuperseded(absent.filter((ca) => !awaited.includes(ca) && inUse.has(ca.fingerprint)));
  const noted = note === undefined ? {} : { note, wakeAt: Math.min(base.wakeAt, now + NOTE_RECHECK) };
  const told = { ...base, ...noted, ...(notice && { problem: notice }) };
  const because = whyNewIssuing(issuing, renewalTime, now);
  // One that is merely missing, or cannot be read, may come back with a backup: its certificates would have been reissued for nothing.
  const unreadable = issuing === undefined && broken.some((item) => numberIn('Root')(item) === 0);
  if (because === undefined || awaited.length > 0 || unreadable) return { ...told, step: nothing };
  const number = numberOfNext('Issuing', [...issuingFound, ...recovered]);
  return { ...told, step: { step: 'CreateIssuing', number, root: signer, because } };
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

const hasKey = ({ privateKey }: Generation) => privateKey !== undefined;

type Problem = NonNullable<Plan['problem']>;

function damageOf(broken: readonly BrokenGeneration[]): Problem | undefined {
  if (broken.length === 0) return undefined;
  // Sorted, since caches and LISTs have orders of their own, and each change of a message is written and told of.
  const list = broken
    .map(({ secretName, problem }) => `Secret "${secretName}": ${problem}`)
    .sort()
    .join('; ');
  const message = `a CA generation cannot be read; restore its Secret from a backup (docs/backup.md): ${list}`;
  return { reason: 'GenerationBroken', message };
}

function rootKeyMissing(root: Generation | undefined, issuing: Generation | undefined): Problem | undefined {
  if (root === undefined) return undefined;
  return {
    reason: 'KeyMissing',
    message: `Secret "${root.secretName}" holds the root without its key, so no issuing CA can be made; ${untilWhen(issuing)}. Restore the Secret with tls.key (docs/backup.md). To give the key up for good (a new root is made, which every workload has to learn to trust), annotate this CertificateAuthority with ${annotations.replaceMissing}=${root.certificate.fingerprint}`,
  };
}

function rootExpired(alive: readonly Generation[], roots: readonly Generation[]): Problem | undefined {
  if (alive.length > 0 || roots.length === 0) return undefined;
  const expired = roots.map(
    ({ secretName, certificate }) => `"${secretName}" at ${certificate.notAfter.toISOString()}`,
  );
  return {
    reason: 'RootExpired',
    message: `every root has expired: ${expired.join(', ')}. Check the clock; if it is right, make a new CertificateAuthority and move to it`,
  };
}

function newestFirst(a: Generation, b: Generation): number {
  return b.number - a.number || (a.certificate.fingerprint < b.certificate.fingerprint ? -1 : 1);
}

function earliest(now: number, times: readonly (number | undefined)[]): number {
  return Math.min(...times.filter((time): time is number => time !== undefined && time > now), Number.MAX_SAFE_INTEGER);
}
