import { describe, expect, test } from 'vitest';
import { decodeRollout, modesOfPort, modesOfWorkload } from './recordedModes.ts';

const since = '2030-01-01T00:00:00Z';
const is = (servers: string, clients: string) => ({ target: servers, servers, clients, phase: 'Settled', since });
const web = { kind: 'Deployment', name: 'web' };

function decoded(workloads: unknown, name: string) {
  const metadata = { name, namespace: 'shop', resourceVersion: '7', uid: 'u' };
  return decodeRollout({ metadata, spec: { workloads } });
}

function rollout(workloads: unknown) {
  const record = decoded(workloads, 'default');
  if (record === undefined) throw new Error('it is no record');
  return record;
}

describe('what is recorded', () => {
  const ports = [{ port: 9090, ...is('Permissive', 'MutualTLS') }];
  const { key, value } = rollout([{ ...web, ...is('Strict', 'MutualTLS'), ports }]);
  const modes = modesOfWorkload(value, web);

  test('is said of a workload and of its ports', () => {
    expect([key, value.resourceVersion, value.problem]).toEqual(['shop/default', '7', undefined]);
    expect(modesOfPort(modes, 9090)).toEqual({ servers: 'Permissive', clients: 'MutualTLS' });
    expect(modesOfPort(modes, 8080)).toEqual({ servers: 'Strict', clients: 'MutualTLS' });
  });

  test('says nothing of another workload: whoever dials it is served, and peers speak mutual TLS', () => {
    for (const of of [value, undefined]) {
      const other = modesOfWorkload(of, { kind: 'StatefulSet', name: 'web' });
      expect(modesOfPort(other, 8080)).toMatchObject({ servers: 'Permissive', clients: 'MutualTLS' });
    }
  });
});

test('a record that cannot be read says why, and nothing else', () => {
  const { value } = rollout([{ kind: 'Deployment', name: 'web', servers: 'Sometimes' }]);
  expect(value.problem).toMatch(/workloads/);
  expect(value.workloads.size).toBe(0);
});

test('an object of another name is no record', () => {
  expect(decoded([], 'other')).toBeUndefined();
});
