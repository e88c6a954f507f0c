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
import { FetchError } from './fetchEnd.ts';

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

  /** @throws FetchError unreachable or refused; the signal's reason when it aborts */
  async get(deadlineMs: number, signal: AbortSignal): Promise<unknown> {
    const path = resourcePath(SECRETS, this.#namespace, this.#name);
    try {
      const secret = await this.#transport.request({ method: 'GET', path, deadlineMs, signal });
      this.#seen = identify(secret)?.resourceVersion;
      return secret;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (isNotFound(error)) this.#seen = '';
      throw this.#faultOf(error);
    }
  }

  #faultOf(error: unknown): unknown {
    if (error instanceof TransportError && error.kind === 'credentials') return new FetchError('usage', error.message);
    if (error instanceof TransportError)
      return new FetchError('unreachable', `the API server ${this.#server} cannot be reached: ${error.message}`);
    if (!(error instanceof ApiError)) return error;
    const { status, message } = error;
    switch (status) {
      case 401:
        return new FetchError(
          'refused',
          `${this.#server} does not know who we are (${message}): renew the token or the kubeconfig`,
        );
      case 403:
        return new FetchError('refused', `${this.where} may not be read: ${message}`);
      case 404:
        return new FetchError('refused', `${this.where} is not there: ${message}`);
      default:
        return new FetchError('unreachable', `the API server ${this.#server} answered ${status}: ${message}`);
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
  readonly signal: AbortSignal;
}

/**
 * Waits until it is time to look again: at the first news, or after the interval. @returns whether watching is permitted.
 * @throws the signal's reason when it aborts
 */
export async function untilNextLook(waiting: Waiting): Promise<boolean> {
  const { source, clock, intervalMs, signal } = waiting;
  const over = new AbortController();
  const end = AbortSignal.any([signal, over.signal]);
  const time = sleep(clock, intervalMs, end);
  time.catch(() => {}); // it is left when news come first
  const news = source.changed(end).catch((error: unknown) => {
    if (end.aborted) return 'over' as const;
    throw error;
  });
  try {
    const first = await Promise.race([time, news]);
    if (first === 'news') {
      // Several writes in a row are one change; and whoever writes without end must not keep us busy.
      await sleep(clock, Math.min(SETTLE_MS, intervalMs), signal);
      return true;
    }
    await time;
    return first !== 'forbidden';
  } finally {
    over.abort();
  }
}

const SETTLE_MS = 1_000;
