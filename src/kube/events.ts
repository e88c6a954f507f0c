import { randomUUID } from 'node:crypto';
import type { Clock } from './clock.ts';
import { isStatus } from './errors.ts';
import { microTime } from './lease.ts';
import { type Log, messageOf } from './log.ts';
import type { Metrics } from './metrics.ts';
import { resourcePath } from './resource.ts';
import { TokenBucket } from './tokenBucket.ts';
import type { Transport } from './transport.ts';

/** The object that an event is about. */
export interface ObjectReference {
  readonly apiVersion: string;
  readonly kind: string;
  /** Absent for a cluster-scoped object; its events go to `default`. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly uid?: string | undefined;
  readonly resourceVersion?: string | undefined;
}

export interface EventInput {
  readonly regarding: ObjectReference;
  readonly type: 'Normal' | 'Warning';
  /** CamelCase, as in conditions. */
  readonly reason: string;
  /** What was done or tried, CamelCase: Issue, Renew… */
  readonly action: string;
  /** For people. Cut to 1,024 bytes. */
  readonly note: string;
}

export interface EventRecorder {
  /** Hands an event over to be written in the background. Never throws, never waits; drops what goes past the limits. */
  record(event: EventInput): void;
  /** Resolves when what was handed over is written or dropped, or the signal aborts. */
  drain(signal: AbortSignal): Promise<void>;
}

export interface EventRecorderOptions {
  transport: Transport;
  clock: Clock;
  log: Log;
  metrics: Metrics;
  /** Who reports, e.g. `mtls-operator.io/controller`. */
  reportingController: string;
  /** Which process, e.g. the pod's name. */
  reportingInstance: string;
}

const EVENTS = { group: 'events.k8s.io', version: 'v1', plural: 'events' };
/** client-go's spam filter: 25 at once per object, then one each five minutes. */
const BURST_PER_OBJECT = 25;
const REFILL_PER_OBJECT_MS = 300_000;
/** For all objects together: when ten thousand certificates fail for one reason, the API server has better things to do. */
const BURST = 100;
const REFILL_MS = 200;
/** Good news in bulk is no news: it must cost neither the API server's time nor the tokens that failures need. */
const BURST_NORMAL = 20;
const REFILL_NORMAL_MS = 1_000;
/** A repetition within this time counts up the series instead of making a new event. */
const SERIES_MS = 360_000;
/** A series that goes on is written at most this often. */
const SERIES_WRITE_MS = 60_000;
const MAX_SERIES = 4_096;
const MAX_WAITING = 1_000;
const MAX_NOTE_BYTES = 1_024;

/** One event with its repetitions. */
interface Series {
  readonly event: EventInput;
  readonly name: string;
  readonly namespace: string;
  /** Set once it is written. */
  written: boolean;
  count: number;
  lastSeen: number;
  lastSeenWall: number;
  lastWrite: number;
  queued: boolean;
}

export function createEventRecorder(options: EventRecorderOptions): EventRecorder {
  return new Recorder(options);
}

