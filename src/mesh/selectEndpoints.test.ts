import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { nodes, places, service, slice, sliceObject, slicesOf, type World, worlds, zones } from './builders.fixture.ts';
import { candidatesOf, type Place, selectEndpoints, variationOf } from './selectEndpoints.ts';

interface Conditions {
  readonly ready?: boolean;
  readonly serving?: boolean;
  readonly terminating?: boolean;
}

/** One endpoint, called by its last number. */
interface Shape extends Conditions {
  readonly id: number;
  readonly on?: string;
  readonly zones?: readonly string[];
  readonly nodes?: readonly string[];
}

const notReady: Conditions = { ready: false, serving: false };
const ending: Conditions = { ready: false, serving: true, terminating: true };
const ended: Conditions = { ready: false, serving: false, terminating: true };

function endpoint({ id, on, zones = [], nodes = [], ...conditions }: Shape): object {
  const names = (list: readonly string[]) => list.map((name) => ({ name }));
  const hints = { forZones: names(zones), forNodes: names(nodes) };
  return { addresses: [`10.1.0.${id}`], conditions, nodeName: on, hints };
}

const sliceOf = (name: string, shapes: readonly Shape[], content: object = {}) =>
  slice(sliceObject(name, { endpoints: shapes.map(endpoint), ...content }));

const nowhere: Place = { node: '', zone: '' };
const ids = (found: readonly { address: string }[]): number[] =>
  found.map(({ address }) => Number(address.split('.').at(-1)));

function chosen(shapes: readonly Shape[], place: Partial<Place> = {}, localOnly = false): number[] {
  const candidates = candidatesOf([sliceOf('web-1', shapes)], 'http', 'IPv4');
  return ids(selectEndpoints(candidates, localOnly, { ...nowhere, ...place }));
}

const a = ['zone-a'];
const b = ['zone-b'];
const c = ['zone-c'];
const four: readonly Shape[] = [
  { id: 3, zones: a, nodes: ['node-1'] },
  { id: 4, zones: b, nodes: ['node-2'] },
  { id: 5, zones: c, nodes: ['node-3'] },
  { id: 6, zones: a, nodes: ['node-4'] },
];
const zonesOnly = four.map(({ id, zones = [] }) => ({ id, zones }));

describe('a Service for the whole cluster leads to', () => {
  test.each<[string, readonly Shape[], readonly number[]]>([
    ['nobody where there are no endpoints', [], []],
    ['nobody where none can answer', [{ id: 1, ...notReady }], []],
    ['those that are ready', [{ id: 1, ...notReady }, { id: 2 }], [2]],
    ['those that are ready, and none that is ending', [{ id: 1, ...ending }, { id: 2 }], [2]],
    [
      'those that are ending and serve, where none is ready',
      [
        { id: 1, ...ending },
        { id: 2, ...ended },
      ],
      [1],
    ],
    ['nobody that serves and is neither ready nor ending', [{ id: 1, ready: false, serving: true }], []],
    [
      'those that are called ready though they do not serve, as it wishes them published',
      [{ id: 1, serving: false }],
      [1],
    ],
    [
      'those that are called ready and are ending too',
      [
        { id: 1, terminating: true },
        { id: 2, ...notReady },
      ],
      [1],
    ],
  ])('%s', (_, shapes, expected) => {
    expect(chosen(shapes)).toEqual(expected);
  });
});

