import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { isBelow, type Mode, modes } from '../api/index.ts';
import type { DeclaredPort } from '../inventory/index.ts';
import { MESH, type PolicySketch, policy } from './builders.fixture.ts';
import { describeOutcome, type Effective, effectiveMode, type Question } from './effective.ts';
import type { Policy } from './policy.ts';

const NOW = Date.UTC(2030, 5, 1);
const PAST = '2030-05-31T00:00:00Z';
const SOON = '2030-06-02T00:00:00Z';
const LATER = '2030-06-03T00:00:00Z';

function ask(policies: readonly PolicySketch[], question: Partial<Question> = {}): Effective {
  return effectiveMode(policies.map(policy), {
    meshNamespace: MESH,
    namespace: 'shop',
    labels: { app: 'web' },
    ports: [{ number: 8080, name: 'http' }],
    port: 8080,
    now: NOW,
    ...question,
  });
}

const outcomes = ({ considered }: Effective) =>
  considered.map((one) => `${one.scope} ${one.policy}: ${describeOutcome(one)}`);

const mesh: PolicySketch = { namespace: MESH, mode: 'Strict' };
const namespace: PolicySketch = { mode: 'Disabled' };
const workload: PolicySketch = { name: 'web', app: 'web', mode: 'Permissive' };

// https://istio.io/latest/docs/reference/config/security/peer_authentication/ and the task "Authentication Policy", case by case. UNSET is a mode that is left out.
describe('as Istio documents PeerAuthentication', () => {
  const cases: readonly [string, readonly PolicySketch[], Partial<Question>, Mode][] = [
    ['without any policy a workload takes both', [], {}, 'Permissive'],
    ['a mesh-wide policy, in the root namespace and without a selector, is for every namespace', [mesh], {}, 'Strict'],
    ['and for the root namespace itself', [mesh], { namespace: MESH }, 'Strict'],
    ['a policy of a namespace is for all its workloads', [{ mode: 'Strict' }], {}, 'Strict'],
    ['and for no other namespace', [{ mode: 'Strict' }], { namespace: 'bank' }, 'Permissive'],
    ['a namespace beats the mesh', [mesh, namespace], {}, 'Disabled'],
    ['a workload beats the namespace', [mesh, namespace, workload], {}, 'Permissive'],
    [
      'a workload-specific policy is not for other workloads',
      [namespace, workload],
      { labels: { app: 'cart' } },
      'Disabled',
    ],
    ['a pod without the label is another workload', [namespace, workload], { labels: {} }, 'Disabled'],
    [
      'a policy with a selector in the root namespace is for that namespace alone',
      [{ ...workload, namespace: MESH, mode: 'Strict' }],
      {},
      'Permissive',
    ],
    ['and there for its workload', [{ ...workload, namespace: MESH, mode: 'Strict' }], { namespace: MESH }, 'Strict'],
    ['UNSET for the mesh is PERMISSIVE', [{ namespace: MESH }], {}, 'Permissive'],
    ['UNSET in a namespace is what the mesh has', [mesh, {}], {}, 'Strict'],
    ['UNSET for a workload is what the namespace has', [mesh, namespace, { name: 'web', app: 'web' }], {}, 'Disabled'],
    [
      'UNSET for workload and namespace is what the mesh has',
      [mesh, { name: 'a' }, { name: 'web', app: 'web' }],
      {},
      'Strict',
    ],
    [
      'a port of a workload has its own mode: STRICT with port 8080 DISABLE',
      [{ app: 'web', mode: 'Strict', ports: { '8080': 'Disabled' } }],
      {},
      'Disabled',
    ],
    [
      'and its other ports have the mode of the workload',
      [{ app: 'web', mode: 'Strict', ports: { '8080': 'Disabled' } }],
      { port: 9000 },
      'Strict',
    ],
    [
      'a port of a workload without a mode has its own, whatever the namespace has',
      [{ mode: 'Strict' }, { name: 'web', app: 'web', ports: { '8080': 'Disabled' } }],
      {},
      'Disabled',
    ],
    [
      'and its other ports have the mode of the namespace',
      [{ mode: 'Strict' }, { name: 'web', app: 'web', ports: { '8080': 'Disabled' } }],
      { port: 9000 },
      'Strict',
    ],
    [
      'a port that no pod declares and no Service has is covered as well',
      [{ app: 'web', mode: 'Permissive', ports: { '9999': 'Strict' } }],
      { port: 9999 },
      'Strict',
    ],
    [
      'of two policies of a namespace the oldest is heard',
      [
        { name: 'a', age: 1, mode: 'Strict' },
        { name: 'b', age: 0, mode: 'Disabled' },
      ],
      {},
      'Disabled',
    ],
    [
      'of two mesh-wide policies the oldest is heard',
      [
        { ...mesh, name: 'a', age: 1 },
        { ...mesh, name: 'b', age: 0, mode: 'Disabled' },
      ],
      {},
      'Disabled',
    ],
    [
      'of two policies for a workload the oldest is heard, also where they are about different ports (istio#48036)',
      [
        { name: 'a', app: 'web', age: 0, ports: { '9090': 'Disabled' } },
        { name: 'b', app: 'web', age: 1, ports: { '8080': 'Strict' } },
      ],
      {},
      'Permissive',
    ],
  ];
  test.each(cases)('%s', (_, policies, question, mode) => {
    expect(ask(policies, question).mode).toBe(mode);
    expect(ask(policies.toReversed(), question).mode).toBe(mode);
  });
});

