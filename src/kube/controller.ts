import { setImmediate } from 'node:timers/promises';
import { type Clock, sleep, systemClock } from './clock.ts';
import { isConflict } from './errors.ts';
import { type Log, messageOf } from './log.ts';
import type { Metrics } from './metrics.ts';
import type { WorkQueue } from './queue.ts';

/** What a reconciliation says about the next one: nothing, or when (wall clock, ms since 1970) to look again without being asked. */
export type ReconcileResult = { readonly requeueAt?: number | undefined };

/** Thrown by a reconcile that no repetition can mend: it is not retried until something changes. */
export class TerminalError extends Error {
  override readonly name = 'TerminalError';
}

/** The reason of a signal that asks to drop everything at once, because somebody else may hold the Lease by now. */
export class LeadershipLostError extends Error {
  override readonly name = 'LeadershipLostError';
}

export interface ControllerOptions {
  name: string;
  queue: WorkQueue;
  /** How many keys are worked on at once. */
  workers: number;
  /** Brings the world in line with one key. `signal` aborts when the time for an orderly end is over. */
  reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult>;
  metrics: Metrics;
  log: Log;
  clock?: Clock;
  /** How long reconciliations in flight may go on after `run`'s signal aborted, in ms. Default 20 s: a pod gets 30 s. */
  graceMs?: number;
}

export interface Controller {
  /** Works until the signal aborts, then lets what is in flight end, and resolves. Never rejects. */
  run(signal: AbortSignal): Promise<void>;
}

/** How long a reconciliation may take to notice that its signal aborted. */
const ABORT_MS = 2_000;

/** How long workers may go on without letting timers and sockets have their turn. */
const SLICE_MS = 10;

export function createController(options: ControllerOptions): Controller {
  const { name, queue, workers, reconcile, log } = options;
  const clock = options.clock ?? systemClock;
  const m = options.metrics.controller;
  const active = m.active.labels({ controller: name });
  const duration = m.duration.labels({ controller: name });
  const errors = m.errors.labels({ controller: name });
  const results = {
    success: m.reconciles.labels({ controller: name, result: 'success' }),
    requeueAfter: m.reconciles.labels({ controller: name, result: 'requeue_after' }),
    error: m.reconciles.labels({ controller: name, result: 'error' }),
  };
  m.maxConcurrent.set({ controller: name }, workers);
  let sliceStart = clock.monotonic();

  async function work(signal: AbortSignal): Promise<void> {
    for (;;) {
      const next = queue.get();
      const key = typeof next === 'string' ? next : await next;
      if (key === undefined) return;
      await one(key, signal);
      // Reconciliations that find nothing to do never wait; thousands of them would hold up Lease, probes and sockets.
      if (clock.monotonic() - sliceStart > SLICE_MS) {
        await setImmediate();
        sliceStart = clock.monotonic();
      }
    }
  }

  async function one(key: string, signal: AbortSignal): Promise<void> {
    const started = clock.monotonic();
    active.inc();
    try {
      const { requeueAt } = await reconcile(key, signal);
      queue.forget(key);
      if (requeueAt === undefined) {
        queue.cancelDelayed(key);
        results.success.inc();
      } else {
        queue.addAt(key, requeueAt);
        results.requeueAfter.inc();
      }
    } catch (error) {
      failed(key, error, signal);
    } finally {
      active.dec();
      duration.observe((clock.monotonic() - started) / 1000);
      queue.done(key);
    }
  }

  function failed(key: string, error: unknown, signal: AbortSignal): void {
    if (signal.aborted) return;
    results.error.inc();
    errors.inc();
    if (error instanceof TerminalError) {
      m.terminalErrors.inc({ controller: name });
      queue.forget(key);
      log.error(
        { controller: name, key, error: messageOf(error) },
        'reconcile failed, not to be repeated until something changes',
      );
      return;
    }
    const attempts = queue.failures(key) + 1;
    queue.addRateLimited(key);
    const fields = { controller: name, key, attempts, error: messageOf(error) };
    // A conflict is the ordinary way to learn that the object has changed since it was read.
    if (isConflict(error)) log.debug(fields, 'the object has changed meanwhile, looking again');
    else log.error(fields, 'reconcile failed, to be repeated');
  }

  return {
    async run(signal) {
      const hard = new AbortController();
      const stopping = new Promise<void>((resolve) => {
        const stop = (): void => {
          queue.shutDown();
          resolve();
        };
        if (signal.aborted) stop();
        else signal.addEventListener('abort', stop, { once: true });
      });
      const all = Promise.all(Array.from({ length: workers }, () => work(hard.signal)));
      await stopping;
      const grace = signal.reason instanceof LeadershipLostError ? 0 : (options.graceMs ?? 20_000);
      const cancel = clock.setTimer(grace, () => hard.abort(signal.reason));
      // A reconcile that does not heed its signal must not keep the process from ending.
      const stuck = aborted(hard.signal).then(() => sleep(clock, ABORT_MS));
      await Promise.race([all, stuck]);
      cancel();
      if (queue.active > 0)
        log.error({ controller: name, active: queue.active }, 'gave up waiting for reconciliations');
    },
  };
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
