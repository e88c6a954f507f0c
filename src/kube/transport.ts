import { Cancellation } from './cancellation.ts';
import type { Clock, Random } from './clock.ts';
import type { Connection } from './config.ts';
import { ApiError, TransportError } from './errors.ts';
import {
  CancelledError,
  ExchangeError,
  exchange,
  TooLargeError,
  type WireAnswer,
  type WireRequest,
} from './exchange.ts';
import { type Link, LinkProvider } from './link.ts';
import { type Log, messageOf } from './log.ts';
import type { Metrics } from './metrics.ts';
import { RestInstruments } from './restInstruments.ts';
import { type Attempt, decideRetry } from './retry.ts';
import { apiErrorOf } from './status.ts';
import { exchangeUpgrade, type Upgraded, type UpgradeRequest } from './upgrade.ts';
import { WatchStream } from './watchStream.ts';

export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path from the server's root, escaped: see `resourcePath`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Default application/json; for PATCH application/merge-patch+json. */
  readonly contentType?: string | undefined;
  /** Milliseconds for the whole call with all its attempts and waits. Default 30 s. */
  readonly deadlineMs?: number | undefined;
  readonly signal: AbortSignal;
}

export interface WatchRequest {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  readonly signal: AbortSignal;
  /** Longest silence, in milliseconds, before the connection is given up. */
  readonly idleMs: number;
}

/** The way to one API server. */
export interface Transport {
  /**
   * One call; resolves to the decoded JSON of a 2xx answer. Throws ApiError for any other answer, TransportError for none, the signal's reason when
   * it aborts.
   *
   * Within the deadline it repeats by itself what cannot have taken effect (429 with the server's Retry-After, 401 once with fresh credentials,
   * a connection that could not be made), and a GET on any passing fault. A write whose answer was lost throws a TransportError with
   * `ambiguous`: look at the object again.
   */
  request(request: ApiRequest): Promise<unknown>;
  /**
   * A streaming GET, as decoded lines. Ends when the server ends it; throws ApiError if it is refused, TransportError when it breaks off, falls
   * silent or is no JSON, the signal's reason when it aborts. Nothing is repeated: that is the reflector's work.
   */
  watch(request: WatchRequest): AsyncGenerator<unknown, void, void>;
  /** Closes every connection. Calls in flight fail. */
  close(): Promise<void>;
}

/** The way to one API server that also leads into pods: for command lines. */
export interface UpgradingTransport extends Transport {
  /**
   * A GET that turns into a connection of another protocol, which is the caller's from then on: nothing here ends it. Throws ApiError where the server does not switch, whatever its
   * status, TransportError where there is no answer, the signal's reason when it aborts. Nothing is repeated, but for a 401 with fresh credentials.
   */
  upgrade(request: UpgradeRequest): Promise<Upgraded>;
}

export interface TransportOptions {
  connection: Connection;
  clock: Clock;
  random: Random;
  metrics: Metrics;
  log: Log;
  userAgent: string;
  /** Connections for requests; watches have their own. Default 16. */
  maxConnections?: number;
  /** Largest answer, in bytes, that is taken. Default 64 MiB. */
  maxAnswerBytes?: number;
}

const DEFAULT_DEADLINE_MS = 30_000;
const WATCH_HEAD_MS = 30_000;

export function createTransport(options: TransportOptions): UpgradingTransport {
  return new HttpTransport(options);
}

class HttpTransport implements UpgradingTransport {
  readonly #options: TransportOptions;
  readonly #links: LinkProvider;
  readonly #origin: string;
  readonly #prefix: string;
  readonly #instruments: RestInstruments;
  readonly #maxAnswerBytes: number;

  constructor(options: TransportOptions) {
    this.#options = options;
    const url = new URL(options.connection.server);
    this.#origin = url.origin;
    this.#prefix = url.pathname.replace(/\/+$/, '');
    this.#instruments = new RestInstruments(options.metrics, url.host);
    this.#maxAnswerBytes = options.maxAnswerBytes ?? 64 * 1024 * 1024;
    this.#links = new LinkProvider({ ...options, maxConnections: options.maxConnections ?? 16 });
  }

