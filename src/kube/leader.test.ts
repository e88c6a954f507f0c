import { describe, expect, test } from 'vitest';
import { sleep } from './clock.ts';
import { LeadershipLostError } from './controller.ts';
import { ApiError, TransportError } from './errors.ts';
import { FakeClock } from './fakeClock.ts';
import { isObject, property, stringAt } from './json.ts';
import { runLeaderElection } from './leader.ts';
import { silentLog } from './log.ts';
import { createMetrics } from './metrics.ts';
import type { ApiRequest, Transport } from './transport.ts';

/** One Lease with optimistic concurrency, in memory, so that time can be played with. The real API server has its turn in test/kube. */
class LeaseServer {
  object: { metadata: { resourceVersion: string }; spec: unknown } | undefined;
  revision = 0;
  /** Called before each request; throws to fail it, returns true to lose its answer. */
  fault: (request: ApiRequest) => boolean = () => false;

  get holder(): string | undefined {
    return stringAt(property(this.object, 'spec'), 'holderIdentity');
  }

  transport(): Transport {
    return {
      request: async (request) => {
        request.signal.throwIfAborted();
        const lose = this.fault(request);
        const answer = this.#handle(request);
        if (lose) throw new TransportError('reset', 'the answer is lost', { ambiguous: true });
        return answer;
      },
      watch: () => {
        throw new Error('nobody watches a Lease');
      },
      close: async () => {},
    };
  }

  #handle(request: ApiRequest): unknown {
    const { method, body } = request;
    if (method === 'GET') {
      if (!this.object) throw refusal(404, 'NotFound');
      return structuredClone(this.object);
    }
    if (!isObject(body)) throw refusal(400, 'BadRequest');
    if (method === 'POST') {
      if (this.object) throw refusal(409, 'AlreadyExists');
    } else {
      if (!this.object) throw refusal(404, 'NotFound');
      if (stringAt(body['metadata'], 'resourceVersion') !== this.object.metadata.resourceVersion)
        throw refusal(409, 'Conflict');
    }
    this.object = { metadata: { resourceVersion: String(++this.revision) }, spec: structuredClone(body['spec']) };
    return structuredClone(this.object);
  }
}

function refusal(status: number, reason: string): ApiError {
  return new ApiError({ status, reason, message: reason });
}

interface Candidate {
  /** One entry for each time that it began to lead. */
  readonly terms: AbortSignal[];
  readonly outcome: Promise<'released' | 'lost'>;
  stop(): void;
  leading(): boolean;
}

function candidate(
  server: LeaseServer,
  clock: FakeClock,
  identity: string,
  lead?: (signal: AbortSignal) => Promise<void>,
): Candidate {
  const stopper = new AbortController();
  const terms: AbortSignal[] = [];
  let over = false;
  const outcome = runLeaderElection({
    transport: server.transport(),
    namespace: 'ns',
    name: 'lease',
    identity,
    clock,
    random: () => 0.5,
    log: silentLog,
    metrics: createMetrics({ process: false }),
    signal: stopper.signal,
    lead: async (signal) => {
      terms.push(signal);
      await (lead ?? ((s) => sleep(clock, 1e12, s).catch(() => {})))(signal);
    },
  }).finally(() => {
    over = true;
  });
  outcome.catch(() => {});
  return {
    terms,
    outcome,
    stop: () => stopper.abort(new Error('stop')),
    leading: () => !over && terms.some((signal) => !signal.aborted),
  };
}

describe('taking the Lease', () => {
  test('the first candidate leads, the second waits for as long as the first renews', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(1);
    const b = candidate(server, clock, 'b');
    await clock.advance(600_000);
    expect([a.leading(), b.leading(), server.holder]).toEqual([true, false, 'a']);
  });

  test('a released Lease is taken within the retry period', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(1);
    const b = candidate(server, clock, 'b');
    await clock.advance(5_000);
    a.stop();
    await clock.advance(10);
    expect(await a.outcome).toBe('released');
    expect(server.holder).toBe('');
    await clock.advance(2_400);
    expect(b.leading()).toBe(true);
  });

  test('a killed leader is followed after its Lease has run out, not before', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    server.object = {
      metadata: { resourceVersion: '1' },
      spec: { holderIdentity: 'dead', leaseDurationSeconds: 15, renewTime: '2030-01-01T00:00:00.000000Z' },
    };
    const b = candidate(server, clock, 'b');
    await clock.advance(14_900);
    expect(b.leading()).toBe(false);
    await clock.advance(3_000);
    expect(b.leading()).toBe(true);
    expect(property(server.object?.spec, 'leaseTransitions')).toBe(1);
  });

  test('a wall clock that jumps by days changes nothing for anybody', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(1);
    const b = candidate(server, clock, 'b');
    for (const days of [3, -9, 20]) {
      clock.jump(days * 86_400_000);
      await clock.advance(20_000);
      expect([a.leading(), b.leading()]).toEqual([true, false]);
    }
  });

  test('a restarted leader that kept its identity goes on at once', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    server.object = { metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'a', leaseDurationSeconds: 15 } };
    const a = candidate(server, clock, 'a');
    await clock.advance(1);
    expect(a.leading()).toBe(true);
  });

  test('stopping while it waits ends it at once', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    server.object = { metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'x', leaseDurationSeconds: 15 } };
    const a = candidate(server, clock, 'a');
    await clock.advance(1_000);
    a.stop();
    await clock.advance(1);
    expect(await a.outcome).toBe('released');
    expect(server.holder).toBe('x');
  });
});

