import { describe, expect, test } from 'vitest';
import { deployment, namespace, OPERATOR, pod } from './builders.fixture.ts';
import { checked, tells } from './judging.fixture.ts';

describe('of namespaces and their pods it tells', () => {
  const level = (value: string) => ({ 'pod-security.kubernetes.io/enforce': value });
  const plain = (why: 'NotInMesh' | 'OptedOut' | 'HostNetwork' | 'Windows' | 'Earlier', name = 'plain') =>
    pod(name, { image: null, absence: { why }, owner: ['Deployment', name], hostNetwork: why === 'HostNetwork' });
  const refused = pod('plain', { image: null, absence: { why: 'Refused', message: 'runs as user 1337' } });
  tells([
    [
      'one that refuses its own pods',
      () => ({ namespaces: { value: [namespace('shop', level('baseline'))] } }),
      [/^error Namespaces namespace\/shop: .*Pod Security baseline/],
    ],
    [
      'one whose label says neither',
      () => ({ namespaces: { value: [namespace('shop', { 'mtls-operator.io/injection': 'true' })] } }),
      [/^warning Namespaces namespace\/shop: its label mtls-operator.io\/injection is "true", which says neither/],
    ],
    ...[OPERATOR, 'kube-tools'].map((name): Parameters<typeof tells>[0][number] => [
      `that ${name} is left out, whatever its label says`,
      () => ({ namespaces: { value: [namespace(name, { 'mtls-operator.io/injection': 'enabled' })] } }),
      [new RegExp(`^warning Namespaces namespace/${name}: .*asks for the mesh, and no pod of the operator's own`)],
    ]),
    [
      'nothing of one that lets them in',
      () => ({ namespaces: { value: [namespace('shop', level('privileged'))] } }),
      [],
    ],
    [
      'nothing of one that does not ask',
      () => ({
        namespaces: {
          value: [namespace('shop', { ...level('restricted'), 'mtls-operator.io/injection': 'disabled' })],
        },
      }),
      [],
    ],
    [
      'nothing of the operator’s own',
      () => ({
        namespaces: {
          value: [OPERATOR, 'kube-system'].map((name) => ({ ...namespace(name), labels: level('restricted') })),
        },
      }),
      [],
    ],
    [
      'one that is in the mesh as all are',
      () => ({
        namespaces: { value: [{ name: 'shop', labels: level('restricted'), deleting: false }] },
        deployments: {
          value: [deployment('controller'), deployment('proxy-api', { flags: new Map([['every-namespace', '']]) })],
        },
      }),
      [/^error Namespaces namespace\/shop/],
    ],
    [
      'pods that were made too early',
      () => ({ pods: { value: [plain('Earlier')] } }),
      [/^warning PodsWithoutSidecar deployment\/plain: 1 pod without sidecar: made before/],
    ],
    [
      'pods on the network of their host',
      () => ({ pods: { value: [plain('HostNetwork')] } }),
      [/^warning PodsWithoutSidecar deployment\/plain: .*network of the host/],
    ],
    [
      'pods that could not be made now',
      () => ({ pods: { value: [refused] } }),
      [/^warning PodsWithoutSidecar pod\/plain: .*refused now: runs as user 1337/],
    ],
    [
      'that a namespace refuses pods only once',
      () => ({ pods: { value: [refused] }, namespaces: { value: [namespace('shop', level('baseline'))] } }),
      [/^error Namespaces/],
    ],
    [
      'nothing wrong of pods that nobody wants in the mesh',
      () => ({ pods: { value: [plain('NotInMesh'), plain('OptedOut', 'out')] } }),
      [],
    ],
  ]);

  test('who has opted out', () => {
    const { findings } = checked({ pods: { value: [plain('OptedOut')] } });
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'PodsWithoutSidecar',
        result: 'ok',
        message: '1 pod without sidecar, as their label says: Deployment/plain in shop',
      }),
    );
  });
});
