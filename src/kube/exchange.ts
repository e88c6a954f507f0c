import type { Dispatcher } from 'undici';
import type { Cancellation } from './cancellation.ts';

/** One HTTP request as it goes to the wire. */
export interface WireRequest {
  readonly origin: string;
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Path and query, escaped. */
  readonly path: string;
  readonly headers: Record<string, string | string[]>;
  readonly body?: string | Buffer | undefined;
}

export interface WireAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: Buffer;
}

/** A request without a whole answer. `sent` tells whether any of it can have reached the server. */
export class ExchangeError extends Error {
  override readonly name = 'ExchangeError';
  readonly sent: boolean;
  /** Status of the answer that broke off, if its head had come. */
  readonly status: number | undefined;

  constructor(cause: unknown, sent: boolean, status: number | undefined) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.sent = sent;
    this.status = status;
  }
}

/** The answer is larger than allowed. */
export class TooLargeError extends Error {
  override readonly name = 'TooLargeError';
}

/**
 * One request and its whole answer, through undici's handler interface: no streams, no AbortSignal, and it says whether a failed request was sent.
 * Rejects with ExchangeError, or with the cancellation's reason.
 */
export function exchange(
  dispatcher: Dispatcher,
  request: WireRequest,
  limits: { maxBytes: number; cancellation: Cancellation },
): Promise<WireAnswer> {
  return new Promise((resolve, reject) => {
    const handler = new ExchangeHandler(limits.maxBytes, resolve, reject);
    limits.cancellation.onCancel((reason) => handler.cancel(reason));
    if (limits.cancellation.reason) return;
    dispatch(dispatcher, request, handler);
  });
}

/**
 * Dispatches, and turns a synchronous throw (a destroyed pool, an unusable header) into the handler's own error.
 * @param upgrade the protocol to go on in
 */
export function dispatch(
  dispatcher: Dispatcher,
  request: WireRequest,
  handler: Dispatcher.DispatchHandler,
  upgrade?: string,
): void {
  const options: Dispatcher.DispatchOptions = {
    origin: request.origin,
    path: request.path,
    method: request.method,
    headers: request.headers,
    ...(request.body === undefined ? {} : { body: request.body }),
    ...(upgrade === undefined ? {} : { upgrade }),
  };
  try {
    dispatcher.dispatch(options, handler);
  } catch (error) {
    handler.onResponseError?.(INERT, error instanceof Error ? error : new Error(String(error)));
  }
}

const INERT: Dispatcher.DispatchController = {
  aborted: true,
  paused: false,
  reason: null,
  pause: () => {},
  resume: () => {},
  abort: () => {},
};

class ExchangeHandler implements Dispatcher.DispatchHandler {
  readonly #maxBytes: number;
  readonly #resolve: (answer: WireAnswer) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #cancelled: { reason: unknown } | undefined;
  #status: number | undefined;
  #headers: WireAnswer['headers'] = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(maxBytes: number, resolve: (answer: WireAnswer) => void, reject: (error: unknown) => void) {
    this.#maxBytes = maxBytes;
    this.#resolve = resolve;
    this.#reject = reject;
  }

  /** Rejects with the reason as it is. A request that still waits for a connection stays in undici's queue, and is aborted when it starts. */
  cancel(reason: unknown): void {
    this.#cancelled = { reason };
    // First the reason: aborting calls onResponseError within itself.
    this.#reject(new CancelledError(reason, this.#controller !== undefined));
    this.#controller?.abort(toError(reason));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#cancelled) controller.abort(toError(this.#cancelled.reason));
    else this.#controller = controller;
  }

  onResponseStart(_controller: unknown, status: number, headers: WireAnswer['headers']): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > this.#maxBytes) {
      controller.abort(new TooLargeError(`the answer is larger than ${this.#maxBytes} bytes`));
      return;
    }
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [only] = this.#chunks;
    const body = only && this.#chunks.length === 1 ? only : Buffer.concat(this.#chunks, this.#bytes);
    this.#resolve({ status: this.#status ?? 0, headers: this.#headers, body });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#reject(new ExchangeError(error, this.#controller !== undefined, this.#status));
  }
}

/** The request was called off; `reason` is the cancellation's. */
export class CancelledError extends Error {
  override readonly name = 'CancelledError';
  readonly reason: unknown;
  readonly sent: boolean;

  constructor(reason: unknown, sent: boolean) {
    super('cancelled');
    this.reason = reason;
    this.sent = sent;
  }
}

function toError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error('cancelled', { cause: reason });
}