describe('keeping the Lease', () => {
  test('an API server that is away for less than the renew deadline costs nothing', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(3_000);
    server.fault = () => {
      throw new TransportError('refused', 'refused', { ambiguous: false });
    };
    await clock.advance(7_000);
    server.fault = () => false;
    await clock.advance(60_000);
    expect(a.leading()).toBe(true);
  });

  test('away for longer: leadership is lost before the Lease runs out for others', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(3_000);
    server.fault = () => {
      throw new TransportError('refused', 'refused', { ambiguous: false });
    };
    await clock.advance(12_100);
    expect(await a.outcome).toBe('lost');
    expect(a.terms[0]?.reason).toBeInstanceOf(LeadershipLostError);
  });

  test('answers that are lost after the write took effect are no loss', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    let count = 0;
    server.fault = ({ method }) => method !== 'GET' && count++ % 2 === 0;
    const a = candidate(server, clock, 'a');
    await clock.advance(10_000);
    expect(a.leading()).toBe(true);
    await clock.advance(120_000);
    expect(a.leading()).toBe(true);
  });

  test('another who took it by force, or an admin who gave it away, is noticed at the next renewal', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(1_000);
    server.object = {
      metadata: { resourceVersion: String(++server.revision) },
      spec: { holderIdentity: 'b', leaseDurationSeconds: 15 },
    };
    await clock.advance(3_000);
    expect(await a.outcome).toBe('lost');
    expect(server.holder).toBe('b');
  });

  test('a deleted Lease is made anew', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a');
    await clock.advance(1_000);
    server.object = undefined;
    await clock.advance(3_000);
    expect([a.leading(), server.holder]).toEqual([true, 'a']);
  });

  test('somebody who keeps relabelling the Lease neither helps nor hinders', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    server.object = { metadata: { resourceVersion: '1' }, spec: { holderIdentity: 'dead', leaseDurationSeconds: 15 } };
    const a = candidate(server, clock, 'a');
    for (let i = 0; i < 40; i++) {
      await clock.advance(500);
      if (server.object) server.object.metadata = { resourceVersion: String(++server.revision) };
    }
    expect(a.leading()).toBe(true);
  });
});

describe('the end', () => {
  test('the Lease is renewed while the work comes to its end, and released only then', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a', async (signal) => {
      await sleep(clock, 1e12, signal).catch(() => {});
      await sleep(clock, 20_000);
    });
    await clock.advance(1);
    const b = candidate(server, clock, 'b');
    await clock.advance(1_000);
    a.stop();
    await clock.advance(19_000);
    expect([server.holder, b.leading()]).toEqual(['a', false]);
    await clock.advance(1_100);
    expect(await a.outcome).toBe('released');
    await clock.advance(2_400);
    expect(b.leading()).toBe(true);
  });

  test('work that does not end keeps the Lease until it runs out: nobody else begins beside it', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a', () => new Promise(() => {}));
    await clock.advance(1_000);
    a.stop();
    await clock.advance(26_000);
    expect(await a.outcome).toBe('lost');
    expect(server.holder).toBe('a');
  });

  test('work that fails releases the Lease and fails the election', async () => {
    const [server, clock] = [new LeaseServer(), new FakeClock()];
    const a = candidate(server, clock, 'a', () => Promise.reject(new Error('boom')));
    await clock.advance(10);
    await expect(a.outcome).rejects.toThrow('boom');
    expect(server.holder).toBe('');
  });
});

test('periods that cannot work are refused', () => {
  const make = () => runLeaderElection({ ...candidateOptions(), leaseDurationMs: 5_000, renewDeadlineMs: 10_000 });
  expect(make).toThrow('renew deadline');
});

function candidateOptions() {
  return {
    transport: new LeaseServer().transport(),
    namespace: 'ns',
    name: 'lease',
    identity: 'a',
    clock: new FakeClock(),
    random: () => 0,
    log: silentLog,
    metrics: createMetrics({ process: false }),
    signal: new AbortController().signal,
    lead: () => Promise.resolve(),
  };
}
