import type { Dispatcher } from 'undici';
import type { Clock } from './clock.ts';
import { TransportError } from './errors.ts';
import { dispatch, type WireAnswer, type WireRequest } from './exchange.ts';
import { LineSplitter } from './lines.ts';

/** An object of the API has at most some 3 MB as JSON (etcd keeps 1.5 MiB); this leaves room for several times that. */
const MAX_LINE_BYTES = 16 * 1024 * 1024;
/** How much may wait undecoded before the connection is told to pause. */
const HIGH_WATER_BYTES = 1024 * 1024;
const MAX_ERROR_BYTES = 256 * 1024;

export interface WatchStreamOptions {
  readonly clock: Clock;
  /** Longest time without one complete line. Bytes alone do not count: a line may trickle for ever. */
  readonly idleMs: number;
  /** Longest time until the answer's head. */
  readonly headMs: number;
}

/**
 * One streaming answer, line by line, with back-pressure: it pauses the connection while nobody reads. Ends with `undefined` when the server
 * closes it properly, else throws TransportError.
 */
export class WatchStream implements Dispatcher.DispatchHandler {
  readonly #clock: Clock;
  readonly #idleMs: number;
  readonly #splitter = new LineSplitter(MAX_LINE_BYTES);
  #controller: Dispatcher.DispatchController | undefined;
  #lines: Buffer[] = [];
  #waitingBytes = 0;
  #waiter: (() => void) | undefined;
  #end: { readonly error?: unknown } | undefined;
  #status = 0;
  #refusal: { headers: WireAnswer['headers']; chunks: Buffer[]; bytes: number } | undefined;
  readonly #headPromise: Promise<WireAnswer | undefined>;
  #settleHead: { resolve: (refusal: WireAnswer | undefined) => void; reject: (error: unknown) => void };
  #cancelTimer: () => void;
  #lastLineAt = 0;

  constructor(options: WatchStreamOptions) {
    this.#clock = options.clock;
    this.#idleMs = options.idleMs;
    const { promise, resolve, reject } = Promise.withResolvers<WireAnswer | undefined>();
    this.#headPromise = promise;
    this.#settleHead = { resolve, reject };
    promise.catch(() => {});
    this.#cancelTimer = options.clock.setTimer(options.headMs, () =>
      this.#fail(this.#fault('idle', `no answer to a watch within ${options.headMs} ms`)),
    );
  }

  /** Sends the request. Resolves when the head of the answer has come: undefined for 200, the whole answer for a refusal. */
  open(dispatcher: Dispatcher, request: WireRequest): Promise<WireAnswer | undefined> {
    dispatch(dispatcher, request, this);
    return this.#headPromise;
  }

  /** The lines that are there, at least one; waits for it. Undefined at the proper end of the stream. */
  async next(): Promise<Buffer[] | undefined> {
    while (this.#lines.length === 0) {
      if (this.#end) {
        if ('error' in this.#end) throw this.#end.error;
        return undefined;
      }
      // A paused connection would never complete the line that is waited for.
      this.#controller?.resume();
      // Resuming parses what is buffered at once: the line may be there already, and nobody would wake us for it.
      if (this.#lines.length > 0 || this.#end) continue;
      await new Promise<void>((resolve) => {
        this.#waiter = resolve;
      });
    }
    const lines = this.#lines;
    this.#lines = [];
    this.#waitingBytes = 0;
    return lines;
  }

  /** Ends the stream from our side. What was not read yet is dropped. */
  cancel(error: unknown): void {
    this.#lines = [];
    this.#fail(error);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#end) controller.abort(new Error('cancelled'));
    else this.#controller = controller;
  }

  onResponseStart(_controller: unknown, status: number, headers: WireAnswer['headers']): void {
    this.#status = status;
    if (status !== 200) {
      this.#refusal = { headers, chunks: [], bytes: 0 };
      return;
    }
    this.#cancelTimer();
    this.#lastLineAt = this.#clock.monotonic();
    this.#armIdle(this.#idleMs);
    this.#settleHead.resolve(undefined);
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (this.#refusal) {
      if (this.#refusal.bytes < MAX_ERROR_BYTES) this.#refusal.chunks.push(chunk);
      this.#refusal.bytes += chunk.length;
      return;
    }
    let lines: Buffer[];
    try {
      lines = this.#splitter.push(chunk);
    } catch {
      this.#fail(this.#fault('too-large', `a line of a watch is longer than ${MAX_LINE_BYTES} bytes`));
      return;
    }
    if (lines.length === 0) return;
    this.#lastLineAt = this.#clock.monotonic();
    for (const line of lines) {
      this.#lines.push(line);
      this.#waitingBytes += line.length;
    }
    if (this.#waitingBytes > HIGH_WATER_BYTES) controller.pause();
    this.#wake();
  }

  onResponseEnd(): void {
    if (this.#refusal) {
      this.#finish();
      const body = Buffer.concat(this.#refusal.chunks);
      this.#settleHead.resolve({ status: this.#status, headers: this.#refusal.headers, body });
    } else if (this.#splitter.pending > 0) {
      this.#fail(this.#fault('truncated', 'a watch ended in the middle of a line'));
    } else {
      this.#finish();
    }
  }

  onResponseError(_controller: unknown, error: Error): void {
    const sent = this.#controller !== undefined;
    const message = sent ? `a watch broke off: ${error.message}` : `cannot connect: ${error.message}`;
    this.#fail(new TransportError(sent ? 'reset' : 'refused', message, { ambiguous: false, cause: error }));
  }

  #armIdle(ms: number): void {
    this.#cancelTimer = this.#clock.setTimer(ms, () => {
      const silent = this.#clock.monotonic() - this.#lastLineAt;
      // Unread lines mean that we are the slow side.
      if (this.#lines.length > 0) this.#armIdle(this.#idleMs);
      else if (silent < this.#idleMs) this.#armIdle(this.#idleMs - silent);
      else this.#fail(this.#fault('idle', `a watch was silent for ${this.#idleMs} ms`));
    });
  }

  #fault(kind: 'idle' | 'too-large' | 'truncated', message: string): TransportError {
    return new TransportError(kind, message, { ambiguous: false });
  }

  #fail(error: unknown): void {
    if (this.#end) return;
    this.#end = { error };
    this.#cancelTimer();
    this.#controller?.abort(error instanceof Error ? error : new Error('cancelled'));
    this.#settleHead.reject(error);
    this.#wake();
  }

  #finish(): void {
    if (this.#end) return;
    this.#end = {};
    this.#cancelTimer();
    this.#wake();
  }

  #wake(): void {
    const waiter = this.#waiter;
    this.#waiter = undefined;
    waiter?.();
  }
}
