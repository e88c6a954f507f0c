import { describe, expect, test } from 'vitest';
import { certificate, NOW, OPERATOR, pod } from './builders.fixture.ts';
import { checked, tells } from './judging.fixture.ts';

describe('of sidecars it tells', () => {
  const pods = (...all: ReturnType<typeof pod>[]) => ({ pods: { value: all } });
  const own = (more: Parameters<typeof certificate>[2]) => ({
    certificates: {
      value: [
        certificate('mtls-operator-proxy-api', OPERATOR, { dnsNames: [`mtls-operator-proxy-api.${OPERATOR}.svc`] }),
        certificate('mtls-proxy-default', 'shop', more),
      ],
    },
  });
  const hour = 3_600_000;
  const waiting = { waiting: { reason: 'ImagePullBackOff' } };
  tells([
    [
      'one that has waited for long, and for what',
      () => pods(pod('web', { started: false, state: waiting })),
      [/^warning SidecarsStarted pod\/web: .*in 60m: Waiting \(ImagePullBackOff\)/],
    ],
    ['nothing of one that is new', () => pods(pod('web', { started: false, state: waiting, ageHours: 0.05 })), []],
    [
      'nothing of one that is about to go',
      () => pods(pod('web', { started: false, state: waiting, image: 'old', deleting: true })),
      [],
    ],
    [
      'which workloads are outdated, each once',
      () =>
        pods(
          pod('web-1', { image: 'envoy:v1', owner: ['Deployment', 'web'] }),
          pod('web-2', { image: 'envoy:v0', owner: ['Deployment', 'web'] }),
          pod('web-3', { owner: ['Deployment', 'web'] }),
          pod('db-0', { image: 'envoy:v1', owner: ['StatefulSet', 'db'] }),
        ),
      [
        /^warning SidecarVersions deployment\/web: 2 pods with a sidecar envoy:v0, envoy:v1; .* now is envoy:v2/,
        /^warning SidecarVersions statefulset\/db: 1 pod with/,
      ],
    ],
    [
      'a certificate that is not there',
      () => ({ certificates: { value: own({}).certificates.value.slice(0, 1) } }),
      [/^error SidecarCertificates workloadcertificate\/mtls-proxy-default: it is not there, and the sidecars of web/],
    ],
    [
      'one of somebody’s own by which sidecars cannot go, though it is issued',
      () => own({ secretName: 'mine' }),
      [
        /^error SidecarCertificates .*its secretName is "mine", and the sidecars of web wait for the Secret mtls-proxy-default/,
      ],
    ],
    [
      'one of another account',
      () => own({ account: undefined }),
      [/^error SidecarCertificates .*it is for no service account, and the sidecars of web need it for "default"/],
    ],
    [
      'one that was never issued',
      () => own({ notAfter: undefined, ready: false, reason: 'NotPermitted' }),
      [/^error SidecarCertificates .*none has been issued: NotPermitted: said/],
    ],
    [
      'one that has expired',
      () => own({ notAfter: NOW }),
      [/^error SidecarCertificates .*expired 0s ago: nobody speaks mutual TLS with web/],
    ],
    [
      'one that should have been renewed long ago',
      () => own({ renewal: NOW - 9 * hour, notAfter: NOW + 8 * hour }),
      [/^warning SidecarCertificates .*expires in 8h and should have been renewed 9h ago/],
    ],
    [
      'nothing of one that is about to be renewed',
      () => own({ renewal: NOW - 7 * hour, notAfter: NOW + 8 * hour }),
      [],
    ],
    [
      'one that is not Ready',
      () => own({ ready: false, reason: 'SecretConflict' }),
      [/^warning SidecarCertificates .*not Ready: SecretConflict/],
    ],
  ]);

  test.each<[string, string, string]>([
    ['Deployment', 'web', 'kubectl rollout restart deployment/web -n shop'],
    ['StatefulSet', 'db', 'kubectl rollout restart statefulset/db -n shop'],
    ['DaemonSet', 'agent', 'kubectl rollout restart daemonset/agent -n shop'],
    ['Job', 'once', 'wait for job/once to end, or delete it and make it anew'],
    ['ReplicaSet', 'web', 'delete the pods of replicaset/web in namespace shop, so that it makes others'],
  ])('how the pods of a %s are made anew', (kind, name, advice) => {
    const { findings } = checked(pods(pod('any', { image: 'envoy:v1', owner: [kind, name] })));
    expect(findings.find(({ check }) => check === 'SidecarVersions')?.advice).toBe(advice);
  });
});
