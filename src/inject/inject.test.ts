import { describe, expect, test } from 'vitest';
import { annotations, labels } from '../api/index.ts';
import { proxyPorts } from '../envoy/index.ts';
import type { PodNamespace } from './asked.ts';
import { applyPatch, pod, settings, shop } from './builders.fixture.ts';
import { identitySecretName } from './containers.ts';
import { type Injection, inject, recordOf } from './inject.ts';
import type { Pod } from './pod.ts';
import { probeRoutes } from './probes.ts';

function injected(of: Pod, namespace: PodNamespace = shop, byService: readonly (number | string)[] = []): Pod {
  const decision = inject(of, namespace, settings, byService);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  return applyPatch(of, decision.patch);
}

const refusal = (of: Pod, namespace: PodNamespace = shop): string => {
  const decision = inject(of, namespace, settings);
  return decision.action === 'Refuse' ? decision.message : `it is ${decision.action}`;
};

const initNames = (of: Pod) => (of.spec.initContainers ?? []).map(({ name }) => name);

describe('which pods get a sidecar', () => {
  const plain = { name: 'shop', labels: {} };
  const without = { name: 'shop', labels: { [labels.injection]: 'disabled' } };
  const own = (value: string) => pod({}, { labels: { [labels.injection]: value } });
  const mirror = pod({}, { annotations: { 'kubernetes.io/config.mirror': 'd41d8cd98f' } });

  test.each<[string, Pod, PodNamespace, boolean, Injection['action'], string | undefined]>([
    ['in a namespace that asks for it', pod(), shop, false, 'Inject', undefined],
    ['not in one that does not', pod(), plain, false, 'LeaveAlone', 'NotInMesh'],
    ['that ask for it themselves', own('enabled'), plain, false, 'Inject', undefined],
    ['not if they do not want it', own('disabled'), shop, false, 'LeaveAlone', 'OptedOut'],
    ['everywhere, where every namespace is in the mesh', pod(), plain, true, 'Inject', undefined],
    ['there not in one that does not want it', pod(), without, true, 'LeaveAlone', 'NotInMesh'],
    ['and there in it where they ask for it', own('enabled'), without, true, 'Inject', undefined],
    [
      "never in the operator's namespace",
      own('enabled'),
      { ...shop, name: 'mtls-system' },
      true,
      'LeaveAlone',
      'OperatorNamespace',
    ],
    [
      "never in the cluster's own",
      own('enabled'),
      { ...shop, name: 'kube-system' },
      true,
      'LeaveAlone',
      'SystemNamespace',
    ],
    ['never with the network of the host', pod({ hostNetwork: true }), shop, false, 'LeaveAlone', 'HostNetwork'],
    ['never for Windows', pod({ os: { name: 'windows' } }), shop, false, 'LeaveAlone', 'Windows'],
    ['for Linux, where it says so', pod({ os: { name: 'linux' } }), shop, false, 'Inject', undefined],
    ['never of a file on a node', mirror, shop, false, 'LeaveAlone', 'StaticPod'],
  ])('%s', (_, of, namespace, everyNamespace, action, reason) => {
    expect(inject(of, namespace, { ...settings, everyNamespace })).toMatchObject({
      action,
      ...(reason === undefined ? {} : { reason }),
    });
  });

  test.each([
    ['with the network of its host', pod({ hostNetwork: true }), 'on the network of the host'],
    ['for Windows', pod({ os: { name: 'windows' } }), 'for Windows'],
    ['of a file on a node', mirror, 'static'],
  ])('one %s is told of', (_, of, words) => {
    expect(inject(of, shop, settings)).toMatchObject({ warning: expect.stringContaining(words) });
  });
});

