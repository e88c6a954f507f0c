import { beforeAll, describe, expect, test } from 'vitest';
import {
  authorityView,
  certificateOf,
  DAY,
  HOUR,
  issuedSecret,
  makeCa,
  makeWorld,
  NOW,
  recordOf,
  SECOND,
  type World,
} from './builders.fixture.ts';
import { type Desired, decide, nextRenewalOf, renewalOf, type Signer, type Situation } from './decide.ts';
import { lookAt } from './look.ts';
import { issueReasons, rewriteReasons } from './reasons.ts';
import type { SecretRecord, SoundContent } from './secretRecord.ts';

let world: World;
let settled: Situation & { desired: Desired; signer: Signer; secret: SecretRecord & { content: SoundContent } };
let renewal: number;

beforeAll(async () => {
  world = await makeWorld();
  const record = recordOf();
  const { secret } = await issuedSecret(world);
  const surroundings = { now: NOW, clusterDomain: 'cluster.local', namespaceLabels: {}, authority: world.authority };
  const { situation } = lookAt(record, certificateOf(record), secret, surroundings);
  const { desired, signer } = situation;
  if (desired === undefined || signer === undefined || secret.content.state !== 'sound') throw new Error('not settled');
  settled = { ...situation, desired, signer, secret: { ...secret, content: secret.content } };
  renewal = renewalOf(settled) ?? 0;
});

const content = (changes: Partial<SoundContent>) => ({
  secret: { ...settled.secret, content: { ...settled.secret.content, ...changes } },
});
const leaf = (changes: Partial<SoundContent['leaf']>) =>
  content({ leaf: { ...settled.secret.content.leaf, ...changes } });
const desired = (changes: Partial<Desired>) => ({ desired: { ...settled.desired, ...changes } });
const signer = (changes: Partial<Signer>) => ({ signer: { ...settled.signer, ...changes } });
const secret = (changes: Partial<SecretRecord>) => ({ secret: { ...settled.secret, ...changes } });
const broken = (reason: 'SecretIncomplete' | 'SecretUnreadable' | 'KeyMismatch' | 'ChainBroken') =>
  secret({ content: { state: 'broken', reason, detail: 'so' } });

test('a Secret that is as it should be needs nothing until renewal', () => {
  expect(decide(settled)).toEqual({ action: 'none', wakeAt: renewal });
  expect(renewal).toBeGreaterThan(NOW + 12 * HOUR);
});

describe('a new certificate is issued', () => {
  test.each<[string, () => Partial<Situation>, string]>([
    ['where there is no Secret', () => ({ secret: undefined }), 'SecretMissing'],
    ['where data are missing', () => broken('SecretIncomplete'), 'SecretIncomplete'],
    ['where data cannot be read', () => broken('SecretUnreadable'), 'SecretUnreadable'],
    ['where key and certificate do not match', () => broken('KeyMismatch'), 'KeyMismatch'],
    ['where the chain does not verify', () => broken('ChainBroken'), 'ChainBroken'],
    ['for other names, usages, subject or key', () => desired({ profileDigest: 'other' }), 'SpecChanged'],
    ['for another encoding of the key', () => desired({ keyEncoding: 'SEC1' }), 'SpecChanged'],
    ['for another duration', () => desired({ durationSeconds: 3600 }), 'SpecChanged'],
    ['for a lower maximum of the authority', () => signer({ maxDurationSeconds: 3600 }), 'SpecChanged'],
    ['where the CA is no longer the authority’s', () => leaf({ issuerId: 'other' }), 'AuthorityChanged'],
    ['where it was issued by a clock that ran ahead', () => ({ now: NOW - DAY }), 'NotYetValid'],
    ['where it has expired', () => ({ now: NOW + DAY }), 'Expired'],
    ['where renew-at has come', () => ({ renewAt: { text: 't', at: NOW } }), 'RenewalRequested'],
    ['where renewal is due', () => ({ now: renewal }), 'RenewalDue'],
  ])('%s', (_, changes, reason) => {
    expect(decide({ ...settled, ...changes() })).toMatchObject({ action: 'issue', reason });
  });
});

