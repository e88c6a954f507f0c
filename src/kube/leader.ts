import { type Clock, type Random, sleep } from './clock.ts';
import { LeadershipLostError } from './controller.ts';
import { isStatus } from './errors.ts';
import { property } from './json.ts';
import { decideLease, type LeaseRecord, leaseSpec, microTime, readLease } from './lease.ts';
import { type Log, messageOf } from './log.ts';
import type { Metrics } from './metrics.ts';
import { resourcePath } from './resource.ts';
import type { Transport } from './transport.ts';

export interface LeaderElectionOptions {
  transport: Transport;
  namespace: string;
  /** Name of the Lease. */
  name: string;
  /** Unique among all candidates that may ever live at the same time; a restarted candidate that keeps it goes on at once. */
  identity: string;
  clock: Clock;
  random: Random;
  log: Log;
  metrics: Metrics;
  /** Aborts to end: waiting at once, leading after `lead` has ended, with the Lease released. */
  signal: AbortSignal;
  /** What the leader does, until its signal aborts. */
  lead: (signal: AbortSignal) => Promise<void>;
  /** How long a Lease holds without renewal. Default 15 s. */
  leaseDurationMs?: number;
  /** How long the leader tries to renew before it gives up. Default 10 s. */
  renewDeadlineMs?: number;
  /** Time between two tries. Default 2 s. */
  retryPeriodMs?: number;
  /** How long `lead` may take to end on shutdown, while the Lease is still renewed. Default 25 s. */
  graceMs?: number;
}

const LEASES = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };

/**
 * Waits for the Lease, leads, and comes back when it is over: `released` after an orderly end, `lost` when the Lease could not be renewed in
 * time. Then somebody else may lead already and the process should exit. Rejects if `lead` does; the Lease is released then.
 *
 * client-go's rules: the renewals of another are judged by how long we have seen them unchanged on our own clock, never by the times in the Lease, so
 * wall clocks may differ or jump. It does not fence: writes must be bound to resourceVersions.
 */
export function runLeaderElection(options: LeaderElectionOptions): Promise<'released' | 'lost'> {
  return new Election(options).run();
}

class Election {
  readonly #options: LeaderElectionOptions;
  readonly #durationMs: number;
  readonly #deadlineMs: number;
  readonly #retryMs: number;
  #seen: { readonly record: LeaseRecord; readonly resourceVersion: string; readonly raw: object } | undefined;
  #seenAt = 0;
  #mustRead = true;
  #renewedAt = 0;
  #announced = '';
  #complained = '';

