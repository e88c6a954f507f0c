import { describe, expect, test } from 'vitest';
import { readPod, versionOf } from './sidecarPod.ts';

const proxy = { name: 'mtls-proxy', image: 'registry:5000/envoy:v1.40.0', restartPolicy: 'Always' };
const metadata = { namespace: 'shop', name: 'web-1', uid: 'u', resourceVersion: '1' };

function pod(status: object = {}, spec: object = {}): object {
  return { metadata, spec: { containers: [{ name: 'main' }], initContainers: [proxy], ...spec }, status };
}

function stateOf(said: object, more: object = {}) {
  const found = readPod(pod({ initContainerStatuses: [{ name: 'mtls-proxy', ...said }], ...more }))?.sidecar;
  return found && { state: found.state, reason: found.reason };
}

describe('the sidecar of a pod', () => {
  const running = { running: { startedAt: '2031-01-01T00:00:00Z' } };
  test.each<[string, object, string, string | undefined]>([
    ['runs and is ready', { state: running, started: true, ready: true }, 'Ready', undefined],
    ['runs and is not ready', { state: running, started: true, ready: false }, 'NotReady', undefined],
    ['runs without listeners', { state: running, started: false, ready: false }, 'Starting', undefined],
    ['waits for its image', { state: { waiting: { reason: 'ImagePullBackOff' } } }, 'Waiting', 'ImagePullBackOff'],
    ['waits, and nobody says why', { state: { waiting: {} } }, 'Pending', undefined],
    ['has ended', { state: { terminated: { reason: 'OOMKilled', exitCode: 137 } } }, 'Terminated', 'OOMKilled'],
    ['has no state yet', {}, 'Pending', undefined],
    ['has a status that is none', { state: 'running', started: 1, restartCount: '7' }, 'Pending', undefined],
  ])('%s', (_, said, state, reason) => {
    expect(stateOf(said)).toEqual({ state, reason });
  });

  test('is Pending for the scheduler’s reason where the pod has no node', () => {
    const conditions = [{ type: 'PodScheduled', status: 'False', reason: 'Unschedulable' }];
    expect(readPod(pod({ conditions }))?.sidecar).toMatchObject({ state: 'Pending', reason: 'Unschedulable' });
  });

  test('is not another container of that pod', () => {
    const said = { name: 'mtls-init', state: running, started: true, ready: true };
    expect(readPod(pod({ initContainerStatuses: [said] }))?.sidecar).toMatchObject({ state: 'Pending', ready: false });
  });

  test('is none where no container has its name', () => {
    expect(readPod(pod({}, { initContainers: [{ ...proxy, name: 'other' }] }))).toMatchObject({ sidecar: undefined });
  });
});

describe('a pod', () => {
  test('with the network of its host is known with what made it', () => {
    const owner = { kind: 'DaemonSet', name: 'agent', controller: true };
    const object = { metadata: { ...metadata, ownerReferences: [owner] }, spec: { hostNetwork: true, containers: [] } };
    expect(readPod(object)).toMatchObject({ hostNetwork: true, workload: { kind: 'DaemonSet', name: 'agent' } });
  });

  test.each<[string, unknown]>([
    ['has ended', pod({ phase: 'Succeeded' })],
    ['has no name', { metadata: { namespace: 'shop' }, spec: {} }],
    ['has no spec', { metadata }],
    ['is none', null],
    ['is text', 'pod'],
  ])('that %s is left out', (_, object) => {
    expect(readPod(object)).toBeUndefined();
  });
});

test.each([
  ['envoy:v1.40.0', 'v1.40.0'],
  ['registry:5000/team/envoy:v1.40.0', 'v1.40.0'],
  ['registry:5000/team/envoy', 'registry:5000/team/envoy'],
  ['envoy:v1.40.0@sha256:0123456789abcdef', 'v1.40.0'],
  ['envoy@sha256:0123456789abcdef', 'sha256:0123456789ab'],
  ['', ''],
])('the version of image %j is %j', (image, version) => {
  expect(versionOf(image)).toBe(version);
});
