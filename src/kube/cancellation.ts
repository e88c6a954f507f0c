/**
 * One thing that can be called off, once, for one reason. AbortController does the same for four times the CPU, and every request of the
 * operator needs one for its deadline.
 */
export class Cancellation {
  #reason: { readonly error: unknown } | undefined;
  #hook: ((error: unknown) => void) | undefined;
  #unlink: (() => unknown) | undefined;

  /** Set once cancelled; boxed, because an AbortSignal's reason may be anything, undefined too. */
  get reason(): { readonly error: unknown } | undefined {
    return this.#reason;
  }

  /** Cancels when `signal` aborts, with its reason. Call `release` when done, or the signal keeps this alive. */
  follow(signal: AbortSignal): void {
    if (signal.aborted) {
      this.cancel(signal.reason);
      return;
    }
    const followers = followersOf(signal);
    followers.add(this);
    this.#unlink = () => followers.delete(this);
  }

  cancel(error: unknown): void {
    if (this.#reason) return;
    this.#reason = { error };
    const hook = this.#hook;
    this.#hook = undefined;
    hook?.(error);
  }

  /** Sets what is called on cancellation, at once if it has happened. One hook at a time: it replaces the former. */
  onCancel(hook: ((error: unknown) => void) | undefined): void {
    if (this.#reason && hook) hook(this.#reason.error);
    else this.#hook = hook;
  }

  throwIfCancelled(): void {
    if (this.#reason) throw this.#reason.error;
  }

  /** Lets go of the signal and the hook. */
  release(): void {
    this.#hook = undefined;
    this.#unlink?.();
    this.#unlink = undefined;
  }
}

/**
 * A worker's signal is followed by thousands of requests one after the other: one listener serves them all, as adding and removing one costs more than
 * the rest of a Cancellation.
 */
const followed = new WeakMap<AbortSignal, Set<Cancellation>>();

function followersOf(signal: AbortSignal): Set<Cancellation> {
  const known = followed.get(signal);
  if (known !== undefined) return known;
  const followers = new Set<Cancellation>();
  followed.set(signal, followers);
  signal.addEventListener(
    'abort',
    () => {
      for (const follower of followers) follower.cancel(signal.reason);
    },
    { once: true },
  );
  return followers;
}