// The cases of Kubernetes 1.37's TestCategorizeEndpoints that are about cluster IPs.
describe('hints for zones', () => {
  test.each<[string, readonly Shape[], string, readonly number[]]>([
    ['count where all endpoints have them and some are for the zone', zonesOnly, 'zone-a', [3, 6]],
    ['count for nobody whose zone is unknown', [{ id: 3, zones: a }], '', [3]],
    ['count for nobody whose zone no endpoint names', [{ id: 3, zones: a }], 'zone-b', [3]],
    [
      'count for the ready ones among the named',
      zonesOnly.map((shape) => (shape.id === 6 ? { ...shape, ready: false } : shape)),
      'zone-a',
      [3],
    ],
    [
      'do not count where nobody in the zone is ready',
      zonesOnly.map((shape) => (shape.zones === a ? { ...shape, ready: false } : shape)),
      'zone-a',
      [4, 5],
    ],
    [
      'do not count where a ready endpoint has none',
      zonesOnly.map((shape) => (shape.id === 5 ? { id: 5 } : shape)),
      'zone-a',
      [3, 4, 5, 6],
    ],
    [
      'count where an endpoint that is not ready has none',
      [...zonesOnly, { id: 7, ...notReady }, { id: 8, ...ending }],
      'zone-a',
      [3, 6],
    ],
    [
      'may name several zones',
      [
        { id: 3, zones: [...a, ...b, ...c] },
        { id: 4, zones: [...b, ...c] },
        { id: 5, zones: [...b, 'zone-d'] },
        { id: 6, zones: c },
      ],
      'zone-c',
      [3, 4, 6],
    ],
    [
      'do not count for endpoints that are ending',
      [
        { id: 3, zones: a, ...ending },
        { id: 4, zones: b, ...ending },
      ],
      'zone-a',
      [3, 4],
    ],
  ])('%s', (_, shapes, zone, expected) => {
    expect(chosen(shapes, { node: 'node-1', zone })).toEqual(expected);
  });
});

describe('hints for nodes', () => {
  test.each<[string, readonly Shape[], string, readonly number[]]>([
    ['go before hints for zones', four, 'node-1', [3]],
    ['leave it to those for zones where no endpoint is for the node', four, 'node-0', [3, 6]],
    [
      'leave it to nothing where no endpoint is for the node and there are none for zones',
      four.map(({ id, nodes = [] }) => ({ id, nodes })),
      'node-0',
      [3, 4, 5, 6],
    ],
    [
      'do not count where a ready endpoint has none',
      four.map((shape) => (shape.id === 4 ? { id: 4 } : shape)),
      'node-1',
      [3, 4, 5, 6],
    ],
    [
      'leave it to those for zones where a ready endpoint has none for nodes',
      four.map((shape) => (shape.id === 4 ? { id: 4, zones: b } : shape)),
      'node-1',
      [3, 6],
    ],
    [
      'do not count where nobody that is for the node is ready',
      four.map((shape) => (shape.id === 3 ? { ...shape, ready: false } : shape)),
      'node-1',
      [6],
    ],
    ['count for nobody whose node is unknown', four, '', [3, 6]],
  ])('%s', (_, shapes, node, expected) => {
    expect(chosen(shapes, { node, zone: 'zone-a' })).toEqual(expected);
  });
});

describe('internalTrafficPolicy Local leads to', () => {
  test.each<[string, readonly Shape[], readonly number[]]>([
    ['nobody where there are no endpoints', [], []],
    [
      'those on the node',
      [
        { id: 1, on: 'node-1' },
        { id: 2, on: 'node-2' },
      ],
      [1],
    ],
    ['nobody where all are elsewhere', [{ id: 2, on: 'node-2' }], []],
    ['nobody of whom it is unknown where they are', [{ id: 2 }], []],
    [
      'those on the node that are ending and serve, though others elsewhere are ready',
      [
        { id: 1, on: 'node-1', ...ending },
        { id: 2, on: 'node-2' },
        { id: 3, on: 'node-1', ...ended },
      ],
      [1],
    ],
    [
      'those on the node that are ready, and none that is ending',
      [
        { id: 1, on: 'node-1', ...ending },
        { id: 2, on: 'node-1' },
      ],
      [2],
    ],
    [
      'those on the node whatever zone they are meant for',
      [
        { id: 1, on: 'node-1', zones: a },
        { id: 2, on: 'node-1', zones: b },
        { id: 3, on: 'node-2', zones: a },
      ],
      [1, 2],
    ],
  ])('%s', (_, shapes, expected) => {
    expect(chosen(shapes, { node: 'node-1', zone: 'zone-a' }, true)).toEqual(expected);
  });

  test('nobody where the node of the client is unknown', () => {
    expect(chosen([{ id: 1, on: '' }, { id: 2 }], {}, true)).toEqual([]);
  });
});

