import { describe, expect, test } from 'vitest';
import type { PodShape } from '../inventory/index.ts';
import { MESH, type PolicySketch, policy } from './builders.fixture.ts';
import { EffectiveIndex } from './effectiveIndex.ts';
import { type Judgement, judge, judgeUnreadable, type Sight } from './judge.ts';

const NOW = Date.UTC(2030, 5, 1);
const PAST = '2030-05-31T00:00:00Z';
const SOON = '2030-06-02T00:00:00Z';
const LATER = '2030-06-03T00:00:00Z';
const web: PodShape = {
  namespace: 'shop',
  labels: { app: 'web', tier: 'front' },
  ports: [{ number: 8080, name: 'http' }],
};

/** Judges the first. */
function judged(
  [first, ...others]: readonly [PolicySketch, ...PolicySketch[]],
  pods: readonly PodShape[] | 'unknown' = [web],
  meant: Sight['meant'] = () => undefined,
): Judgement {
  const index = new EffectiveIndex(MESH);
  for (const [number, shape] of (pods === 'unknown' ? [] : pods).entries())
    index.setPod(`${shape.namespace}/${number}`, shape);
  const of = policy(first);
  for (const one of [of, ...others.map(policy)]) index.setPolicy(one);
  const scope = index.scopeOf(of);
  const namespace = scope === 'Mesh' ? undefined : of.namespace;
  return judge(of, {
    meshNamespace: MESH,
    scope,
    wide: index.wide(of.namespace),
    mesh: index.mesh(),
    pods: pods === 'unknown' ? undefined : [...index.classes(NOW, namespace)],
    meant,
    inMesh: () => true,
    proxies: undefined,
    now: NOW,
  });
}

const told = ({ verdicts }: Judgement): Record<string, string> =>
  Object.fromEntries(verdicts.map(({ type, status, reason }) => [type, `${status} ${reason}`]));
const messageOf = ({ verdicts }: Judgement, type: string): string =>
  verdicts.find((one) => one.type === type)?.message ?? '';

const fine = { Accepted: 'True Accepted', Effective: 'True Effective', Enforced: 'False NoSidecars' };
const unheard = { ...fine, Accepted: 'False Overruled', Effective: 'False Overruled' };

