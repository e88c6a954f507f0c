/**
 * What the same bytes in the same number of messages cost a server that does nothing but send them: HTTP/2 over mutual TLS by Node itself. Led by its parent through messages; told by the
 * environment who it is.
 */
import { createSecureServer, type ServerHttp2Stream } from 'node:http2';
import * as z from 'zod';
import { encodeResponse } from '../../../src/xds/protocol.ts';
import { framed } from './wire.ts';

const order = z.object({
  keyPem: z.string().optional(),
  chainPem: z.string().optional(),
  rootsPem: z.string().optional(),
  /** To each stream. */
  send: z.object({ messages: z.number(), bytes: z.number() }).optional(),
});
export type BareOrder = z.input<typeof order>;

export const bareAnswerSchema = z.object({ port: z.number().default(0), streams: z.number() });

const TYPE = 'type.googleapis.com/envoy.config.listener.v3.Listener';

function main(): void {
  const streams = new Set<ServerHttp2Stream>();
  let nonces = 0;
  process.on('message', (message) => {
    const { chainPem, keyPem, rootsPem, send } = order.parse(message);
    if (keyPem !== undefined && chainPem !== undefined && rootsPem !== undefined) {
      const server = createSecureServer({
        key: keyPem,
        cert: chainPem,
        ca: rootsPem,
        requestCert: true,
        rejectUnauthorized: true,
      });
      server.on('stream', (stream) => {
        streams.add(stream);
        stream.on('close', () => streams.delete(stream)).on('error', () => streams.delete(stream));
        stream.respond({ ':status': 200, 'content-type': 'application/grpc' });
        stream.resume();
      });
      server.listen(0, '127.0.0.1', () => {
        const address = server.address();
        const port = address === null || typeof address === 'string' ? 0 : address.port;
        process.send?.({ port, streams: streams.size });
      });
      return;
    }
    if (send !== undefined) {
      for (const stream of streams) {
        for (let index = 0; index < send.messages; index += 1) {
          nonces += 1;
          // Zeros of a field with a length: a resource with nothing but a body.
          const body = resource(Math.max(8, Math.round(send.bytes / send.messages) - 80));
          const response = { type: TYPE, nonce: String(nonces), resources: [body], removed: [] };
          stream.write(framed(encodeResponse(response)));
        }
      }
    }
    process.send?.({ streams: streams.size });
  });
  process.on('disconnect', () => process.exit(0));
}

const bodies = new Map<number, { readonly name: string; readonly version: string; readonly body: Buffer }>();

function resource(length: number) {
  const known = bodies.get(length);
  if (known !== undefined) return known;
  const inner = Buffer.concat([Buffer.from([0x12, ...varint(length)]), Buffer.alloc(length)]);
  const made = { name: '', version: '', body: Buffer.concat([Buffer.from([0x12, ...varint(inner.length)]), inner]) };
  bodies.set(length, made);
  return made;
}

function varint(value: number): number[] {
  return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varint(value >>> 7)];
}

if (import.meta.main) main();
