import { beforeAll, describe, expect, test } from 'vitest';
import { DAY, generationOf, makeCa, NOTHING, NOW, SPEC, type TestCa } from './builders.fixture.ts';
import type { BrokenGeneration } from './generation.ts';
import { planSelfSigned } from './lifecycle.ts';
import type { Remembered } from './lost.ts';

let root: TestCa;
let otherRoot: TestCa;
let issuing: TestCa;
let newer: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root 1', notAfter: NOW + 3650 * DAY });
  otherRoot = await makeCa({ name: 'root 2', notAfter: NOW + 3650 * DAY });
  issuing = await makeCa({ name: 'issuing 1', issuer: root, notBefore: NOW, notAfter: NOW + 360 * DAY });
  newer = await makeCa({ name: 'issuing 2', issuer: root, notBefore: NOW + 200 * DAY, notAfter: NOW + 560 * DAY });
});

const root1 = (withKey = true) => generationOf('Root', 1, root, { withKey });
const root2 = () => generationOf('Root', 2, otherRoot);
const issuing1 = (withKey = true) => generationOf('Issuing', 1, issuing, { root, withKey });
const issuing2 = () => generationOf('Issuing', 2, newer, { root });
const broken = (secretName: string): BrokenGeneration => ({ authority: 'default', secretName, problem: 'unreadable' });
const plan = (found: Parameters<typeof planSelfSigned>[1], remembered: Partial<Remembered> = {}, now = NOW + DAY) =>
  planSelfSigned(SPEC, found, { ...NOTHING, ...remembered }, now);

describe('a new authority', () => {
  test('first gets a root', () => {
    const { step, issuing, problem, trustedRoots } = plan([]);
    expect(step).toEqual({ step: 'CreateRoot', number: 1 });
    expect([issuing, problem, trustedRoots]).toEqual([undefined, undefined, []]);
  });

  test('then an issuing CA below it', () => {
    expect(plan([root1()]).step).toMatchObject({ step: 'CreateIssuing', number: 1, root: { number: 1 } });
  });

  test('then has nothing to do until the issuing CA is renewed', () => {
    const { step, problem, renewalTime, wakeAt, issuing } = plan([root1(), issuing1()]);
    expect([step, problem]).toEqual([{ step: 'None' }, undefined]);
    expect(renewalTime).toBe(NOW + 240 * DAY);
    expect(wakeAt).toBe(renewalTime);
    expect(issuing?.number).toBe(1);
  });
});

