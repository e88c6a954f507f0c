import type { Clock } from './clock.ts';
import { DueTimes } from './due.ts';
import type { Metrics } from './metrics.ts';

export interface WorkQueueOptions {
  name: string;
  clock: Clock;
  metrics?: Metrics | undefined;
  /** Delay of a key's first rate-limited add, doubled each time. Default 5 ms (client-go). */
  baseDelayMs?: number;
  /** Longest delay of a rate-limited add. Default 1000 s (client-go). */
  maxDelayMs?: number;
}

/**
 * The work queue of client-go, for keys: a key waits at most once, is never with two workers, and comes again if it was added while it was
 * with one. Adds for later have one time for each key: setting it again moves it.
 */
export class WorkQueue {
  readonly name: string;
  readonly #clock: Clock;
  readonly #baseDelayMs: number;
  readonly #maxDelayMs: number;
  readonly #instruments: Instruments | undefined;
  /** Keys to be worked on, with the time of their add; those that are with a worker too are not in #ready. */
  readonly #dirty = new Map<string, number>();
  readonly #processing = new Map<string, number>();
  readonly #failures = new Map<string, number>();
  readonly #atWallTime: DueTimes;
  readonly #afterDelay: DueTimes;
  #ready: string[] = [];
  #head = 0;
  #getters: ((key: string | undefined) => void)[] = [];
  #drainers: (() => void)[] = [];
  #shut = false;

  constructor(options: WorkQueueOptions) {
    this.name = options.name;
    this.#clock = options.clock;
    this.#baseDelayMs = options.baseDelayMs ?? 5;
    this.#maxDelayMs = options.maxDelayMs ?? 1_000_000;
    const onDue = (key: string): void => this.add(key);
    this.#atWallTime = new DueTimes({ clock: options.clock, onDue });
    this.#afterDelay = new DueTimes({ clock: options.clock, onDue, scale: 'monotonic' });
    this.#instruments = options.metrics && instruments(options.metrics, options.name, () => this.#scrape());
  }

  /** Keys that wait for a worker now. */
  get length(): number {
    return this.#ready.length - this.#head;
  }

  /** Keys that wait for a time. */
  get delayed(): number {
    return this.#atWallTime.size + this.#afterDelay.size;
  }

  get shuttingDown(): boolean {
    return this.#shut;
  }

  /** Keys that are with a worker. */
  get active(): number {
    return this.#processing.size;
  }

  /** How often `key` failed since it was last forgotten. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The wall-clock time set by addAt for `key`, if it still waits. */
  dueAt(key: string): number | undefined {
    return this.#atWallTime.get(key);
  }