describe('what stands behind a port', () => {
  const at = (slices: Parameters<typeof candidatesOf>[0], port = 'http', family: 'IPv4' | 'IPv6' = 'IPv4') =>
    candidatesOf(slices, port, family).map(({ address, port: number }) => `${address} ${number}`);

  test('is what each slice calls by its name, under the number that the slice gives it', () => {
    const old = sliceOf('web-1', [{ id: 2 }], {
      ports: [
        { name: 'http', port: 8080 },
        { name: 'admin', port: 9090 },
      ],
    });
    const next = sliceOf('web-2', [{ id: 1 }], { ports: [{ name: 'http', port: 80 }] });
    expect(at([old, next])).toEqual(['10.1.0.1 80', '10.1.0.2 8080']);
    expect(at([old, next], 'admin')).toEqual(['10.1.0.2 9090']);
    expect(at([old, next], '')).toEqual([]);
  });

  test('is in order of address and port, whatever the order of slices', () => {
    const slices = [8080, 90, 443].map((port) =>
      sliceOf(`web-${port}`, [{ id: 1 }], { ports: [{ name: 'http', port }] }),
    );
    const expected = ['10.1.0.1 90', '10.1.0.1 443', '10.1.0.1 8080'];
    expect([at(slices), at(slices.toReversed())]).toEqual([expected, expected]);
  });

  test('is of one family', () => {
    const six = slice(sliceObject('web-2', { addressType: 'IPv6', endpoints: [{ addresses: ['fd00::1'] }] }));
    const four = sliceOf('web-1', [{ id: 1 }]);
    expect(at([four, six])).toEqual(['10.1.0.1 8080']);
    expect(at([four, six], 'http', 'IPv6')).toEqual(['fd00::1 8080']);
  });

  test('stands there once, though it is in two slices while it moves', () => {
    expect(at([sliceOf('web-1', [{ id: 1 }]), sliceOf('web-2', [{ id: 1 }, { id: 2 }])])).toEqual([
      '10.1.0.1 8080',
      '10.1.0.2 8080',
    ]);
  });

  test('is the new pod that has got the address of one that is ending, ready or not', () => {
    const before = sliceOf('web-1', [{ id: 1, on: 'node-1', ...ending }]);
    const after = sliceOf('web-2', [{ id: 1, on: 'node-1', ...notReady }]);
    for (const slices of [
      [before, after],
      [after, before],
    ])
      expect(selectEndpoints(candidatesOf(slices, 'http', 'IPv4'), false, nowhere)).toEqual([]);
  });
});

describe('the choice depends', () => {
  test.each<[string, readonly Shape[], boolean, string]>([
    ['on nothing without endpoints', [], false, 'Nothing'],
    [
      'on nothing without hints',
      [
        { id: 1, on: 'node-1' },
        { id: 2, on: 'node-2' },
      ],
      false,
      'Nothing',
    ],
    ['on the zone with hints for zones', zonesOnly, false, 'Zone'],
    ['on the node with hints for nodes', four, false, 'Node'],
    ['on nothing where a ready endpoint has no hint', [...zonesOnly, { id: 9 }], false, 'Nothing'],
    [
      'on nothing where all are meant for the same zones',
      [
        { id: 1, zones: a },
        { id: 2, zones: a },
      ],
      false,
      'Nothing',
    ],
    ['on nothing where all are meant for the same node', [{ id: 1, nodes: ['node-1'] }], false, 'Nothing'],
    [
      'on nothing where only those that are ending have hints',
      zonesOnly.map((s) => ({ ...s, ...ending })),
      false,
      'Nothing',
    ],
    ['on the node with Local', [{ id: 1, on: 'node-1' }], true, 'Node'],
    ['on nothing with Local where nobody can answer', [{ id: 1, on: 'node-1', ...notReady }], true, 'Nothing'],
    ['on nothing with Local where nobody is on a known node', [{ id: 1 }], true, 'Nothing'],
  ])('%s', (_, shapes, localOnly, expected) => {
    expect(variationOf(candidatesOf([sliceOf('web-1', shapes)], 'http', 'IPv4'), localOnly)).toBe(expected);
  });
});

