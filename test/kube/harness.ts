import { afterEach, expect } from 'vitest';
import type { Connection, TlsMaterial, Transport } from '../../src/kube/index.ts';
import { json, type MisbehavingServer, startMisbehavingServer } from './misbehavingServer.ts';
import { type Client, type ClientOptions, connectionTo, NEVER, openClient } from './support.ts';

// What the tests of the transport share. Everything opened here is closed after each test.

export const POLL = { timeout: 20_000 };
const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

/** Calls `end` after the test. */
export function atEnd(end: () => Promise<unknown>): void {
  cleanUp.push(end);
}

export async function serve(
  handler: Parameters<typeof startMisbehavingServer>[0] = (_request, response) => json(response, { ok: true }),
  options: Parameters<typeof startMisbehavingServer>[1] = {},
): Promise<MisbehavingServer> {
  const server = await startMisbehavingServer(handler, options);
  atEnd(() => server.close());
  return server;
}

export function open(connection: Connection, options: ClientOptions = {}): Client {
  const client = openClient(connection, options);
  atEnd(() => client.transport.close());
  return client;
}

export function to(server: MisbehavingServer, token = 't'): Connection {
  return connectionTo({ url: server.url, token, caPem: server.caPem });
}

export function withTls(server: MisbehavingServer, tls: TlsMaterial, more: Partial<Connection> = {}): Connection {
  return { server: server.url, source: 'a test', credentials: async () => ({ headers: {}, tls }), ...more };
}

/** Long enough for a busy machine; a test that waits for the deadline itself gives a short one. */
const PATIENT = 20_000;

export function get(transport: Transport, deadlineMs = PATIENT): Promise<unknown> {
  return transport.request({ method: 'GET', path: '/x', deadlineMs, signal: NEVER });
}

export function post(transport: Transport, deadlineMs = PATIENT): Promise<unknown> {
  return transport.request({ method: 'POST', path: '/x', body: { a: 'ü' }, deadlineMs, signal: NEVER });
}

/** What a promise that must fail fails with. */
export async function failure(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    (value) => expect.unreachable(`it succeeded with ${JSON.stringify(value)}`),
    (error: unknown) => error,
  );
}

/** All lines of a watch. */
export async function collect(transport: Transport, idleMs = PATIENT): Promise<unknown[]> {
  const lines: unknown[] = [];
  for await (const line of transport.watch({ path: '/w', signal: NEVER, idleMs })) lines.push(line);
  return lines;
}
