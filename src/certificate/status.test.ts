import { beforeAll, describe, expect, test } from 'vitest';
import { iso, workloadCertificateStatusSchema } from '../api/index.ts';
import { certificateOf, HOUR, issuedSecret, makeWorld, NOW, recordOf, SECOND } from './builders.fixture.ts';
import type { Decision } from './decide.ts';
import type { Refusal } from './reasons.ts';
import type { SecretRecord } from './secretRecord.ts';
import { certificateStatus, type Judgement, nextRevision } from './status.ts';

let secret: SecretRecord;

beforeAll(async () => {
  secret = (await issuedSecret(await makeWorld())).secret;
});

const wakeAt = NOW + 16 * HOUR;
const none: Decision = { action: 'none', wakeAt };
const issue = (reason: Extract<Decision, { action: 'issue' }>['reason']): Decision => ({
  action: 'issue',
  reason,
  detail: 'so',
  urgency: 0,
});
const rewrite = (reason: Extract<Decision, { action: 'rewrite' }>['reason']): Decision => ({
  action: 'rewrite',
  reason,
  detail: 'so',
  wakeAt,
});
const denied: Refusal = { reason: 'NamesDenied', message: 'not yours' };
const failed = { kind: 'Failed', message: 'quota', attempts: 3, at: NOW } as const;
const damped = { kind: 'Damped', message: 'kubectl-edit' } as const;
const ownerForbidden = { kind: 'OwnerReferenceForbidden', message: 'no right' } as const;

const judged = (changes: Partial<Judgement>): Judgement => ({
  decision: none,
  refusal: undefined,
  secret,
  renewalTime: wakeAt,
  authorityFingerprint: 'ab'.repeat(32),
  ...changes,
});
const statusOf = (changes: Partial<Judgement>, before: object = {}, now = NOW) =>
  certificateStatus(certificateOf(recordOf({}, { status: before })), judged(changes), now);
const verdicts = (changes: Partial<Judgement>) =>
  (statusOf(changes).conditions ?? []).map(({ type, status, reason }) => `${type} ${status} ${reason}`);