describe('a pod with a sidecar', () => {
  test('first redirects, then starts the proxy, then what it had before', () => {
    const own = [{ name: 'migrate' }, { name: 'logs', restartPolicy: 'Always' }];
    expect(initNames(injected(pod({ initContainers: own })))).toEqual(['mtls-init', 'mtls-proxy', 'migrate', 'logs']);
  });

  test('keeps everything else as it was', () => {
    const of = pod(
      { nodeSelector: { disk: 'ssd' }, volumes: [{ name: 'data', emptyDir: {} }] },
      { labels: { a: 'b' } },
    );
    const { initContainers: _, volumes, ...spec } = injected(of).spec;
    const { volumes: own, ...before } = of.spec;
    expect(spec).toEqual(before);
    expect(volumes?.slice(0, 1)).toEqual(own);
    expect(injected(of).metadata.labels).toEqual({ a: 'b' });
  });

  test('runs the proxy as a native sidecar of its own user, without any capability', () => {
    const proxy = injected(pod()).spec.initContainers?.[1];
    expect(proxy).toMatchObject({
      restartPolicy: 'Always',
      securityContext: { runAsUser: 1337, capabilities: { drop: ['ALL'] }, readOnlyRootFilesystem: true },
      startupProbe: { httpGet: { path: '/ready', port: 15_021 } },
    });
    expect(proxy?.['args']).toContain('2');
  });

  test('gives the redirection NET_ADMIN alone, and one run', () => {
    const init = injected(pod()).spec.initContainers?.[0];
    expect(init?.restartPolicy).toBeUndefined();
    expect(init).toMatchObject({ securityContext: { capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] } } });
  });

  test('mounts the certificate of its service account, and does not start without it', () => {
    const volumes = injected(pod({ serviceAccountName: 'cart' })).spec.volumes;
    expect(volumes).toContainEqual({
      name: 'mtls-identity',
      secret: { secretName: 'mtls-proxy-cart', defaultMode: 0o444, optional: false },
    });
    expect(JSON.stringify(injected(pod()).spec.volumes)).toContain('mtls-proxy-default');
  });

  test('has a Secret whose name is one, however long that of its account', () => {
    const [one, other] = ['a', 'b'].map((end) => identitySecretName(`${'x'.repeat(252)}${end}`));
    expect(one).not.toBe(other);
    for (const name of [one, other]) expect(name?.length).toBeLessThanOrEqual(253);
  });

  test('has the resources that its annotations ask for, else those of the installation', () => {
    const of = pod(
      {},
      { annotations: { [annotations.proxyCpuLimit]: '2', [annotations.proxyMemoryRequest]: '1.5Gi' } },
    );
    expect(injected(of).spec.initContainers?.[1]?.['resources']).toEqual({
      requests: { cpu: '50m', memory: '1.5Gi' },
      limits: { cpu: '2', memory: '1.5Gi' },
    });
  });

  test('asks for the same for the redirection, which has ended by then: quotas and ranges of a namespace are about each container', () => {
    const of = pod(
      {},
      { annotations: { [annotations.proxyCpuLimit]: '2', [annotations.proxyMemoryRequest]: '1.5Gi' } },
    );
    const [init, proxy] = injected(of).spec.initContainers ?? [];
    expect(init?.['resources']).toEqual(proxy?.['resources']);
  });

  test('leaves out ports and ranges that its annotations name', () => {
    const of = pod(
      {},
      {
        annotations: {
          [annotations.excludeInboundPorts]: '22, 9090',
          [annotations.excludeOutboundPorts]: '5432',
          [annotations.excludeOutboundRanges]: '192.0.2.0/24,2001:db8::/32',
        },
      },
    );
    const command = JSON.stringify(injected(of).spec.initContainers?.[0]?.['command']);
    for (const part of [
      '15021, 22, 9090',
      'tcp dport { 5432 } return',
      'ip daddr 192.0.2.0/24',
      'ip6 daddr 2001:db8::/32',
    ])
      expect(command).toContain(part);
  });

  test('records which ports speak first: by annotation, and by the protocol that a Service names', () => {
    const ports = [
      { containerPort: 3306, name: 'mysql' },
      { containerPort: 25, name: 'smtp' },
      { containerPort: 8080, name: 'http' },
    ];
    const of = pod(
      { containers: [{ name: 'main', ports }] },
      { annotations: { [annotations.serverFirstPorts]: 'mysql,2525' } },
    );
    expect(recordOf(injected(of, shop, ['smtp', 'unknown', 21]))?.serverFirst).toEqual([21, 25, 2525, 3306]);
  });

  test('takes the name of a port as Services do: for that of a container, before that of a sidecar', () => {
    const smtp = (containerPort: number) => ({ name: 'a', ports: [{ containerPort, name: 'smtp' }] });
    const of = pod({ containers: [smtp(25)], initContainers: [{ ...smtp(2525), name: 'b', restartPolicy: 'Always' }] });
    expect(recordOf(injected(of, shop, ['smtp']))?.serverFirst).toEqual([25]);
  });
});

