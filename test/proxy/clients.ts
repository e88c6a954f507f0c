/** Clients of a pod: what comes of a connection, in a word that a table can hold. */
import { connect, type Socket } from 'node:net';
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { MESH_ALPN, MESH_SERVER_NAME } from '../../src/envoy/index.ts';
import { waitFor } from '../support/waitFor.ts';
import type { Identity } from './identities.ts';

/** Longer than Envoy's patience with a client that says nothing (5 s). */
const DEADLINE_MS = 15_000;

export interface Target {
  readonly address: string;
  readonly port: number;
}

/** `answer: …` what the application said, or `refused`. */
export type Outcome = `answer: ${string}` | 'refused';

const QUESTION = 'question';

/** @param silent waits for the server to speak first. */
export function speakPlainly({ address, port }: Target, silent = false): Promise<Outcome> {
  const socket = connect({ host: address, port });
  socket.once('connect', () => {
    if (!silent) socket.write(QUESTION);
  });
  return outcomeOf(socket);
}

export interface TlsClient {
  /** What it shows; undefined: nothing. */
  readonly identity: Identity | undefined;
  /** Whether it offers the marker of the mesh. */
  readonly marked?: boolean;
  readonly serverName?: string;
  readonly silent?: boolean;
  /** The server's certificate has to come from here; left out: any will do. */
  readonly rootsPem?: string;
}

export function speakTls(target: Target, client: TlsClient): Promise<Outcome> {
  const socket = openTls(target, client);
  socket.once('secureConnect', () => {
    if (client.silent !== true) socket.write(QUESTION);
  });
  return outcomeOf(socket);
}

export function openTls({ address, port }: Target, client: TlsClient): TLSSocket {
  const { identity, marked = true, serverName = MESH_SERVER_NAME, rootsPem } = client;
  return connectTls({
    host: address,
    port,
    servername: serverName,
    rejectUnauthorized: rootsPem !== undefined,
    // Names are not what mesh identities go by.
    checkServerIdentity: () => undefined,
    ...(rootsPem === undefined ? {} : { ca: rootsPem }),
    ...(identity === undefined ? {} : { key: identity.keyPem, cert: identity.chainPem }),
    ...(marked ? { ALPNProtocols: [MESH_ALPN] } : {}),
  });
}

function outcomeOf(socket: Socket): Promise<Outcome> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => end(() => reject(new Error('neither an answer nor an end'))), DEADLINE_MS);
    const end = (then: () => void): void => {
      clearTimeout(timer);
      socket.destroy();
      then();
    };
    socket.once('data', (data) => end(() => resolve(`answer: ${data.toString('latin1')}`)));
    // A TLS client may have its handshake done (TLS 1.3) before the server refuses it.
    socket.once('error', () => end(() => resolve('refused')));
    socket.once('close', () => end(() => resolve('refused')));
  });
}

/** A connection that is kept, and asked again and again. */
export class Kept {
  readonly #socket: Socket;
  #closed = false;
  #heard = '';

  constructor(socket: Socket) {
    this.#socket = socket;
    socket.setEncoding('latin1').on('data', (text: string) => {
      this.#heard += text;
    });
    socket.on('error', () => {});
    socket.once('close', () => {
      this.#closed = true;
    });
  }

  get closed(): boolean {
    return this.#closed;
  }

  /** Whether the application still answers on it. */
  async answers(): Promise<boolean> {
    this.#heard = '';
    this.#socket.write(QUESTION);
    await waitFor('an answer or an end', () => this.#closed || this.#heard.includes(QUESTION));
    return !this.#closed;
  }

  close(): void {
    this.#socket.destroy();
  }
}
