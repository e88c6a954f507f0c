/** Since when nobody uses a certificate, on the monotonic clock: no clock that was set may remove one too early. */
import { type Clock, DueTimes } from '../kube/index.ts';

export class Unused {
  readonly #clock: Clock;
  readonly #since = new Map<string, number>();
  readonly #due: DueTimes;

  /** @param onDue is called when a certificate is to be looked at again. */
  constructor(clock: Clock, onDue: (key: string) => void) {
    this.#clock = clock;
    this.#due = new DueTimes({ clock, onDue, scale: 'monotonic' });
  }

  /** For how long (ms) it has been unused: from when this is first asked. */
  milliseconds(key: string): number {
    const now = this.#clock.monotonic();
    const since = this.#since.get(key);
    if (since === undefined) this.#since.set(key, now);
    return now - (since ?? now);
  }

  lookAgainAfter(key: string, milliseconds: number): void {
    this.#due.setAfter(key, milliseconds);
  }

  /** It is used, or gone. */
  forget(key: string): void {
    this.#since.delete(key);
    this.#due.delete(key);
  }

  clear(): void {
    this.#since.clear();
    this.#due.clear();
  }
}
