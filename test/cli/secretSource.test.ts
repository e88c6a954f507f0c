// How `mtls-operator fetch --watch` waits, against an HTTPS server that ends watches as API servers do, and as none should.
import type { ServerResponse } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { pauseAfter, SecretSource, untilNextLook, type Waited } from '../../src/cli/secretSource.ts';
import { FakeClock } from '../../src/kube/fakeClock.ts';
import { json, type MisbehavingServer, startMisbehavingServer } from '../kube/misbehavingServer.ts';
import { type Client, connectionTo, openClient } from '../kube/support.ts';
import { waitFor } from '../support/waitFor.ts';

const intervalMs = 600_000;
const secret = { metadata: { namespace: 'docker', name: 'host', resourceVersion: '7' }, data: {} };
const { signal } = new AbortController();

let server: MisbehavingServer;
let client: Client;
let source: SecretSource;
/** The watches that are open. */
let watches: ServerResponse[] = [];
let onWatch: (response: ServerResponse) => void;

beforeAll(async () => {
  server = await startMisbehavingServer((request, response) => {
    if (!request.url?.includes('watch=1')) json(response, secret);
    else onWatch(response);
  });
  client = openClient(connectionTo({ url: server.url, token: 'x', caPem: server.caPem }));
  source = new SecretSource(client.transport, server.url, 'docker', 'host');
});

afterAll(async () => {
  await client?.[Symbol.asyncDispose]();
  await server?.[Symbol.asyncDispose]();
});

async function openWatch(
  clock: FakeClock,
  failures = 0,
): Promise<{ response: ServerResponse; waited: Promise<Waited> }> {
  watches = [];
  onWatch = (response) => {
    response.writeHead(200, { 'content-type': 'application/json' });
    response.flushHeaders();
    watches.push(response);
  };
  await source.get(30_000, signal);
  const waited = untilNextLook({ source, clock, intervalMs, failures, signal });
  const response = await waitFor('the watch', () => watches[0]);
  return { response, waited };
}

/** The second timer is that of the pause. */
const pausing = (clock: FakeClock): Promise<boolean> => waitFor('the pause', () => clock.pending === 2);

async function isOver(waited: Promise<unknown>): Promise<boolean> {
  return (await Promise.race([waited, new Promise((resolve) => setImmediate(resolve, 'not yet'))])) !== 'not yet';
}

describe('a watch', () => {
  test('that the server ends as it ends all of them is followed by a look at once, not after the interval', async () => {
    const clock = new FakeClock();
    const { response, waited } = await openWatch(clock, 3);
    await clock.advance(60_000);
    expect(await isOver(waited)).toBe(false);
    response.end();
    await pausing(clock);
    await clock.advance(1_000);
    expect(await isOver(waited)).toBe(true);
    expect(await waited).toEqual({ permitted: true, failures: 0 });
  });

  test.each<[string, (response: ServerResponse) => void]>([
    ['that ends soon', (response) => response.end()],
    ['that breaks off', (response) => response.destroy()],
  ])('%s is followed by a pause that grows', async (_, end) => {
    const clock = new FakeClock();
    const { response, waited } = await openWatch(clock, 3);
    end(response);
    await pausing(clock);
    await clock.advance(15_000);
    expect(await isOver(waited)).toBe(false);
    await clock.advance(1_000);
    expect(await waited).toEqual({ permitted: true, failures: 4 });
  });

  test('with news is followed by a look', async () => {
    const clock = new FakeClock();
    const { response, waited } = await openWatch(clock);
    response.write(`${JSON.stringify({ type: 'MODIFIED', object: secret })}\n`);
    await pausing(clock);
    await clock.advance(1_000);
    expect(await waited).toEqual({ permitted: true, failures: 0 });
  });

  test('that says nothing is left after the interval', async () => {
    const clock = new FakeClock();
    const { waited } = await openWatch(clock, 3);
    await clock.advance(intervalMs);
    expect(await waited).toEqual({ permitted: true, failures: 0 });
  });

  test('that is not permitted is told from one that fails', async () => {
    await source.get(30_000, signal);
    onWatch = (response) => json(response, { kind: 'Status', message: 'no', reason: 'Forbidden', code: 403 }, 403);
    expect(await source.changed(signal)).toBe('forbidden');
    onWatch = (response) => json(response, { kind: 'Status', message: 'no', code: 500 }, 500);
    expect(await source.changed(signal)).toBe('over');
  });
});

test.each([
  [0, 1_000],
  [1, 2_000],
  [4, 16_000],
  [6, 60_000],
  [5_000, 60_000],
])('the pause after %i failures is %i ms', (failures, pause) => {
  expect(pauseAfter(failures, 60_000)).toBe(pause);
});