describe('the issuing CA', () => {
  test('is renewed when a third of its life is left', () => {
    expect(plan([root1(), issuing1()], {}, NOW + 240 * DAY - 1).step.step).toBe('None');
    expect(plan([root1(), issuing1()], {}, NOW + 240 * DAY).step).toMatchObject({ step: 'CreateIssuing', number: 2 });
  });

  test('is renewed while a certificate of the longest life still fits', () => {
    const long = { ...SPEC, maxCertificateDurationSeconds: 150 * 86_400 };
    expect(planSelfSigned(long, [root1(), issuing1()], NOTHING, NOW + DAY).renewalTime).toBe(NOW + 210 * DAY);
  });

  test('is never renewed before half of its life, whatever the certificates', () => {
    const absurd = { ...SPEC, maxCertificateDurationSeconds: 10_000 * 86_400 };
    expect(planSelfSigned(absurd, [root1(), issuing1()], NOTHING, NOW + DAY).renewalTime).toBe(NOW + 180 * DAY);
  });

  test('is superseded by the newest, and stays known until it has ended', () => {
    const both = plan([root1(), issuing1(), issuing2()], {}, NOW + 250 * DAY);
    expect(both.issuing?.number).toBe(2);
    expect(both.trustedIssuing.map(({ number }) => number)).toEqual([2, 1]);
    expect(both.expired).toEqual([]);
    const later = plan([root1(), issuing1(), issuing2()], {}, NOW + 361 * DAY);
    expect(later.trustedIssuing.map(({ number }) => number)).toEqual([2]);
    expect(later.expired.map(({ number }) => number)).toEqual([1]);
  });

  test('is made anew when it has ended unrenewed, and its key is kept until there is another', () => {
    const { step, expired } = plan([root1(), issuing1()], {}, NOW + 400 * DAY);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 2 });
    expect(expired).toEqual([]);
  });

  test('without its key still stands for its certificates, while another signs', () => {
    const both = plan([root1(), issuing1(false), issuing2()], {}, NOW + 250 * DAY);
    expect([both.step.step, both.problem, both.issuing?.number]).toEqual(['None', undefined, 2]);
    expect(both.trustedIssuing).toHaveLength(2);
  });

  test('that no root of the authority has signed is not trusted', async () => {
    const stranger = await makeCa({ name: 'issuing 9', issuer: otherRoot });
    const { trustedIssuing, step } = plan([root1(), generationOf('Issuing', 9, stranger, { root })]);
    expect(trustedIssuing).toEqual([]);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 10 });
  });

  test('that ends with its root is not renewed over and over: nothing would be gained', async () => {
    const short = await makeCa({ name: 'short root', notBefore: NOW, notAfter: NOW + 100 * DAY });
    const last = await makeCa({ name: 'last', issuer: short, notBefore: NOW, notAfter: NOW + 100 * DAY });
    const found = [generationOf('Root', 1, short), generationOf('Issuing', 1, last, { root: short })];
    for (const day of [1, 50, 90, 99.99]) expect(plan(found, {}, NOW + day * DAY).step).toEqual({ step: 'None' });
    expect(plan(found, {}, NOW + 101 * DAY).problem?.reason).toBe('RootExpired');
  });
});

describe('numbers', () => {
  test('go on after generations that cannot be read', () => {
    const found = [root1(), issuing1(), broken('default-issuing-7'), broken('default-root-9')];
    const { step, problem } = plan(found, {}, NOW + 240 * DAY);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 8 });
    expect(problem).toMatchObject({
      reason: 'GenerationBroken',
      message: expect.stringContaining('default-issuing-7'),
    });
  });
});

describe('roots', () => {
  test('are all trusted, and the newest signs', () => {
    const { trustedRoots, root, step } = plan([root1(), root2()]);
    expect(trustedRoots.map(({ number }) => number)).toEqual([2, 1]);
    expect(root?.number).toBe(2);
    expect(step).toMatchObject({ step: 'CreateIssuing', root: { number: 2 } });
  });

  test('without a key leave the signing to one that has its key', () => {
    const keyless = { ...root2(), privateKey: undefined };
    expect(plan([root1(), keyless]).step).toMatchObject({ step: 'CreateIssuing', root: { number: 1 } });
  });

  test('without any key are a problem, and never replaced', () => {
    const { step, problem } = plan([root1(false)]);
    expect(step.step).toBe('None');
    expect(problem).toMatchObject({ reason: 'KeyMissing', message: expect.stringContaining('"default-root-1"') });
    expect(problem?.message).toContain('nothing can be signed');
    expect(problem?.message).toContain(`replace-missing=${root.certificate.fingerprint}`);
  });

  test('without any key are replaced under a new number once that is accepted, and still trusted', () => {
    const acceptedLoss = root.certificate.fingerprint;
    for (const found of [[root1(false)], [root1(false), issuing1()]]) {
      const { step, problem, trustedRoots } = plan(found, { acceptedLoss });
      expect([step, problem]).toEqual([{ step: 'CreateRoot', number: 2 }, undefined]);
      expect(trustedRoots.map(({ number }) => number)).toEqual([1]);
    }
    expect(plan([root1(false)], { acceptedLoss: otherRoot.certificate.fingerprint }).problem?.reason).toBe(
      'KeyMissing',
    );
    const second = plan([root1(false), root2(), issuing1()], { acceptedLoss });
    expect([second.step.step, second.problem, second.issuing?.number]).toEqual(['None', undefined, 1]);
  });

  test('that cannot be read are a problem, and never replaced', () => {
    const { step, problem } = plan([broken('default-root-1')]);
    expect([step.step, problem?.reason]).toEqual(['None', 'GenerationBroken']);
  });

  test('that have all expired are never replaced: the clock may be wrong', () => {
    const { step, problem, expired } = plan([root1(), issuing1()], {}, NOW + 4000 * DAY);
    expect([step.step, problem?.reason]).toEqual(['None', 'RootExpired']);
    expect(expired).toEqual([]);
  });
});