  async request(request: ApiRequest): Promise<unknown> {
    const { clock } = this.#options;
    const deadlineMs = request.deadlineMs ?? DEFAULT_DEADLINE_MS;
    const started = clock.monotonic();
    const cancellation = new Cancellation();
    cancellation.follow(request.signal);
    const stopTimer = clock.setTimer(deadlineMs, () => cancellation.cancel(new DeadlineReached()));
    try {
      return await this.#attempts(request, cancellation, () => deadlineMs - (clock.monotonic() - started));
    } finally {
      stopTimer();
      cancellation.release();
    }
  }

  async #attempts(request: ApiRequest, cancellation: Cancellation, remainingMs: () => number): Promise<unknown> {
    const body = request.body === undefined ? undefined : JSON.stringify(request.body);
    let refreshed = false;
    for (let attempts = 1; ; attempts++) {
      const result = await this.#attempt(request, body, cancellation);
      if ('value' in result) return result.value;
      const decision = decideRetry({
        attempt: result.attempt,
        safe: request.method === 'GET',
        attempts,
        remainingMs: remainingMs(),
        refreshed,
        random: this.#options.random,
      });
      if (decision.action === 'give-up' || !result.repeatable) throw result.error;
      const cause = result.attempt.outcome === 'answered' ? String(result.attempt.status) : result.attempt.outcome;
      this.#instruments.repeated(request.method, cause);
      if (decision.action === 'retry') {
        await this.#wait(decision.afterMs, cancellation, result.error);
      } else {
        refreshed = true;
        await this.#refresh(result.link, cancellation, result.error);
      }
    }
  }

  async #attempt(request: ApiRequest, body: string | undefined, cancellation: Cancellation): Promise<AttemptResult> {
    const { clock } = this.#options;
    let link: Link | undefined;
    let started = clock.monotonic();
    try {
      link = this.#links.current ?? (await unlessCancelled(this.#links.refresh(false), cancellation));
      cancellation.throwIfCancelled();
      started = clock.monotonic();
      const answer = await exchange(link.requests, this.#wire(request, body, link), {
        maxBytes: this.#maxAnswerBytes,
        cancellation,
      });
      this.#instruments.answered(request.method, answer.status, (clock.monotonic() - started) / 1000);
      return this.#judge(request, answer, link);
    } catch (error) {
      this.#instruments.unanswered(request.method);
      return this.#failed(request, error, link, request.signal);
    }
  }

  #judge(request: ApiRequest, answer: WireAnswer, link: Link): AttemptResult {
    if (answer.status < 200 || answer.status > 299) {
      const error = apiErrorOf(answer, this.#options.clock.now());
      const attempt: Attempt = { outcome: 'answered', status: answer.status, retryAfterMs: error.retryAfterMs };
      return { attempt, error, link, repeatable: true };
    }
    try {
      return { value: answer.body.length === 0 ? undefined : JSON.parse(answer.body.toString('utf8')) };
    } catch {
      // The parser's message quotes the text, which may be a Secret.
      const error = new TransportError('truncated', `${describe(request)}: the answer is no whole JSON document`, {
        ambiguous: request.method !== 'GET',
      });
      return { attempt: { outcome: 'lost' }, error, link, repeatable: true };
    }
  }

  #failed(request: ApiRequest, error: unknown, link: Link | undefined, signal: AbortSignal): FailedAttempt {
    const cancelled = error instanceof CancelledError;
    const cause = cancelled ? error.reason : error;
    if (signal.aborted && cause === signal.reason) throw cause;
    const sent = (cancelled || error instanceof ExchangeError) && error.sent;
    const fault = transportFault(request, cause, sent);
    const repeatable = !(fault.kind === 'deadline' || fault.kind === 'closed' || fault.kind === 'too-large');
    return { attempt: { outcome: sent ? 'lost' : 'unsent' }, error: fault, link, repeatable };
  }

  /** Waits between attempts. When the deadline comes first, the fault that made us wait tells more than the deadline. */
  async #wait(ms: number, cancellation: Cancellation, fault: Error): Promise<void> {
    await new Promise<void>((resolve, reject) => {
      const stop = this.#options.clock.setTimer(ms, resolve);
      cancellation.onCancel((reason) => {
        stop();
        reject(reason instanceof DeadlineReached ? fault : reason);
      });
    });
    cancellation.onCancel(undefined);
  }

  async #refresh(refused: Link | undefined, cancellation: Cancellation, fault: Error): Promise<void> {
    try {
      await unlessCancelled(this.#links.refresh(true, refused), cancellation);
    } catch (error) {
      cancellation.throwIfCancelled();
      this.#options.log.warn(
        { error: messageOf(error) },
        'the API server refused our credentials, and there are no others',
      );
      throw fault;
    }
    cancellation.throwIfCancelled();
  }

  #wire(request: ApiRequest, body: string | undefined, link: Link): WireRequest {
    const headers: Record<string, string | string[]> = {
      ...link.headers,
      accept: 'application/json',
      'user-agent': this.#options.userAgent,
    };
    if (body !== undefined) {
      const standard = request.method === 'PATCH' ? 'application/merge-patch+json' : 'application/json';
      headers['content-type'] = request.contentType ?? standard;
    }
    return { origin: this.#origin, method: request.method, path: this.#path(request), headers, body };
  }

  #path(request: { path: string; query?: Readonly<Record<string, string>> | undefined }): string {
    const query = request.query === undefined ? '' : new URLSearchParams(request.query).toString();
    return query === '' ? this.#prefix + request.path : `${this.#prefix}${request.path}?${query}`;
  }

  async *watch(request: WatchRequest): AsyncGenerator<unknown, void, void> {
    request.signal.throwIfAborted();
    const stream = await this.#openWatch(request);
    const onAbort = (): void => stream.cancel(request.signal.reason);
    request.signal.addEventListener('abort', onAbort, { once: true });
    if (request.signal.aborted) onAbort();
    try {
      for (let lines = await stream.next(); lines; lines = await stream.next()) {
        for (const line of lines) yield parseLine(line);
      }
    } finally {
      request.signal.removeEventListener('abort', onAbort);
      stream.cancel(new Error('no longer read'));
    }
  }

  /** Opens the stream; on 401 once more with fresh credentials. */
  async #openWatch(request: WatchRequest): Promise<WatchStream> {
    for (let refreshed = false; ; refreshed = true) {
      const link = this.#links.current ?? (await this.#credentials(false, undefined, request.signal));
      const { clock } = this.#options;
      const stream = new WatchStream({
        clock,
        idleMs: request.idleMs,
        headMs: Math.min(WATCH_HEAD_MS, request.idleMs),
      });
      const refusal = await this.#head(stream, request, link);
      if (refusal === undefined) return stream;
      const error = apiErrorOf(refusal, clock.now());
      if (error.status !== 401 || refreshed) throw error;
      await this.#credentials(true, link, request.signal).catch(() => {
        request.signal.throwIfAborted();
        throw error;
      });
    }
  }

  /** Fetches credentials within the time that a watch may take to begin. */
  async #credentials(fresh: boolean, refused: Link | undefined, signal: AbortSignal): Promise<Link> {
    const cancellation = new Cancellation();
    cancellation.follow(signal);
    const late = new TransportError('credentials', 'no credentials for the API server in time', { ambiguous: false });
    const stop = this.#options.clock.setTimer(WATCH_HEAD_MS, () => cancellation.cancel(late));
    try {
      return await unlessCancelled(this.#links.refresh(fresh, refused), cancellation);
    } finally {
      stop();
      cancellation.release();
    }
  }

  async #head(stream: WatchStream, request: WatchRequest, link: Link): Promise<WireAnswer | undefined> {
    const onAbort = (): void => stream.cancel(request.signal.reason);
    request.signal.addEventListener('abort', onAbort, { once: true });
    if (request.signal.aborted) onAbort();
    try {
      const wire = this.#wire({ method: 'GET', ...request }, undefined, link);
      const refusal = await stream.open(link.watches, wire);
      this.#instruments.watched(refusal?.status ?? 200);
      return refusal;
    } catch (error) {
      this.#instruments.unanswered('GET');
      throw error;
    } finally {
      request.signal.removeEventListener('abort', onAbort);
    }
  }

  async upgrade(request: UpgradeRequest): Promise<Upgraded> {
    const { clock } = this.#options;
    const { deadlineMs, headers, protocol, signal } = request;
    const asked = { method: 'GET' as const, ...request };
    const cancellation = new Cancellation();
    cancellation.follow(signal);
    const stopTimer = clock.setTimer(deadlineMs, () => cancellation.cancel(new DeadlineReached()));
    try {
      for (let refreshed = false; ; refreshed = true) {
        const link = this.#links.current ?? (await unlessCancelled(this.#links.refresh(false), cancellation));
        const wire = this.#wire(asked, undefined, link);
        const answer = await exchangeUpgrade(
          link.watches,
          // Who asks for JSON is refused (406): what comes is of no media type.
          { ...wire, headers: { ...wire.headers, accept: '*/*', ...headers } },
          { protocol, cancellation },
        );
        this.#instruments.watched('socket' in answer ? 101 : answer.status);
        if ('socket' in answer) return answer;
        const error = apiErrorOf(answer, clock.now());
        if (error.status !== 401 || refreshed) throw error;
        await this.#refresh(link, cancellation, error);
      }
    } catch (error) {
      if (error instanceof ApiError) throw error;
      throw this.#failed(asked, error, undefined, signal).error;
    } finally {
      stopTimer();
      cancellation.release();
    }
  }

  close(): Promise<void> {
    return this.#links.close();
  }
}

