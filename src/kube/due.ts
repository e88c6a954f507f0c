import type { Clock } from './clock.ts';

/**
 * Keys with a time each, the earliest first: an indexed binary heap. One per key; setting it again moves it. 50,000 keys cost two array slots and a
 * map entry each, and no timer.
 */
export class DueHeap {
  readonly #keys: string[] = [];
  readonly #times: number[] = [];
  readonly #index = new Map<string, number>();

  get size(): number {
    return this.#keys.length;
  }

  /** The time set for `key`, if any. */
  get(key: string): number | undefined {
    const index = this.#index.get(key);
    return index === undefined ? undefined : this.#times[index];
  }

  /** The earliest time. */
  get first(): number | undefined {
    return this.#times[0];
  }

  set(key: string, at: number): void {
    let index = this.#index.get(key);
    if (index === undefined) {
      index = this.#keys.length;
      this.#put(index, key, at);
      this.#up(index);
      return;
    }
    const before = this.#times[index] ?? at;
    this.#times[index] = at;
    if (at < before) this.#up(index);
    else this.#down(index);
  }

  delete(key: string): boolean {
    const index = this.#index.get(key);
    if (index === undefined) return false;
    this.#removeAt(index);
    return true;
  }

  clear(): void {
    this.#keys.length = 0;
    this.#times.length = 0;
    this.#index.clear();
  }

  /** Removes and returns the earliest key whose time is `now` or before. */
  popDue(now: number): string | undefined {
    const key = this.#keys[0];
    const at = this.#times[0];
    if (key === undefined || at === undefined || at > now) return undefined;
    this.#removeAt(0);
    return key;
  }

  #removeAt(index: number): void {
    const key = this.#keys[index];
    const lastKey = this.#keys.pop();
    const lastAt = this.#times.pop();
    if (key !== undefined) this.#index.delete(key);
    if (lastKey === undefined || lastAt === undefined || index === this.#keys.length) return;
    this.#put(index, lastKey, lastAt);
    this.#up(index);
    this.#down(this.#index.get(lastKey) ?? index);
  }

  #put(index: number, key: string, at: number): void {
    this.#keys[index] = key;
    this.#times[index] = at;
    this.#index.set(key, index);
  }

  #up(start: number): void {
    const key = this.#keys[start];
    const at = this.#times[start];
    if (key === undefined || at === undefined) return;
    let index = start;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      const parentKey = this.#keys[parent];
      const parentAt = this.#times[parent];
      if (parentKey === undefined || parentAt === undefined || parentAt <= at) break;
      this.#put(index, parentKey, parentAt);
      index = parent;
    }
    this.#put(index, key, at);
  }

  #down(start: number): void {
    const key = this.#keys[start];
    const at = this.#times[start];
    if (key === undefined || at === undefined) return;
    const size = this.#keys.length;
    let index = start;
    for (let child = 2 * index + 1; child < size; child = 2 * index + 1) {
      const right = child + 1;
      if (right < size && (this.#times[right] ?? at) < (this.#times[child] ?? at)) child = right;
      const childKey = this.#keys[child];
      const childAt = this.#times[child];
      if (childKey === undefined || childAt === undefined || childAt >= at) break;
      this.#put(index, childKey, childAt);
      index = child;
    }
    this.#put(index, key, at);
  }
}

/** Wall clocks jump, and no timer tells: look at the time at least this often while something waits for a wall-clock time. */
const LONGEST_SLEEP_MS = 30_000;

export interface DueTimesOptions {
  clock: Clock;
  /** Called once for each key that falls due, earliest first. */
  onDue: (key: string) => void;
  /** `wall` for points in time (a renewal at 14:00), `monotonic` for delays (again in 5 ms). Default wall. */
  scale?: 'wall' | 'monotonic';
}

/** A heap of due times with one timer, however many keys there are and however far away they are. */
export class DueTimes {
  readonly #clock: Clock;
  readonly #onDue: (key: string) => void;
  readonly #now: () => number;
  readonly #heap = new DueHeap();
  #cancelTimer: (() => void) | undefined;
  #wakeAt = Number.POSITIVE_INFINITY;

  constructor(options: DueTimesOptions) {
    const { clock } = options;
    this.#clock = clock;
    this.#onDue = options.onDue;
    this.#now = options.scale === 'monotonic' ? () => clock.monotonic() : () => clock.now();
  }

  get size(): number {
    return this.#heap.size;
  }

  get(key: string): number | undefined {
    return this.#heap.get(key);
  }

  /** Sets the time of `key`, in place of an earlier one. A time in the past falls due at the next turn of the event loop. */
  set(key: string, at: number): void {
    if (Number.isNaN(at)) throw new RangeError(`the due time of ${key} is not a number`);
    this.#heap.set(key, at);
    this.#arm();
  }

  /** Sets `ms` from now. */
  setAfter(key: string, ms: number): void {
    this.set(key, this.#now() + ms);
  }

  delete(key: string): boolean {
    return this.#heap.delete(key);
  }

  clear(): void {
    this.#heap.clear();
    this.#disarm();
  }

  /** Arms the one timer unless it comes early enough already. A timer that comes too early costs one look. */
  #arm(): void {
    const first = this.#heap.first;
    if (first === undefined) return;
    const wait = Math.min(Math.max(0, first - this.#now()), LONGEST_SLEEP_MS);
    const wakeAt = this.#clock.monotonic() + wait;
    if (this.#cancelTimer && this.#wakeAt <= wakeAt) return;
    this.#disarm();
    this.#wakeAt = wakeAt;
    // Rounded up: node cuts off fractions, and a timer that fires a fraction early would spin until the time has come.
    this.#cancelTimer = this.#clock.setTimer(Math.ceil(wait), () => this.#wake());
  }

  #disarm(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#wakeAt = Number.POSITIVE_INFINITY;
  }

  #wake(): void {
    this.#disarm();
    const now = this.#now();
    for (let key = this.#heap.popDue(now); key !== undefined; key = this.#heap.popDue(now)) this.#onDue(key);
    this.#arm();
  }
}
