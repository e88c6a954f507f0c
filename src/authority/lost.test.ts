import { beforeAll, describe, expect, test } from 'vitest';
import { DAY, generationOf, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { planSelfSigned, type SelfSignedSpec } from './lifecycle.ts';
import type { Remembered } from './lost.ts';

const spec: SelfSignedSpec = {
  root: { durationSeconds: 3650 * 86_400, key: { algorithm: 'ECDSA' } },
  issuing: { durationSeconds: 360 * 86_400, key: { algorithm: 'ECDSA' } },
  maxCertificateDurationSeconds: 30 * 86_400,
};
const nothing: Remembered = { noted: [], rootsInUse: [], issuersInUse: [], acceptedLoss: undefined };

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
const plan = (found: Parameters<typeof planSelfSigned>[1], remembered: Partial<Remembered>, now: number) =>
  planSelfSigned(spec, found, { ...nothing, ...remembered }, now);

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
