import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { FakeClock } from './fakeClock.ts';
import { createMetrics } from './metrics.ts';
import { WorkQueue } from './queue.ts';

function make() {
  const clock = new FakeClock();
  return { clock, queue: new WorkQueue({ name: 'test', clock }) };
}

/** What get gives without waiting. */
function take(queue: WorkQueue): string {
  const next = queue.get();
  if (typeof next === 'string') return next;
  throw new Error('nothing waits');
}

describe('against a model', () => {
  const key = fc.constantFrom('a', 'b', 'c', 'd');
  const command = fc.oneof(
    { weight: 4, arbitrary: fc.record({ do: fc.constant('add' as const), key }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('get' as const) }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('done' as const), index: fc.nat(5) }) },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('addAt' as const), key, inMs: fc.integer({ min: -10, max: 90_000 }) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('addAfter' as const), key, inMs: fc.integer({ min: -10, max: 500 }) }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('cancel' as const), key }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('pass' as const), ms: fc.constantFrom(1, 7, 100, 30_000) }) },
  );

  test('a key waits once, is with one worker, comes again if added meanwhile, and keeps one time for later', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(command, { maxLength: 50 }), async (commands) => {
        const { clock, queue } = make();
        // The model: an ordered set of waiting keys, a set in work, a set to come again, one time per key.
        const waiting = new Set<string>();
        const working = new Set<string>();
        const again = new Set<string>();
        const later = new Map<string, number>();
        const add = (k: string): void => {
          if (working.has(k)) again.add(k);
          else waiting.add(k);
        };
        const addLater = (k: string, ms: number): void => {
          later.delete(k);
          if (ms <= 0) add(k);
          else later.set(k, clock.monotonic() + ms);
        };
        for (const c of commands) {
          switch (c.do) {
            case 'add':
              queue.add(c.key);
              add(c.key);
              break;
            case 'addAt':
              queue.addAt(c.key, clock.now() + c.inMs);
              addLater(c.key, c.inMs);
              break;
            case 'addAfter':
              queue.addAfter(c.key, c.inMs);
              addLater(c.key, c.inMs);
              break;
            case 'cancel':
              queue.cancelDelayed(c.key);
              later.delete(c.key);
              break;
            case 'pass': {
              await clock.advance(c.ms);
              // Two heaps: the order of keys that fell due in one step is compared as a set below.
              const due = [...later].filter(([, at]) => at <= clock.monotonic()).sort(([, x], [, y]) => x - y);
              for (const [k] of due) {
                later.delete(k);
                add(k);
              }
              break;
            }
            case 'get':
              if (waiting.size > 0) {
                const got = take(queue);
                expect(waiting.has(got)).toBe(true);
                expect(working.has(got)).toBe(false);
                waiting.delete(got);
                working.add(got);
              }
              break;
            case 'done': {
              const k = [...working][c.index];
              if (k === undefined) break;
              queue.done(k);
              working.delete(k);
              if (again.delete(k)) waiting.add(k);
              break;
            }
          }
          expect(queue.length).toBe(waiting.size);
          expect(queue.active).toBe(working.size);
          expect(queue.delayed).toBe(later.size);
        }
      }),
      { numRuns: 150 },
    );
  });
});