describe('a root whose Secret is lost', () => {
  const inUse = (...roots: TestCa[]) =>
    roots.map(({ certificate: { fingerprint } }) => ({ fingerprint, secret: 'shop/web-mtls' }));
  const remembered = () => ({
    noted: [{ role: 'Root' as const, fingerprint: root.certificate.fingerprint, secretName: 'default-root-1' }],
  });

  test.each([
    ['status', () => remembered()],
    ['certificates in use', () => ({ rootsInUse: inUse(root) })],
  ])('is remembered by %s and never silently remade', (_, memory) => {
    const { step, problem, lost } = plan([], memory());
    expect(step.step).toBe('None');
    expect(problem?.reason).toBe('KeyMissing');
    expect(problem?.message).toContain(`replace-missing=${root.certificate.fingerprint}`);
    expect(lost.map(({ fingerprint }) => fingerprint)).toEqual([root.certificate.fingerprint]);
  });

  test('is still trusted and signed under while an issuing CA below it lives', () => {
    const { step, problem, issuing, trustedRoots } = plan([issuing1()]);
    expect([step.step, problem?.reason]).toEqual(['None', 'KeyMissing']);
    expect(issuing?.number).toBe(1);
    expect(trustedRoots.map(({ certificate }) => certificate.fingerprint)).toEqual([root.certificate.fingerprint]);
    expect(problem?.message).toContain(issuing1().certificate.notAfter.toISOString());
  });

  test('stops everything once the last issuing CA has ended', () => {
    const { step, problem, issuing } = plan([issuing1()], {}, NOW + 361 * DAY);
    expect([step.step, problem?.reason, issuing]).toEqual(['None', 'KeyMissing', undefined]);
    expect(problem?.message).not.toContain('""');
  });

  test('is replaced under a new number once the loss is accepted', () => {
    const acceptedLoss = root.certificate.fingerprint;
    expect(plan([], { ...remembered(), acceptedLoss }).step).toEqual({ step: 'CreateRoot', number: 2 });
    expect(plan([], { rootsInUse: inUse(root), acceptedLoss }).step.step).toBe('CreateRoot');
  });

  test('of which only one of two is accepted is not replaced', () => {
    const two = { rootsInUse: inUse(root, otherRoot) };
    expect(plan([], { ...two, acceptedLoss: root.certificate.fingerprint }).problem?.reason).toBe('KeyMissing');
    const both = two.rootsInUse.map(({ fingerprint }) => fingerprint).join(', ');
    expect(plan([], { ...two, acceptedLoss: both }).step.step).toBe('CreateRoot');
  });

  test('and accepted is replaced at once where an issuing CA still lives: both are trusted before the new one is needed', () => {
    const acceptedLoss = root.certificate.fingerprint;
    const first = plan([issuing1()], { ...remembered(), acceptedLoss });
    expect(first.step).toEqual({ step: 'CreateRoot', number: 2 });
    expect(first.issuing?.number).toBe(1);
    const second = plan([root2(), issuing1()], { ...remembered(), acceptedLoss });
    expect([second.step.step, second.problem]).toEqual(['None', undefined]);
    expect(second.trustedRoots).toHaveLength(2);
    const renewal = plan([root2(), issuing1()], { ...remembered(), acceptedLoss }, NOW + 240 * DAY);
    expect(renewal.step).toMatchObject({ step: 'CreateIssuing', root: { number: 2 } });
  });

  test('is not believed from leaf Secrets where the CA’s own Secrets say otherwise: anybody can write a leaf Secret', () => {
    const { problem, step } = plan([root1(), issuing1()], {
      rootsInUse: [{ fingerprint: 'f'.repeat(64), secret: 'shop/web-mtls' }],
    });
    expect([problem, step.step]).toEqual([undefined, 'None']);
  });

  test('is reported beside a healthy one that signs', () => {
    const { problem, issuing } = plan([root2(), issuing1()], remembered());
    expect([problem?.reason, issuing?.number]).toEqual(['KeyMissing', 1]);
  });

  test('comes back with its Secret', () => {
    expect(plan([root1(), issuing1()], remembered()).problem).toBeUndefined();
  });
});

