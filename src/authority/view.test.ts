import { beforeAll, describe, expect, test } from 'vitest';
import { authorityObject, DAY, generationOf, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { planSelfSigned } from './lifecycle.ts';
import type { RootInUse } from './lost.ts';
import { providedOutcome, selfSignedOutcome } from './outcome.ts';
import { readProvided } from './provided.ts';
import { rememberedOf } from './remembered.ts';
import { selfSignedSpec } from './selfSigned.ts';
import { authorityStatus } from './status.ts';
import { AuthorityCatalogue, bundlePemOf, caIdOf, chainPemOf } from './view.ts';

let root: TestCa;
let issuing: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root', notAfter: NOW + 3000 * DAY });
  issuing = await makeCa({ name: 'issuing', issuer: root, notAfter: NOW + 360 * DAY });
});

const authority = authorityObject();
const spec = selfSignedSpec(authority.spec);
if (spec === undefined) throw new Error('the default is selfSigned');
const generations = () => [generationOf('Root', 1, root), generationOf('Issuing', 1, issuing, { root })];
const outcomeOf = (found: ReturnType<typeof generations>, of = authority, rootsInUse: readonly RootInUse[] = []) =>
  selfSignedOutcome(of, planSelfSigned(spec, found, rememberedOf(of, rootsInUse, []), NOW));
const statusOf = (found: ReturnType<typeof generations>, of = authority) =>
  authorityStatus(of, outcomeOf(found, of).findings, '2030-01-01T00:00:00Z');

describe('PEM texts', () => {
  test('what goes into tls.crt holds no self-signed certificate', () => {
    expect(chainPemOf(issuing.certificate, [root.certificate])).toBe(issuing.certificate.pem);
    expect(chainPemOf(root.certificate, [])).toBe('');
  });

  test('what goes into ca.crt has each root once, in an order that hangs on nothing but the roots', async () => {
    const other = await makeCa({ name: 'other', notBefore: NOW - 2 * DAY });
    const [a, b] = [root.certificate, other.certificate];
    expect(bundlePemOf([a, b, a])).toBe(b.pem + a.pem);
    expect(bundlePemOf([b, a])).toBe(b.pem + a.pem);
  });
});

describe('the identity of a CA', () => {
  test('is the same for a certificate that was renewed with name and key', async () => {
    const renewed = await makeCa({ name: 'root', key: root.key, notAfter: NOW + 9000 * DAY });
    expect(caIdOf(renewed.certificate)).toBe(caIdOf(root.certificate));
  });

  test('differs with another name or another key', async () => {
    const renamed = await makeCa({ name: 'root 2', key: root.key });
    const rekeyed = await makeCa({ name: 'root' });
    expect(new Set([root, renamed, rekeyed].map(({ certificate }) => caIdOf(certificate))).size).toBe(3);
  });
});

describe('the catalogue', () => {
  test('tells of views whose answers differ, and of nothing else', () => {
    const catalogue = new AuthorityCatalogue();
    const told: string[] = [];
    catalogue.subscribe((name) => told.push(name));
    catalogue.set(outcomeOf(generations()).view);
    catalogue.set(outcomeOf(generations()).view);
    expect(told).toEqual(['default']);
    catalogue.set(outcomeOf([]).view);
    expect(told).toHaveLength(2);
    catalogue.remove('default');
    catalogue.remove('default');
    expect(told).toHaveLength(3);
    expect([catalogue.get('default'), catalogue.all()]).toEqual([undefined, []]);
  });

  test('a rule that is added or withdrawn is another answer', () => {
    const names = [{ namespaces: {}, dnsNames: ['a.example.com'] }];
    const ruled = authorityObject({ spec: { names } });
    expect(outcomeOf(generations(), ruled).view.digest).not.toBe(outcomeOf(generations()).view.digest);
  });

  test('no answer shows a private key', () => {
    expect(JSON.stringify(outcomeOf(generations()).view)).not.toContain(
      root.key.der('PKCS8').toString('base64').slice(60, 90),
    );
  });
});