  /** To be worked on now. A time that was set for the key stays. */
  add(key: string): void {
    if (this.#shut || this.#dirty.has(key)) return;
    this.#dirty.set(key, this.#clock.monotonic());
    this.#instruments?.adds.inc();
    if (!this.#processing.has(key)) this.#offer(key);
  }

  /** To be worked on at a wall-clock time (ms since 1970), in place of any time set before. Safe for any distance, follows the clock if it jumps. */
  addAt(key: string, atMs: number): void {
    if (this.#shut) return;
    this.#afterDelay.delete(key);
    if (atMs <= this.#clock.now()) {
      this.#atWallTime.delete(key);
      this.add(key);
    } else {
      this.#atWallTime.set(key, atMs);
    }
  }

  /** To be worked on after `ms` milliseconds of monotonic time, in place of any time set before. */
  addAfter(key: string, ms: number): void {
    if (this.#shut) return;
    this.#atWallTime.delete(key);
    if (ms <= 0) {
      this.#afterDelay.delete(key);
      this.add(key);
    } else {
      this.#afterDelay.setAfter(key, ms);
    }
  }

  /** To be worked on after a delay that doubles with each call until `forget`, in place of any time set before. */
  addRateLimited(key: string): void {
    if (this.#shut) return;
    const failures = this.failures(key);
    this.#failures.set(key, failures + 1);
    this.#instruments?.retries.inc();
    this.addAfter(key, Math.min(this.#baseDelayMs * 2 ** Math.min(failures, 40), this.#maxDelayMs));
  }

  /** The key did well: its next failure is its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Takes back the time that was set for the key. */
  cancelDelayed(key: string): void {
    this.#atWallTime.delete(key);
    this.#afterDelay.delete(key);
  }

  /** The next key, for one worker, which calls `done` with it when it is through. Undefined once the queue was shut down. */
  get(): Promise<string | undefined> | string | undefined {
    if (this.#shut) return undefined;
    const key = this.#take();
    if (key !== undefined) return key;
    return new Promise((resolve) => {
      this.#getters.push(resolve);
    });
  }

  /** The worker is through with `key`; if it was added meanwhile it waits again. */
  done(key: string): void {
    const started = this.#processing.get(key);
    if (started === undefined) return;
    this.#processing.delete(key);
    this.#instruments?.workDuration.observe((this.#clock.monotonic() - started) / 1000);
    if (this.#dirty.has(key)) this.#offer(key);
    this.#checkDrained();
  }

  /** No more keys in or out. What waits is dropped: it is read from the API server at the next start. Workers finish what they have. */
  shutDown(): void {
    if (this.#shut) return;
    this.#shut = true;
    this.#atWallTime.clear();
    this.#afterDelay.clear();
    this.#ready = [];
    this.#head = 0;
    this.#dirty.clear();
    this.#instruments?.stop();
    for (const resolve of this.#getters.splice(0)) resolve(undefined);
    this.#checkDrained();
  }

  /** Resolves when nothing waits for a worker and none is at work. Adds for later do not count. */
  drained(): Promise<void> {
    return new Promise((resolve) => {
      this.#drainers.push(resolve);
      this.#checkDrained();
    });
  }

  #offer(key: string): void {
    const getter = this.#getters.shift();
    if (getter) getter(this.#start(key));
    else this.#ready.push(key);
  }

  #take(): string | undefined {
    const key = this.#ready[this.#head];
    if (key === undefined) return undefined;
    this.#head++;
    // Array.shift moves the whole array each time.
    if (this.#head >= 1024 && this.#head * 2 >= this.#ready.length) {
      this.#ready = this.#ready.slice(this.#head);
      this.#head = 0;
    }
    return this.#start(key);
  }

  #start(key: string): string {
    const now = this.#clock.monotonic();
    const added = this.#dirty.get(key) ?? now;
    this.#dirty.delete(key);
    this.#processing.set(key, now);
    this.#instruments?.queueDuration.observe((now - added) / 1000);
    return key;
  }

  #checkDrained(): void {
    if (this.length > 0 || this.#processing.size > 0) return;
    for (const resolve of this.#drainers.splice(0)) resolve();
  }

  #scrape(): { depth: number; unfinished: number; longest: number } {
    const now = this.#clock.monotonic();
    let unfinished = 0;
    let longest = 0;
    for (const started of this.#processing.values()) {
      unfinished += (now - started) / 1000;
      longest = Math.max(longest, (now - started) / 1000);
    }
    return { depth: this.length, unfinished, longest };
  }
}

interface Instruments {
  readonly adds: { inc(): void };
  readonly retries: { inc(): void };
  readonly queueDuration: { observe(seconds: number): void };
  readonly workDuration: { observe(seconds: number): void };
  stop(): void;
}

/** Children with their labels bound: looking labels up costs more than the observation. */
function instruments(
  { queue }: Metrics,
  name: string,
  scrape: () => { depth: number; unfinished: number; longest: number },
): Instruments {
  const labels = { name, controller: name };
  const update = (): void => {
    const state = scrape();
    queue.depth.set(labels, state.depth);
    queue.unfinishedWork.set(labels, state.unfinished);
    queue.longestRunning.set(labels, state.longest);
  };
  queue.onScrape.add(update);
  return {
    adds: queue.adds.labels(labels),
    retries: queue.retries.labels(labels),
    queueDuration: queue.queueDuration.labels(labels),
    workDuration: queue.workDuration.labels(labels),
    stop: () => {
      update();
      queue.onScrape.delete(update);
    },
  };
}
