/**
 * Which workloads may be restarted at the same time. After a mass renewal thousands are due at once, and each restart costs the cluster pods, images and
 * warm caches. Of those that wait, the next is one from the namespace with the fewest under way: nobody is held up by another's long list.
 */
import { type Clock, TokenBucket } from '../kube/index.ts';

export interface TurnsOptions {
  readonly clock: Clock;
  /** Restarts under way at once. */
  readonly limit: number;
  /** The turn of a workload has come. @param certificates that have asked for it. */
  readonly onTurn: (certificates: readonly string[]) => void;
}

/** A workload, by its kind and name. */
export interface Entrant {
  readonly namespace: string;
  readonly workload: string;
}

interface Turn {
  readonly namespace: string;
  /** Those that have it, or look at the restart: the turn ends with the last of them. */
  readonly certificates: Set<string>;
  readonly cancel: () => void;
}

/** A restart that takes longer (ms) goes on by itself and no longer keeps others from their turn: pods that never get ready must not stop everything. */
const LONGEST_TURN = 120_000;
/** However fast they end: no more than one a second (ms) after the first few. */
const PACE = 1_000;

export class Turns {
  readonly #options: TurnsOptions;
  readonly #bucket: TokenBucket;
  /** Those whose turn it is. */
  readonly #running = new Map<string, Turn>();
  /** Those whose turn has ended before their restart, with the certificates that look at it. */
  readonly #overdue = new Map<string, Set<string>>();
  /** By namespace, in the order in which they came: workload → the certificates that ask for it. */
  readonly #waiting = new Map<string, Map<string, Set<string>>>();
  #open = false;
  #cancelPace: (() => void) | undefined;

  constructor(options: TurnsOptions) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.clock, options.limit, PACE);
  }

  /** Those under way have been told of by `occupy`: from now on others may have their turn. */
  open(): void {
    this.#open = true;
    this.#admit();
  }

  stop(): void {
    this.#open = false;
    this.#cancelPace?.();
    for (const { cancel } of this.#running.values()) cancel();
    this.#running.clear();
    this.#waiting.clear();
  }

  get waiting(): number {
    let count = 0;
    for (const queue of this.#waiting.values()) count += queue.size;
    return count;
  }

  get running(): number {
    return this.#running.size;
  }

  /** @returns whether it is the workload's turn; `onTurn` is called with the certificate when it comes. */
  enter(entrant: Entrant, certificate: string): boolean {
    const id = idOf(entrant);
    const turn = this.#running.get(id);
    if (turn !== undefined) {
      turn.certificates.add(certificate);
      this.#withdraw(entrant, certificate);
      return true;
    }
    const queue = this.#waiting.get(entrant.namespace) ?? new Map<string, Set<string>>();
    this.#waiting.set(entrant.namespace, queue);
    queue.set(entrant.workload, (queue.get(entrant.workload) ?? new Set()).add(certificate));
    this.#admit();
    return this.#running.has(id);
  }

  /** It is under way already, in turn or not: since before the operator was started, for example. */
  occupy(entrant: Entrant, certificate: string): void {
    const id = idOf(entrant);
    this.#withdraw(entrant, certificate);
    const certificates = this.#running.get(id)?.certificates ?? this.#overdue.get(id);
    if (certificates === undefined) this.#begin(entrant, [certificate]);
    else certificates.add(certificate);
  }

  /** It is through, or not to be restarted after all, as far as this certificate goes. */
  leave(entrant: Entrant, certificate: string): void {
    const id = idOf(entrant);
    this.#withdraw(entrant, certificate);
    const overdue = this.#overdue.get(id);
    overdue?.delete(certificate);
    if (overdue?.size === 0) this.#overdue.delete(id);
    const turn = this.#running.get(id);
    turn?.certificates.delete(certificate);
    if (turn?.certificates.size !== 0) return;
    turn.cancel();
    this.#running.delete(id);
    this.#admit();
  }

  #withdraw({ namespace, workload }: Entrant, certificate: string): void {
    const queue = this.#waiting.get(namespace);
    const certificates = queue?.get(workload);
    certificates?.delete(certificate);
    if (certificates?.size === 0) queue?.delete(workload);
    if (queue?.size === 0) this.#waiting.delete(namespace);
  }

  /** Among namespaces with as many under way, the one that was served last comes last. */
  #toTheEnd(namespace: string): void {
    const queue = this.#waiting.get(namespace);
    if (queue === undefined) return;
    this.#waiting.delete(namespace);
    this.#waiting.set(namespace, queue);
  }

  #begin(entrant: Entrant, by: readonly string[]): void {
    const id = idOf(entrant);
    const certificates = new Set([...(this.#overdue.get(id) ?? []), ...by]);
    this.#overdue.delete(id);
    const cancel = this.#options.clock.setTimer(LONGEST_TURN, () => {
      this.#overdue.set(id, certificates);
      this.#running.delete(id);
      this.#admit();
    });
    this.#running.set(id, { namespace: entrant.namespace, certificates, cancel });
  }

  #admit(): void {
    const { clock, limit, onTurn } = this.#options;
    while (this.#open && this.#running.size < limit) {
      const next = this.#next();
      if (next === undefined) return;
      if (!this.#bucket.take()) {
        this.#cancelPace?.();
        this.#cancelPace = clock.setTimer(PACE, () => this.#admit());
        return;
      }
      for (const certificate of next.certificates) this.#withdraw(next, certificate);
      this.#toTheEnd(next.namespace);
      this.#begin(next, next.certificates);
      onTurn(next.certificates);
    }
  }

  #next(): (Entrant & { readonly certificates: readonly string[] }) | undefined {
    const running = new Map<string, number>();
    for (const { namespace } of this.#running.values()) running.set(namespace, (running.get(namespace) ?? 0) + 1);
    let chosen: (Entrant & { readonly certificates: readonly string[] }) | undefined;
    for (const [namespace, queue] of this.#waiting) {
      if (chosen !== undefined && (running.get(namespace) ?? 0) >= (running.get(chosen.namespace) ?? 0)) continue;
      // One that is being restarted for another certificate comes after that.
      for (const [workload, certificates] of queue) {
        if (this.#running.has(idOf({ namespace, workload }))) continue;
        chosen = { namespace, workload, certificates: [...certificates] };
        break;
      }
    }
    return chosen;
  }
}

function idOf({ namespace, workload }: Entrant): string {
  return `${namespace}/${workload}`;
}
