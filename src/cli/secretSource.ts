/** One Secret of the API server: what it holds now, and when there may be news of it. */
import {
  ApiError,
  type Clock,
  identify,
  isNotFound,
  isStatus,
  resourcePath,
  SECRETS,
  sleep,
  type Transport,
  TransportError,
} from '../kube/index.ts';
import { faultOf } from './apiFault.ts';

export class SecretSource {
  /** For messages. */
  readonly where: string;
  readonly #transport: Transport;
  readonly #server: string;
  readonly #namespace: string;
  readonly #name: string;
  /** Where a watch may begin: what the last `get` saw, '' if it saw that there is no Secret, undefined if it saw nothing. */
  #seen: string | undefined;

  constructor(transport: Transport, server: string, namespace: string, name: string) {
    this.#transport = transport;
    this.#server = server;
    this.#namespace = namespace;
    this.#name = name;
    this.where = `the Secret ${namespace}/${name}`;
  }

  /** A look begins. Should it fail before `get`, there is nothing to wait for but time. */
  forget(): void {
    this.#seen = undefined;
  }

  /** @throws CliError unreachable or refused; the signal's reason when it aborts */
  async get(deadlineMs: number, signal: AbortSignal): Promise<unknown> {
    const path = resourcePath(SECRETS, this.#namespace, this.#name);
    try {
      const secret = await this.#transport.request({ method: 'GET', path, deadlineMs, signal });
      this.#seen = identify(secret)?.resourceVersion;
      return secret;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isNotFound(error)) this.#seen = '';
      throw faultOf(error, this.#server, this.where);
    }
  }

  /**
   * Resolves with 'news' when the Secret is another than the last `get` saw, with 'forbidden' if we may not watch, with 'over' when the API server ended the watch or
   * cannot be reached. Rejects with the signal's reason when it aborts.
   */
  async changed(signal: AbortSignal): Promise<'news' | 'forbidden' | 'over'> {
    const resourceVersion = this.#seen;
    if (resourceVersion === undefined) return 'over';
    const query = {
      watch: '1',
      fieldSelector: `metadata.name=${this.#name}`,
      ...(resourceVersion === '' ? {} : { resourceVersion }),
    };
    const path = resourcePath(SECRETS, this.#namespace);
    try {
      for await (const _ of this.#transport.watch({ path, query, signal, idleMs: LONGEST_SILENCE_MS })) return 'news';
      return 'over';
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isStatus(error, 403)) return 'forbidden';
      // Expired: the Secret may have changed.
      if (isStatus(error, 410)) return 'news';
      if (error instanceof ApiError || error instanceof TransportError) return 'over';
      throw error;
    }
  }
}

/** A watch of one object says nothing for months; whoever waits looks anew long before this. */
const LONGEST_SILENCE_MS = 24 * 3_600_000;

export interface Waiting {
  readonly source: SecretSource;
  readonly clock: Clock;
  readonly intervalMs: number;
  /** What the last wait returned. */
  readonly failures: number;
  readonly signal: AbortSignal;
}

export interface Waited {
  /** Whether watching is permitted. */
  readonly permitted: boolean;
  /** Watches in a row that could not be opened, or ended soon. */
  readonly failures: number;
}

/**
 * Waits until it is time to look again: at the first news, after the interval, or soon after the watch has ended. Every API server ends its watches now and then, and what
 * changes until the next one begins is seen by the look in between.
 * @throws the signal's reason when it aborts
 */
export async function untilNextLook(waiting: Waiting): Promise<Waited> {
  const { source, clock, intervalMs, signal } = waiting;
  const begun = clock.monotonic();
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const time = sleep(clock, intervalMs, end);
  time.catch(() => {}); // it is left when news come first
  const news = source.changed(end).catch((error: unknown) => {
    if (end.aborted) return 'time' as const;
    throw error;
  });
  try {
    switch (await Promise.race([time.then(() => 'time' as const), news])) {
      case 'news':
        // Several writes in a row are one change; and whoever writes without end must not keep us busy.
        await sleep(clock, Math.min(SETTLE_MS, intervalMs), signal);
        return { permitted: true, failures: 0 };
      case 'over': {
        const failures = clock.monotonic() - begun < SOUND_WATCH_MS ? waiting.failures + 1 : 0;
        await sleep(clock, pauseAfter(failures, intervalMs), signal);
        return { permitted: true, failures };
      }
      case 'forbidden':
        await time;
        return { permitted: false, failures: 0 };
      case 'time':
        signal.throwIfAborted();
        return { permitted: true, failures: 0 };
    }
  } finally {
    over.abort();
  }
}

const SETTLE_MS = 1_000;
/** A watch that has lived so long did not fail: its end is the API server's way. */
const SOUND_WATCH_MS = 30_000;

/** 1 s after a watch that was sound, then twice as long each time, up to the interval. */
export function pauseAfter(failures: number, intervalMs: number): number {
  return Math.min(SETTLE_MS * 2 ** failures, intervalMs);
}
