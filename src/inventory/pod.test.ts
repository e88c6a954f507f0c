import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodePod } from './pod.ts';

const metadata = { namespace: 'shop', name: 'web-1', resourceVersion: '7' };
const at = (second: number): number => Date.parse('2030-01-01T00:00:00Z') + second * 1000;
const running = (name: string, second: number) => ({
  name,
  state: { running: { startedAt: new Date(at(second)).toISOString() } },
});

function usesOf(spec: object, status: object) {
  return decodePod({ metadata, spec, status }).value.uses;
}

const volumes = [
  { name: 'mtls', secret: { secretName: 'web-mtls' } },
  {
    name: 'both',
    projected: {
      sources: [{ secret: { name: 'web-mtls' } }, { secret: { name: 'other' } }, { configMap: { name: 'x' } }],
    },
  },
  { name: 'config', configMap: { name: 'web-mtls' } },
];
const mounted = (name: string, mount: object = { name: 'mtls' }) => ({
  name,
  volumeMounts: [{ mountPath: '/mnt', ...mount }],
});
const one = { containerStatuses: [running('main', 1)] };
const plain = { secret: 'web-mtls', startedAt: at(1), frozenAt: undefined };
const frozen = { ...plain, frozenAt: at(1) };

test.each([
  ['has', { hostNetwork: true }, {}, 'u'],
  ['has not', { hostNetwork: false }, {}, undefined],
  ['has not, by default', {}, {}, undefined],
  ['has had, and has ended', { hostNetwork: true }, { phase: 'Failed' }, undefined],
])('a pod is known by its UID where it %s the network of its host', (_, spec, status, uid) => {
  const { value } = decodePod({ metadata: { ...metadata, uid: 'u' }, spec, status });
  expect([value.hostNetworkUid, value.mesh === undefined]).toEqual([uid, 'hostNetwork' in spec && spec.hostNetwork]);
});

describe('what a pod uses', () => {
  test.each<[string, object, object, readonly object[]]>([
    ['a mounted Secret, which is updated', { volumes, containers: [mounted('main')] }, one, [plain]],
    [
      'a projected Secret',
      { volumes, containers: [mounted('main', { name: 'both' })] },
      one,
      [plain, { ...plain, secret: 'other' }],
    ],
    [
      'a subPath, which is not',
      { volumes, containers: [mounted('main', { name: 'mtls', subPath: 'tls.crt' })] },
      one,
      [frozen],
    ],
    ['a subPathExpr', { volumes, containers: [mounted('main', { name: 'mtls', subPathExpr: '$(F)' })] }, one, [frozen]],
    [
      'an empty subPath, which is none',
      { volumes, containers: [mounted('main', { name: 'mtls', subPath: '' })] },
      one,
      [plain],
    ],
    [
      'an environment variable',
      {
        containers: [
          { name: 'main', env: [{ name: 'A', valueFrom: { secretKeyRef: { name: 'web-mtls', key: 'tls.crt' } } }] },
        ],
      },
      one,
      [frozen],
    ],
    [
      'a whole environment',
      { containers: [{ name: 'main', envFrom: [{ secretRef: { name: 'web-mtls' } }] }] },
      one,
      [frozen],
    ],
    [
      'a sidecar',
      { volumes, initContainers: [mounted('proxy')] },
      { initContainerStatuses: [running('proxy', 1)] },
      [plain],
    ],
    ['no volume that nobody mounts', { volumes, containers: [{ name: 'main' }] }, one, []],
    ['no ConfigMap of that name', { volumes, containers: [mounted('main', { name: 'config' })] }, one, []],
    [
      'nothing before it runs',
      { volumes, containers: [mounted('main')] },
      { containerStatuses: [{ name: 'main', state: { waiting: {} } }] },
      [],
    ],
    [
      'nothing once it has ended',
      { volumes, containers: [mounted('main')] },
      { containerStatuses: [{ name: 'main', state: { terminated: {} } }] },
      [],
    ],
  ])('is %s', (_, spec, status, uses) => {
    expect(usesOf(spec, status)).toEqual(uses);
  });

  test('counts from the container that was started first, and in each way apart', () => {
    const containers = [
      mounted('a'),
      mounted('b', { name: 'mtls', subPath: 'tls.crt' }),
      mounted('c', { name: 'mtls', subPath: 'x' }),
    ];
    const containerStatuses = [running('a', 1), running('b', 7), running('c', 5)];
    expect(usesOf({ volumes, containers }, { containerStatuses })).toEqual([
      { secret: 'web-mtls', startedAt: at(1), frozenAt: at(5) },
    ]);
  });

  test('property: whatever a pod says of itself is read, or refused where it has no name', () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.jsonValue(), (spec, status) => {
        expect(Array.isArray(decodePod({ metadata, spec, status }).value.uses)).toBe(true);
      }),
    );
    const lists = fc.array(
      fc.oneof(fc.jsonValue(), fc.record({ name: fc.jsonValue(), secret: fc.jsonValue(), env: fc.jsonValue() })),
    );
    fc.assert(
      fc.property(lists, lists, lists, (containers, declared, containerStatuses) => {
        expect(Array.isArray(usesOf({ containers, volumes: declared }, { containerStatuses }))).toBe(true);
      }),
    );
    expect(() => decodePod({ metadata: {} })).toThrow();
  });
});

describe('what policies look at', () => {
  const shapeOf = (of: object, spec: object, status: object = {}) =>
    decodePod({ metadata: { ...metadata, ...of }, spec, status }).value.shape;

  test('labels, and the TCP ports of all containers that run beside each other', () => {
    const spec = {
      containers: [
        {
          name: 'main',
          ports: [
            { containerPort: 8080, name: 'http', protocol: 'TCP' },
            { containerPort: 53, protocol: 'UDP' },
          ],
        },
        { name: 'other', ports: [{ containerPort: 9090 }] },
      ],
      initContainers: [{ name: 'proxy', restartPolicy: 'Always', ports: [{ containerPort: 15090, name: 'stats' }] }],
    };
    expect(shapeOf({ labels: { app: 'web' } }, spec)).toEqual({
      namespace: 'shop',
      labels: { app: 'web' },
      ports: [
        { number: 8080, name: 'http' },
        { number: 9090, name: undefined },
        { number: 15_090, name: 'stats' },
      ],
    });
  });

  test('not the port of the sidecar, on which it answers everybody in every mode', () => {
    const probes = [{ containerPort: 15_021, name: 'mtls-probes' }];
    const spec = {
      containers: [{ name: 'main', ports: [{ containerPort: 8080 }] }],
      initContainers: [{ name: 'mtls-proxy', restartPolicy: 'Always', ports: probes }],
    };
    expect(shapeOf({}, spec)?.ports).toEqual([{ number: 8080, name: undefined }]);
  });

  test('a pod that has ended is none', () => {
    expect(shapeOf({}, {}, { phase: 'Running' })).toBeDefined();
    for (const phase of ['Succeeded', 'Failed']) expect(shapeOf({}, {}, { phase })).toBeUndefined();
  });
});
