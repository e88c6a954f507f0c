import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  createMetrics,
  property,
  resourcePath,
  runLeaderElection,
  sleep,
  stringAt,
  systemClock,
} from '../../src/kube/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { type FaultProxy, startFaultProxy } from '../faults/proxy.ts';
import { waitFor } from '../support/waitFor.ts';
import { startElector } from './elector.ts';
import {
  type ApiServer,
  type Client,
  connectionTo,
  createNamespace,
  NEVER,
  openClient,
  startApiServer,
} from './support.ts';

const LEASES = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
/** A fifth of the usual: the ratios are what counts. */
const FAST = { leaseDurationMs: 3_000, renewDeadlineMs: 2_000, retryPeriodMs: 400 };
/** Where a Lease must not be lost, and a busy machine may take seconds for a renewal. */
const STEADY = { leaseDurationMs: 8_000, renewDeadlineMs: 6_000, retryPeriodMs: 400 };

let server: ApiServer;
let cluster: Cluster;
let client: Client;
const cleanUp: (() => unknown)[] = [];

beforeAll(async () => {
  server = await startApiServer();
  ({ cluster, client } = server);
});
afterAll(() => server?.[Symbol.asyncDispose]());
afterEach(async () => {
  for (const end of cleanUp.splice(0).reverse()) await end();
});

interface Term {
  readonly identity: string;
  readonly from: number;
  /** undefined while it lasts. */
  to?: number;
}

/** Candidates in this process, and one shared record of who led when. */
class Race {
  readonly terms: Term[] = [];
  readonly #namespace: string;

  constructor(namespace: string) {
    this.#namespace = namespace;
  }

  run(identity: string, through: Client = client, periods = FAST) {
    const stopper = new AbortController();
    const outcome = runLeaderElection({
      transport: through.transport,
      namespace: this.#namespace,
      name: 'lease',
      identity,
      clock: systemClock,
      random: Math.random,
      log: through.log,
      metrics: createMetrics({ process: false }),
      signal: stopper.signal,
      ...periods,
      lead: async (signal) => {
        const term: Term = { identity, from: performance.now() };
        this.terms.push(term);
        await sleep(systemClock, 1e9, signal).catch(() => {});
        term.to = performance.now();
      },
    });
    outcome.catch(() => {});
    const stop = (): void => stopper.abort(new Error('stop'));
    cleanUp.push(async () => {
      stop();
      await outcome.catch(() => {});
    });
    return { outcome, stop };
  }

  get leader(): string | undefined {
    return this.terms.find(({ to }) => to === undefined)?.identity;
  }

  /** Nobody led beside another. */
  expectNoOverlap(): void {
    const sorted = [...this.terms].sort((a, b) => a.from - b.from);
    for (const [index, term] of sorted.entries()) {
      const next = sorted[index + 1];
      if (next) expect(term.to ?? Number.POSITIVE_INFINITY).toBeLessThanOrEqual(next.from);
    }
  }
}

async function holder(namespace: string): Promise<string> {
  const path = resourcePath(LEASES, namespace, 'lease');
  const lease = await client.transport.request({ method: 'GET', path, signal: NEVER });
  return stringAt(property(lease, 'spec'), 'holderIdentity') ?? '';
}

async function proxied(): Promise<{ proxy: FaultProxy; through: Client }> {
  const proxy = await startFaultProxy({ target: cluster.url, ca: cluster.caPem });
  const through = openClient(connectionTo({ url: proxy.url, token: cluster.token }));
  cleanUp.push(async () => {
    await through.transport.close();
    await proxy.close();
  });
  return { proxy, through };
}

