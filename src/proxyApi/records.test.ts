import { describe, expect, test } from 'vitest';
import { decodeNode, decodeServiceEntry, greetingsFor } from './records.ts';

function service(ports: readonly object[], selector: object | undefined = { app: 'db' }, namespace = 'shop') {
  const metadata = { namespace, name: 'db', resourceVersion: '1' };
  return decodeServiceEntry({ metadata, spec: { ports, ...(selector === undefined ? {} : { selector }) } }).value;
}

const mysql = { port: 3306, targetPort: 'mysql', appProtocol: 'MySQL' };

describe('ports whose servers speak first', () => {
  const labels = { app: 'db', tier: 'back' };

  test('are those of Services that lead to the pod and say so by their protocol', () => {
    expect(greetingsFor([service([mysql, { port: 80, appProtocol: 'http' }])], 'shop', labels)).toEqual(['mysql']);
    expect(greetingsFor([service([{ port: 25, targetPort: 2525, appProtocol: 'smtp' }])], 'shop', labels)).toEqual([
      2525,
    ]);
  });

  test.each<[string, ReturnType<typeof service>]>([
    ['that leads to other pods', service([mysql], { app: 'web' })],
    ['of another namespace', service([mysql], { app: 'db' }, 'bank')],
    ['without a selector', service([mysql], {})],
    ['that says nothing of its protocol', service([{ port: 3306 }])],
  ])('are not those of a Service %s', (_, entry) => {
    expect(greetingsFor([entry], 'shop', labels)).toEqual([]);
  });
});

test('a node has the addresses of its status, and no names', () => {
  const addresses = [
    { type: 'Hostname', address: 'node-a' },
    { type: 'InternalIP', address: '10.0.0.1' },
    { type: 'InternalIP', address: 'FD00::1' },
    { type: 'ExternalIP', address: '192.0.2.1' },
  ];
  const node = (status: unknown) => decodeNode({ metadata: { name: 'a', resourceVersion: '1' }, status }).value;
  expect(node({ addresses }).addresses).toEqual(['10.0.0.1', 'fd00::1', '192.0.2.1']);
  for (const status of [undefined, {}, { addresses: null }, { addresses: ['10.0.0.1', {}, null] }])
    expect(node(status).addresses).toEqual([]);
});

test('a node is in the zone of its label, or in none', () => {
  const node = (labels: object) => decodeNode({ metadata: { name: 'a', resourceVersion: '1', labels } }).value.zone;
  expect([node({ 'topology.kubernetes.io/zone': 'z' }), node({})]).toEqual(['z', '']);
});