  constructor(options: LeaderElectionOptions) {
    this.#options = options;
    this.#durationMs = options.leaseDurationMs ?? 15_000;
    this.#deadlineMs = options.renewDeadlineMs ?? 10_000;
    this.#retryMs = options.retryPeriodMs ?? 2_000;
    if (!(this.#durationMs > this.#deadlineMs && this.#deadlineMs > this.#retryMs && this.#retryMs > 0)) {
      throw new RangeError('lease duration > renew deadline > retry period > 0 is what leader election needs');
    }
  }

  async run(): Promise<'released' | 'lost'> {
    const { signal, log, metrics, identity, name } = this.#options;
    const master = metrics.leader.labels({ name });
    master.set(0);
    if (!(await this.#acquire(signal))) return 'released';
    log.info({ lease: name, identity }, 'became leader');
    master.set(1);
    try {
      return await this.#lead();
    } finally {
      master.set(0);
    }
  }

  /** False if the signal came first. */
  async #acquire(signal: AbortSignal): Promise<boolean> {
    const { clock, random } = this.#options;
    for (;;) {
      if (signal.aborted) return false;
      if (await this.#try(this.#deadlineMs, signal)) return true;
      // Jitter, or all candidates would try in the same instant for ever.
      await sleep(clock, this.#retryMs * (1 + random() * 0.2), signal).catch(() => {});
    }
  }

  async #lead(): Promise<'released' | 'lost'> {
    const { signal, clock, log, name } = this.#options;
    const work = new AbortController();
    const over = new AbortController();
    const onStop = (): void => work.abort(signal.reason);
    signal.addEventListener('abort', onStop, { once: true });
    if (signal.aborted) onStop();
    let failure: { error: unknown } | undefined;
    const leading = this.#options
      .lead(work.signal)
      .catch((error: unknown) => {
        if (!work.signal.aborted) failure = { error };
      })
      .then(() => 'ended' as const);
    // Renewal goes on while the work comes to its end: releasing first would let another begin before we have stopped.
    const renewing = this.#renewUntil(over.signal);
    const grace = whenAborted(work.signal).then(() => sleep(clock, this.#options.graceMs ?? 25_000, over.signal));
    const outcome = await Promise.race([
      leading,
      renewing,
      grace.then(
        () => 'late' as const,
        () => renewing,
      ),
    ]);
    signal.removeEventListener('abort', onStop);
    if (outcome === 'lost') {
      log.error({ lease: name }, 'lost leadership: the Lease could not be renewed in time');
      work.abort(new LeadershipLostError('the Lease could not be renewed in time'));
      // Whoever comes next waits until the Lease has run out; what is left of that is ours to end in.
      const left = Math.max(0, this.#durationMs - (clock.monotonic() - this.#renewedAt));
      await Promise.race([leading, sleep(clock, left, over.signal).catch(() => {})]);
      over.abort();
      return 'lost';
    }
    over.abort();
    await renewing;
    if (outcome === 'late') {
      // Releasing would let another begin beside work that still runs. The Lease runs out by itself.
      log.error({ lease: name }, 'the work of the leader did not end in time, the Lease is kept until it runs out');
      return 'lost';
    }
    await this.#release();
    if (failure) throw failure.error;
    return 'released';
  }

  /** Renews until the signal aborts (`ended`) or the renewals fail for too long (`lost`). */
  async #renewUntil(signal: AbortSignal): Promise<'ended' | 'lost'> {
    const { clock } = this.#options;
    for (;;) {
      await sleep(clock, this.#retryMs, signal).catch(() => {});
      if (signal.aborted) return 'ended';
      // Looked at before anything else: after a freeze of the process, somebody else leads. The deadline counts from when a renewal was
      // due, as in client-go.
      const left = Math.min(this.#retryMs + this.#deadlineMs, this.#durationMs) - (clock.monotonic() - this.#renewedAt);
      if (left <= 0) return 'lost';
      const renewed = await this.#try(left, signal);
      if (signal.aborted) return 'ended';
      if (!renewed && this.#heldByOther()) return 'lost';
    }
  }

  #heldByOther(): boolean {
    const holder = this.#seen?.record.holder;
    return holder !== undefined && holder !== '' && holder !== this.#options.identity;
  }

  /** One try to take or renew, within `ms`. True if the Lease is ours. Never throws. */
  async #try(ms: number, signal: AbortSignal): Promise<boolean> {
    const { clock } = this.#options;
    const cut = new AbortController();
    const onAbort = (): void => cut.abort(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const stop = clock.setTimer(ms, () => cut.abort(new Error('no answer in time')));
    try {
      const startedAt = clock.monotonic();
      if (!(await this.#takeOrRenew(ms, cut.signal))) return false;
      // From when we asked: the Lease cannot have been written earlier.
      this.#renewedAt = startedAt;
      this.#complained = '';
      return true;
    } catch (error) {
      if (!signal.aborted) this.#complain(messageOf(error));
      return false;
    } finally {
      stop();
      signal.removeEventListener('abort', onAbort);
    }
  }

  /** Reads if it must, decides, writes. On a conflict once more: the write that was in the way may be our own, whose answer was lost. */
  async #takeOrRenew(deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    const { clock, identity } = this.#options;
    for (let round = 1; round <= 2; round++) {
      // The leader need not read what it wrote last.
      if (this.#mustRead || this.#seen?.record.holder !== identity) await this.#read(deadlineMs, signal);
      const decision = decideLease(this.#seen?.record, {
        identity,
        durationMs: this.#durationMs,
        now: microTime(clock.now()),
        unchangedMs: clock.monotonic() - this.#seenAt,
      });
      if (decision.action === 'wait') {
        this.#announce(decision.holder);
        return false;
      }
      if (await this.#write(decision.record, deadlineMs, signal)) return true;
    }
    return false;
  }

  #announce(holder: string): void {
    if (holder === this.#announced) return;
    this.#announced = holder;
    this.#options.log.info({ lease: this.#options.name, holder }, 'another leads');
  }

  /** Says a fault once, not at every try. */
  #complain(error: string): void {
    const { log, name, namespace } = this.#options;
    const fields = { lease: name, namespace, error };
    if (error === this.#complained) log.debug(fields, 'cannot take or renew the Lease');
    else log.warn(fields, 'cannot take or renew the Lease');
    this.#complained = error;
  }

  async #read(deadlineMs: number, signal: AbortSignal): Promise<void> {
    const { transport, namespace, name } = this.#options;
    try {
      const path = resourcePath(LEASES, namespace, name);
      this.#note(await transport.request({ method: 'GET', path, deadlineMs, signal }));
    } catch (error) {
      if (!isStatus(error, 404)) throw error;
      this.#seen = undefined;
    }
    this.#mustRead = false;
  }

  async #write(record: LeaseRecord, deadlineMs: number, signal: AbortSignal): Promise<boolean> {
    const { transport, namespace, name } = this.#options;
    const seen = this.#seen;
    const spec = leaseSpec(record);
    try {
      if (seen === undefined) {
        const body = { apiVersion: 'coordination.k8s.io/v1', kind: 'Lease', metadata: { name, namespace }, spec };
        const path = resourcePath(LEASES, namespace);
        this.#note(await transport.request({ method: 'POST', path, body, deadlineMs, signal }));
      } else {
        // Labels and whatever else others put on the Lease stay.
        const former = property(seen.raw, 'spec');
        const body = { ...seen.raw, spec: { ...(typeof former === 'object' ? former : {}), ...spec } };
        const path = resourcePath(LEASES, namespace, name);
        this.#note(await transport.request({ method: 'PUT', path, body, deadlineMs, signal }));
      }
      return true;
    } catch (error) {
      // Whatever went wrong, what we remember may no longer be so.
      this.#mustRead = true;
      // A Lease that cannot even be made has no namespace to be in.
      if (seen === undefined && isStatus(error, 404))
        throw new Error(`there is no namespace "${namespace}": create it, or name another for the operator`);
      if (!isStatus(error, 404, 409)) throw error;
      return false;
    }
  }

  /** Remembers the Lease, and since when it has looked like this. */
  #note(object: unknown): void {
    const lease = readLease(object);
    if (!lease) throw new Error('the answer is no Lease');
    if (!sameRecord(this.#seen?.record, lease.record)) this.#seenAt = this.#options.clock.monotonic();
    this.#seen = lease;
  }

  async #release(): Promise<void> {
    const { transport, namespace, name, identity, clock, log } = this.#options;
    const seen = this.#seen;
    if (seen?.record.holder !== identity) return;
    const now = microTime(clock.now());
    // One second, as client-go does: a Lease without a holder is free at once, and an old candidate that looks at the times agrees.
    const spec = leaseSpec({ ...seen.record, holder: '', durationMs: 1_000, renewTime: now, acquireTime: now });
    try {
      await transport.request({
        method: 'PUT',
        path: resourcePath(LEASES, namespace, name),
        body: { ...seen.raw, spec },
        deadlineMs: 3_000,
        signal: new AbortController().signal,
      });
      log.info({ lease: name }, 'released leadership');
    } catch (error) {
      log.warn({ lease: name, error: messageOf(error) }, 'could not release the Lease, it will run out');
    }
  }
}

function sameRecord(a: LeaseRecord | undefined, b: LeaseRecord): boolean {
  return (
    a !== undefined &&
    a.holder === b.holder &&
    a.renewTime === b.renewTime &&
    a.acquireTime === b.acquireTime &&
    a.durationMs === b.durationMs &&
    a.transitions === b.transitions
  );
}

function whenAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