class Recorder implements EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #buckets = new Map<string, TokenBucket>();
  readonly #all: TokenBucket;
  readonly #normal: TokenBucket;
  readonly #waiting: Series[] = [];
  readonly #stop = new AbortController();
  #working = false;
  #idle: (() => void)[] = [];

  constructor(options: EventRecorderOptions) {
    this.#options = options;
    this.#all = new TokenBucket(options.clock, BURST, REFILL_MS);
    this.#normal = new TokenBucket(options.clock, BURST_NORMAL, REFILL_NORMAL_MS);
  }

  record(event: EventInput): void {
    const now = this.#options.clock.monotonic();
    const key = seriesKey(event);
    const known = this.#series.get(key);
    if (known && now - known.lastSeen < SERIES_MS) this.#repeat(known, now);
    else if (this.#allowed(event)) this.#begin(key, event, now);
    else this.#count('dropped');
  }

  #begin(key: string, event: EventInput, now: number): void {
    const series: Series = {
      event: { ...event, note: cut(event.note, MAX_NOTE_BYTES) },
      name: eventName(event.regarding.name),
      namespace: event.regarding.namespace || 'default',
      written: false,
      count: 1,
      lastSeen: now,
      lastSeenWall: this.#options.clock.now(),
      lastWrite: now,
      queued: false,
    };
    this.#series.delete(key);
    this.#series.set(key, series);
    this.#trim();
    this.#enqueue(series);
  }

  async drain(signal: AbortSignal): Promise<void> {
    if (!this.#working) return;
    await new Promise<void>((resolve) => {
      this.#idle.push(resolve);
      const onAbort = (): void => {
        this.#waiting.length = 0;
        this.#stop.abort(signal.reason);
        resolve();
      };
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Counts a repetition. It is written along with the next one that comes after a minute: the count is for people, not for audits. */
  #repeat(series: Series, now: number): void {
    series.count++;
    series.lastSeen = now;
    series.lastSeenWall = this.#options.clock.now();
    if (series.queued || (series.count > 2 && now - series.lastWrite < SERIES_WRITE_MS)) return;
    if (this.#allowed(series.event)) this.#enqueue(series);
    else this.#count('dropped');
  }

  #allowed({ regarding, type }: EventInput): boolean {
    if (type === 'Normal' && !this.#normal.take()) return false;
    const key = `${regarding.kind}/${regarding.namespace ?? ''}/${regarding.name}`;
    let bucket = this.#buckets.get(key);
    if (!bucket) {
      bucket = new TokenBucket(this.#options.clock, BURST_PER_OBJECT, REFILL_PER_OBJECT_MS);
      this.#buckets.set(key, bucket);
      if (this.#buckets.size > MAX_SERIES)
        for (const [old, { full }] of this.#buckets) if (full) this.#buckets.delete(old);
    }
    return this.#all.take() && bucket.take();
  }

  #trim(): void {
    for (const key of this.#series.keys()) {
      if (this.#series.size <= MAX_SERIES) return;
      this.#series.delete(key);
    }
  }

  #enqueue(series: Series): void {
    if (this.#waiting.length >= MAX_WAITING) {
      this.#count('dropped');
      return;
    }
    series.queued = true;
    this.#waiting.push(series);
    if (this.#working) return;
    this.#working = true;
    void this.#work();
  }

  async #work(): Promise<void> {
    for (let series = this.#waiting.shift(); series; series = this.#waiting.shift()) {
      series.queued = false;
      series.lastWrite = this.#options.clock.monotonic();
      try {
        await this.#write(series);
        this.#count('written');
      } catch (error) {
        this.#count('failed');
        this.#options.log.debug(
          { reason: series.event.reason, error: messageOf(error) },
          'an event could not be written',
        );
      }
    }
    this.#working = false;
    for (const resolve of this.#idle.splice(0)) resolve();
  }

  async #write(series: Series): Promise<void> {
    if (!series.written) {
      await this.#post(series);
      series.written = true;
      return;
    }
    try {
      const path = resourcePath(EVENTS, series.namespace, series.name);
      const body = { series: { count: series.count, lastObservedTime: microTime(series.lastSeenWall) } };
      await this.#request('PATCH', path, body);
    } catch (error) {
      // Events live an hour; the series outlived its first.
      if (!isStatus(error, 404)) throw error;
      await this.#post(series);
    }
  }

  async #post(series: Series): Promise<void> {
    const { event, name, namespace } = series;
    const { reportingController, reportingInstance } = this.#options;
    const body = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: { name, namespace },
      eventTime: microTime(series.lastSeenWall),
      reportingController: cut(reportingController, 128),
      reportingInstance: cut(reportingInstance, 128),
      action: cut(event.action, 128),
      reason: cut(event.reason, 128),
      type: event.type,
      note: event.note,
      regarding: event.regarding,
    };
    try {
      await this.#request('POST', resourcePath(EVENTS, namespace), body);
    } catch (error) {
      // The answer to a former try was lost.
      if (!isStatus(error, 409)) throw error;
    }
  }

  async #request(method: 'POST' | 'PATCH', path: string, body: unknown): Promise<void> {
    await this.#options.transport.request({ method, path, body, deadlineMs: 10_000, signal: this.#stop.signal });
  }

  #count(outcome: 'written' | 'dropped' | 'failed'): void {
    this.#options.metrics.events.inc({ outcome });
  }
}

function seriesKey({ regarding, type, reason, action, note }: EventInput): string {
  return JSON.stringify([
    regarding.kind,
    regarding.namespace,
    regarding.name,
    regarding.uid,
    type,
    reason,
    action,
    note,
  ]);
}

/** `<object>.<random>`, within the 253 characters of a DNS subdomain; some kinds have names that are none. */
function eventName(objectName: string): string {
  const name = objectName
    .slice(0, 200)
    .toLowerCase()
    .replace(/[^a-z0-9.-]+/g, '-')
    .replace(/-*\.[.-]*/g, '.')
    .replace(/^[.-]+|[.-]+$/g, '');
  return `${name || 'event'}.${randomUUID().replaceAll('-', '').slice(0, 16)}`;
}

/** At most `bytes` of UTF-8, without half a character at the end. */
function cut(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  let end = bytes - 3;
  const buffer = Buffer.from(text, 'utf8');
  while (end > 0 && ((buffer[end] ?? 0) & 0xc0) === 0x80) end--;
  return `${buffer.subarray(0, end).toString('utf8')}…`;
}