describe('an issuing CA whose Secret is lost under a healthy root', () => {
  const noted = () => [
    {
      role: 'Issuing' as const,
      fingerprint: issuing.certificate.fingerprint,
      secretName: 'default-issuing-1',
      notAfter: issuing.certificate.notAfter.getTime(),
    },
  ];
  const inUse = () => [issuing.certificate];

  test.each([
    ['status', () => ({ noted: noted() })],
    ['leaves in use', () => ({ issuersInUse: inUse() })],
    ['both', () => ({ noted: noted(), issuersInUse: inUse() })],
  ])('is remembered by %s and never silently remade', (_, memory) => {
    const { step, problem, issuing: signing, lost } = plan([root1()], memory());
    expect([step.step, signing, problem?.reason]).toEqual(['None', undefined, 'KeyMissing']);
    expect(lost).toEqual([{ ...noted()[0] }]);
    expect(problem?.message).toContain('"default-issuing-1"');
    expect(problem?.message).toContain('The root in Secret "default-root-1" is healthy');
    expect(problem?.message).toContain('nothing can be signed');
    expect(problem?.message).toContain('Restore it from a backup');
    expect(problem?.message).toContain(`mtls-operator.io/replace-missing=${issuing.certificate.fingerprint}`);
  });

  test('still stands for the leaves that tell of it', () => {
    expect(plan([root1()], { issuersInUse: inUse() }).trustedIssuing.map(({ certificate }) => certificate)).toEqual(
      inUse(),
    );
  });

  test('is not believed from a leaf Secret unless a root of the authority has signed it', async () => {
    const stranger = await makeCa({ name: 'issuing 1', issuer: otherRoot });
    const issuersInUse = [stranger.certificate, otherRoot.certificate, root.certificate];
    expect(plan([root1()], { issuersInUse }).step).toMatchObject({ step: 'CreateIssuing', number: 1 });
  });

  test.each([
    ['the Secret without its key', () => issuing1(false), 'KeyMissing'],
    ['a Secret that cannot be read', () => broken('default-issuing-1'), 'GenerationBroken'],
  ])('and %s is no reason to make another', (_, left, reason) => {
    for (const memory of [{}, { noted: noted() }, { issuersInUse: inUse() }]) {
      const { step, problem } = plan([root1(), left()], memory);
      expect([step.step, problem?.reason]).toEqual(['None', reason]);
      expect(problem?.message).toContain('"default-issuing-1"');
    }
  });

  test('comes back with its Secret, and nothing is made', () => {
    const { step, problem, lost } = plan([root1(), issuing1()], { noted: noted(), issuersInUse: inUse() });
    expect([step.step, problem, lost]).toEqual(['None', undefined, []]);
  });

  test('and accepted is replaced under a new number, and stands for its leaves no more', () => {
    const acceptedLoss = ` ${issuing.certificate.fingerprint.toUpperCase()},${'0'.repeat(64)}`;
    for (const found of [[root1()], [root1(), issuing1(false)]]) {
      for (const memory of [{ noted: noted() }, { issuersInUse: inUse() }]) {
        const { step, trustedIssuing, problem } = plan(found, { ...memory, acceptedLoss });
        expect(step).toMatchObject({ step: 'CreateIssuing', number: 2 });
        expect([trustedIssuing, problem]).toEqual([[], undefined]);
      }
    }
  });

  test('is not replaced where the loss of another is accepted', () => {
    const { step, problem } = plan([root1()], { noted: noted(), acceptedLoss: newer.certificate.fingerprint });
    expect([step.step, problem?.reason]).toEqual(['None', 'KeyMissing']);
  });

  test('and has ended is replaced: no certificate of it is alive', () => {
    expect(plan([root1()], { noted: noted() }).wakeAt).toBe(NOW + 360 * DAY);
    const { step } = plan([root1()], { noted: noted(), issuersInUse: inUse() }, NOW + 360 * DAY);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 2 });
  });

  test('while a newer one signs is no problem, and leaves that hang on it stay', () => {
    const used = plan([root1(), issuing2()], { noted: noted(), issuersInUse: inUse() }, NOW + 250 * DAY);
    expect([used.step.step, used.problem, used.issuing?.number]).toEqual(['None', undefined, 2]);
    expect(used.note).toContain('"default-issuing-1"');
    expect(used.trustedIssuing.map(({ number }) => number)).toEqual([2, 1]);
  });

  test('together with its root is told of in one message, and each has to be accepted', () => {
    const gone = { role: 'Root' as const, fingerprint: root.certificate.fingerprint, secretName: 'default-root-1' };
    const memory = { noted: [gone, ...noted()] };
    const both = [root, issuing].map(({ certificate }) => certificate.fingerprint).join(',');
    expect(plan([], memory).problem?.message).toContain(`replace-missing=${both}`);
    const one = plan([], { ...memory, acceptedLoss: root.certificate.fingerprint });
    expect([one.step.step, one.problem?.reason]).toEqual(['None', 'KeyMissing']);
    expect(plan([], { ...memory, acceptedLoss: both }).step).toEqual({ step: 'CreateRoot', number: 2 });
  });

  test('is not missed where none ever was: a crash between root and issuing CA', () => {
    const noRoots = [
      { role: 'Root' as const, fingerprint: root.certificate.fingerprint, secretName: 'default-root-1' },
    ];
    expect(plan([root1()], { noted: noRoots }).step).toMatchObject({ step: 'CreateIssuing', number: 1 });
  });

  test('is not missed before the renewal of the present one has made it', () => {
    const { step, problem } = plan([root1(), issuing1()], { noted: noted(), issuersInUse: inUse() }, NOW + 240 * DAY);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 2 });
    expect(problem).toBeUndefined();
  });
});

