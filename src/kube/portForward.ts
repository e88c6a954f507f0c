/**
 * One TCP connection to a port of a pod, from inside its network, by way of the API server and kubelet: what `kubectl port-forward` does for each connection. By the older of both protocols, a
 * WebSocket with a byte for the channel before each message, which every supported API server speaks and which needs no SPDY.
 */
import { Duplex } from 'node:stream';
import { TransportError } from './errors.ts';
import { resourcePath } from './resource.ts';
import type { UpgradingTransport } from './transport.ts';
import { acceptanceOf, encodeFrame, type Frame, FrameReader, opcodes, WebSocketError } from './webSocket.ts';

export interface ForwardedPort {
  readonly namespace: string;
  readonly pod: string;
  readonly port: number;
  /** Milliseconds until kubelet has taken it. What comes after it is up to the caller. */
  readonly deadlineMs: number;
  readonly signal: AbortSignal;
  readonly randomBytes: (size: number) => Buffer;
}

/** kubelet or the runtime could not connect to the port, or lost it: in their words. */
export class PortForwardError extends Error {
  override readonly name = 'PortForwardError';
}

const PROTOCOL = 'v4.channel.k8s.io';

/**
 * Resolves when kubelet has taken it; whether anybody listens on the port shows afterwards: then the stream ends with PortForwardError.
 * The caller destroys the stream. Needs the permission to `create` pods/portforward, and, before Kubernetes 1.35, to `get` it.
 * @throws ApiError, TransportError, or the signal's reason
 */
export async function portForward(transport: UpgradingTransport, forwarded: ForwardedPort): Promise<Duplex> {
  const { deadlineMs, namespace, pod, port, randomBytes, signal } = forwarded;
  const key = randomBytes(16).toString('base64');
  const path = `${resourcePath({ group: '', version: 'v1', plural: 'pods' }, namespace, pod)}/portforward`;
  const { headers, socket } = await transport.upgrade({
    path,
    query: { ports: String(port) },
    protocol: 'websocket',
    headers: { 'sec-websocket-key': key, 'sec-websocket-version': '13', 'sec-websocket-protocol': PROTOCOL },
    deadlineMs,
    signal,
  });
  if (headers['sec-websocket-accept'] === acceptanceOf(key) && headers['sec-websocket-protocol'] === PROTOCOL)
    return new PortStream(socket, port, randomBytes);
  socket.on('error', () => {}).destroy();
  const message = `GET ${path}: the API server, or a proxy before it, switched to something that is no ${PROTOCOL}`;
  throw new TransportError('reset', message, { ambiguous: false });
}

/** kubelet sends 32 KiB at once. */
const MAX_FRAME_BYTES = 1024 * 1024;
const MAX_COMPLAINT_BYTES = 4096;
const DATA = 0;
const COMPLAINT = 1;

/** Bytes to and from the port. Half-closing is not part of the protocol: its end is only seen. */
class PortStream extends Duplex {
  readonly #socket: Duplex;
  readonly #port: number;
  readonly #mask: () => Buffer;
  readonly #frames = new FrameReader(MAX_FRAME_BYTES);
  /** Each channel begins with the number of the port. */
  readonly #heads = [Buffer.alloc(0), Buffer.alloc(0)];
  /** Of the message that is being received. */
  #channel: number | undefined;
  #complaint = '';
  #ended = false;

  constructor(socket: Duplex, port: number, randomBytes: ForwardedPort['randomBytes']) {
    super({ allowHalfOpen: false });
    this.#socket = socket;
    this.#port = port;
    this.#mask = () => randomBytes(4);
    socket
      .on('data', (chunk: Buffer) => this.#received(chunk))
      .on('end', () => this.#over())
      .on('close', () => this.#over())
      .on('error', (error) => this.destroy(error));
  }

  override _read(): void {
    this.#socket.resume();
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    this.#socket.write(encodeFrame(opcodes.binary, Buffer.concat([Buffer.of(DATA), chunk]), this.#mask()), done);
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#socket.destroy();
    done(error);
  }

  #received(chunk: Buffer): void {
    try {
      for (const frame of this.#frames.push(chunk)) if (!this.#ended) this.#take(frame);
    } catch (error) {
      this.destroy(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #take({ final, opcode, payload }: Frame): void {
    switch (opcode) {
      case opcodes.binary:
        if (this.#channel !== undefined) throw new WebSocketError('a message begins within another');
        this.#message(payload[0], payload.subarray(1), final);
        return;
      case opcodes.continuation:
        if (this.#channel === undefined) throw new WebSocketError('a message goes on that has not begun');
        this.#message(this.#channel, payload, final);
        return;
      case opcodes.text:
        throw new WebSocketError('text came where bytes were asked for');
      case opcodes.close:
        this.#over();
        return;
      case opcodes.ping:
        this.#socket.write(encodeFrame(opcodes.pong, payload, this.#mask()));
        return;
      case opcodes.pong:
        return;
    }
  }

  #message(channel: number | undefined, bytes: Buffer, final: boolean): void {
    this.#channel = final ? undefined : channel;
    if (channel !== DATA && channel !== COMPLAINT) throw new WebSocketError(`there is no channel ${channel}`);
    const body = this.#behindHead(channel, bytes);
    if (body.length === 0) return;
    if (channel === COMPLAINT)
      this.#complaint = (this.#complaint + body.toString('utf8')).slice(0, MAX_COMPLAINT_BYTES);
    else if (!this.push(body)) this.#socket.pause();
    // What the port has sent before is of no use without its end.
    if (this.#complaint !== '' && final) this.destroy(new PortForwardError(this.#complaint));
  }

  #behindHead(channel: number, bytes: Buffer): Buffer {
    const had = this.#heads[channel] ?? Buffer.alloc(0);
    const missing = 2 - had.length;
    if (missing === 0) return bytes;
    const head = Buffer.concat([had, bytes.subarray(0, missing)]);
    this.#heads[channel] = head;
    if (head.length === 2 && head.readUInt16LE() !== this.#port)
      throw new WebSocketError(`port ${head.readUInt16LE()} was forwarded instead of ${this.#port}`);
    return bytes.subarray(missing);
  }

  #over(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.push(null);
  }
}