describe('whatever the world is,', () => {
  /** Each port of a world in each family. */
  const questions = (world: World, slices = slicesOf(world)) => {
    const { ports, localOnly } = service(world.service);
    return ports.flatMap(({ name }) =>
      (['IPv4', 'IPv6'] as const).map((family) => ({ candidates: candidatesOf(slices, name, family), localOnly })),
    );
  };
  const everyNode = [...nodes, 'node-9', ''];
  const everyZone = [...zones, 'zone-9', ''];
  /** Where nobody can be too: what kube-proxy decides does not depend on which node is in which zone. */
  const everyPlace: readonly Place[] = everyNode.flatMap((node) => everyZone.map((zone) => ({ node, zone })));

  test('the answer is some of the endpoints, each once and in order', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        for (const { candidates, localOnly } of questions(world)) {
          const all = candidates.map(({ address, port }) => ({ address, port }));
          for (const place of everyPlace) {
            const found = selectEndpoints(candidates, localOnly, place);
            expect(
              all.filter(({ address, port }) => found.some((one) => one.address === address && one.port === port)),
            ).toEqual(found);
          }
        }
      }),
    );
  });

  test('nobody is left without an answer while an endpoint is ready, but by Local', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        for (const { candidates, localOnly } of questions(world)) {
          if (!candidates.some(({ endpoint: { ready } }) => ready)) continue;
          for (const place of everyPlace) {
            const found = selectEndpoints(candidates, localOnly, place);
            const isNear = candidates.some(
              ({ endpoint: { ready, node } }) => ready && node !== '' && node === place.node,
            );
            if (!localOnly || isNear) expect(found).not.toEqual([]);
          }
        }
      }),
    );
  });

  test('a ready endpoint is never passed over for one that is not', () => {
    fc.assert(
      fc.property(worlds, (world) => {
        for (const { candidates, localOnly } of questions(world)) {
          for (const place of everyPlace) {
            const found = new Set(
              selectEndpoints(candidates, localOnly, place).map(({ address, port }) => `${address} ${port}`),
            );
            const ready = candidates
              .filter((one) => found.has(`${one.address} ${one.port}`))
              .map(({ endpoint: { ready } }) => ready);
            expect(new Set(ready).size).toBeLessThan(2);
          }
        }
      }),
    );
  });

  test('the order of slices and of their endpoints means nothing, even where one address stands there several times', () => {
    const shape = fc.record({
      id: fc.constantFrom(1, 2),
      on: fc.constantFrom('node-1', 'node-2'),
      zones: fc.constantFrom(a, b),
      ready: fc.boolean(),
      serving: fc.boolean(),
      terminating: fc.boolean(),
    });
    const shuffled = fc
      .array(fc.array(shape, { minLength: 1, maxLength: 4 }), { minLength: 2, maxLength: 3 })
      .chain((slices) =>
        fc.record({
          slices: fc.constant(slices),
          order: fc.shuffledSubarray(slices, { minLength: slices.length }),
          turned: fc.boolean(),
        }),
      );
    fc.assert(
      fc.property(shuffled, fc.boolean(), ({ slices, order, turned }, localOnly) => {
        const other = turned ? order.map((shapes) => shapes.toReversed()) : order;
        const [one, two] = [slices, other].map((list) =>
          candidatesOf(
            list.map((shapes, index) => sliceOf(`web-${index}`, shapes)),
            'http',
            'IPv4',
          ),
        );
        for (const place of places)
          expect(selectEndpoints(one ?? [], localOnly, place)).toEqual(selectEndpoints(two ?? [], localOnly, place));
      }),
    );
  });

  test('clients have different answers exactly where it is said that the choice depends on where they are', () => {
    const seen = { Nothing: 0, Zone: 0, Node: 0 };
    fc.assert(
      fc.property(worlds, (world) => {
        for (const { candidates, localOnly } of questions(world)) {
          const variation = variationOf(candidates, localOnly);
          seen[variation] += 1;
          const answers = (among: readonly Place[]) =>
            new Set(among.map((place) => JSON.stringify(selectEndpoints(candidates, localOnly, place)))).size;
          const inOneZone = everyZone.map((zone) => answers(everyPlace.filter((place) => place.zone === zone)));
          const overall = answers(everyPlace) > 1 ? 'Zone' : 'Nothing';
          expect(variation).toBe(Math.max(...inOneZone) > 1 ? 'Node' : overall);
        }
      }),
      { numRuns: 300 },
    );
    // All of them were met.
    expect(Math.min(...Object.values(seen))).toBeGreaterThan(0);
  });
});