describe('beyond Istio', () => {
  const cases: readonly [string, readonly PolicySketch[], Partial<Question>, Mode][] = [
    ['a port of a whole namespace', [{ mode: 'Strict', ports: { '8080': 'Permissive' } }], {}, 'Permissive'],
    ['a port of the whole mesh', [{ ...mesh, ports: { '8080': 'Permissive' } }], {}, 'Permissive'],
    ['a port by its name', [{ mode: 'Strict', ports: { http: 'Permissive' } }], {}, 'Permissive'],
    [
      'a name that the pod gives to another port',
      [{ mode: 'Strict', ports: { http: 'Permissive' } }],
      { port: 9000 },
      'Strict',
    ],
    ['a number beats a name, wherever it stands', [{ ports: { http: 'Strict', '8080': 'Disabled' } }], {}, 'Disabled'],
    [
      'a name of a narrower scope beats a number of a wider one',
      [{ ports: { '8080': 'Disabled' } }, { name: 'web', app: 'web', ports: { http: 'Strict' } }],
      {},
      'Strict',
    ],
    [
      'an entry that has ended is as if it were not written',
      [{ mode: 'Strict', ports: { '8080': 'Disabled' }, until: { '8080': PAST } }],
      {},
      'Strict',
    ],
    [
      'behind a number that has ended comes the name',
      [{ mode: 'Strict', ports: { '8080': 'Disabled', http: 'Permissive' }, until: { '8080': PAST } }],
      {},
      'Permissive',
    ],
    [
      'an entry ends at its very time',
      [{ mode: 'Strict', ports: { '8080': 'Disabled' }, until: { '8080': SOON } }],
      { now: Date.parse(SOON) },
      'Strict',
    ],
    [
      'made in the same second, the smaller name is heard',
      [
        { name: 'b', mode: 'Disabled' },
        { name: 'a', mode: 'Strict' },
      ],
      {},
      'Strict',
    ],
    ['a minimum lifts the default of no policy', [{ namespace: MESH, minimum: 'Strict' }], {}, 'Strict'],
    ['a minimum lifts a namespace', [{ namespace: MESH, minimum: 'Permissive' }, namespace], {}, 'Permissive'],
    [
      'a minimum lifts the port of a workload',
      [
        { namespace: MESH, minimum: 'Strict' },
        { app: 'web', ports: { '8080': 'Disabled' } },
      ],
      {},
      'Strict',
    ],
    [
      'a minimum leaves what is stricter',
      [{ namespace: MESH, minimum: 'Permissive' }, { mode: 'Strict' }],
      {},
      'Strict',
    ],
    ['a minimum of a namespace is none', [{ minimum: 'Strict' }], {}, 'Permissive'],
    [
      'the minimum of a mesh-wide policy that is not heard is none',
      [
        { ...mesh, name: 'a', age: 0, mode: 'Permissive' },
        { ...mesh, name: 'b', age: 1, minimum: 'Strict' },
      ],
      {},
      'Permissive',
    ],
    [
      'a mesh-wide port under the minimum is an exception for a namespace, too',
      [{ namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' } }, { mode: 'Disabled' }],
      {},
      'Disabled',
    ],
    [
      'but does not lower what a namespace asks for',
      [{ namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' } }, { mode: 'Strict' }],
      {},
      'Strict',
    ],
    [
      'a mesh-wide port above the minimum does not raise it',
      [{ namespace: MESH, minimum: 'Permissive', ports: { '8080': 'Strict' } }, { mode: 'Disabled' }],
      {},
      'Permissive',
    ],
    [
      'an exception from the minimum ends',
      [
        { namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' }, until: { '8080': PAST } },
        { mode: 'Disabled' },
      ],
      {},
      'Strict',
    ],
  ];
  test.each(cases)('%s', (_, policies, question, mode) => {
    expect(ask(policies, question).mode).toBe(mode);
    expect(ask(policies.toReversed(), question).mode).toBe(mode);
  });
});

describe('why', () => {
  test('every policy of the namespace and of the mesh is told, with its reason', () => {
    const told = ask([
      { ...mesh, name: 'mesh', minimum: 'Strict' },
      { ...mesh, name: 'mesh-two', age: 1 },
      { name: 'all', mode: 'Strict' },
      { name: 'web', app: 'web', age: 1, ports: { '8080': 'Permissive', http: 'Disabled' }, until: { http: PAST } },
      { name: 'web-two', app: 'web', age: 2, mode: 'Strict' },
      { name: 'cart', app: 'cart', age: 3, mode: 'Strict' },
      { namespace: 'bank', mode: 'Disabled' },
    ]);
    expect(told.mode).toBe('Strict');
    expect(told.lifted).toMatchObject({ from: 'Permissive', by: { key: 'mtls-system/mesh' } });
    expect(outcomes(told)).toEqual([
      'Workload shop/web: decides by its entry ports[0] (8080), which is under the minimum of mtls-system/mesh; ports[1] (http) has ended',
      'Workload shop/web-two: shop/web is older and has the same scope',
      'Workload shop/cart: is for other pods',
      'Namespace shop/all: shop/web has a narrower scope',
      'Mesh mtls-system/mesh: its minimum lifts the mode to Strict',
      'Mesh mtls-system/mesh-two: mtls-system/mesh is older and has the same scope',
    ]);
  });

  test('who says nothing is told from who decides', () => {
    expect(outcomes(ask([{ app: 'web', name: 'web' }, { name: 'all' }, mesh]))).toEqual([
      'Workload shop/web: says nothing about this port',
      'Namespace shop/all: says nothing about this port',
      'Mesh mtls-system/default: decides by its mode',
    ]);
  });
});

describe('until when', () => {
  const cases: readonly [string, readonly PolicySketch[], string | undefined][] = [
    ['a mode holds for ever', [mesh], undefined],
    ['an entry holds until it ends', [{ ports: { '8080': 'Strict' }, until: { '8080': SOON } }], SOON],
    [
      'an entry that is not heard is of no concern',
      [{ ports: { '8080': 'Strict', http: 'Disabled' }, until: { http: SOON } }],
      undefined,
    ],
    ['nor is one of a wider scope', [{ ports: { '8080': 'Strict' }, until: { '8080': SOON } }, workload], undefined],
    [
      'an exception from the minimum holds until it ends',
      [{ namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' }, until: { '8080': SOON } }, namespace],
      SOON,
    ],
    [
      'what ends first counts',
      [
        { namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' }, until: { '8080': LATER } },
        { ports: { '8080': 'Disabled' }, until: { '8080': SOON } },
      ],
      SOON,
    ],
  ];
  test.each(cases)('%s', (_, policies, until) => {
    expect(ask(policies).until).toBe(until === undefined ? Number.POSITIVE_INFINITY : Date.parse(until));
  });
});

const DAYS = [1, 2, 3, 4];
const day = (of: number): string => `2030-06-0${of}T00:00:00Z`;
const ports = ['8080', '9090', 'http', 'metrics'];
const entries = fc.uniqueArray(fc.constantFrom(...ports), { maxLength: 3 });
const sketch: fc.Arbitrary<PolicySketch> = fc
  .record({
    namespace: fc.constantFrom('shop', 'shop', 'bank', MESH),
    name: fc.constantFrom('a', 'b', 'c', 'd', 'e', 'f', 'g', 'h'),
    age: fc.nat(3),
    app: fc.constantFrom('web', 'cart', undefined, undefined),
    mode: fc.constantFrom(...modes, undefined),
    minimum: fc.constantFrom('Strict' as const, 'Permissive' as const, undefined, undefined),
    of: entries.chain((keys) =>
      fc.tuple(
        ...keys.map((key) =>
          fc.tuple(fc.constant(key), fc.constantFrom(...modes), fc.constantFrom(...DAYS, undefined)),
        ),
      ),
    ),
  })
  .map(({ namespace: where, name, age, app, mode, minimum, of }) => ({
    namespace: where,
    name,
    age,
    ...(app === undefined ? {} : { app }),
    // What the schema refuses is not asked about.
    ...(mode === undefined || (minimum !== undefined && isBelow(mode, minimum)) ? {} : { mode }),
    ...(minimum === undefined || app !== undefined ? {} : { minimum }),
    ports: Object.fromEntries(of.map(([key, mode]) => [key, mode])),
    until: Object.fromEntries(of.flatMap(([key, , at]) => (at === undefined ? [] : [[key, day(at)]]))),
  }));
const sketches = fc.uniqueArray(sketch, { maxLength: 8, selector: ({ namespace: where, name }) => `${where}/${name}` });
const declared: readonly DeclaredPort[] = [
  { number: 8080, name: 'http' },
  { number: 9090, name: 'metrics' },
];
const question = fc.record({
  namespace: fc.constantFrom('shop', 'bank', MESH),
  labels: fc.constantFrom({ app: 'web' }, { app: 'cart' }, {}),
  port: fc.constantFrom(8080, 9090, 7777),
  ports: fc.constantFrom(declared, []),
});

describe('whatever the policies', () => {
  const check = (holds: (policies: readonly Policy[], asked: Question) => void): void => {
    fc.assert(
      fc.property(sketches, question, fc.constantFrom(0, ...DAYS), (of, asked, at) => {
        holds(of.map(policy), { meshNamespace: MESH, ...asked, now: at === 0 ? NOW : Date.parse(day(at)) });
      }),
      { numRuns: 500 },
    );
  };

  test('their order means nothing', () => {
    check((policies, asked) => {
      expect(effectiveMode(policies.toReversed(), asked)).toEqual(effectiveMode(policies, asked));
    });
  });

  test('policies of other namespaces mean nothing', () => {
    check((policies, asked) => {
      const near = policies.filter(
        (one) => one.namespace === asked.namespace || (one.namespace === MESH && one.selector === undefined),
      );
      expect(effectiveMode(near, asked)).toEqual(effectiveMode(policies, asked));
    });
  });

  test('one decides, or none, and every other one says why not', () => {
    check((policies, asked) => {
      const { by, considered, lifted } = effectiveMode(policies, asked);
      const deciding = considered.filter(({ outcome }) => outcome === 'Decides' || outcome === 'Lifted');
      expect(deciding.map((one) => one.policy)).toEqual(by === undefined ? [] : [by.policy.key]);
      expect(considered.filter(({ outcome }) => outcome === 'Lifts').length).toBe(
        lifted === undefined || lifted.by === by?.policy ? 0 : 1,
      );
      expect(new Set(considered.map((one) => one.policy)).size).toBe(considered.length);
    });
  });

  test('an overruled policy changes nothing, nor does one for other pods', () => {
    check((policies, asked) => {
      const { considered, mode, by } = effectiveMode(policies, asked);
      const idle = new Set(
        considered.flatMap((one) => (['Overruled', 'NotSelected'].includes(one.outcome) ? [one.policy] : [])),
      );
      const without = effectiveMode(
        policies.filter(({ key }) => !idle.has(key)),
        asked,
      );
      expect([without.mode, without.by]).toEqual([mode, by]);
    });
  });

  test('nothing is under the minimum but what the mesh-wide policy excepts', () => {
    check((policies, asked) => {
      const { mode, considered } = effectiveMode(policies, asked);
      const heard = considered.find(({ scope, outcome }) => scope === 'Mesh' && outcome !== 'Overruled');
      const wide = policies.find(({ key }) => key === heard?.policy);
      if (wide?.minimum === undefined || !isBelow(mode, wide.minimum)) return;
      const excepted = wide.ports.filter(({ until, mode: of }) => until > asked.now && !isBelow(mode, of));
      expect(excepted).not.toEqual([]);
    });
  });

  test('the same is answered until the time that is told, and for ever if none is', () => {
    check((policies, asked) => {
      const now = effectiveMode(policies, asked);
      for (const at of DAYS.map((of) => Date.parse(day(of)))) {
        if (at < asked.now || at >= now.until) continue;
        const then = effectiveMode(policies, { ...asked, now: at });
        expect([then.mode, then.by, then.lifted]).toEqual([now.mode, now.by, now.lifted]);
      }
    });
  });
});