describe('the status of an authority', () => {
  test('says who signs, who is trusted, and until when', () => {
    expect(statusOf(generations())).toMatchObject({
      phase: 'Ready',
      conditions: [{ type: 'Ready', status: 'True', reason: 'Ready', observedGeneration: 1 }],
      root: { fingerprint: root.certificate.fingerprint, secretName: 'default-root-1' },
      issuing: { serialNumber: issuing.certificate.serialNumber, secretName: 'default-issuing-1' },
      generations: [
        { role: 'Root', phase: 'Active' },
        { role: 'Issuing', phase: 'Active' },
      ],
      trust: { roots: [{ fingerprint: root.certificate.fingerprint }] },
    });
  });

  test('judged twice is the same', () => {
    const once = statusOf(generations());
    expect(statusOf(generations(), authorityObject({ status: once }))).toEqual(once);
  });

  test('is Pending before there is a CA', () => {
    expect(statusOf([])).toMatchObject({ phase: 'Pending', conditions: [{ status: 'False', reason: 'Pending' }] });
  });

  test('goes on remembering a root whose Secret is gone, look after look, until its loss is accepted', () => {
    let status = statusOf(generations());
    for (const look of [1, 2, 3]) {
      const again = authorityObject({ status });
      const { findings } = outcomeOf([], again);
      expect([look, findings.ready.reason]).toEqual([look, 'KeyMissing']);
      status = authorityStatus(again, findings, '2030-01-01T00:00:00Z');
      expect(status.phase).toBe('Unavailable');
    }
    const { lost } = outcomeOf([], authorityObject({ status })).findings;
    expect(lost.map(({ role }) => role)).toEqual(['Root', 'Issuing']);
    const annotations = { 'mtls-operator.io/replace-missing': lost.map(({ fingerprint }) => fingerprint).join(', ') };
    const accepted = authorityObject({ status, metadata: { annotations } });
    expect(planSelfSigned(spec, [], rememberedOf(accepted, [], []), NOW).step).toEqual({
      step: 'CreateRoot',
      number: 2,
    });
  });

  test('goes on remembering an issuing CA whose Secret is gone, and lists it once where leaves still tell of it', () => {
    const status = statusOf(generations());
    const again = authorityObject({ status });
    const remembered = rememberedOf(again, [], [issuing.certificate]);
    const { findings, view } = selfSignedOutcome(
      again,
      planSelfSigned(spec, [generationOf('Root', 1, root)], remembered, NOW),
    );
    expect(findings.ready).toMatchObject({ status: 'False', reason: 'KeyMissing' });
    const after = authorityStatus(again, findings, '2030-01-01T00:00:00Z');
    expect(after.generations?.map(({ role, secretName }) => `${role} ${secretName}`).sort()).toEqual([
      'Issuing default-issuing-1',
      'Root default-root-1',
    ]);
    // Its leaves are good: it is known, though nothing is signed.
    expect([view.issuer, [...view.knownIssuers.keys()]]).toEqual([undefined, [caIdOf(issuing.certificate)]]);
  });

  test.each([
    ['long before', 2600, undefined],
    ['once an issuing CA gets its whole duration no more', 2640, 'RootExpiring'],
  ])('%s its end is silent on the root, and then says that it is near', (_, day, reason) => {
    const now = NOW + day * DAY;
    const outcome = selfSignedOutcome(
      authority,
      planSelfSigned(spec, generations(), rememberedOf(authority, [], []), now),
    );
    const { conditions } = authorityStatus(authority, outcome.findings, '2030-01-01T00:00:00Z');
    expect(conditions?.find(({ type }) => type === 'Expiring')?.reason).toBe(reason);
    if (reason === undefined) expect(outcome.wakeAt).toBeLessThanOrEqual(NOW + 2635 * DAY);
    else expect(outcome.findings.ending?.message).toContain(root.certificate.notAfter.toISOString());
  });

  test('names a root near its end whose own Secret is gone by what is known of it', () => {
    const found = generations().slice(1);
    const remembered = rememberedOf(authority, [], []);
    const { ending } = selfSignedOutcome(authority, planSelfSigned(spec, found, remembered, NOW + 2640 * DAY)).findings;
    const { subject, fingerprint } = root.certificate;
    expect(ending?.message).toContain(`the root ${subject} (${fingerprint}) ends at`);
    expect(ending?.message).not.toContain('""');
  });

  test('forgets that the root was near its end once another signs', () => {
    const conditions = [
      { type: 'Expiring', status: 'True', reason: 'RootExpiring', message: 'x', lastTransitionTime: 'x' },
    ];
    const before = authorityObject({ status: { ...statusOf(generations()), conditions } });
    expect(statusOf(generations(), before).conditions?.map(({ type }) => type)).toEqual(['Ready']);
  });

  test.each([
    ['24h', 301, undefined],
    ['24h', 300, 'CAExpiring'],
    ['401d', 402, undefined],
    ['401d', 400, 'CAExpiring'],
  ])(
    'of one that was brought along, for certificates of %s, with %d of 3001 days left says %s',
    (max, days, reason) => {
      const given = { 'tls.crt': root.certificate.pem, 'tls.key': root.key.pem('PKCS8') };
      const provided = { selfSigned: undefined, provided: { secretName: 'corporate' }, maxCertificateDuration: max };
      const notAfter = root.certificate.notAfter.getTime();
      const now = notAfter - days * DAY;
      const outcome = providedOutcome(authorityObject({ spec: provided }), readProvided('corporate', given, now), now);
      expect(outcome.findings.ending?.reason).toBe(reason);
      if (reason === undefined) expect(outcome.wakeAt).toBeLessThan(notAfter);
      else expect(outcome.wakeAt).toBe(notAfter);
    },
  );

  test.each([
    { what: 'begins soon is looked at again just then', begins: 20, wake: 20 },
    { what: 'begins tomorrow is looked at again within a minute, since that costs nothing', begins: 86_400, wake: 60 },
    { what: 'is not there is looked at again within a minute', begins: undefined, wake: 60 },
  ])('of one that was brought along and $what', async ({ begins, wake }) => {
    const brought = authorityObject({ spec: { selfSigned: undefined, provided: { secretName: 'corporate' } } });
    const future = await makeCa({ name: 'future', notBefore: NOW + (begins ?? 0) * 1000 });
    const given = { 'tls.crt': future.certificate.pem, 'tls.key': future.key.pem('PKCS8') };
    const result = readProvided('corporate', begins === undefined ? undefined : given, NOW);
    expect(providedOutcome(brought, result, NOW).wakeAt).toBe(NOW + wake * 1000);
  });

  test('misses no root that was brought along before the authority made its own', () => {
    const given = { 'tls.crt': root.certificate.pem, 'tls.key': root.key.pem('PKCS8') };
    const before = authorityObject({ spec: { selfSigned: undefined, provided: { secretName: 'corporate' } } });
    const outcome = providedOutcome(before, readProvided('corporate', given, NOW), NOW);
    const status = authorityStatus(before, outcome.findings, '2030-01-01T00:00:00Z');
    expect(status).toMatchObject({ phase: 'Ready', root: { secretName: 'corporate' }, generations: [] });
    const after = authorityObject({ status });
    const rootInUse = { fingerprint: root.certificate.fingerprint, secret: 'shop/web-mtls' };
    expect(planSelfSigned(spec, [], rememberedOf(after, [rootInUse], []), NOW).step.step).toBe('CreateRoot');
  });

  test('of one that was brought along and is gone says which Secret', () => {
    const before = authorityObject({ spec: { selfSigned: undefined, provided: { secretName: 'corporate' } } });
    const { findings, view } = providedOutcome(before, readProvided('corporate', undefined, NOW), NOW);
    expect(authorityStatus(before, findings, 'now')).toMatchObject({
      phase: 'Unavailable',
      conditions: [{ reason: 'SecretNotFound' }],
    });
    expect([view.issuer, view.knownIssuers.size, view.notReady?.reason]).toEqual([undefined, 0, 'SecretNotFound']);
  });

  test('of a deleted authority is Deleting', () => {
    const deleted = authorityObject({ metadata: { deletionTimestamp: '2030-01-01T00:00:00Z' } });
    expect(statusOf(generations(), deleted).phase).toBe('Deleting');
  });
});