describe('what is said of a policy', () => {
  const cases: readonly [
    string,
    readonly [PolicySketch, ...PolicySketch[]],
    Record<string, string>,
    (readonly PodShape[])?,
  ][] = [
    ['that decides', [{ mode: 'Strict' }], fine],
    ['for a workload', [{ app: 'web', mode: 'Strict' }], fine],
    ['for the mesh', [{ namespace: MESH, mode: 'Strict' }], fine],
    ['that is not the oldest of its namespace', [{ name: 'b', mode: 'Strict', age: 1 }, { name: 'a' }], unheard],
    [
      'that is not the oldest of the mesh',
      [
        { namespace: MESH, name: 'b', mode: 'Strict', age: 1 },
        { namespace: MESH, name: 'a' },
      ],
      unheard,
    ],
    [
      'that is not the oldest for any of its pods',
      [
        { name: 'b', app: 'web', mode: 'Strict', age: 1 },
        { name: 'a', app: 'web' },
      ],
      unheard,
    ],
    ['that selects no pod', [{ app: 'cart', mode: 'Strict' }], { ...fine, Effective: 'False SelectsNothing' }],
    ['of a namespace without pods', [{ mode: 'Strict' }], { ...fine, Effective: 'False SelectsNothing' }, []],
    [
      'of which a narrower one leaves nothing',
      [{ mode: 'Strict' }, { name: 'web', app: 'web', mode: 'Disabled' }],
      { ...fine, Effective: 'False DecidesNothing' },
    ],
    ['about a port by number and name that pods have', [{ ports: { '8080': 'Strict', http: 'Disabled' } }], fine],
    [
      'about a port that nobody has',
      [{ mode: 'Strict', ports: { '9999': 'Strict', grpc: 'Strict' } }],
      { ...fine, PortNotFound: 'True NotDeclared' },
    ],
    [
      'about a port that nobody has, for pods that nobody has',
      [{ app: 'cart', ports: { '9999': 'Strict' } }],
      { ...fine, Effective: 'False SelectsNothing' },
    ],
    [
      'with entries that have ended',
      [{ mode: 'Strict', ports: { '9999': 'Disabled' }, until: { '9999': PAST } }],
      { ...fine, Expired: 'True EntriesExpired' },
    ],
    [
      'under the minimum',
      [{ mode: 'Disabled' }, { namespace: MESH, minimum: 'Permissive' }],
      { ...fine, BelowMinimum: 'True MinimumOfMesh' },
    ],
    [
      'with a port under the minimum',
      [
        { mode: 'Strict', ports: { '8080': 'Permissive' } },
        { namespace: MESH, minimum: 'Strict' },
      ],
      { ...fine, BelowMinimum: 'True MinimumOfMesh' },
    ],
    [
      'with a port under the minimum that the mesh excepts',
      [
        { mode: 'Strict', ports: { '8080': 'Permissive' } },
        { namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' } },
      ],
      fine,
    ],
    [
      'of the mesh with an exception from its own minimum',
      [{ namespace: MESH, minimum: 'Strict', ports: { '8080': 'Disabled' } }],
      fine,
    ],
    ['of the mesh that is nothing but a minimum', [{ namespace: MESH, minimum: 'Strict' }], fine],
    [
      'of the mesh whose minimum is below what all others say',
      [{ namespace: MESH, minimum: 'Permissive' }, { mode: 'Strict' }],
      { ...fine, Effective: 'False DecidesNothing' },
    ],
    [
      'about a port that nobody declares and that may be there, beside a narrower one',
      [{ ports: { '9999': 'Permissive' } }, { name: 'web', app: 'web', ports: { '8080': 'Strict' } }],
      { ...fine, PortNotFound: 'True NotDeclared' },
    ],
    [
      'with a minimum for a namespace',
      [{ mode: 'Strict', minimum: 'Permissive' }],
      { ...fine, MinimumIgnored: 'True NotMeshWide' },
    ],
  ];
  test.each(cases)('%s', (_, policies, wanted, pods) => {
    expect(told(judged(policies, pods))).toEqual(wanted);
  });

  test.each<[string, Omit<PolicySketch, 'name'>, string | undefined]>([
    [
      'that is Strict: nobody is waited for but sidecars',
      { mode: 'Strict' },
      'guard: a change to Strict waits for sidecars alone',
    ],
    ['with a Strict port', { mode: 'Permissive', ports: { '8080': 'Strict' } }, 'guard'],
    ['that is not Strict', { mode: 'Permissive' }, undefined],
  ])('%s', (_, sketch, words) => {
    const index = new EffectiveIndex(MESH);
    const of = policy({ name: 'a', ...sketch });
    index.setPolicy(of);
    const sight = {
      meshNamespace: MESH,
      scope: 'Namespace' as const,
      wide: [of],
      mesh: [],
      pods: undefined,
      meant: () => undefined,
      inMesh: () => true,
      now: NOW,
    };
    const withSidecars = judge(of, { ...sight, proxies: 'none' });
    expect(messageOf(withSidecars, 'NotActedUpon')).toContain(words ?? '');
    expect('NotActedUpon' in told(withSidecars)).toBe(words !== undefined);
    // Without sidecars nothing at all is acted upon, and Enforced says that.
    expect(told(judge(of, { ...sight, proxies: undefined }))).not.toHaveProperty('NotActedUpon');
    const excepted = judge(
      { ...of, guarded: false, exceptionsUntil: [Number.POSITIVE_INFINITY] },
      { ...sight, proxies: 'none' },
    );
    expect(messageOf(excepted, 'NotActedUpon')).toMatch(
      /nothing about exceptions: peers without a certificate are refused/,
    );
    const over = judge({ ...of, guarded: false, exceptionsUntil: [NOW] }, { ...sight, proxies: 'none' });
    expect(told(over)).not.toHaveProperty('NotActedUpon');
  });

  test('that has just changed: nothing that was counted before tells of what it says now', () => {
    const index = new EffectiveIndex(MESH);
    const of = policy({ mode: 'Strict', generation: 2 });
    index.setPod('shop/0', web);
    index.setPolicy(of);
    const counts = {
      sidecars: 1,
      sidecarsIn: { shop: 1 },
      total: 1,
      acknowledged: 1,
      enforced: 1,
      lagging: [],
      refused: [],
    };
    const counted = (version: string): Judgement =>
      judge(of, {
        meshNamespace: MESH,
        scope: 'Namespace',
        wide: [of],
        mesh: [],
        pods: [...index.classes(NOW, 'shop')],
        meant: () => undefined,
        inMesh: () => true,
        proxies: { policy: version, ...counts },
        now: NOW,
      });
    expect(told(counted(policy({ mode: 'Permissive' }).version))).toMatchObject({ Enforced: 'False Switching' });
    expect(counted(policy({ mode: 'Permissive' }).version).effective).not.toHaveProperty('proxies');
    expect(told(counted(of.version))).toMatchObject({ Enforced: 'True Enforced' });
    expect(counted(of.version).effective).toMatchObject({ proxies: { total: 1, acknowledged: 1, enforced: 1 } });
  });

  test('of the mesh, which is enforced where sidecars are asked for, whatever runs elsewhere', () => {
    const index = new EffectiveIndex(MESH);
    const of = policy({ namespace: MESH, mode: 'Strict' });
    for (const namespace of ['shop', 'elsewhere', MESH]) index.setPod(`${namespace}/0`, { ...web, namespace });
    index.setPolicy(of);
    const counts = {
      policy: of.version,
      sidecars: 1,
      total: 1,
      acknowledged: 1,
      enforced: 1,
      lagging: [],
      refused: [],
    };
    const enforced = (sidecarsIn: Record<string, number>): string | undefined =>
      told(
        judge(of, {
          meshNamespace: MESH,
          scope: 'Mesh',
          wide: [],
          mesh: [of],
          pods: [...index.classes(NOW)],
          meant: () => undefined,
          inMesh: (namespace) => namespace === 'shop',
          proxies: { ...counts, sidecarsIn },
          now: NOW,
        }),
      )['Enforced'];
    expect(enforced({ shop: 1 })).toBe('True Enforced');
    expect(enforced({ elsewhere: 1 })).toBe('False PodsWithoutSidecar');
  });

  test('whose pods are nobody’s to see', () => {
    const said = judged([{ mode: 'Strict', ports: { '9999': 'Strict' } }], 'unknown');
    expect(told(said)).toEqual({ ...fine, Effective: 'Unknown PodsUnknown' });
    expect(said.effective.pods).toBeUndefined();
    expect(messageOf(said, 'Effective')).toContain('set watchPods.enabled');
  });

  test('that is heard for some of its pods only, and names who is heard for the others', () => {
    const both = [web, { ...web, labels: { app: 'web' } }];
    const index = new EffectiveIndex(MESH);
    for (const [number, shape] of both.entries()) index.setPod(`shop/${number}`, shape);
    const of = policy({ name: 'web', app: 'web', mode: 'Strict', age: 1 });
    const older = { ...policy({ name: 'front', app: 'x', mode: 'Disabled' }), selector: [['tier', 'front']] as const };
    for (const one of [of, older]) index.setPolicy(one);
    const sight = {
      meshNamespace: MESH,
      scope: 'Workload' as const,
      wide: [],
      mesh: [],
      meant: () => undefined,
      inMesh: () => true,
      proxies: undefined,
      now: NOW,
    };
    const said = judge(of, { ...sight, pods: [...index.classes(NOW, 'shop')] });
    expect(told(said)).toEqual({ ...fine, Overruled: 'True Overruled' });
    expect(messageOf(said, 'Overruled')).toContain('shop/front');
    expect(said.effective).toEqual({ scope: 'Workload', mode: 'Strict', pods: 1 });
  });

  test('that names the port of a Service, with the container port to write', () => {
    const said = judged([{ mode: 'Strict', ports: { '80': 'Permissive' } }], [web], ({ port }) =>
      port === 80 ? { service: 'shop/web', target: 'http' } : undefined,
    );
    expect(told(said)).toEqual({ ...fine, PortIsServicePort: 'True PortIsServicePort' });
    expect(messageOf(said, 'PortIsServicePort')).toContain(
      'ports[0] (80) is a port of Service shop/web, behind which is container port http',
    );
  });

  test('that cannot be read', () => {
    expect(judgeUnreadable('spec.mode: Invalid option').map(({ type, reason }) => [type, reason])).toEqual([
      ['Accepted', 'SpecInvalid'],
      ['Effective', 'SpecInvalid'],
      ['Enforced', 'SpecInvalid'],
    ]);
  });
});

test('a loser names who decides, and what to do', () => {
  expect(messageOf(judged([{ name: 'b', age: 1, mode: 'Strict' }, { name: 'a' }]), 'Accepted')).toBe(
    'shop/a is for the whole namespace, too, and older: at one scope the oldest policy decides alone. Put what shop/b says into the older one, or delete one of them',
  );
});

test('what is under the minimum is named with what becomes of it', () => {
  const said = judged([
    { mode: 'Disabled', ports: { '8080': 'Permissive', '9090': 'Strict' } },
    { namespace: MESH, minimum: 'Strict' },
  ]);
  expect(messageOf(said, 'BelowMinimum')).toContain(
    'the minimum of mtls-system/default is Strict. mode: Disabled becomes Strict; ports[0] (8080): Permissive becomes Strict. Write',
  );
});

describe('what it comes to', () => {
  test.each<[string, readonly [PolicySketch, ...PolicySketch[]], object]>([
    [
      'the mode that it inherits',
      [{ name: 'web', app: 'web', ports: { http: 'Disabled' } }, { mode: 'Strict' }],
      { scope: 'Workload', mode: 'Strict', pods: 1 },
    ],
    [
      'the minimum',
      [{ mode: 'Disabled' }, { namespace: MESH, minimum: 'Permissive' }],
      { scope: 'Namespace', mode: 'Permissive', pods: 1 },
    ],
    [
      'no mode where it is not heard',
      [{ name: 'b', age: 1, mode: 'Strict' }, { name: 'a' }],
      { scope: 'Namespace', pods: 0 },
    ],
    [
      'the next end of its entries',
      [{ mode: 'Strict', ports: { '8080': 'Disabled', http: 'Disabled' }, until: { '8080': LATER, http: SOON } }],
      { scope: 'Namespace', mode: 'Strict', pods: 1, nextChange: '2030-06-02T00:00:00Z' },
    ],
  ])('%s', (_, policies, effective) => {
    expect(judged(policies).effective).toEqual(effective);
  });

  test('it is judged again when an entry ends, be it the mesh’s', () => {
    const ends = { ports: { '8080': 'Disabled' as const }, until: { '8080': LATER } };
    expect(judged([{ mode: 'Strict' }]).again).toBe(Number.POSITIVE_INFINITY);
    expect(judged([{ mode: 'Strict', ...ends }]).again).toBe(Date.parse(LATER));
    expect(judged([{ mode: 'Disabled' }, { namespace: MESH, minimum: 'Strict', ...ends }]).again).toBe(
      Date.parse(LATER),
    );
  });
});
