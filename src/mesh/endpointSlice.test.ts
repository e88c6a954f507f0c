import { describe, expect, test } from 'vitest';
import { slice, sliceObject } from './builders.fixture.ts';
import { decodeEndpointSlice } from './endpointSlice.ts';

const endpointsOf = (...endpoints: readonly unknown[]) => slice(sliceObject('web-1', { endpoints })).endpoints;
const plain = { addresses: ['10.1.0.1'] };

describe('a slice', () => {
  test('is kept with its Service, its TCP ports and its endpoints', () => {
    const object = sliceObject('web-abc', {
      addressType: 'IPv6',
      ports: [
        { name: 'http', port: 8080, protocol: 'TCP', appProtocol: 'http' },
        { port: 9090 },
        { name: 'dns', port: 53, protocol: 'UDP' },
        { name: 'all', port: null, protocol: 'TCP' },
      ],
      endpoints: [
        {
          addresses: ['FD00::0:1'],
          targetRef: { kind: 'Pod', name: 'web-0' },
          conditions: { ready: false, serving: true, terminating: true },
          nodeName: 'node-1',
          zone: 'zone-a',
          hints: { forZones: [{ name: 'zone-b' }, { name: 'zone-a' }], forNodes: [{ name: 'node-1' }] },
        },
      ],
    });
    expect(decodeEndpointSlice(object)).toEqual({
      key: 'shop/web-abc',
      value: {
        resourceVersion: '7',
        service: 'shop/web',
        family: 'IPv6',
        ports: [
          { name: 'http', number: 8080 },
          { name: '', number: 9090 },
        ],
        endpoints: [
          {
            address: 'fd00::1',
            pod: 'shop/web-0',
            ready: false,
            serving: true,
            terminating: true,
            node: 'node-1',
            zone: 'zone-a',
            forZones: ['zone-a', 'zone-b'],
            forNodes: ['node-1'],
          },
        ],
      },
    });
  });

  test('without ports and endpoints has none', () => {
    expect(slice(sliceObject('web-1', { ports: null, endpoints: null }))).toMatchObject({ ports: [], endpoints: [] });
  });

  test.each<[string, object]>([
    ['its addresses are names', sliceObject('web-1', { addressType: 'FQDN', endpoints: [plain] })],
    ['it belongs to no Service', sliceObject('web-1', {}, { 'kubernetes.io/service-name': undefined })],
    ['it belongs to a Service without a name', sliceObject('web-1', {}, { 'kubernetes.io/service-name': '' })],
    ['its Service is headless', sliceObject('web-1', {}, { 'service.kubernetes.io/headless': '' })],
  ])('is of no interest where %s', (_, object) => {
    expect(decodeEndpointSlice(object)).toBeUndefined();
  });

  test.each([
    ['no object', 'web'],
    ['no namespace', { metadata: { name: 'web', resourceVersion: '7' } }],
    ['no name', sliceObject('', {})],
  ])('that is none is refused: %s', (_, object) => {
    expect(() => decodeEndpointSlice(object)).toThrow();
  });
});

describe('an endpoint', () => {
  test.each<[string, object, object]>([
    ['that says nothing is ready', {}, { ready: true, serving: true, terminating: false }],
    ['that is not ready', { ready: false }, { ready: false, serving: true, terminating: false }],
    ['that does not serve', { serving: false }, { ready: true, serving: false, terminating: false }],
    ['that is ending', { terminating: true }, { ready: true, serving: true, terminating: true }],
  ])('%s', (_, conditions, expected) => {
    expect(endpointsOf({ ...plain, conditions })).toMatchObject([expected]);
  });

  test('of which nobody says where it is, is nowhere and meant for nobody in particular', () => {
    expect(endpointsOf(plain)).toMatchObject([{ node: '', zone: '', forZones: [], forNodes: [] }]);
  });

  test('is held to be a pod at its own address only where Kubernetes says so: others have second networks, and what lies outside', () => {
    const endpoint = { ...plain, targetRef: { kind: 'Pod', name: 'web-0' } };
    const podIn = (labels: object) => slice(sliceObject('web-1', { endpoints: [endpoint] }, labels)).endpoints[0]?.pod;
    expect(podIn({})).toBe('shop/web-0');
    for (const other of ['somebody.example', undefined])
      expect(podIn({ 'endpointslice.kubernetes.io/managed-by': other })).toBe('');
  });

  test('has the first of its addresses', () => {
    expect(endpointsOf({ addresses: ['10.1.0.1', '10.1.0.2'] }).map(({ address }) => address)).toEqual(['10.1.0.1']);
  });

  test.each<[string, unknown]>([
    ['without an address', { addresses: [] }],
    ['with a name', { addresses: ['web'] }],
    ['with an address of the other family', { addresses: ['fd00::1'] }],
    ['that is none', 'web'],
  ])('%s is left out, and no other', (_, endpoint) => {
    expect(endpointsOf(endpoint, plain).map(({ address }) => address)).toEqual(['10.1.0.1']);
  });

  test('shares its hints with others that have the same', () => {
    const hints = { forZones: [{ name: 'zone-a' }] };
    const [one, other] = endpointsOf({ ...plain, hints }, { addresses: ['10.1.0.2'], hints });
    expect(one?.forZones).toBe(other?.forZones);
  });
});
