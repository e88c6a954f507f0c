import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Mode, modes } from '../api/index.ts';
import { type Acknowledged, beginning, type ClientMode, type Progress, step } from './step.ts';

const all: Acknowledged = { clients: true, servers: true, drained: true };
const none: Acknowledged = { clients: false, servers: false, drained: false };

const settled = (mode: Mode): Progress => ({
  target: mode,
  servers: mode,
  clients: mode === 'Disabled' ? 'Plaintext' : 'MutualTLS',
  phase: 'Settled',
});

/** Every record on the way, if each is acknowledged. */
function way(from: Progress, target: Mode): string[] {
  const records: string[] = [];
  for (let present = from; ; ) {
    const next = step(present, target, all);
    if (JSON.stringify(next) === JSON.stringify(present)) return records;
    records.push(`${next.phase}: servers ${next.servers}, clients ${next.clients}`);
    present = next;
    if (records.length > 10) throw new Error(`it does not end: ${records.join('; ')}`);
  }
}

describe('the order of a switch', () => {
  test.each<[Mode, Mode, string[]]>([
    [
      'Permissive',
      'Strict',
      ['Servers: servers Strict, clients MutualTLS', 'Settled: servers Strict, clients MutualTLS'],
    ],
    [
      'Strict',
      'Permissive',
      ['Servers: servers Permissive, clients MutualTLS', 'Settled: servers Permissive, clients MutualTLS'],
    ],
    [
      'Permissive',
      'Disabled',
      [
        'Clients: servers Permissive, clients Plaintext',
        'Servers: servers Disabled, clients Plaintext',
        'Settled: servers Disabled, clients Plaintext',
      ],
    ],
    [
      'Disabled',
      'Permissive',
      [
        'Clients: servers Disabled, clients MutualTLS',
        'Servers: servers Permissive, clients MutualTLS',
        'Settled: servers Permissive, clients MutualTLS',
      ],
    ],
    [
      'Disabled',
      'Strict',
      [
        'Clients: servers Disabled, clients MutualTLS',
        'Servers: servers Strict, clients MutualTLS',
        'Settled: servers Strict, clients MutualTLS',
      ],
    ],
    [
      'Strict',
      'Disabled',
      [
        'Servers: servers Permissive, clients MutualTLS',
        'Clients: servers Permissive, clients Plaintext',
        'Servers: servers Disabled, clients Plaintext',
        'Settled: servers Disabled, clients Plaintext',
      ],
    ],
  ])('from %s to %s', (from, to, records) => {
    expect(way(settled(from), to)).toEqual(records);
  });

  test('begins, for a port that was never seen, by serving everybody', () => {
    expect(step({ ...beginning, target: 'Strict' }, 'Strict', none)).toMatchObject({ servers: 'Permissive' });
    expect(step({ ...beginning, target: 'Strict' }, 'Strict', all)).toMatchObject({ servers: 'Strict' });
  });
});

describe('a step', () => {
  test.each<[string, Progress, Mode, Partial<Acknowledged>, Partial<Progress>]>([
    [
      'to Strict waits for clients that were told to speak mutual TLS',
      { target: 'Strict', servers: 'Disabled', clients: 'MutualTLS', phase: 'Clients' },
      'Strict',
      { clients: false },
      { servers: 'Disabled', phase: 'Clients' },
    ],
    [
      'to plaintext waits for servers that were told to take it',
      { target: 'Disabled', servers: 'Permissive', clients: 'MutualTLS', phase: 'Servers' },
      'Disabled',
      { servers: false },
      { clients: 'MutualTLS', phase: 'Servers' },
    ],
    [
      'away from Strict waits for nobody',
      { target: 'Strict', servers: 'Strict', clients: 'MutualTLS', phase: 'Servers' },
      'Permissive',
      none,
      { servers: 'Permissive', phase: 'Servers' },
    ],
    [
      'is not Settled before the servers have acknowledged',
      { target: 'Strict', servers: 'Strict', clients: 'MutualTLS', phase: 'Servers' },
      'Strict',
      { servers: false },
      { phase: 'Servers' },
    ],
    [
      'is Draining while plaintext connections from before are open',
      { target: 'Strict', servers: 'Strict', clients: 'MutualTLS', phase: 'Servers' },
      'Strict',
      { drained: false },
      { phase: 'Draining' },
    ],
    [
      'is not taken back where a proxy is new and has heard nothing yet',
      settled('Strict'),
      'Strict',
      none,
      settled('Strict'),
    ],
    [
      'has nothing to drain where plaintext may stay',
      settled('Permissive'),
      'Permissive',
      { drained: false },
      { phase: 'Settled' },
    ],
    [
      'that is taken back before a client has heard of it goes back the same way',
      { target: 'Disabled', servers: 'Permissive', clients: 'Plaintext', phase: 'Clients' },
      'Strict',
      { clients: false },
      { servers: 'Permissive', clients: 'MutualTLS', phase: 'Clients' },
    ],
  ])('%s', (_, present, target, acknowledged, next) => {
    expect(step(present, target, { ...all, ...acknowledged })).toMatchObject({ target, ...next });
  });
});