describe('probes', () => {
  const ports = [{ containerPort: 8080, name: 'http' }, { containerPort: 8443 }];
  const of = pod({
    containers: [
      {
        name: 'main',
        ports,
        startupProbe: { tcpSocket: { port: 'http' }, failureThreshold: 30 },
        livenessProbe: {
          httpGet: { path: 'live', port: 'http', httpHeaders: [{ name: 'X-A', value: 'b' }] },
          periodSeconds: 5,
        },
        readinessProbe: { httpGet: { path: '/ready?full=1', port: 8443, scheme: 'HTTPS' } },
        lifecycle: { preStop: { httpGet: { path: '/stop', port: 8080 } }, postStart: { exec: { command: ['true'] } } },
      },
      {
        name: 'grpc',
        readinessProbe: { grpc: { port: 9000, service: 'shop' } },
        livenessProbe: { exec: { command: ['true'] } },
      },
    ],
  });

  test('are asked of the proxy, with all else about them as it was', () => {
    const [main, grpc] = injected(of).spec.containers;
    expect(main).toMatchObject({
      startupProbe: { httpGet: { path: '/probe/main/startupProbe', port: 15_021 }, failureThreshold: 30 },
      livenessProbe: {
        httpGet: { path: '/probe/main/livenessProbe', port: 15_021, httpHeaders: [{ name: 'X-A', value: 'b' }] },
        periodSeconds: 5,
      },
      readinessProbe: { httpGet: { path: '/probe/main/readinessProbe', port: 15_021, scheme: 'HTTP' } },
      lifecycle: { preStop: { httpGet: { path: '/probe/main/preStop', port: 15_021 } } },
    });
    expect(main?.startupProbe).not.toHaveProperty('tcpSocket');
    expect(grpc?.readinessProbe).not.toHaveProperty('grpc');
    expect(main?.lifecycle?.postStart).toEqual({ exec: { command: ['true'] } });
    expect(grpc?.livenessProbe).toEqual({ exec: { command: ['true'] } });
  });

  test('are answered by what the pod itself records', () => {
    const after = injected(of);
    expect(probeRoutes(after.spec.containers, recordOf(after)?.probes ?? {})).toEqual([
      { path: '/probe/main/startupProbe', port: 8080, ask: { by: 'tcp' } },
      { path: '/probe/main/livenessProbe', port: 8080, ask: { by: 'http', path: '/live' } },
      { path: '/probe/main/readinessProbe', port: 8443, ask: { by: 'https', path: '/ready?full=1' } },
      { path: '/probe/main/preStop', port: 8080, ask: { by: 'http', path: '/stop' } },
      { path: '/probe/grpc/readinessProbe', port: 9000, ask: { by: 'grpc', service: 'shop' } },
    ]);
  });

  test.each([
    ['of another host', { httpGet: { path: '/', port: 80, host: 'example.com' } }],
    ['of a port by a name that nobody has', { tcpSocket: { port: 'nobody' } }],
    ['by a command', { exec: { command: ['true'] } }],
    // What the API server refuses must not get past it in another form.
    ['of a port that is none', { httpGet: { path: '/', port: 70_000 } }],
    ['of a port that is none, by gRPC', { grpc: { port: 0 } }],
    ['by a protocol that nobody speaks', { httpGet: { path: '/', port: 80, scheme: 'FTP' } }],
    ['by two ways at once', { httpGet: { path: '/', port: 80 }, tcpSocket: { port: 80 } }],
    ['by a request and a command', { httpGet: { path: '/', port: 80 }, exec: { command: ['true'] } }],
  ])('%s stay as they are', (_, probe) => {
    const one = pod({ containers: [{ name: 'main', readinessProbe: probe }] });
    expect(injected(one).spec.containers).toEqual(one.spec.containers);
  });
});