describe('a clock that was ahead', () => {
  test('leaves an issuing CA of the future: another one signs until then', () => {
    const now = NOW + 100 * DAY;
    const { issuing } = plan([root1(), issuing1(), issuing2()], {}, now);
    expect(issuing?.number).toBe(1);
    expect(plan([root1(), issuing2()], {}, now).step).toMatchObject({ step: 'CreateIssuing', number: 3 });
  });

  test('and made the root too: nothing better can be made, so what is there signs', async () => {
    const future = await makeCa({ name: 'future', notBefore: NOW + 10 * DAY, notAfter: NOW + 3650 * DAY });
    const below = await makeCa({ name: 'below', issuer: future, notBefore: NOW + 10 * DAY, notAfter: NOW + 360 * DAY });
    const found = [generationOf('Root', 1, future), generationOf('Issuing', 1, below, { root: future })];
    const { step, issuing, wakeAt } = plan(found, {}, NOW);
    expect([step.step, issuing?.number]).toEqual(['None', 1]);
    expect(wakeAt).toBe(NOW + 10 * DAY);
  });
});

test('every plan has a time to look again that lies ahead, or none', () => {
  for (const now of [NOW, NOW + 240 * DAY, NOW + 360 * DAY, NOW + 4000 * DAY]) {
    for (const found of [[], [root1()], [root1(), issuing1()], [issuing1()], [broken('x')]])
      expect(plan(found, {}, now).wakeAt).toBeGreaterThan(now);
  }
});