/** Proxies that hear of each record when it pleases them, each at its own time, and in the order in which they were written. */
class Mesh {
  readonly records: Progress[] = [{ ...settled('Permissive') }];
  /** Index of the record that each proxy acts by. */
  readonly clients = [0, 0];
  readonly servers = [0, 0];

  get record(): Progress {
    return this.#at(this.records.length - 1);
  }

  hear(kind: 'clients' | 'servers', which: number, records = 1): void {
    const proxies = this[kind];
    proxies[which] = Math.min((proxies[which] ?? 0) + records, this.records.length - 1);
  }

  lead(target: Mode, drained: boolean): void {
    // Whoever has taken a record with the same instruction for its kind has acknowledged.
    const same = (kind: 'clients' | 'servers') => {
      const last = this.records.findLastIndex((record) => record[kind] !== this.record[kind]) + 1;
      return this[kind].every((heard) => heard >= last);
    };
    const next = step(this.record, target, { clients: same('clients'), servers: same('servers'), drained });
    if (JSON.stringify(next) !== JSON.stringify(this.record)) this.records.push(next);
  }

  /** A client that speaks plaintext to a server that takes mutual TLS only. */
  get cutOff(): boolean {
    const speaks = (mode: ClientMode) => this.clients.some((heard) => this.#at(heard).clients === mode);
    return speaks('Plaintext') && this.servers.some((heard) => this.#at(heard).servers === 'Strict');
  }

  #at(index: number): Progress {
    const record = this.records[index];
    if (record === undefined) throw new Error(`there is no record ${index}`);
    return record;
  }
}

type Happening =
  | { readonly what: 'target'; readonly mode: Mode }
  | { readonly what: 'lead'; readonly drained: boolean }
  | { readonly what: 'hear'; readonly kind: 'clients' | 'servers'; readonly which: number; readonly records: number };

const happening: fc.Arbitrary<Happening> = fc.oneof(
  { weight: 1, arbitrary: fc.record({ what: fc.constant('target' as const), mode: fc.constantFrom(...modes) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('lead' as const), drained: fc.boolean() }) },
  {
    weight: 4,
    arbitrary: fc.record({
      what: fc.constant('hear' as const),
      kind: fc.constantFrom('clients' as const, 'servers' as const),
      which: fc.nat(1),
      records: fc.integer({ min: 1, max: 4 }),
    }),
  },
);

describe('whatever happens, in whatever order', () => {
  function run(happenings: readonly Happening[]): { mesh: Mesh; target: Mode } {
    const mesh = new Mesh();
    let target: Mode = 'Permissive';
    for (const one of happenings) {
      if (one.what === 'target') target = one.mode;
      if (one.what === 'lead') mesh.lead(target, one.drained);
      if (one.what === 'hear') mesh.hear(one.kind, one.which, one.records);
      if (mesh.cutOff) throw new Error(`cut off after ${JSON.stringify(mesh.records)}`);
    }
    return { mesh, target };
  }

  test('no client that speaks plaintext meets a server that takes mutual TLS only', () => {
    fc.assert(
      fc.property(fc.array(happening, { minLength: 20, maxLength: 60 }), (happenings) => {
        run(happenings);
      }),
      { numRuns: 3_000 },
    );
  });

  test('it settles where policies want it, once they leave it alone and proxies answer', () => {
    fc.assert(
      fc.property(fc.array(happening, { maxLength: 40 }), (happenings) => {
        const { mesh, target } = run(happenings);
        for (let round = 0; round < 100; round++) {
          mesh.lead(target, true);
          for (const which of [0, 1]) {
            mesh.hear('clients', which);
            mesh.hear('servers', which);
          }
        }
        expect(mesh.record).toEqual(settled(target));
        expect(mesh.cutOff).toBe(false);
      }),
      { numRuns: 1_000 },
    );
  });
});