describe('refused', () => {
  const secured = (level: string) => ({
    name: 'shop',
    labels: { ...shop.labels, 'pod-security.kubernetes.io/enforce': level },
  });

  test.each<[string, Pod, PodNamespace, string]>([
    [
      'where Pod Security is baseline',
      pod(),
      secured('baseline'),
      'enforces Pod Security baseline, which refuses NET_ADMIN',
    ],
    ['where Pod Security is restricted', pod(), secured('restricted'), 'enforces Pod Security restricted'],
    [
      'with a label that says neither',
      pod({}, { labels: { [labels.injection]: 'false' } }),
      shop,
      'label mtls-operator.io/injection is "false": write enabled or disabled',
    ],
    [
      'with a container of the proxy’s user',
      pod({ containers: [{ name: 'main', securityContext: { runAsUser: 1337 } }] }),
      shop,
      'container main runs as user 1337',
    ],
    ['as the proxy’s user', pod({ securityContext: { runAsUser: 1337 } }), shop, 'container main runs as user 1337'],
    ...Object.values(proxyPorts).map((containerPort): [string, Pod, PodNamespace, string] => [
      `with port ${containerPort}, which is the proxy’s`,
      pod({ containers: [{ name: 'main', ports: [{ containerPort }] }] }),
      shop,
      `declares port ${containerPort}`,
    ]),
    ['with a container of the proxy’s name', pod({ containers: [{ name: 'mtls-proxy' }] }), shop, 'called mtls-proxy'],
    [
      'with a volume of the proxy’s name',
      pod({ volumes: [{ name: 'mtls-identity', emptyDir: {} }] }),
      shop,
      'a volume is called mtls-identity',
    ],
    [
      'with a port that is none',
      pod({}, { annotations: { [annotations.excludeInboundPorts]: '80,http' } }),
      shop,
      'has "http": write numbers',
    ],
    [
      'with a range that is none',
      pod({}, { annotations: { [annotations.excludeOutboundRanges]: '192.0.2.1' } }),
      shop,
      'write CIDRs',
    ],
    [
      'with a quantity that is none',
      pod({}, { annotations: { [annotations.proxyCpuLimit]: 'much' } }),
      shop,
      'write a quantity',
    ],
    [
      'with a quantity of nothing',
      pod({}, { annotations: { [annotations.proxyMemoryLimit]: '0Mi' } }),
      shop,
      'write a quantity',
    ],
    [
      'with a port by a name that nobody has',
      pod({}, { annotations: { [annotations.serverFirstPorts]: 'smtp' } }),
      shop,
      'no container declares a port of that name',
    ],
  ])('%s', (_, of, namespace, message) => {
    expect(refusal(of, namespace)).toContain(message);
  });

  test('not where Pod Security is privileged, or a container runs as somebody else', () => {
    const of = pod({
      securityContext: { runAsUser: 1337 },
      containers: [{ name: 'main', securityContext: { runAsUser: 1 } }],
    });
    expect(inject(of, secured('privileged'), settings).action).toBe('Inject');
  });
});
