import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { acceptanceOf, encodeFrame, type Frame, FrameReader, opcodes, WebSocketError } from './webSocket.ts';

const MAX = 100_000;

/** As a server sends one: unmasked. */
function frame(opcode: number, payload: Buffer, final = true): Buffer {
  const { length } = payload;
  const head = Buffer.alloc(length < 126 ? 2 : length < 65_536 ? 4 : 10);
  head[0] = (final ? 0x80 : 0) | opcode;
  head[1] = length < 126 ? length : length < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(length, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(length), 2);
  return Buffer.concat([head, payload]);
}

/** Cut at these places. */
function pieces(bytes: Buffer, cuts: readonly number[]): Buffer[] {
  const places = [0, ...[...cuts].map((cut) => cut % (bytes.length + 1)).sort((a, b) => a - b), bytes.length];
  return places.slice(1).map((end, index) => bytes.subarray(places[index], end));
}

function unmask(bytes: Buffer): Buffer {
  const short = (bytes[1] ?? 0) & 0x7f;
  const begin = (short < 126 ? 2 : short === 126 ? 4 : 10) + 4;
  const mask = bytes.subarray(begin - 4, begin);
  return Buffer.from(bytes.subarray(begin).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
}

const payloads = fc.oneof(
  fc.uint8Array({ maxLength: 130 }),
  fc.constantFrom(125, 126, 65_535, 65_536).map((length) => new Uint8Array(length)),
);

describe('frames', () => {
  test('are read as they were sent, however their bytes come', () => {
    const sent = fc.array(fc.record({ bytes: payloads, final: fc.boolean() }), { maxLength: 5 });
    fc.assert(
      fc.property(sent, fc.array(fc.nat(), { maxLength: 20 }), (messages, cuts) => {
        const wire = Buffer.concat(
          messages.map(({ bytes, final }) => frame(opcodes.binary, Buffer.from(bytes), final)),
        );
        const reader = new FrameReader(MAX);
        const read: Frame[] = pieces(wire, cuts).flatMap((piece) => reader.push(piece));
        expect(read.map(({ final, payload }) => ({ final, text: payload.toString('hex') }))).toEqual(
          messages.map(({ bytes, final }) => ({ final, text: Buffer.from(bytes).toString('hex') })),
        );
      }),
      { numRuns: 200 },
    );
  });

  test('of whatever bytes are frames or a fault, and never larger than is taken', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 40 })), (chunks) => {
        const reader = new FrameReader(20);
        try {
          for (const chunk of chunks)
            for (const { payload } of reader.push(Buffer.from(chunk))) expect(payload.length).toBeLessThanOrEqual(20);
        } catch (error) {
          expect(error).toBeInstanceOf(WebSocketError);
        }
      }),
    );
  });

  test.each([
    ['has bits of an extension', Buffer.of(0xc2, 0), 'extension'],
    ['has an opcode that is none', Buffer.of(0x83, 0), 'unknown opcode 3'],
    ['is masked by the server', Buffer.of(0x82, 0x80, 1, 2, 3, 4), 'masked'],
    ['is a fragment of a ping', Buffer.of(0x09, 0), 'control frame'],
    ['is a long ping', frame(opcodes.ping, Buffer.alloc(126)), 'control frame'],
    ['is longer than is taken', frame(opcodes.binary, Buffer.alloc(MAX + 1)).subarray(0, 10), 'more than is taken'],
    [
      'claims to be longer than there can be',
      Buffer.concat([Buffer.of(0x82, 127), Buffer.alloc(8, 0xff)]),
      'more than is taken',
    ],
  ])('are refused where one %s', (_, bytes, message) => {
    expect(() => new FrameReader(MAX).push(bytes)).toThrow(message);
  });

  test('go out masked, and are what they were', () => {
    fc.assert(
      fc.property(payloads, fc.uint8Array({ minLength: 4, maxLength: 4 }), (bytes, mask) => {
        const payload = Buffer.from(bytes);
        const wire = encodeFrame(opcodes.binary, payload, Buffer.from(mask));
        expect(wire[0]).toBe(0x82);
        expect((wire[1] ?? 0) & 0x80).toBe(0x80);
        expect(unmask(wire).equals(payload)).toBe(true);
      }),
      { numRuns: 50 },
    );
  });
});

test('the server proves that it has read the key: the example of RFC 6455', () => {
  expect(acceptanceOf('dGhlIHNhbXBsZSBub25jZQ==')).toBe('s3pPLMBiTxaQ9kYGzzhZRbK+xOo=');
});
