/** One request that asks to go on in another protocol (RFC 9110, 7.8), through undici's handler interface: what it comes to, a connection or a refusal. */
import type { Duplex } from 'node:stream';
import type { Dispatcher } from 'undici';
import type { Cancellation } from './cancellation.ts';
import { CancelledError, dispatch, ExchangeError, type WireAnswer, type WireRequest } from './exchange.ts';

export interface UpgradeRequest {
  readonly path: string;
  readonly query?: Readonly<Record<string, string>> | undefined;
  /** To go on in, as the header `Upgrade` has it. */
  readonly protocol: string;
  /** Beside credentials. */
  readonly headers: Readonly<Record<string, string>>;
  /** Milliseconds until the server has switched. What comes after it is up to the caller. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
}

/** The server has switched: from here on the connection is the caller's, to read, to write and to destroy. */
export interface Upgraded {
  readonly headers: WireAnswer['headers'];
  readonly socket: Duplex;
}

/** A refusal is a Status, and that is small. */
const MAX_REFUSAL_BYTES = 256 * 1024;

/**
 * Rejects with ExchangeError, or with CancelledError. A server that answers without switching is a refusal, whatever its status.
 * @param protocol as the header `Upgrade` has it
 */
export function exchangeUpgrade(
  dispatcher: Dispatcher,
  request: WireRequest,
  { protocol, cancellation }: { readonly protocol: string; readonly cancellation: Cancellation },
): Promise<Upgraded | WireAnswer> {
  return new Promise((resolve, reject) => {
    const handler = new UpgradeHandler(resolve, reject);
    cancellation.onCancel((reason) => handler.cancel(reason));
    if (cancellation.reason) return;
    dispatch(dispatcher, request, handler, protocol);
  });
}

class UpgradeHandler implements Dispatcher.DispatchHandler {
  readonly #resolve: (outcome: Upgraded | WireAnswer) => void;
  readonly #reject: (error: unknown) => void;
  #controller: Dispatcher.DispatchController | undefined;
  #cancelled: { readonly reason: unknown } | undefined;
  #status = 0;
  #headers: WireAnswer['headers'] = {};
  readonly #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(resolve: (outcome: Upgraded | WireAnswer) => void, reject: (error: unknown) => void) {
    this.#resolve = resolve;
    this.#reject = reject;
  }

  cancel(reason: unknown): void {
    this.#cancelled = { reason };
    this.#reject(new CancelledError(reason, this.#controller !== undefined));
    this.#controller?.abort(new Error('cancelled'));
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#cancelled) controller.abort(new Error('cancelled'));
    else this.#controller = controller;
  }

  onRequestUpgrade(_controller: unknown, _status: number, headers: WireAnswer['headers'], socket: Duplex): void {
    if (this.#cancelled) socket.destroy();
    else this.#resolve({ headers, socket });
  }

  onResponseStart(_controller: unknown, status: number, headers: WireAnswer['headers']): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length;
    if (this.#bytes > MAX_REFUSAL_BYTES) controller.abort(new Error('the refusal does not end'));
    else this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) });
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#reject(new ExchangeError(error, this.#controller !== undefined, undefined));
  }
}
