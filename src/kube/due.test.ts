import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { DueHeap, DueTimes } from './due.ts';
import { FakeClock } from './fakeClock.ts';

const DAY_MS = 86_400_000;

describe('DueHeap', () => {
  test('behaves as a map that is sorted by time whenever one asks', () => {
    const key = fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h');
    const command = fc.oneof(
      fc.record({ do: fc.constant('set' as const), key, at: fc.integer({ min: -50, max: 50 }) }),
      fc.record({ do: fc.constant('delete' as const), key }),
      fc.record({ do: fc.constant('pop' as const), now: fc.integer({ min: -50, max: 50 }) }),
    );
    fc.assert(
      fc.property(fc.array(command, { maxLength: 80 }), (commands) => {
        const heap = new DueHeap();
        const model = new Map<string, number>();
        for (const c of commands) {
          if (c.do === 'set') {
            heap.set(c.key, c.at);
            model.set(c.key, c.at);
          } else if (c.do === 'delete') {
            expect(heap.delete(c.key)).toBe(model.delete(c.key));
          } else {
            const popped = heap.popDue(c.now);
            const first = Math.min(...model.values());
            if (first > c.now) expect(popped).toBeUndefined();
            else {
              // Which of several with one time comes first is open.
              expect(model.get(popped ?? '')).toBe(first);
              model.delete(popped ?? '');
            }
          }
          expect(heap.size).toBe(model.size);
          expect(heap.first).toBe(model.size === 0 ? undefined : Math.min(...model.values()));
          for (const [k, at] of model) expect(heap.get(k)).toBe(at);
        }
      }),
    );
  });

  test('takes fifty thousand keys out in order', () => {
    const heap = new DueHeap();
    let seed = 1;
    for (let i = 0; i < 50_000; i++) {
      seed = (seed * 48_271) % 2_147_483_647;
      heap.set(`key-${i}`, seed);
    }
    let last = 0;
    for (let key = heap.first; key !== undefined; key = heap.first) {
      expect(key).toBeGreaterThanOrEqual(last);
      last = key;
      heap.popDue(Number.POSITIVE_INFINITY);
    }
    expect(heap.size).toBe(0);
  });
});

describe('DueTimes', () => {
  function make(scale?: 'wall' | 'monotonic') {
    const clock = new FakeClock();
    const fired: string[] = [];
    const due = new DueTimes({ clock, onDue: (key) => fired.push(key), ...(scale === undefined ? {} : { scale }) });
    return { clock, due, fired };
  }

  test('calls each key once, at its time, the earliest first', async () => {
    const { clock, due, fired } = make();
    const start = clock.now();
    due.set('late', start + 5_000);
    due.set('early', start + 1_000);
    due.set('middle', start + 3_000);
    await clock.advance(999);
    expect(fired).toEqual([]);
    await clock.advance(1);
    expect(fired).toEqual(['early']);
    await clock.advance(10_000);
    expect(fired).toEqual(['early', 'middle', 'late']);
  });

  test('a time that is set again replaces the former one, earlier or later', async () => {
    const { clock, due, fired } = make();
    const start = clock.now();
    due.set('a', start + 1_000);
    due.set('a', start + 9_000);
    due.set('b', start + 9_000);
    due.set('b', start + 500);
    await clock.advance(2_000);
    expect(fired).toEqual(['b']);
    await clock.advance(8_000);
    expect(fired).toEqual(['b', 'a']);
  });

  test.each([24, 25, 90, 3_650])('%i days from now is neither now nor never', async (days) => {
    const { clock, due, fired } = make();
    due.set('a', clock.now() + days * DAY_MS);
    await clock.advance(DAY_MS);
    expect(fired).toEqual([]);
    clock.jump((days - 1) * DAY_MS);
    await clock.advance(30_000);
    expect(fired).toEqual(['a']);
  });

  test('notices within half a minute that the wall clock was set forward', async () => {
    const { clock, due, fired } = make();
    due.set('a', clock.now() + DAY_MS);
    await clock.advance(60_000);
    clock.jump(2 * DAY_MS);
    await clock.advance(30_000);
    expect(fired).toEqual(['a']);
  });

  test('waits for the wall clock when it was set back', async () => {
    const { clock, due, fired } = make();
    due.set('a', clock.now() + 60_000);
    clock.jump(-3_600_000);
    await clock.advance(120_000);
    expect(fired).toEqual([]);
    await clock.advance(3_600_000);
    expect(fired).toEqual(['a']);
  });

  test('delays do not care for the wall clock', async () => {
    const { clock, due, fired } = make('monotonic');
    due.setAfter('a', 60_000);
    due.setAfter('b', 200_000);
    clock.jump(-DAY_MS);
    await clock.advance(60_000);
    expect(fired).toEqual(['a']);
    clock.jump(3 * DAY_MS);
    await clock.advance(60_000);
    expect(fired).toEqual(['a']);
  });

  test('has one timer however many keys wait, and none when none waits', async () => {
    const { clock, due } = make();
    for (let i = 0; i < 1_000; i++) due.set(`key-${i}`, clock.now() + i * 1_000);
    expect(clock.pending).toBe(1);
    due.clear();
    expect(clock.pending).toBe(0);
  });

  test('a key that is set from within its own call comes again', async () => {
    const clock = new FakeClock();
    let calls = 0;
    const due: DueTimes = new DueTimes({
      clock,
      onDue: (key) => {
        if (++calls < 4) due.set(key, clock.now() + 1_000);
      },
    });
    due.set('a', clock.now() + 1_000);
    await clock.advance(10_000);
    expect(calls).toBe(4);
  });

  test('refuses what is no time', () => {
    expect(() => make().due.set('a', Number.NaN)).toThrow('a');
  });
});
