import { beforeAll, describe, expect, test } from 'vitest';
import { DAY, generationOf, makeCa, NOTHING, NOW, SPEC, type TestCa } from './builders.fixture.ts';
import { planSelfSigned } from './lifecycle.ts';
import type { LostCa, Remembered } from './lost.ts';

let root: TestCa;
let issuing: TestCa[];

beforeAll(async () => {
  root = await makeCa({ name: 'root 1', notAfter: NOW + 3650 * DAY });
  issuing = await Promise.all(
    [0, 200, 400].map((day, index) =>
      makeCa({
        name: `issuing ${index + 1}`,
        issuer: root,
        notBefore: NOW + day * DAY,
        notAfter: NOW + (day + 360) * DAY,
      }),
    ),
  );
});

const root1 = () => generationOf('Root', 1, root);
const ca = (number: number): TestCa => issuing[number - 1] ?? root;
const issuingCa = (number: number) => generationOf('Issuing', number, ca(number), { root });
const noted = (number: number): LostCa => ({
  role: 'Issuing',
  fingerprint: ca(number).certificate.fingerprint,
  secretName: `default-issuing-${number}`,
  notAfter: ca(number).certificate.notAfter.getTime(),
});
const plan = (found: Parameters<typeof planSelfSigned>[1], remembered: Partial<Remembered>, now: number) =>
  planSelfSigned(SPEC, found, { ...NOTHING, ...remembered }, now);

describe('several CAs that are lost', () => {
  test('are told of in one order, whatever the order in which they are found', () => {
    const certificates = [1, 2].map((number) => ca(number).certificate);
    const orders = [certificates, [...certificates].reverse()].map((issuersInUse) => {
      const { problem, lost, trustedIssuing } = plan([root1()], { issuersInUse }, NOW + 250 * DAY);
      return { problem, lost, trusted: trustedIssuing.map(({ certificate }) => certificate.fingerprint) };
    });
    expect(orders[0]?.lost.map(({ secretName }) => secretName)).toEqual(['default-issuing-1', 'default-issuing-2']);
    expect(orders[1]).toEqual(orders[0]);
  });

  test('of the same number too', async () => {
    const twins = [
      await makeCa({ name: 'strange', issuer: root, notAfter: NOW + 300 * DAY }),
      await makeCa({ name: 'stranger', issuer: root, notAfter: NOW + 300 * DAY }),
    ].map(({ certificate }) => certificate);
    const order = (issuersInUse: typeof twins) => {
      const { lost, trustedIssuing } = plan([root1()], { issuersInUse }, NOW + DAY);
      return [lost, trustedIssuing.map(({ certificate }) => certificate.fingerprint)];
    };
    expect(order([...twins].reverse())).toEqual(order(twins));
  });

  test('or cannot be read are told of in one order', () => {
    const broken = [1, 2].map((number) => ({
      authority: 'default',
      secretName: `default-issuing-${number}`,
      problem: 'unreadable',
    }));
    const message = (found: typeof broken) => plan([root1(), ...found], {}, NOW).problem?.message;
    expect(message([...broken].reverse())).toBe(message(broken));
  });
});

