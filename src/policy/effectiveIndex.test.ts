import fc from 'fast-check';
import { expect, test } from 'vitest';
import { modes } from '../api/index.ts';
import type { PodShape } from '../inventory/index.ts';
import { MESH, policy } from './builders.fixture.ts';
import { effectiveMode } from './effective.ts';
import { EffectiveIndex } from './effectiveIndex.ts';
import type { Policy } from './policy.ts';

const NOW = Date.UTC(2030, 5, 1);
const DAY = 86_400_000;
const http = { number: 8080, name: 'http' };
const metrics = { number: 9090, name: undefined };
const web: PodShape = { namespace: 'shop', labels: { app: 'web' }, ports: [http, metrics] };

const modesOf = (index: EffectiveIndex, pod: string, now = NOW) =>
  index.answersOf(pod, now)?.ports.map(({ mode }) => mode);

test('pods of one workload share their answers', () => {
  const index = new EffectiveIndex(MESH);
  index.setPolicy(policy({ app: 'web', mode: 'Strict' }));
  for (const name of ['web-1', 'web-2']) index.setPod(`shop/${name}`, { ...web, labels: { app: 'web', pod: name } });
  expect(index.answersOf('shop/web-1', NOW)).toBe(index.answersOf('shop/web-2', NOW));
  expect([...index.classes(NOW)].map(([{ pods }]) => pods)).toEqual([2]);
});

test('an answer changes by itself when an entry ends, and back if the clock is set back', () => {
  const index = new EffectiveIndex(MESH);
  index.setPod('shop/web', web);
  index.setPolicy(policy({ mode: 'Strict', ports: { '9090': 'Disabled' }, until: { '9090': '2030-06-02T00:00:00Z' } }));
  expect(modesOf(index, 'shop/web')).toEqual(['Strict', 'Disabled']);
  expect(index.answersOf('shop/web', NOW)?.until).toBe(NOW + DAY);
  expect(modesOf(index, 'shop/web', NOW + DAY)).toEqual(['Strict', 'Strict']);
  expect(modesOf(index, 'shop/web', NOW)).toEqual(['Strict', 'Disabled']);
});

test('a pod that is gone has no answer, and nothing stays behind', () => {
  const index = new EffectiveIndex(MESH);
  index.setPod('shop/web', web);
  index.setPolicy(policy({ app: 'web', mode: 'Strict' }));
  expect(modesOf(index, 'shop/web')).toEqual(['Strict', 'Strict']);
  index.deletePod('shop/web');
  index.deletePolicy('shop/default');
  expect(index.answersOf('shop/web', NOW)).toBeUndefined();
  expect([...index.classes(NOW)]).toEqual([]);
});

const keys = ['shop/a', 'shop/b', 'shop/c', 'bank/a', `${MESH}/a`, `${MESH}/b`];
const split = (key: string) => ({ namespace: key.slice(0, key.indexOf('/')), name: key.slice(key.indexOf('/') + 1) });
const setPolicy = fc
  .record({
    key: fc.constantFrom(...keys),
    age: fc.nat(2),
    app: fc.constantFrom('web', 'cart', undefined),
    mode: fc.constantFrom(...modes, undefined),
    port: fc.constantFrom('8080', 'http', undefined),
    minimum: fc.constantFrom('Permissive' as const, undefined),
    until: fc.constantFrom('2030-06-02T00:00:00Z', undefined),
  })
  .map(({ key, age, app, mode, port, minimum, until }) => ({
    what: 'setPolicy' as const,
    policy: policy({
      ...split(key),
      age,
      ...(app === undefined ? {} : { app }),
      ...(mode === undefined || mode === 'Disabled' ? {} : { mode }),
      ...(minimum === undefined || app !== undefined ? {} : { minimum }),
      ...(port === undefined ? {} : { ports: { [port]: 'Disabled' as const } }),
      ...(port === undefined || until === undefined ? {} : { until: { [port]: until } }),
    }),
  }));
const pods = ['shop/1', 'shop/2', 'bank/1', `${MESH}/1`];
const setPod = fc
  .record({
    key: fc.constantFrom(...pods),
    labels: fc.constantFrom({ app: 'web' }, { app: 'cart', app2: 'web' }, {}),
    ports: fc.constantFrom([http], [http, metrics], []),
  })
  .map(({ key, labels, ports }) => ({ what: 'setPod' as const, key, shape: { ...split(key), labels, ports } }));
const action = fc.oneof(
  { weight: 4, arbitrary: setPolicy },
  { weight: 3, arbitrary: setPod },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('deletePolicy' as const), key: fc.constantFrom(...keys) }) },
  { weight: 1, arbitrary: fc.record({ what: fc.constant('deletePod' as const), key: fc.constantFrom(...pods) }) },
  { weight: 3, arbitrary: fc.record({ what: fc.constant('ask' as const), now: fc.constantFrom(NOW, NOW + DAY) }) },
);

test('whatever comes and goes, the index answers as the pure function does', () => {
  fc.assert(
    fc.property(fc.array(action, { maxLength: 40 }), (actions) => {
      const index = new EffectiveIndex(MESH);
      const present = new Map<string, Policy>();
      const running = new Map<string, PodShape>();
      for (const one of [...actions, { what: 'ask' as const, now: NOW }]) {
        if (one.what === 'setPolicy') {
          index.setPolicy(one.policy);
          present.set(one.policy.key, one.policy);
        } else if (one.what === 'setPod') {
          index.setPod(one.key, one.shape);
          running.set(one.key, one.shape);
        } else if (one.what === 'deletePolicy') {
          index.deletePolicy(one.key);
          present.delete(one.key);
        } else if (one.what === 'deletePod') {
          index.deletePod(one.key);
          running.delete(one.key);
        } else {
          for (const key of pods) {
            const shape = running.get(key);
            const answers = index.answersOf(key, one.now);
            const asked = (port: number) => {
              const question = {
                meshNamespace: MESH,
                namespace: '',
                labels: {},
                ports: [],
                ...shape,
                port,
                now: one.now,
              };
              const { considered: _, ...decision } = effectiveMode(present.values(), question);
              return decision;
            };
            expect(answers?.ports).toEqual(shape?.ports.map(({ number }) => asked(number)));
            if (shape !== undefined) expect(answers?.others).toEqual(asked(7777));
            if (shape !== undefined && !shape.ports.includes(http))
              expect(answers?.named.get(8080) ?? answers?.others).toEqual(asked(8080));
          }
          const counted = [...index.classes(one.now)].reduce((sum, [{ pods: of }]) => sum + of, 0);
          expect(counted).toBe(running.size);
        }
      }
    }),
    { numRuns: 300 },
  );
});

test('more changes at once than are looked at one by one', () => {
  const index = new EffectiveIndex(MESH);
  index.setPod('shop/web', web);
  expect(modesOf(index, 'shop/web')).toEqual(['Permissive', 'Permissive']);
  for (let count = 20; count > 0; count--) {
    index.setPolicy(
      policy({ name: `p${count}`, age: count, app: count === 1 ? 'web' : `app-${count}`, mode: 'Strict' }),
    );
  }
  expect(modesOf(index, 'shop/web')).toEqual(['Strict', 'Strict']);
});
