import { describe, expect, test } from 'vitest';
import { acknowledgedIn, hasReached, type Reached, reachedBy, type Sight } from './acknowledgements.ts';
import { Draining } from './draining.ts';
import { type Memory, rememberForeign, rememberOwn, stillHolds } from './memory.ts';
import type { RolloutRecord } from './record.ts';

describe('how far proxies are', () => {
  test.each<[string, Readonly<Record<string, string | undefined>>, readonly string[], Reached]>([
    ['is as far as the last of them', { a: '105', b: '99' }, ['a', 'b'], '99'],
    ['is nowhere while one that runs says nothing', { a: '105', b: undefined }, ['a', 'b'], 'silent'],
    ['is not asked of one that does not run', { a: '105', b: undefined }, ['a'], '105'],
    ['counts one that speaks before it is known to run', { a: '105', b: '99' }, ['a'], '99'],
    ['is nowhere by a version that the leader does not know', { a: '111' }, ['a'], 'silent'],
    ['is nowhere by what is no version', { a: 'newest' }, ['a'], 'silent'],
    ['is everywhere where there are none', {}, [], 'nobody'],
  ])('%s', (_, versions, running, expected) => {
    const proxies = Object.keys(versions).map((uid) => ({ uid, running: running.includes(uid) }));
    expect(reachedBy(proxies, (uid) => versions[uid], '110')).toBe(expected);
  });

  test.each<[Reached, boolean]>([
    ['99', false],
    ['100', true],
    ['101', true],
    ['silent', false],
    ['nobody', true],
  ])('%s: whether 100 is reached', (reached, expected) => {
    expect(hasReached(reached, '100')).toBe(expected);
  });
});

describe('what is acknowledged', () => {
  const all: Sight = {
    memory: {
      uid: 'u',
      generation: 1,
      spec: {},
      since: new Map([
        ['Deployment/web', { servers: '100', clients: '100' }],
        ['Deployment/web:80', { servers: '105', clients: '102' }],
      ]),
    },
    clients: () => '105',
    servers: () => '105',
    newcomers: '105',
    drained: () => true,
  };
  const of = (changes: Partial<Sight>, port?: number) => {
    const { clients, drained, servers } = acknowledgedIn({ ...all, ...changes })('Deployment', 'web', port);
    return { clients, drained, servers };
  };
  const everything = { clients: true, servers: true, drained: true };

  test.each<[string, Partial<Sight>, number | undefined, object]>([
    ['is everything where all have what the port was told', {}, 80, everything],
    [
      'is by what the others were told, where the port has no entry',
      { servers: () => '100', clients: () => '100' },
      81,
      everything,
    ],
    [
      'is not what an older version says',
      { servers: () => '104' },
      80,
      { ...everything, servers: false, drained: false },
    ],
    [
      'is by what clients were told, where only servers have been told something since',
      { clients: () => '102' },
      80,
      everything,
    ],
    ['is not what an older version says to clients', { clients: () => '101' }, 80, { ...everything, clients: false }],
    [
      'is for clients what newcomers are told, too',
      { newcomers: '104' },
      80,
      { clients: true, servers: false, drained: false },
    ],
    ['needs all clients', { clients: () => 'silent' }, 80, { ...everything, clients: false }],
    [
      'is nothing where newcomers are told less',
      { newcomers: '101' },
      80,
      { clients: false, servers: false, drained: false },
    ],
    [
      'is nothing where nothing is known of a replica',
      { newcomers: 'silent' },
      80,
      { clients: false, servers: false, drained: false },
    ],
    [
      'is nothing where it is not what proxies were told',
      { memory: undefined },
      80,
      { clients: false, servers: false, drained: false },
    ],
    ['is not drained before the time is over', { drained: () => false }, 80, { ...everything, drained: false }],
  ])('%s', (_, changes, port, expected) => {
    expect(of(changes, port)).toEqual(expected);
  });
});

describe('the time in which older connections end', () => {
  test('begins when it is first asked for, and anew with each version', () => {
    const draining = new Draining(1000);
    expect(draining.isOver('shop', 'web', '1', 500)).toBe(false);
    expect(draining.next('shop', new Set(['web']), 500)).toBe(1000);
    expect(draining.isOver('shop', 'web', '1', 1_499)).toBe(false);
    expect(draining.next('shop', new Set(['web']), 1_499)).toBe(1);
    expect(draining.isOver('shop', 'web', '1', 1_500)).toBe(true);
    expect(draining.next('shop', new Set(['web']), 1_500)).toBe(undefined);
    expect(draining.isOver('shop', 'web', '2', 1_500)).toBe(false);
  });
});

describe('what a leader remembers', () => {
  const record = (version: string, generation: number, ...servers: ('Strict' | 'Permissive')[]): RolloutRecord => ({
    resourceVersion: version,
    namespace: 'shop',
    uid: 'u',
    generation,
    deleting: false,
    spec: {
      workloads: servers.map((mode, index) => ({
        kind: 'Deployment',
        name: `w${index}`,
        target: 'Strict',
        servers: mode,
        clients: 'MutualTLS',
        phase: 'Servers',
        since: '2030-01-01T00:00:00Z',
      })),
    },
    problem: undefined,
    status: {},
    kept: {},
  });
  const since = (memory: Memory) => [...memory.since.values()].map(({ servers }) => servers);

  test('is since when each switch says what it says, as long as only it writes', () => {
    const first = rememberOwn(undefined, record('100', 1, 'Permissive', 'Permissive'));
    const second = rememberOwn(first, record('105', 2, 'Strict', 'Permissive', 'Permissive'));
    expect(since(second)).toEqual(['105', '100', '105']);
    expect(since(rememberOwn(second, record('107', 3, 'Strict', 'Permissive')))).toEqual(['105', '100']);
  });

  test('is since when clients were told, whatever servers have been told since', () => {
    const first = rememberOwn(undefined, record('100', 1, 'Permissive'));
    const second = rememberOwn(first, record('105', 2, 'Strict'));
    expect(second.since.get('Deployment/w0')).toEqual({ servers: '105', clients: '100' });
  });

  test('is nothing of what was before somebody else wrote, for it may have said anything in between', () => {
    const first = rememberOwn(undefined, record('100', 1, 'Permissive'));
    const found = record('105', 3, 'Permissive');
    expect(stillHolds(first, found)).toBe(false);
    expect(since(rememberForeign(found))).toEqual(['105']);
  });

  test('holds while only status and metadata change', () => {
    expect(stillHolds(rememberOwn(undefined, record('100', 1, 'Strict')), record('105', 1, 'Strict'))).toBe(true);
  });
});