describe('a noted issuing CA that is missing', () => {
  const now = () => NOW + 250 * DAY;

  test('and newer than the one that signs is waited for: that one signs on past its renewal, and no other is made', () => {
    const memory = { noted: [noted(1), noted(2)] };
    for (const day of [210, 250, 359]) {
      const { step, problem, issuing: signing, lost } = plan([root1(), issuingCa(1)], memory, NOW + day * DAY);
      expect([day, step.step, problem?.reason, signing?.number]).toEqual([day, 'None', 'KeyMissing', 1]);
      expect(lost).toEqual([noted(2)]);
      expect(problem?.message).toContain('"default-issuing-2"');
      expect(problem?.message).toContain(
        `certificates are signed until ${issuingCa(1).certificate.notAfter.toISOString()}`,
      );
    }
    const ended = plan([root1(), issuingCa(1)], memory, NOW + 361 * DAY);
    expect([ended.step.step, ended.problem?.reason, ended.issuing]).toEqual(['None', 'KeyMissing', undefined]);
    const whole = plan([root1(), issuingCa(1), issuingCa(2)], memory, now());
    expect([whole.step.step, whole.problem, whole.lost, whole.issuing?.number]).toEqual(['None', undefined, [], 2]);
  });

  test('and newer, of which only leaves tell, is waited for too', () => {
    const issuersInUse = [ca(2).certificate];
    const { step, problem, trustedIssuing } = plan([root1(), issuingCa(1)], { issuersInUse }, now());
    expect([step.step, problem?.reason, trustedIssuing.length]).toEqual(['None', 'KeyMissing', 2]);
  });

  test('and newer, whose Secret is damaged or without its key, is waited for too', () => {
    const damaged = { authority: 'default', secretName: 'default-issuing-2', problem: 'unreadable' };
    const keyless = generationOf('Issuing', 2, ca(2), { root, withKey: false });
    for (const [left, reason] of [
      [damaged, 'GenerationBroken'],
      [keyless, 'KeyMissing'],
    ] as const) {
      const { step, problem, lost } = plan([root1(), issuingCa(1), left], { noted: [noted(2)] }, now());
      expect([step.step, problem?.reason, lost]).toEqual(['None', reason, [noted(2)]]);
    }
  });

  test('and newer, once that is accepted, leaves the older one to sign and be renewed, under a number that nobody had', () => {
    const acceptedLoss = ca(2).certificate.fingerprint;
    const { step, problem } = plan([root1(), issuingCa(1)], { noted: [noted(2)], acceptedLoss }, now());
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 3 });
    expect(problem).toBeUndefined();
  });

  test('and older is remembered until its end, without a word unless leaves hang on it', () => {
    const memory = { noted: [noted(1)] };
    const unused = plan([root1(), issuingCa(2)], memory, now());
    expect([unused.step.step, unused.problem, unused.note]).toEqual(['None', undefined, undefined]);
    expect(unused.lost).toEqual([noted(1)]);
    expect(unused.wakeAt).toBe(NOW + 360 * DAY);
    expect(plan([root1(), issuingCa(2)], memory, NOW + 360 * DAY).lost).toEqual([]);
    const used = plan([root1(), issuingCa(2)], { ...memory, issuersInUse: [ca(1).certificate] }, now());
    expect([used.lost, used.problem]).toEqual([[noted(1)], undefined]);
    expect(used.note).toContain('"default-issuing-1"');
    // Once its last leaf has been renewed nothing is to be said any more, and no event reports that.
    expect(used.wakeAt).toBe(now() + 600_000);
  });

  test('and older does not hold up the renewal of the one that signs', () => {
    // The second ends at day 560, so that the first, which would end at day 360, is given a longer life here.
    const old = { ...noted(1), notAfter: NOW + 500 * DAY };
    const { step, lost } = plan([root1(), issuingCa(2)], { noted: [old] }, NOW + 450 * DAY);
    expect(step).toMatchObject({ step: 'CreateIssuing', number: 3 });
    expect(lost).toEqual([old]);
  });
});

describe('a root of which only leaf Secrets tell', () => {
  test('is told of with such a Secret, which anybody may have made, and both ways out', () => {
    const fingerprint = 'f'.repeat(64);
    const { step, problem } = plan([], { rootsInUse: [{ fingerprint, secret: 'shop/web-mtls' }] }, NOW);
    expect([step.step, problem?.reason]).toEqual(['None', 'KeyMissing']);
    expect(problem?.message).toContain(`${fingerprint} (in ca.crt of the Secret shop/web-mtls)`);
    expect(problem?.message).toContain('if this authority never had it, delete those Secrets');
    expect(problem?.message).toContain(`replace-missing=${fingerprint}`);
    expect(plan([], {}, NOW).step.step).toBe('CreateRoot');
  });

  test('and there are very many of is told of in a message that still has an end', () => {
    const rootsInUse = Array.from({ length: 1000 }, (_, index) => ({
      fingerprint: String(index).padStart(64, '0'),
      secret: `shop/web-${index}`,
    }));
    const { step, problem } = plan([], { rootsInUse }, NOW);
    expect(step.step).toBe('None');
    expect(problem?.message).toContain('984 more');
    expect(problem?.message.length).toBeLessThan(8192);
  });
});
