import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { issuedAtOf, isValidityFor, renewalTime, validityAt } from './validity.ts';

const SECOND = 1000;
const AT = Date.UTC(2030, 0, 1, 12, 0, 0);
const unlimited = { maxDurationSeconds: 1e9, issuerNotAfter: AT + 1e12 };

describe('validity', () => {
  test.each([
    ['of 24h begins 5 minutes early', 86_400, 300],
    ['of 1h begins 5 minutes early', 3600, 300],
    ['of 50m begins 5 minutes early', 3000, 300],
    ['of 10m begins a tenth of it early', 600, 60],
    ['of 1m begins 6 s early', 60, 6],
  ])('%s', (_, duration, backdate) => {
    expect(validityAt(AT, duration, unlimited)).toEqual({
      notBefore: AT - backdate * SECOND,
      notAfter: AT + duration * SECOND,
    });
  });

  test('has whole seconds', () => {
    expect(validityAt(AT + 999, 60, unlimited)).toEqual(validityAt(AT, 60, unlimited));
  });

  test('is shortened to the authority’s maximum', () => {
    expect(validityAt(AT, 86_400, { ...unlimited, maxDurationSeconds: 3600 })).toEqual(validityAt(AT, 3600, unlimited));
  });

  test('never passes the CA’s', () => {
    expect(validityAt(AT, 86_400, { ...unlimited, issuerNotAfter: AT + 5000 }).notAfter).toBe(AT + 5000);
  });
});

const duration = fc.integer({ min: 60, max: 825 * 86_400 });
const instant = fc.integer({ min: Date.UTC(2000, 0, 1), max: Date.UTC(2100, 0, 1) });
const limits = fc.record({ maxDurationSeconds: duration, left: fc.integer({ min: 1, max: 900 * 86_400 }) });
const certificates = fc.tuple(instant, duration, limits).map(([at, durationSeconds, { maxDurationSeconds, left }]) => {
  const issuerNotAfter = Math.floor(at / SECOND) * SECOND + left * SECOND;
  const cut = { maxDurationSeconds, issuerNotAfter };
  return { at, durationSeconds, cut, validity: validityAt(at, durationSeconds, cut) };
});

describe('whether a validity is of a duration', () => {
  test('property: it is of the one that it was made with, and issuance is recovered to the second', () => {
    fc.assert(
      fc.property(certificates, ({ at, durationSeconds, cut, validity }) => {
        expect(isValidityFor(validity, durationSeconds, cut)).toBe(true);
        const issuedAt = issuedAtOf(validity, Math.min(durationSeconds, cut.maxDurationSeconds));
        expect(issuedAt).toBe(Math.floor(at / SECOND) * SECOND);
      }),
    );
  });

  test('property: it is of no other one, unless the CA or the maximum cuts both', () => {
    fc.assert(
      fc.property(instant, duration, duration, (at, made, asked) => {
        const cut = { ...unlimited, issuerNotAfter: at + 1e14 };
        expect(isValidityFor(validityAt(at, made, cut), asked, cut)).toBe(made === asked);
      }),
    );
  });

  test('a change of duration within what the CA cuts off is no change', () => {
    const cut = { ...unlimited, issuerNotAfter: AT + 3600 * SECOND };
    expect(isValidityFor(validityAt(AT, 86_400, cut), 100_000, cut)).toBe(true);
  });
});

describe('renewal', () => {
  const renewal = (durationSeconds: number, renewBeforeSeconds?: number, identity = 'shop/web') =>
    renewalTime(validityAt(AT, durationSeconds, unlimited), { durationSeconds, renewBeforeSeconds }, identity);

  test('by default comes when a third of the life is left, and up to a twentieth of it earlier', () => {
    const at = renewal(86_400);
    expect(at).toBeLessThanOrEqual(AT + 57_600 * SECOND);
    expect(at).toBeGreaterThan(AT + (57_600 - 4320) * SECOND);
  });

  test('is spread by identity alone: the same at each look, different between certificates', () => {
    expect(renewal(86_400, 3600, 'a/b')).toBe(renewal(86_400, 3600, 'a/b'));
    const times = Array.from({ length: 200 }, (_, i) => renewal(86_400, 3600, `shop/web-${i}`));
    expect(new Set(times).size).toBeGreaterThan(190);
    const latest = AT + (86_400 - 3600) * SECOND;
    const shares = times.map((time) => (latest - time) / (4320 * SECOND));
    for (const quarter of [0, 1, 2, 3])
      expect(shares.filter((share) => Math.floor(share * 4) === quarter).length).toBeGreaterThan(25);
  });

  test('of a 1m certificate comes within its minute', () => {
    const at = renewal(60);
    expect(at).toBeLessThanOrEqual(AT + 40 * SECOND);
    expect(at).toBeGreaterThan(AT + 36 * SECOND);
  });

  test('with a renewBefore as long as a shortened life falls back to a third, rather than at once and for ever', () => {
    const cut = { ...unlimited, issuerNotAfter: AT + 3600 * SECOND };
    const at = renewalTime(
      validityAt(AT, 86_400, cut),
      { durationSeconds: 86_400, renewBeforeSeconds: 28_800 },
      'shop/web',
    );
    expect(at).toBeGreaterThan(AT + 2000 * SECOND);
  });

  test('with nearly the whole life as renewBefore has no spread', () => {
    expect(renewal(86_400, 86_100)).toBe(AT + 300 * SECOND);
  });

  test.each([
    ['5 minutes of a day', 86_400, 86_100],
    ['a sixth of a minute', 60, 50],
  ])('leaves at least %s after issuance, or the last third is used', (_, duration, longest) => {
    expect(renewal(duration, longest)).toBeLessThanOrEqual(AT + (duration - longest) * SECOND);
    for (const renewBefore of [longest + 1, duration - 1, duration])
      expect(renewal(duration, renewBefore)).toBe(renewal(duration));
  });

  test('leaves as much where it is the authority that shortens the life', () => {
    const cut = { ...unlimited, maxDurationSeconds: 600 };
    const at = (renewBeforeSeconds?: number): number =>
      renewalTime(validityAt(AT, 86_400, cut), { durationSeconds: 600, renewBeforeSeconds }, 'shop/web');
    expect(at(599)).toBe(at());
    expect(at(500)).toBeLessThanOrEqual(AT + 100 * SECOND);
  });

  const renewBefore = fc.option(fc.integer({ min: 1, max: 825 * 86_400 }), { nil: undefined });
  test('property: it lies between issuance and notAfter, never within renewBefore, and spreads by a twentieth at most', () => {
    fc.assert(
      fc.property(certificates, renewBefore, fc.string(), ({ durationSeconds, cut, validity }, before, identity) => {
        const effective = Math.min(durationSeconds, cut.maxDurationSeconds);
        const issuedAt = issuedAtOf(validity, effective);
        const life = validity.notAfter - issuedAt;
        const at = renewalTime(validity, { durationSeconds: effective, renewBeforeSeconds: before }, identity);
        expect(at).toBeGreaterThanOrEqual(issuedAt);
        expect(at).toBeLessThanOrEqual(validity.notAfter);
        const least = Math.min(300 * SECOND, life / 6);
        const asked = before !== undefined && life - before * SECOND >= least ? before * SECOND : life / 3;
        expect(at - issuedAt).toBeGreaterThanOrEqual(Math.floor(Math.min(least, life / 10)));
        expect(at).toBeLessThanOrEqual(validity.notAfter - asked);
        expect(at).toBeGreaterThanOrEqual(Math.floor(validity.notAfter - asked - life / 20));
      }),
    );
  });
});