describe('order and hand-over', () => {
  test('first come, first served, over thousands', () => {
    const { queue } = make();
    const keys = Array.from({ length: 5_000 }, (_, i) => `key-${i}`);
    for (const key of keys) queue.add(key);
    const taken = keys.map(() => {
      const key = take(queue);
      queue.done(key);
      return key;
    });
    expect(taken).toEqual(keys);
  });

  test('a worker that waits gets the next key', async () => {
    const { queue } = make();
    const [first, second] = [queue.get(), queue.get()];
    queue.add('a');
    queue.add('a');
    queue.add('b');
    expect([await first, await second]).toEqual(['a', 'b']);
    // It was added while nobody had it: once.
    expect(queue.length).toBe(0);
  });

  test('a key added while it is worked on waits until that worker is done', async () => {
    const { queue } = make();
    queue.add('a');
    expect(take(queue)).toBe('a');
    queue.add('a');
    queue.add('a');
    const other = queue.get();
    let given: unknown = 'nothing';
    void Promise.resolve(other).then((key) => {
      given = key;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(given).toBe('nothing');
    queue.done('a');
    expect(await other).toBe('a');
  });

  test('done for a key that is with nobody changes nothing', () => {
    const { queue } = make();
    queue.add('a');
    queue.done('a');
    queue.done('b');
    expect(queue.length).toBe(1);
  });
});

describe('adds for later', () => {
  test('rate-limited adds double from 5 ms to 1000 s, and begin anew once forgotten', async () => {
    const { clock, queue } = make();
    const delays: number[] = [];
    for (let i = 0; i < 20; i++) {
      queue.addRateLimited('a');
      const start = clock.monotonic();
      const next = Promise.resolve(queue.get());
      let got = false;
      void next.then(() => {
        got = true;
      });
      while (!got) await clock.advance(i < 8 ? 1 : 1_000);
      delays.push(clock.monotonic() - start);
      queue.done('a');
    }
    expect(delays.slice(0, 8)).toEqual([5, 10, 20, 40, 80, 160, 320, 640]);
    expect(delays.slice(-2)).toEqual([1_000_000, 1_000_000]);
    expect(queue.failures('a')).toBe(20);
    queue.forget('a');
    queue.addRateLimited('a');
    await clock.advance(5);
    expect(queue.length).toBe(1);
  });

  test('a retry is not put off by a wall clock that is set back', async () => {
    const { clock, queue } = make();
    queue.addRateLimited('a');
    clock.jump(-86_400_000);
    await clock.advance(5);
    expect(queue.length).toBe(1);
  });

  test('the last word counts: a time at the wall clock replaces a retry, and the other way round', async () => {
    const { clock, queue } = make();
    queue.addRateLimited('a');
    queue.addAt('a', clock.now() + 10_000);
    await clock.advance(1_000);
    expect([queue.length, queue.delayed]).toEqual([0, 1]);
    queue.addRateLimited('a');
    await clock.advance(1_000);
    expect([queue.length, queue.delayed]).toEqual([1, 0]);
  });

  test('an add for now leaves the time for later', async () => {
    const { clock, queue } = make();
    queue.addAt('a', clock.now() + 1_000);
    queue.add('a');
    queue.done(take(queue));
    await clock.advance(1_000);
    expect(queue.length).toBe(1);
  });
});

describe('the end', () => {
  test('waiting workers are sent home, nothing goes in or out any more', async () => {
    const { clock, queue } = make();
    queue.addAt('later', clock.now() + 10);
    const waiting = queue.get();
    queue.shutDown();
    queue.shutDown();
    expect(await waiting).toBeUndefined();
    queue.add('b');
    queue.addRateLimited('c');
    await clock.advance(1_000);
    expect(await queue.get()).toBeUndefined();
    expect([queue.length, queue.delayed, clock.pending]).toEqual([0, 0, 0]);
  });

  test('drained waits for the worker who has a key', async () => {
    const { queue } = make();
    queue.add('a');
    queue.add('b');
    const key = take(queue);
    let drained = false;
    const waiting = queue.drained().then(() => {
      drained = true;
    });
    queue.shutDown();
    await new Promise((resolve) => setImmediate(resolve));
    expect(drained).toBe(false);
    queue.done(key);
    await waiting;
  });

  test('drained resolves at once when there is nothing', async () => {
    await make().queue.drained();
  });
});

test('metrics are those of client-go, by the names of controller-runtime', async () => {
  const metrics = createMetrics({ process: false });
  const clock = new FakeClock();
  const queue = new WorkQueue({ name: 'wcert', clock, metrics });
  queue.add('a');
  queue.add('b');
  await clock.advance(2_000);
  take(queue);
  await clock.advance(3_000);
  queue.addRateLimited('c');
  const text = await metrics.registry.metrics();
  for (const line of [
    'workqueue_depth{name="wcert",controller="wcert"} 1',
    'workqueue_adds_total{name="wcert",controller="wcert"} 2',
    'workqueue_queue_duration_seconds_sum{name="wcert",controller="wcert"} 2',
    'workqueue_unfinished_work_seconds{name="wcert",controller="wcert"} 3',
    'workqueue_longest_running_processor_seconds{name="wcert",controller="wcert"} 3',
    'workqueue_retries_total{name="wcert",controller="wcert"} 1',
  ]) {
    expect(text.split('\n')).toContain(line);
  }
});