describe('two candidates', () => {
  test('one leads; on a clean end the other follows at once', async () => {
    const namespace = await createNamespace(client, 'lease');
    const race = new Race(namespace);
    const a = race.run('a', client, STEADY);
    await waitFor('a to lead', () => race.leader === 'a');
    race.run('b', client, STEADY);
    await delay(STEADY.leaseDurationMs + 1_000);
    expect(race.leader).toBe('a');
    a.stop();
    expect(await a.outcome).toBe('released');
    await waitFor('b to lead', () => race.leader === 'b');
    expect(await holder(namespace)).toBe('b');
    race.expectNoOverlap();
  });

  test('the leader is cut off from the API server: it stops before the other begins', async () => {
    const race = new Race(await createNamespace(client, 'lease'));
    const { proxy, through } = await proxied();
    const a = race.run('a', through);
    await waitFor('a to lead', () => race.leader === 'a');
    race.run('b');
    await proxy.refuse();
    expect(await a.outcome).toBe('lost');
    await waitFor('b to lead', () => race.leader === 'b');
    race.expectNoOverlap();
  });

  test('renewals that fall silent are as good as none', async () => {
    const race = new Race(await createNamespace(client, 'lease'));
    const { proxy, through } = await proxied();
    const a = race.run('a', through);
    await waitFor('a to lead', () => race.leader === 'a');
    race.run('b');
    proxy.add({ fault: { kind: 'silence' } });
    expect(await a.outcome).toBe('lost');
    await waitFor('b to lead', () => race.leader === 'b');
    race.expectNoOverlap();
  });

  test('lost answers, 429, 500 and resets in between do not cost the Lease', async () => {
    const race = new Race(await createNamespace(client, 'lease'));
    const { proxy, through } = await proxied();
    // The usual duration and deadline, for a busy machine; renewed so often that many renewals meet a fault.
    const periods = { leaseDurationMs: 15_000, renewDeadlineMs: 10_000, retryPeriodMs: 300 };
    race.run('a', through, periods);
    await waitFor('a to lead', () => race.leader === 'a');
    race.run('b', client, periods);
    const faults = [
      { kind: 'lost-answer' },
      { kind: 'status', status: 429 },
      { kind: 'status', status: 500 },
      { kind: 'reset' },
      { kind: 'truncate' },
    ] as const;
    for (const fault of faults) {
      for (const verb of ['update', 'get']) {
        const rule = proxy.add({ fault, count: 1, match: (request) => request.verb === verb });
        // The leader reads only after a write that failed.
        if (verb === 'get')
          proxy.add({ fault: { kind: 'reset' }, count: 1, match: (request) => request.verb === 'update' });
        await waitFor('it to strike', () => rule.injected === 1);
      }
    }
    await delay(2_000);
    expect(race.terms).toHaveLength(1);
    expect(race.leader).toBe('a');
  });
});

describe('a process that leads', () => {
  async function elector(namespace: string, identity: string) {
    const process = await startElector(cluster, { namespace, identity, ...FAST });
    cleanUp.push(() => process.kill());
    return process;
  }

  test('is killed: another follows when its Lease has run out', async () => {
    const namespace = await createNamespace(client, 'lease');
    const victim = await elector(namespace, 'victim');
    await waitFor('it to lead', () => victim.leading);
    const race = new Race(namespace);
    race.run('heir');
    await victim.kill();
    await waitFor('the heir to lead', () => race.leader === 'heir');
    expect(await holder(namespace)).toBe('heir');
  });

  test('is frozen for longer than its Lease: another leads meanwhile, and it stops when it thaws, without a write', async () => {
    const namespace = await createNamespace(client, 'lease');
    const frozen = await elector(namespace, 'frozen');
    await waitFor('it to lead', () => frozen.leading);
    const race = new Race(namespace);
    race.run('heir');
    frozen.freeze();
    await waitFor('the heir to lead', () => race.leader === 'heir');
    frozen.thaw();
    expect(await frozen.outcome).toBe('lost');
    await delay(FAST.retryPeriodMs * 3);
    expect([race.leader, await holder(namespace)]).toEqual(['heir', 'heir']);
    expect(race.terms).toHaveLength(1);
  });

  test('is asked to end: the Lease is free at once', async () => {
    const namespace = await createNamespace(client, 'lease');
    const leader = await elector(namespace, 'leader');
    await waitFor('it to lead', () => leader.leading);
    leader.terminate();
    expect(await leader.outcome).toBe('released');
    expect(await holder(namespace)).toBe('');
  });
});

test('without its namespace nobody leads, which is said once and with what to do; with it, somebody does', async () => {
  const through = openClient(connectionTo(cluster));
  cleanUp.push(() => through.transport.close());
  const race = new Race('not-there');
  race.run('a', through);
  const complaints = () => through.log.lines.filter(({ message }) => message === 'cannot take or renew the Lease');
  await waitFor('three tries', () => complaints().length >= 3);
  expect(complaints().filter(({ level }) => level === 'warn')).toMatchObject([
    {
      fields: {
        namespace: 'not-there',
        error: 'there is no namespace "not-there": create it, or name another for the operator',
      },
    },
  ]);
  expect(race.terms).toEqual([]);
  await cluster.kubectl(['create', 'namespace', 'not-there']);
  await waitFor('a leader', () => race.terms.length === 1);
});

test('five candidates that come and go for a while: never two at once, and at last one', async () => {
  const race = new Race(await createNamespace(client, 'lease'));
  const running = ['a', 'b', 'c', 'd', 'e'].map((identity) => race.run(identity, client, STEADY));
  for (let i = 0; i < 4; i++) {
    await waitFor('somebody to lead', () => race.leader);
    const index = ['a', 'b', 'c', 'd', 'e'].indexOf(race.leader ?? '');
    running[index]?.stop();
    await running[index]?.outcome;
  }
  await waitFor('the last to lead', () => race.leader);
  race.expectNoOverlap();
  expect(new Set(race.terms.map(({ identity }) => identity)).size).toBe(5);
});
