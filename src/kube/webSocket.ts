/** Frames of WebSocket (RFC 6455) as a client without extensions reads and writes them. Pure; whatever comes that the RFC forbids is a fault. */
import { hash } from 'node:crypto';

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;
export type Opcode = (typeof opcodes)[keyof typeof opcodes];

export interface Frame {
  readonly opcode: Opcode;
  /** Of the last fragment of a message. */
  readonly final: boolean;
  readonly payload: Buffer;
}

/** The other side does not keep to the protocol. */
export class WebSocketError extends Error {
  override readonly name = 'WebSocketError';
}

const known: ReadonlySet<number> = new Set(Object.values(opcodes));
const isOpcode = (value: number): value is Opcode => known.has(value);

const FIRST_CONTROL = opcodes.close;
/** Of a control frame. */
const MAX_CONTROL_BYTES = 125;

/** Takes bytes however they come, and gives whole frames. */
export class FrameReader {
  readonly #maxBytes: number;
  #rest: Buffer = Buffer.alloc(0);

  /** @param maxBytes the largest payload that is taken */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** @throws WebSocketError */
  push(chunk: Buffer): Frame[] {
    this.#rest = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    const frames: Frame[] = [];
    for (let frame = this.#next(); frame !== undefined; frame = this.#next()) frames.push(frame);
    return frames;
  }

  #next(): Frame | undefined {
    const bytes = this.#rest;
    const [first, second] = bytes;
    if (first === undefined || second === undefined) return undefined;
    const opcode = first & 0x0f;
    if ((first & 0x70) !== 0) throw new WebSocketError('a frame has bits of an extension that nobody asked for');
    if (!isOpcode(opcode)) throw new WebSocketError(`a frame has the unknown opcode ${opcode}`);
    // A server never masks.
    if ((second & 0x80) !== 0) throw new WebSocketError('the server sent a masked frame');
    const final = (first & 0x80) !== 0;
    const short = second & 0x7f;
    if (opcode >= FIRST_CONTROL && (!final || short > MAX_CONTROL_BYTES))
      throw new WebSocketError('a control frame is too long, or is one of several fragments');
    const extra = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (bytes.length < 2 + extra) return undefined;
    const length = lengthOf(bytes, short);
    if (length > this.#maxBytes) throw new WebSocketError(`a frame of ${length} bytes is more than is taken`);
    const begin = 2 + extra;
    if (bytes.length < begin + length) return undefined;
    this.#rest = bytes.subarray(begin + length);
    return { opcode, final, payload: bytes.subarray(begin, begin + length) };
  }
}

function lengthOf(bytes: Buffer, short: number): number {
  if (short < 126) return short;
  // Beyond 2^53 the number is not exact, and far beyond what is taken.
  return short === 126 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2));
}

/** One frame, which is a whole message. @param mask four bytes that nobody can foresee */
export function encodeFrame(opcode: Opcode, payload: Buffer, mask: Buffer): Buffer {
  const { length } = payload;
  const extra = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const frame = Buffer.alloc(2 + extra + 4 + length);
  frame[0] = 0x80 | opcode;
  frame[1] = 0x80 | (extra === 0 ? length : extra === 2 ? 126 : 127);
  if (extra === 2) frame.writeUInt16BE(length, 2);
  if (extra === 8) frame.writeBigUInt64BE(BigInt(length), 2);
  const begin = 2 + extra + 4;
  mask.copy(frame, begin - 4, 0, 4);
  for (const [index, byte] of payload.entries()) frame[begin + index] = byte ^ (mask[index % 4] ?? 0);
  return frame;
}

/** What a server has to answer to a key of the handshake. */
export function acceptanceOf(key: string): string {
  return hash('sha1', `${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`, 'base64');
}
