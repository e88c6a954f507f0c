import { describe, expect, test } from 'vitest';
import { createController, LeadershipLostError, type ReconcileResult, TerminalError } from './controller.ts';
import { ApiError } from './errors.ts';
import { FakeClock } from './fakeClock.ts';
import type { Log } from './log.ts';
import { createMetrics } from './metrics.ts';
import { WorkQueue } from './queue.ts';

function make(reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>, workers = 2) {
  const clock = new FakeClock();
  const metrics = createMetrics({ process: false });
  const queue = new WorkQueue({ name: 'test', clock, metrics });
  const lines: string[] = [];
  const write = (level: string) => (_fields: object, message: string) => {
    lines.push(`${level}: ${message}`);
  };
  const log: Log = { debug: write('debug'), info: write('info'), warn: write('warn'), error: write('error') };
  const controller = createController({ name: 'test', queue, workers, reconcile, metrics, log, clock, graceMs: 5_000 });
  const stopper = new AbortController();
  const running = controller.run(stopper.signal);
  return { clock, queue, metrics, lines, running, stop: (reason?: Error) => stopper.abort(reason) };
}

async function metric(metrics: ReturnType<typeof createMetrics>, line: string): Promise<string | undefined> {
  const text = await metrics.registry.metrics();
  return text.split('\n').find((candidate) => candidate.startsWith(`${line} `));
}

describe('a reconciliation', () => {
  test('that succeeds is not repeated', async () => {
    const seen: string[] = [];
    const { queue, clock, metrics } = make(async (key) => {
      seen.push(key);
      return {};
    });
    queue.add('a');
    await clock.advance(3_600_000);
    expect(seen).toEqual(['a']);
    expect(await metric(metrics, 'controller_runtime_reconcile_total{controller="test",result="success"}')).toMatch(
      / 1$/,
    );
  });

  test('comes again at the time that it names, and that time alone counts', async () => {
    const times: number[] = [];
    const start = new FakeClock().now();
    const { queue, clock } = make(async () => {
      times.push(clock.now() - start);
      return times.length < 3 ? { requeueAt: clock.now() + 10_000 } : {};
    });
    queue.add('a');
    await clock.advance(5_000);
    queue.add('a');
    await clock.advance(3_600_000);
    expect(times).toEqual([0, 5_000, 15_000]);
  });

  test('that fails is repeated ever more rarely, and its success begins anew', async () => {
    const times: number[] = [];
    const { queue, clock } = make(async () => {
      times.push(clock.monotonic());
      if (times.length < 5) throw new Error('not yet');
      return {};
    });
    queue.add('a');
    await clock.advance(1_000);
    expect(times).toEqual([0, 5, 15, 35, 75]);
    expect(queue.failures('a')).toBe(0);
  });

  test('that fails for good is not repeated, until something changes', async () => {
    let calls = 0;
    const { queue, clock, metrics } = make(async () => {
      calls++;
      throw new TerminalError('never');
    });
    queue.add('a');
    await clock.advance(3_600_000);
    expect(calls).toBe(1);
    queue.add('a');
    await clock.advance(1);
    expect(calls).toBe(2);
    expect(await metric(metrics, 'controller_runtime_terminal_reconcile_errors_total{controller="test"}')).toMatch(
      / 2$/,
    );
  });

  test('that meets a conflict is repeated without an error in the log', async () => {
    const conflict = new ApiError({ status: 409, reason: 'Conflict', message: 'the object has been modified' });
    let calls = 0;
    const { queue, clock, lines } = make(async () => {
      if (calls++ === 0) throw conflict;
      return {};
    });
    queue.add('a');
    await clock.advance(100);
    expect(calls).toBe(2);
    expect(lines.filter((line) => line.startsWith('error'))).toEqual([]);
  });

  test('that throws what is no Error is a failure as any other', async () => {
    let calls = 0;
    const { queue, clock } = make(async () => {
      if (calls++ === 0) throw 'text';
      return {};
    });
    queue.add('a');
    await clock.advance(100);
    expect(calls).toBe(2);
  });
});

describe('workers', () => {
  test('work on as many keys at once as there are workers, and never on one key twice', async () => {
    const active = new Map<string, number>();
    let most = 0;
    const { queue, clock } = make(async (key) => {
      const of = (active.get(key) ?? 0) + 1;
      active.set(key, of);
      expect(of).toBe(1);
      most = Math.max(
        most,
        [...active.values()].reduce((sum, n) => sum + n, 0),
      );
      await new Promise((resolve) => setImmediate(resolve));
      active.set(key, 0);
      return {};
    }, 4);
    for (let round = 0; round < 20; round++) {
      for (const key of ['a', 'b', 'c', 'd', 'e', 'f']) queue.add(key);
      await clock.advance(1);
    }
    await queue.drained();
    expect(most).toBe(4);
  });

  test('let timers and sockets have their turn among thousands of reconciliations that never wait', async () => {
    const queue = new WorkQueue({ name: 'busy', clock: new FakeClock() });
    const stopper = new AbortController();
    let done = 0;
    let seenBy: number | undefined;
    const controller = createController({
      name: 'busy',
      queue,
      workers: 2,
      metrics: createMetrics({ process: false }),
      log: { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} },
      reconcile: async () => {
        const until = performance.now() + 0.05;
        while (performance.now() < until);
        done++;
        return {};
      },
    });
    for (let i = 0; i < 5_000; i++) queue.add(`key-${i}`);
    const running = controller.run(stopper.signal);
    setImmediate(() => {
      seenBy = done;
    });
    await queue.drained();
    stopper.abort();
    await running;
    expect(done).toBe(5_000);
    expect(seenBy).toBeLessThan(4_000);
  });
});

describe('the end', () => {
  test('waits for what is in flight and drops what waits', async () => {
    const ended: string[] = [];
    let release = (): void => {};
    const { queue, clock, running, stop } = make(async (key) => {
      await new Promise<void>((resolve) => {
        release = resolve;
      });
      ended.push(key);
      return { requeueAt: 1e15 };
    }, 1);
    queue.add('a');
    queue.add('b');
    await clock.advance(1);
    stop();
    await clock.advance(1_000);
    expect(ended).toEqual([]);
    release();
    await running;
    expect(ended).toEqual(['a']);
  });

  test('gives a reconciliation its signal when the grace is over', async () => {
    let reason: unknown;
    const { queue, clock, running, stop } = make(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            reason = signal.reason;
            reject(signal.reason);
          });
        }),
    );
    queue.add('a');
    await clock.advance(1);
    stop(new Error('SIGTERM'));
    await clock.advance(4_999);
    expect(reason).toBeUndefined();
    await clock.advance(1);
    await running;
    expect(reason).toEqual(new Error('SIGTERM'));
  });

  test('grants no grace when leadership is lost', async () => {
    let aborted = false;
    const { queue, clock, running, stop } = make(
      (_key, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener('abort', () => {
            aborted = true;
            reject(signal.reason);
          });
        }),
    );
    queue.add('a');
    await clock.advance(1);
    stop(new LeadershipLostError('lost'));
    await clock.advance(1);
    await running;
    expect(aborted).toBe(true);
  });

  test('comes even when a reconciliation heeds nothing', async () => {
    const { queue, clock, running, stop, lines } = make(() => new Promise(() => {}));
    queue.add('a');
    await clock.advance(1);
    stop();
    await clock.advance(8_000);
    await running;
    expect(lines).toContain('error: gave up waiting for reconciliations');
  });
});