interface FailedAttempt {
  readonly attempt: Attempt;
  readonly error: Error;
  readonly link: Link | undefined;
  readonly repeatable: boolean;
}
type AttemptResult = { readonly value: unknown } | FailedAttempt;

class DeadlineReached extends Error {}

/** The promise, or the cancellation's reason if that comes first: an exec plugin may ask a person for a password and wait for ever. */
function unlessCancelled<T>(promise: Promise<T>, cancellation: Cancellation): Promise<T> {
  return new Promise((resolve, reject) => {
    cancellation.onCancel(reject);
    promise.then(resolve, reject);
  });
}

function transportFault(request: ApiRequest, cause: unknown, sent: boolean): TransportError {
  if (cause instanceof TransportError) return cause;
  const ambiguous = sent && request.method !== 'GET';
  const what = describe(request);
  if (cause instanceof DeadlineReached) {
    return new TransportError('deadline', `${what}: no answer within ${request.deadlineMs ?? DEFAULT_DEADLINE_MS} ms`, {
      ambiguous,
    });
  }
  const root = cause instanceof ExchangeError ? cause.cause : cause;
  if (root instanceof TooLargeError) return new TransportError('too-large', `${what}: ${root.message}`, { ambiguous });
  const kind = sent ? 'reset' : isTlsFault(root) ? 'tls' : 'refused';
  const text = sent ? 'the connection broke off' : 'cannot connect to the API server';
  return new TransportError(kind, `${what}: ${text}: ${messageOf(root)}`, { ambiguous, cause: root });
}

function isTlsFault(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  return /CERT|TLS|SSL|SIGNATURE|SELF_SIGNED/.test(code);
}

/** Method and path name an object, and nothing of its content. */
function describe(request: ApiRequest): string {
  return `${request.method} ${request.path}`;
}

function parseLine(line: Buffer): unknown {
  try {
    return JSON.parse(line.toString('utf8'));
  } catch {
    throw new TransportError('truncated', 'a line of a watch is no whole JSON document', { ambiguous: false });
  }
}
