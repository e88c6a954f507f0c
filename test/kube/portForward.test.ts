/** A connection to a port of a pod, with an API server whose every byte a test decides. How a real one does it: test/sidecar. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { describe, expect, test } from 'vitest';
import { ApiError, PortForwardError, portForward, TransportError } from '../../src/kube/index.ts';
import { acceptanceOf, opcodes } from '../../src/kube/webSocket.ts';
import { atEnd, failure, open, serve, to } from './harness.ts';
import { json, type MisbehavingServer } from './misbehavingServer.ts';
import { NEVER } from './support.ts';

const PORT = 15_020;
const DATA = 0;
const COMPLAINT = 1;
const head = Buffer.of(PORT & 255, PORT >> 8);

/** As kubelet sends it: short, unmasked. */
function frame(
  channel: number,
  payload: Buffer | string,
  { opcode = opcodes.binary as number, final = true } = {},
): Buffer {
  const body =
    opcode === opcodes.continuation ? Buffer.from(payload) : Buffer.concat([Buffer.of(channel), Buffer.from(payload)]);
  return Buffer.concat([Buffer.of((final ? 0x80 : 0) | opcode, body.length), body]);
}

function control(opcode: number, payload = ''): Buffer {
  return Buffer.concat([Buffer.of(0x80 | opcode, payload.length), Buffer.from(payload)]);
}

