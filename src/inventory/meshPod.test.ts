import { describe, expect, test } from 'vitest';
import { annotations } from '../api/index.ts';
import { applyPatch, pod, settings, shop } from '../inject/builders.fixture.ts';
import { inject } from '../inject/index.ts';
import { asRecord } from '../kube/index.ts';
import { type MeshPod, meshPodOf, probesOf } from './meshPod.ts';

/** A pod as the API server has it after injection. */
function injected(spec: object, metadata: object = {}, status: object = {}): Record<string, unknown> {
  const before = pod(spec, metadata);
  const decision = inject(before, shop, settings);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  return { ...applyPatch(before, decision.patch), status };
}

const seen = (spec: object, metadata: object = {}, status: object = {}): MeshPod | undefined =>
  meshPodOf({ metadata: { name: 'web-1', uid: 'u', ...metadata }, spec, status });

describe('what made a pod', () => {
  const controlledBy = (kind: string, name: string, labels: object = {}) =>
    seen(
      {},
      {
        labels,
        ownerReferences: [
          { kind: 'Other', name: 'x' },
          { kind, name, controller: true },
        ],
      },
    )?.workload;

  test.each([
    [
      'is the Deployment of its ReplicaSet',
      'ReplicaSet',
      'web-7d9f',
      { 'pod-template-hash': '7d9f' },
      'Deployment/web',
    ],
    ['is a ReplicaSet that no Deployment made', 'ReplicaSet', 'web-7d9f', {}, 'ReplicaSet/web-7d9f'],
    ['is its StatefulSet', 'StatefulSet', 'db', {}, 'StatefulSet/db'],
    ['is whatever else', 'Rollout', 'db', {}, 'Rollout/db'],
  ])('%s', (_, kind, name, labels, expected) => {
    const found = controlledBy(kind, name, labels);
    expect(`${found?.kind}/${found?.name}`).toBe(expected);
  });

  test('is the pod itself where nothing did', () => {
    expect(seen({})?.workload).toEqual({ kind: 'Pod', name: 'web-1' });
  });
});

describe('a pod', () => {
  test('has all of its addresses, or none yet', () => {
    expect(seen({}, {}, { podIP: '10.0.0.1', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] })?.addresses).toEqual([
      '10.0.0.1',
      'fd00::1',
    ]);
    expect(seen({}, {}, { podIP: '10.0.0.1' })?.addresses).toEqual(['10.0.0.1']);
    expect(seen({})?.addresses).toEqual([]);
  });

  test('with the network of its host is none of the mesh', () => {
    expect(seen({ hostNetwork: true })).toBeUndefined();
  });

  test('without a sidecar has none, whatever its labels and annotations say', () => {
    const record = '{"serverFirst":[],"probes":{}}';
    const told = {
      annotations: { [annotations.injected]: record },
      labels: { 'mtls-operator.io/injection': 'enabled' },
    };
    expect(seen({ containers: [{ name: 'main' }] }, told)?.sidecar).toBeUndefined();
  });
});

describe('whether a pod was ever started', () => {
  test.each([
    [
      'not while its containers wait for the sidecar',
      { state: { waiting: {} }, restartCount: 0, lastState: {} },
      false,
    ],
    ['while one runs', { state: { running: {} } }, true],
    ['after one has ended', { state: { terminated: {} } }, true],
    ['between two starts', { state: { waiting: {} }, lastState: { terminated: {} } }, true],
    ['between two starts, as the count alone tells', { state: { waiting: {} }, restartCount: 2 }, true],
  ])('%s', (_, container, expected) => {
    expect(seen({}, {}, { containerStatuses: [{ name: 'main', ...container }] })?.started).toBe(expected);
  });

  test('not by its sidecar alone, or before kubelet has seen it', () => {
    expect(seen({}, {}, { initContainerStatuses: [{ name: 'mtls-proxy', state: { running: {} } }] })?.started).toBe(
      false,
    );
    expect(seen({})?.started).toBe(false);
  });
});

describe('a sidecar', () => {
  const container = {
    name: 'main',
    image: 'web:1',
    ports: [{ containerPort: 8080, name: 'http' }, { containerPort: 3306 }],
    readinessProbe: { httpGet: { path: '/healthy', port: 'http' } },
  };
  const wishes = {
    annotations: { [annotations.serverFirstPorts]: '3306', [annotations.excludeInboundPorts]: '9090,9091' },
  };

  test('tells what was declared when the pod was made', () => {
    const { sidecar } = meshPodOf(injected({ containers: [container] }, wishes)) ?? {};
    expect(sidecar).toMatchObject({ serverFirst: [3306], inboundExcluded: [9090, 9091], running: false });
    expect(sidecar && probesOf(sidecar)).toEqual([
      { path: '/probe/main/readinessProbe', port: 8080, ask: { by: 'http', path: '/healthy' } },
    ]);
  });

  test('stands before a port that somebody has excluded since: its redirection is what it was, and so is how peers dial it', () => {
    const object = injected({ containers: [container] });
    const metadata = asRecord(object['metadata']);
    const later = { ...asRecord(metadata['annotations']), [annotations.excludeInboundPorts]: '8080' };
    const { sidecar } = meshPodOf({ ...object, metadata: { ...metadata, annotations: later } }) ?? {};
    expect(sidecar?.inboundExcluded).toEqual([]);
  });

  test('runs when its container does', () => {
    const statusOf = (state: object) => ({
      initContainerStatuses: [{ name: 'mtls-init' }, { name: 'mtls-proxy', state }],
    });
    const runs = (state: object) =>
      meshPodOf(injected({ containers: [container] }, {}, statusOf(state)))?.sidecar?.running;
    expect([runs({ waiting: {} }), runs({ running: { startedAt: 'now' } }), runs({ terminated: {} })]).toEqual([
      false,
      true,
      false,
    ]);
  });

  test.each(['', '{', '{"serverFirst":"all"}', '[]'])('whose record is %j is one all the same', (text) => {
    const object = injected({ containers: [container] });
    const metadata = asRecord(object['metadata']);
    const changed = { ...metadata, annotations: { [annotations.injected]: text } };
    expect(meshPodOf({ ...object, metadata: changed })?.sidecar).toEqual({
      serverFirst: [],
      inboundExcluded: [],
      probes: '[]',
      running: false,
    });
  });
});
