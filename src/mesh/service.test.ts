import { describe, expect, test } from 'vitest';
import { service, serviceObject } from './builders.fixture.ts';
import { decodeMeshService } from './service.ts';

describe('a Service', () => {
  test('is kept with what tells by what it is dialled and how its endpoints are chosen', () => {
    const object = serviceObject({
      type: 'LoadBalancer',
      clusterIP: '10.96.0.1',
      clusterIPs: ['10.96.0.1', 'FD00::0:1'],
      selector: { app: 'web' },
      ports: [
        { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP', appProtocol: 'kubernetes.io/h2c' },
        { name: 'admin', port: 81, targetPort: 'admin' },
        { name: 'dns', port: 53, protocol: 'UDP' },
      ],
      sessionAffinity: 'ClientIP',
      sessionAffinityConfig: { clientIP: { timeoutSeconds: 60 } },
      internalTrafficPolicy: 'Local',
      trafficDistribution: 'PreferSameZone',
      publishNotReadyAddresses: true,
    });
    expect(decodeMeshService(object)).toEqual({
      key: 'shop/web',
      value: {
        resourceVersion: '7',
        namespace: 'shop',
        name: 'web',
        type: 'LoadBalancer',
        clusterIPs: ['10.96.0.1', 'fd00::1'],
        externalName: undefined,
        ports: [
          { number: 80, name: 'http', target: 8080, appProtocol: 'kubernetes.io/h2c' },
          { number: 81, name: 'admin', target: 'admin', appProtocol: undefined },
        ],
        hasSelector: true,
        affinitySeconds: 60,
        localOnly: true,
        trafficDistribution: 'PreferSameZone',
        publishNotReadyAddresses: true,
      },
    });
  });

  test('that says nothing has the defaults of the API', () => {
    expect(service({ metadata: { namespace: 'shop', name: 'web', resourceVersion: '7' } })).toMatchObject({
      type: 'ClusterIP',
      clusterIPs: [],
      ports: [],
      hasSelector: false,
      affinitySeconds: undefined,
      localOnly: false,
      trafficDistribution: undefined,
      publishNotReadyAddresses: false,
    });
  });

  test('with affinity but no time has three hours', () => {
    expect(service(serviceObject({ sessionAffinity: 'ClientIP' })).affinitySeconds).toBe(10_800);
  });

  test('with a name for another has that name', () => {
    const { type, externalName } = service(serviceObject({ type: 'ExternalName', externalName: 'db.example.com' }));
    expect([type, externalName]).toEqual(['ExternalName', 'db.example.com']);
  });

  test.each<[string, object, object, readonly string[]]>([
    ['of old, with one address', { clusterIPs: undefined }, {}, ['10.96.0.1']],
    ['headless', { clusterIP: 'None', clusterIPs: ['None'] }, {}, []],
    ['of another name, whatever address it still has', { type: 'ExternalName' }, {}, []],
    ['left to another proxy', {}, { labels: { 'service.kubernetes.io/service-proxy-name': 'other' } }, []],
    ['left to another proxy without a name', {}, { labels: { 'service.kubernetes.io/service-proxy-name': '' } }, []],
  ])('%s: its cluster IPs', (_, spec, metadata, expected) => {
    expect(service(serviceObject(spec, metadata)).clusterIPs).toEqual(expected);
  });

  test.each<[string, unknown, readonly unknown[]]>([
    ['no number', { port: '80' }, []],
    ['a number that is no port', { port: 0 }, []],
    ['a number past the last port', { port: 65_536 }, []],
    ['another protocol', { port: 80, protocol: 'SCTP' }, []],
    ['no name and no target', { port: 80 }, [{ number: 80, name: '', target: 80, appProtocol: undefined }]],
    ['an empty target', { port: 80, targetPort: '' }, [{ number: 80, name: '', target: 80, appProtocol: undefined }]],
    ['a target of none', { port: 80, targetPort: 0 }, [{ number: 80, name: '', target: 80, appProtocol: undefined }]],
    ['no port at all', 'http', []],
  ])('a port with %s', (_, port, expected) => {
    expect(service(serviceObject({ ports: [port] })).ports).toEqual(expected);
  });

  test.each([
    ['no object', 'web'],
    ['no namespace', { metadata: { name: 'web', resourceVersion: '7' } }],
    ['no name', { metadata: { namespace: 'shop', resourceVersion: '7' } }],
  ])('that is none is refused: %s', (_, object) => {
    expect(() => decodeMeshService(object)).toThrow();
  });
});
