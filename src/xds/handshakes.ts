/**
 * The door of a server for mutual TLS: connections wait in a line and are let in at a bounded rate, so that a thousand proxies that come back at once, or somebody who only wants
 * to cost us signatures, leave time for everything else.
 */
import type { EventEmitter } from 'node:events';
import { type Clock, TokenBucket } from '../kube/index.ts';

/** What is asked of a socket (`net.Socket`). */
export interface Guest extends EventEmitter {
  readonly remoteAddress?: string | undefined;
  readonly remotePort?: number | undefined;
  destroy(): unknown;
}

export interface HandshakesOptions<Of extends Guest> {
  readonly clock: Clock;
  readonly perSecond: number;
  /** How many may come in at once after a quiet time. */
  readonly burst: number;
  /** Further connections are closed at once: their clients come again. */
  readonly mostWaiting: number;
  /** Time for whoever was let in to prove who it is, by `prove` (ms). */
  readonly proofWithin: number;
  readonly letIn: (socket: Of) => void;
}

export class Handshakes<Of extends Guest> {
  readonly #options: HandshakesOptions<Of>;
  readonly #bucket: TokenBucket;
  readonly #waiting = new Set<Of>();
  /** Everything that is open, by where it comes from, with what ends it unless it proves itself. */
  readonly #open = new Map<string, { readonly socket: Of; readonly cancel: () => void }>();
  #cancelNext: (() => void) | undefined;

  constructor(options: HandshakesOptions<Of>) {
    this.#options = options;
    this.#bucket = new TokenBucket(options.clock, options.burst, 1000 / options.perSecond);
  }

  get waiting(): number {
    return this.#waiting.size;
  }

  /** Takes a new connection. */
  offer(socket: Of): void {
    // A client that goes while it waits is no error, and costs nothing.
    socket.on('error', () => socket.destroy());
    if (this.#waiting.size >= this.#options.mostWaiting) {
      socket.destroy();
      return;
    }
    this.#waiting.add(socket);
    socket.once('close', () => this.#waiting.delete(socket));
    if (this.#cancelNext === undefined) this.#letIn();
  }

  /** Who speaks from there has shown who it is. @param peer as in `192.0.2.1:40000`. */
  prove(peer: string): void {
    this.#open.get(peer)?.cancel();
  }

  /** Ends everything. */
  close(): void {
    this.#cancelNext?.();
    for (const socket of this.#waiting) socket.destroy();
    for (const { socket, cancel } of this.#open.values()) {
      cancel();
      socket.destroy();
    }
  }

  #letIn(): void {
    this.#cancelNext = undefined;
    for (const socket of this.#waiting) {
      if (!this.#bucket.take()) {
        this.#cancelNext = this.#options.clock.setTimer(1000 / this.#options.perSecond, () => this.#letIn());
        return;
      }
      this.#waiting.delete(socket);
      this.#watch(socket);
      this.#options.letIn(socket);
    }
  }

  #watch(socket: Of): void {
    const peer = `${socket.remoteAddress}:${socket.remotePort}`;
    const { clock, proofWithin } = this.#options;
    const cancel = clock.setTimer(proofWithin, () => socket.destroy());
    this.#open.set(peer, { socket, cancel });
    socket.once('close', () => {
      cancel();
      if (this.#open.get(peer)?.socket === socket) this.#open.delete(peer);
    });
  }
}