describe('the Secret is written again around the same certificate', () => {
  test.each<[string, () => Partial<Situation>, string]>([
    ['where ca.crt is not the authority’s', () => content({ caDigest: 'other' }), 'TrustBundleChanged'],
    ['where the intermediates are not the authority’s', () => content({ chainDigest: 'other' }), 'ChainChanged'],
    ['for other outputs', () => desired({ outputs: 'DER' }), 'OutputsChanged'],
    ['where an output is wrong', () => content({ outputs: 'DER!' }), 'OutputsChanged'],
    ['where a keystore is wrong', () => ({ keystoresAreRight: false }), 'OutputsChanged'],
    ['for other labels or annotations', () => desired({ metadataDigest: 'other' }), 'MetadataChanged'],
    ['for another deletionPolicy', () => desired({ ownerUid: 'u-web' }), 'MetadataChanged'],
  ])('%s', (_, changes, reason) => {
    expect(decide({ ...settled, ...changes() })).toMatchObject({ action: 'rewrite', reason, wakeAt: renewal });
  });
});

describe('nothing is done', () => {
  test.each<[string, () => Partial<Situation>]>([
    ['for another renewBefore that is not reached yet', () => desired({ renewBeforeSeconds: 3600 })],
    ['for a renew-at that is still to come', () => ({ renewAt: { text: 't', at: NOW + 1 } })],
    ['for a renew-at that was honoured', () => ({ renewAt: { text: 't', at: NOW }, ...secret({ renewedAt: 't' }) })],
    [
      'where the authority is unknown, whatever the Secret says of it',
      () => ({ signer: undefined, ...content({ caDigest: 'x', chainDigest: 'x' }) }),
    ],
    ['where the spec cannot be judged and the certificate lives', () => ({ desired: undefined })],
    ['for a longer maximum that the spec does not use', () => signer({ maxDurationSeconds: 1e8 })],
  ])('%s', (_, changes) => {
    expect(decide({ ...settled, ...changes() }).action).toBe('none');
  });

  test('where the issuing CA was renewed: leaves of its predecessor stay', async () => {
    const newer = await makeCa({ name: 'issuing 2', issuer: world.root, notAfter: NOW + 600 * DAY });
    const [id, known] = [...settled.signer.knownIssuers][0] ?? ['', { notAfter: 0, chainDigest: '' }];
    const both = new Map([
      [id, known],
      ['newer', { notAfter: newer.certificate.notAfter.getTime(), chainDigest: 'x' }],
    ]);
    expect(decide({ ...settled, ...signer({ knownIssuers: both, signsUntil: NOW + 600 * DAY }) }).action).toBe('none');
  });
});

describe('the first reason that holds is the one that is named', () => {
  test('in the order of the catalogue', () => {
    const worse: Partial<Situation> = {
      ...desired({ profileDigest: 'x', metadataDigest: 'x' }),
      ...leaf({ issuerId: 'x', notAfter: NOW }),
    };
    expect(decide({ ...settled, ...worse, secret: undefined })).toMatchObject({ reason: 'SecretMissing' });
    expect(decide({ ...settled, ...worse, ...broken('KeyMismatch') })).toMatchObject({ reason: 'KeyMismatch' });
    expect(decide({ ...settled, ...worse })).toMatchObject({ reason: 'SpecChanged' });
    expect(decide({ ...settled, ...leaf({ issuerId: 'x', notAfter: NOW }) })).toMatchObject({
      reason: 'AuthorityChanged',
    });
    expect(issueReasons.indexOf('Expired')).toBeLessThan(issueReasons.indexOf('RenewalDue'));
  });

  test('what needs a new certificate comes before what only needs a write: two causes cost one write', () => {
    const both = { ...desired({ profileDigest: 'x', metadataDigest: 'x', outputs: 'DER' }) };
    expect(decide({ ...settled, ...both })).toMatchObject({ action: 'issue', reason: 'SpecChanged' });
    expect(
      decide({ ...settled, ...desired({ outputs: 'DER', metadataDigest: 'x' }), ...content({ caDigest: 'x' }) }),
    ).toMatchObject({ reason: rewriteReasons[0] });
  });
});