function agree(request: IncomingMessage, socket: Duplex, headers: Readonly<Record<string, string>> = {}): void {
  const lines = Object.entries({
    upgrade: 'websocket',
    connection: 'Upgrade',
    'sec-websocket-accept': acceptanceOf(String(request.headers['sec-websocket-key'])),
    'sec-websocket-protocol': 'v4.channel.k8s.io',
    ...headers,
  }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.on('error', () => {});
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`);
}

async function forward(server: MisbehavingServer, deadlineMs = 20_000, signal = NEVER): Promise<Duplex> {
  const { transport } = open(to(server, 'secret'));
  const stream = await portForward(transport, {
    namespace: 'shop',
    pod: 'web',
    port: PORT,
    deadlineMs,
    signal,
    randomBytes,
  });
  atEnd(async () => stream.on('error', () => {}).destroy());
  return stream;
}

async function textOf(stream: Duplex): Promise<string> {
  let text = '';
  for await (const chunk of stream) text += String(chunk);
  return text;
}

/** A server that agrees and then sends this. */
const sending = (...frames: readonly Buffer[]) =>
  serve(undefined, {
    upgrade: (request, socket) => {
      agree(request, socket);
      socket.write(Buffer.concat(frames));
    },
  });

test('asks as whoever runs it, for the one port, by WebSocket', async () => {
  let asked: IncomingMessage | undefined;
  const server = await serve(undefined, {
    upgrade: (request, socket) => {
      asked = request;
      agree(request, socket);
    },
  });
  await forward(server);
  expect(asked?.url).toBe(`/api/v1/namespaces/shop/pods/web/portforward?ports=${PORT}`);
  expect(asked?.headers).toMatchObject({
    authorization: 'Bearer secret',
    accept: '*/*',
    upgrade: 'websocket',
    'sec-websocket-version': '13',
    'sec-websocket-protocol': 'v4.channel.k8s.io',
  });
});

test('carries bytes both ways, and its end', async () => {
  const server = await serve(undefined, {
    upgrade: (request, socket) => {
      agree(request, socket);
      socket.write(Buffer.concat([frame(DATA, head), frame(COMPLAINT, head)]));
      socket.once('data', (bytes: Buffer) => {
        const mask = bytes.subarray(2, 6);
        const said = Buffer.from(bytes.subarray(6).map((byte, index) => byte ^ (mask[index % 4] ?? 0)));
        socket.write(
          Buffer.concat([frame(DATA, `got ${said.subarray(1).toString()} on ${said[0]}`), control(opcodes.close)]),
        );
      });
    },
  });
  const stream = await forward(server);
  stream.write('question');
  expect(await textOf(stream)).toBe('got question on 0');
});

test.each<[string, Buffer[]]>([
  [
    'in fragments',
    [
      frame(DATA, head.subarray(0, 1), { final: false }),
      frame(DATA, Buffer.concat([head.subarray(1), Buffer.from('ans')]), { opcode: opcodes.continuation }),
      frame(DATA, 'wer'),
    ],
  ],
  ['with the number of the port before it in one message', [frame(DATA, Buffer.concat([head, Buffer.from('answer')]))]],
  ['with a ping in between', [frame(DATA, head), frame(DATA, 'ans'), control(opcodes.ping, 'x'), frame(DATA, 'wer')]],
])('is read %s', async (_, frames) => {
  const server = await sending(...frames, control(opcodes.close));
  expect(await textOf(await forward(server))).toBe('answer');
});

test('tells what kubelet complains of', async () => {
  const server = await sending(
    frame(DATA, head),
    frame(COMPLAINT, head),
    frame(COMPLAINT, 'connection refused'),
    control(opcodes.close),
  );
  const error = await failure(textOf(await forward(server)));
  expect(error).toBeInstanceOf(PortForwardError);
  expect(error).toMatchObject({ message: 'connection refused' });
});

test.each<[string, Buffer, string]>([
  ['another port is forwarded', frame(DATA, Buffer.of(80, 0)), 'port 80 was forwarded'],
  ['there is another channel', frame(7, 'x'), 'no channel 7'],
  ['text comes', frame(DATA, head, { opcode: opcodes.text }), 'text came'],
  ['a message goes on that has not begun', frame(DATA, 'x', { opcode: opcodes.continuation }), 'has not begun'],
  [
    'a message begins within another',
    Buffer.concat([frame(DATA, head, { final: false }), frame(DATA, 'x')]),
    'within another',
  ],
])('ends with a fault where %s', async (_, bytes, message) => {
  const server = await sending(bytes);
  expect(await failure(textOf(await forward(server)))).toMatchObject({
    name: 'WebSocketError',
    message: expect.stringContaining(message),
  });
});

describe('a server that does not switch', () => {
  test('is an ApiError with what it said', async () => {
    const server = await serve((_, response) =>
      json(response, { kind: 'Status', reason: 'Forbidden', message: 'pods "web" is forbidden', code: 403 }, 403),
    );
    const error = await failure(forward(server));
    expect(error).toBeInstanceOf(ApiError);
    expect(error).toMatchObject({ status: 403, message: 'pods "web" is forbidden' });
  });

  test('is one, too, where it says that all is well', async () => {
    expect(await failure(forward(await serve()))).toMatchObject({ name: 'ApiError', status: 200 });
  });

  test('is asked again with fresh credentials, once', async () => {
    const server = await serve((_, response) => json(response, { kind: 'Status', code: 401 }, 401));
    expect(await failure(forward(server))).toMatchObject({ status: 401 });
    expect(server.requests).toHaveLength(2);
  });

  test.each([
    ['to another protocol', { 'sec-websocket-protocol': 'v5.channel.k8s.io' }],
    ['without having read the key', { 'sec-websocket-accept': 'AAAA' }],
  ])('properly, but %s, is no server of ours', async (_, headers) => {
    const server = await serve(undefined, { upgrade: (request, socket) => agree(request, socket, headers) });
    expect(await failure(forward(server))).toBeInstanceOf(TransportError);
  });

  test('in time is given up', async () => {
    const server = await serve(() => {});
    expect(await failure(forward(server, 200))).toMatchObject({ kind: 'deadline' });
  });

  test('before we are called off is left', async () => {
    const server = await serve(() => {});
    const over = new AbortController();
    const forwarding = forward(server, 20_000, over.signal);
    over.abort(new Error('called off'));
    expect(await failure(forwarding)).toMatchObject({ message: 'called off' });
  });
});

test('a connection that is reset ends with a fault', async () => {
  const server = await sending(frame(DATA, head), frame(DATA, 'ans'));
  const stream = await forward(server);
  await once(stream, 'readable');
  server.reset();
  expect(await failure(textOf(stream))).toMatchObject({ code: 'ECONNRESET' });
});