describe('the message of Ready', () => {
  const messageFor = (spec: object, changes: Partial<Judgement> = {}): string | undefined =>
    certificateStatus(certificateOf(recordOf(spec)), judged(changes), NOW).conditions?.find(
      ({ type }) => type === 'Ready',
    )?.message;

  test('tells until when the certificate is valid', () => {
    expect(messageFor({})).toMatch(/^certificate [0-9A-F]+ is valid until \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  });

  test('says so where that is sooner than was asked for, and what to look at', () => {
    expect(messageFor({ duration: '2000h', authorityRef: { name: 'default' } })).toMatch(
      /Z, for less than the 2000h of spec\.duration: CertificateAuthority "default" gives no more, by its maxCertificateDuration or the end of its CA$/,
    );
  });

  test('says so where renewBefore leaves too little of what the authority gives', () => {
    const asked = { duration: '2000h', renewBefore: '1900h' };
    expect(messageFor(asked)).toMatch(
      /end of its CA; spec\.renewBefore \(1900h\) leaves too little of that, so it is renewed when a third of its life is left$/,
    );
    expect(messageFor({ ...asked, renewBefore: '2h' })).toMatch(/end of its CA$/);
    expect(messageFor(asked, { renewalTime: undefined })).toMatch(/end of its CA$/);
  });
});

describe('conditions', () => {
  test.each<[string, () => Partial<Judgement>, string, string]>([
    ['all is well', () => ({}), 'True Ready', 'False Issued'],
    ['renewal is due', () => ({ decision: issue('RenewalDue') }), 'True Ready', 'True RenewalDue'],
    ['renewal was asked for', () => ({ decision: issue('RenewalRequested') }), 'True Ready', 'True RenewalRequested'],
    [
      'there is no Secret',
      () => ({ decision: issue('SecretMissing'), secret: undefined }),
      'False SecretMissing',
      'True SecretMissing',
    ],
    ['the spec has changed', () => ({ decision: issue('SpecChanged') }), 'False SpecChanged', 'True SpecChanged'],
    [
      'the authority has changed',
      () => ({ decision: issue('AuthorityChanged') }),
      'False AuthorityChanged',
      'True AuthorityChanged',
    ],
    ['it has expired', () => ({ decision: issue('Expired') }), 'False Expired', 'True Expired'],
    ['it is not valid yet', () => ({ decision: issue('NotYetValid') }), 'False NotYetValid', 'True NotYetValid'],
    ['a rule was withdrawn', () => ({ refusal: denied }), 'True Ready', 'False NamesDenied'],
    [
      'a rule was withdrawn and renewal is due',
      () => ({ decision: issue('RenewalDue'), refusal: denied }),
      'True Ready',
      'True NamesDenied',
    ],
    [
      'a rule was withdrawn and it has expired',
      () => ({ decision: issue('Expired'), refusal: denied }),
      'False NamesDenied',
      'True NamesDenied',
    ],
    [
      'the Secret is somebody else’s',
      () => ({
        decision: issue('SecretMissing'),
        secret: undefined,
        refusal: { reason: 'SecretConflict', message: 'theirs' },
      }),
      'False SecretConflict',
      'True SecretConflict',
    ],
    [
      'the first issuance failed',
      () => ({ decision: issue('SecretMissing'), secret: undefined, setback: failed }),
      'False Failed',
      'True Failed',
    ],
    ['a renewal failed', () => ({ decision: issue('RenewalDue'), setback: failed }), 'True Ready', 'True Failed'],
    [
      'a quarrel over the key is damped',
      () => ({ decision: issue('KeyMismatch'), setback: damped }),
      'False KeyMismatch',
      'True Damped',
    ],
    [
      'a quarrel over ca.crt is damped',
      () => ({ decision: rewrite('TrustBundleChanged'), setback: damped }),
      'False TrustBundleChanged',
      'False Damped',
    ],
    [
      'a quarrel over outputs is damped',
      () => ({ decision: rewrite('OutputsChanged'), setback: damped }),
      'False OutputsChanged',
      'False Damped',
    ],
    [
      'a keystore cannot be made for want of its password',
      () => ({ decision: rewrite('OutputsChanged'), refusal: { reason: 'PasswordNotFound', message: 'not there' } }),
      'False PasswordNotFound',
      'False PasswordNotFound',
    ],
    [
      'a label was changed, and a password is missing',
      () => ({ decision: rewrite('MetadataChanged'), refusal: { reason: 'PasswordNotFound', message: 'not there' } }),
      'True Ready',
      'False PasswordNotFound',
    ],
    [
      'a quarrel over a label is damped',
      () => ({ decision: rewrite('MetadataChanged'), setback: damped }),
      'True Ready',
      'False Damped',
    ],
    [
      'the owner may not be changed',
      () => ({ setback: ownerForbidden }),
      'True Ready',
      'False OwnerReferenceForbidden',
    ],
    ['renew-at cannot be read', () => ({ renewAtProblem: 'write a time' }), 'True Ready', 'False RenewAtInvalid'],
    [
      'renew-at cannot be read and more is wrong',
      () => ({ renewAtProblem: 'write a time', refusal: denied }),
      'True Ready',
      'False NamesDenied',
    ],
    [
      'renew-at cannot be read while one is issued',
      () => ({ renewAtProblem: 'write a time', decision: issue('RenewalDue') }),
      'True Ready',
      'True RenewalDue',
    ],
  ])('where %s', (_, changes, ready, issuing) => {
    expect(verdicts(changes())).toEqual([`Ready ${ready}`, `Issuing ${issuing}`]);
  });

  test('tell of a refusal long before it matters, and when it will', () => {
    expect(statusOf({ refusal: denied }).conditions?.[1]?.message).toBe(
      `the next renewal at ${iso(wakeAt)} will be refused: not yours`,
    );
  });

  test('say where no renewal is to come', () => {
    expect(statusOf({ renewalTime: undefined }).conditions?.[1]?.message).toContain(
      'the last one before the authority’s CA ends',
    );
  });

  test('hold the generation that was judged', () => {
    expect(statusOf({}).conditions?.map(({ observedGeneration }) => observedGeneration)).toEqual([1, 1]);
  });
});

const everything = (): Judgement[] => {
  const decisions = [
    none,
    issue('SecretMissing'),
    issue('RenewalDue'),
    issue('Expired'),
    rewrite('TrustBundleChanged'),
    rewrite('MetadataChanged'),
  ];
  const judgements: Judgement[] = [];
  for (const decision of decisions)
    for (const refusal of [undefined, denied])
      for (const setback of [undefined, failed, damped, ownerForbidden])
        for (const held of [undefined, secret]) judgements.push(judged({ decision, refusal, setback, secret: held }));
  return judgements;
};

describe('every combination of decision, refusal, setback and Secret', () => {
  test('judged again later is the same to the letter: nothing is written', () => {
    for (const judgement of everything()) {
      const once = certificateStatus(certificateOf(recordOf()), judgement, NOW);
      const again = certificateStatus(certificateOf(recordOf({}, { status: once })), judgement, NOW + 5 * HOUR);
      expect(again).toEqual(once);
    }
  });

  test('is what the CRD takes, with a message for people in each condition', () => {
    for (const judgement of everything()) {
      const status = certificateStatus(certificateOf(recordOf()), judgement, NOW);
      expect(workloadCertificateStatusSchema.parse(JSON.parse(JSON.stringify(status)))).toEqual(status);
      for (const { message } of status.conditions ?? []) expect(message.length).toBeGreaterThan(4);
    }
  });

  test('is never Ready with a Secret that is not there', () => {
    for (const judgement of everything().filter((one) => one.secret === undefined && one.decision.action === 'issue'))
      if (judgement.decision.action === 'issue' && judgement.decision.reason !== 'RenewalDue')
        expect(certificateStatus(certificateOf(recordOf()), judgement, NOW).conditions?.[0]?.status).toBe('False');
  });
});

describe('fields', () => {
  test('mirror the certificate in the Secret', () => {
    if (secret.content.state !== 'sound') throw new Error(secret.content.detail);
    const { serialNumber, notAfter, notBefore } = secret.content.leaf;
    expect(statusOf({})).toMatchObject({
      secretName: 'web-mtls',
      revision: 1,
      serialNumber,
      notAfter: iso(notAfter),
      notBefore: iso(notBefore),
      renewalTime: iso(wakeAt),
    });
  });

  test('of a Secret that is not ours are absent', () => {
    const status = statusOf({ secret: undefined, renewalTime: undefined, authorityFingerprint: undefined });
    expect(Object.keys(status).sort()).toEqual(['conditions', 'observedGeneration']);
  });

  test('count failures until there is none', () => {
    const status = statusOf({ decision: issue('RenewalDue'), setback: failed });
    expect(status).toMatchObject({ failedAttempts: 3, lastFailureTime: iso(NOW) });
    expect(statusOf({}, status)).not.toHaveProperty('failedAttempts');
  });

  test('the time of a transition moves with the status alone', () => {
    const once = statusOf({});
    const due = statusOf({ decision: issue('RenewalDue') }, once, NOW + 60 * SECOND);
    expect(due.conditions?.map(({ lastTransitionTime }) => lastTransitionTime)).toEqual([
      iso(NOW),
      iso(NOW + 60 * SECOND),
    ]);
  });
});

describe('the revision of the next certificate', () => {
  test.each<[string, { revision: number } | undefined, object, number]>([
    ['is the first where there has been none', undefined, {}, 1],
    ['follows that in the Secret', { revision: 4 }, { secretName: 'web-mtls', revision: 7 }, 5],
    ['follows that of a Secret which was deleted', undefined, { secretName: 'web-mtls', revision: 4 }, 5],
    ['is the first in a Secret of another name', undefined, { secretName: 'old', revision: 4 }, 1],
  ])('%s', (_, secret, status, revision) => {
    expect(nextRevision(secret, certificateOf(recordOf({}, { status })))).toBe(revision);
  });
});
