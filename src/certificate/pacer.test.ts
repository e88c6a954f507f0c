import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeClock } from '../kube/index.ts';
import { Pacer, spacing } from './pacer.ts';

const HOUR = 3_600_000;

/** One every 20 ms. */
const pacing = { floorPerSecond: 50, slackShare: 0.05 };

function room(options = pacing) {
  const clock = new FakeClock();
  const released: string[] = [];
  const pacer = new Pacer((key) => released.push(key), clock, options);
  return { clock, released, pacer, start: clock.now() };
}

describe('the space between two renewals', () => {
  test.each([
    ['nothing without a backlog', 0, HOUR, 0],
    ['nothing where the nearest has expired', 5, 0, 0],
    ['nothing where the nearest has long expired', 5, -HOUR, 0],
    ['no more than the floor asks for', 1, 1000 * HOUR, 20],
    ['less where the backlog would not be drained in time', 50_000, HOUR, 3.6],
  ])('is %s', (_, waiting, slack, gap) => {
    expect(spacing(waiting, slack, pacing)).toBeCloseTo(gap);
  });

  test('property: it never holds anyone longer than the share of the slack that it is given', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100_000 }), fc.integer({ min: 1, max: 1000 * HOUR }), (waiting, slack) => {
        expect(spacing(waiting, slack, pacing) * waiting).toBeLessThanOrEqual(slack * pacing.slackShare + 1e-6);
      }),
    );
  });
});

describe('the waiting room', () => {
  test('is closed until everybody has been looked at, even for the most urgent', async () => {
    const { clock, pacer, released } = room();
    expect(pacer.enter('a', 0)).toBe(false);
    await clock.advance(HOUR);
    expect(released).toEqual([]);
    pacer.open();
    expect(released).toEqual(['a']);
    expect(pacer.enter('a', 0)).toBe(true);
  });

  test('holds who has nothing yet until everybody has been looked at, and then lets it go first', () => {
    const { pacer, released, start } = room();
    expect(pacer.hold('new')).toBe(true);
    pacer.enter('due', start + HOUR);
    pacer.open();
    expect(released).toEqual(['new', 'due']);
    expect(pacer.enter('new', 0)).toBe(true);
    expect(pacer.hold('another')).toBe(false);
    expect(pacer.waiting).toBe(0);
  });

  test('releases the nearest to expiry first', async () => {
    const { clock, pacer, released, start } = room();
    for (const [key, hours] of [
      ['c', 3],
      ['a', 1],
      ['d', 4],
      ['b', 2],
    ] as const)
      pacer.enter(key, start + hours * HOUR);
    pacer.open();
    await clock.advance(1000);
    expect(released).toEqual(['a', 'b', 'c', 'd']);
  });

  test('lets through at once who has nothing to wait for', () => {
    const { pacer, start } = room();
    pacer.open();
    expect(pacer.enter('a', start + HOUR)).toBe(true);
    expect(pacer.waiting).toBe(0);
  });

  test('releases at the floor rate while there is slack', async () => {
    const { clock, pacer, released, start } = room();
    pacer.open();
    for (let i = 0; i < 100; i += 1) pacer.enter(`k${i}`, start + 1000 * HOUR);
    await clock.advance(1000);
    expect(released.length).toBeGreaterThan(45);
    expect(released.length).toBeLessThanOrEqual(51);
  });

  test('releases those without slack all at once', () => {
    const { pacer, released, start } = room();
    for (let i = 0; i < 100; i += 1) pacer.enter(`k${i}`, start - i);
    pacer.open();
    expect(released).toHaveLength(100);
  });

  test('lets a late one that is more urgent go first', async () => {
    const { clock, pacer, released, start } = room();
    pacer.open();
    for (let i = 0; i < 10; i += 1) pacer.enter(`k${i}`, start + 100 * HOUR);
    expect(pacer.enter('missing', 0)).toBe(true);
    pacer.enter('soon', start + HOUR);
    await clock.advance(20);
    expect(released[0]).toBe('soon');
  });

  test('goes on with renewals however many urgent ones go past them', async () => {
    const { clock, pacer, released, start } = room();
    pacer.open();
    for (let i = 0; i < 10; i += 1) pacer.enter(`renewal-${i}`, start + HOUR);
    for (let i = 0; i < 200; i += 1) {
      expect(pacer.enter(`new-${i}`, 0)).toBe(true);
      await clock.advance(5);
    }
    expect(released).toHaveLength(9);
  });

  test('forgets who needs nothing any more, waiting or released', async () => {
    const { clock, pacer, released, start } = room();
    pacer.enter('a', start + HOUR);
    pacer.enter('b', start + 2 * HOUR);
    pacer.leave('a');
    pacer.open();
    await clock.advance(100);
    expect(released).toEqual(['b']);
    pacer.leave('b');
    pacer.enter('c', start + HOUR);
    expect([pacer.enter('b', start + HOUR), pacer.waiting]).toEqual([false, 1]);
  });

  test('keeps one place for one key, with its last urgency', async () => {
    const { clock, pacer, released, start } = room();
    pacer.enter('a', start + HOUR);
    pacer.enter('b', start + 2 * HOUR);
    pacer.enter('a', start + 3 * HOUR);
    pacer.open();
    await clock.advance(100);
    expect(released).toEqual(['b', 'a']);
  });

  test('is not held up by a clock that is set back', async () => {
    const { clock, pacer, released, start } = room();
    pacer.open();
    for (let i = 0; i < 10; i += 1) pacer.enter(`k${i}`, start + HOUR);
    clock.jump(-1000 * HOUR);
    await clock.advance(1000);
    expect(pacer.waiting).toBe(0);
    expect(released).toHaveLength(9);
  });

  test('releases nobody after its end, and keeps no timer', async () => {
    const { clock, pacer, released, start } = room();
    pacer.open();
    for (let i = 0; i < 10; i += 1) pacer.enter(`k${i}`, start + HOUR);
    pacer.stop();
    await clock.advance(HOUR);
    expect([released, clock.pending]).toEqual([[], 0]);
  });

  test('property: everyone is released once, within the time that the floor rate takes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 100 }), { minLength: 1, maxLength: 60 }), async (hours) => {
        const { clock, pacer, released, start } = room();
        for (const [i, hour] of hours.entries()) pacer.enter(`k${i}`, start + hour * HOUR);
        pacer.open();
        await clock.advance(20 * hours.length);
        expect([...released].sort()).toEqual(hours.map((_, i) => `k${i}`).sort());
      }),
      { numRuns: 20 },
    );
  });
});