describe('urgency', () => {
  test('is highest without a usable certificate, else the time of expiry', () => {
    expect(decide({ ...settled, secret: undefined })).toMatchObject({ urgency: 0 });
    expect(decide({ ...settled, ...broken('ChainBroken') })).toMatchObject({ urgency: 0 });
    expect(decide({ ...settled, now: renewal })).toMatchObject({ urgency: settled.secret.content.leaf.notAfter });
  });

  test('is highest too for what a person has just asked for', () => {
    expect(decide({ ...settled, ...desired({ profileDigest: 'x' }) })).toMatchObject({
      reason: 'SpecChanged',
      urgency: 0,
    });
  });
});

describe('the next look', () => {
  test('is at renew-at where that comes before renewal', () => {
    const at = NOW + 60 * SECOND;
    expect(decide({ ...settled, renewAt: { text: 't', at } })).toEqual({ action: 'none', wakeAt: at });
    expect(decide({ ...settled, renewAt: { text: 't', at: renewal + DAY } })).toEqual({
      action: 'none',
      wakeAt: renewal,
    });
    expect(decide({ ...settled, renewAt: { text: 't', at }, ...secret({ renewedAt: 't' }) })).toEqual({
      action: 'none',
      wakeAt: renewal,
    });
  });

  test('is told of as the next renewal, and what rests until then is not', () => {
    const at = NOW + 60 * SECOND;
    const next = (changes: Partial<Situation>) => nextRenewalOf({ ...settled, ...changes });
    expect(next({})).toBe(renewal);
    expect(next({ renewAt: { text: 't', at } })).toBe(at);
    expect(next({ renewAt: { text: 't', at: renewal + DAY } })).toBe(renewal);
    expect(next({ renewAt: { text: 't', at }, ...secret({ renewedAt: 't' }) })).toBe(renewal);
    expect(next({ renewAt: { text: 't', at: NOW } })).toBe(renewal);
    expect(next({ renewAt: { text: 't', at }, secret: undefined })).toBeUndefined();
    expect(next({ renewAt: { text: 't', at }, desired: undefined })).toBeUndefined();
    expect(next({ renewAt: { text: 't', at }, ...signer({ signsUntil: settled.secret.content.leaf.notAfter }) })).toBe(
      at,
    );
  });

  test('is at expiry where the spec cannot be judged', () => {
    expect(decide({ ...settled, desired: undefined })).toEqual({
      action: 'none',
      wakeAt: settled.secret.content.leaf.notAfter,
    });
  });
});

describe('near the end of the CA', () => {
  test('a certificate that lasts as long as the CA is not renewed: nothing would be gained, again and again', async () => {
    const ending = await makeCa({ name: 'ending', notAfter: NOW + 2 * HOUR });
    const short: World = { ...world, authority: authorityView(ending, [ending]) };
    const { secret } = await issuedSecret(short);
    const record = recordOf();
    for (const minutes of [0, 80, 100, 119]) {
      const surroundings = {
        now: NOW + minutes * 60 * SECOND,
        clusterDomain: 'cluster.local',
        namespaceLabels: {},
        authority: short.authority,
      };
      const { decision, refusal } = lookAt(record, certificateOf(record), secret, surroundings);
      expect([decision, refusal]).toEqual([{ action: 'none', wakeAt: NOW + 2 * HOUR }, undefined]);
    }
    const after = {
      now: NOW + 2 * HOUR,
      clusterDomain: 'cluster.local',
      namespaceLabels: {},
      authority: short.authority,
    };
    const { decision, refusal } = lookAt(record, certificateOf(record), secret, after);
    expect(decision).toMatchObject({ action: 'issue', reason: 'Expired' });
    expect(refusal).toMatchObject({ reason: 'AuthorityNotReady', message: expect.stringContaining('ended') });
  });
});
