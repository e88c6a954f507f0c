import { describe, expect, test } from 'vitest';
import { annotations, type RestartKind, restartedForKey } from '../api/index.ts';
import { readWorkload, type Workload } from './workload.ts';

const metadata = { uid: 'u-web', resourceVersion: '7', creationTimestamp: '2030-01-01T00:00:00Z', generation: 3 };

function read(kind: RestartKind, spec: object = {}, status: object = {}): Workload {
  const object = { metadata, spec: { template: {}, ...spec }, status: { observedGeneration: 3, ...status } };
  return readWorkload(kind, 'web-mtls', object);
}

const progressing = (reason: string, message = '') => ({
  conditions: [
    { type: 'Available', reason: 'MinimumReplicasAvailable' },
    { type: 'Progressing', reason, message },
  ],
});
const counts = (replicas: number, updatedReplicas: number, availableReplicas: number) => ({
  replicas,
  updatedReplicas,
  availableReplicas,
});
const onDelete = { updateStrategy: { type: 'OnDelete' } };
const partition = (of: number) => ({ updateStrategy: { type: 'RollingUpdate', rollingUpdate: { partition: of } } });

describe('the rollout of', () => {
  test.each<[string, RestartKind, object, object, string]>([
    ['a Deployment that got through', 'Deployment', {}, progressing('NewReplicaSetAvailable'), 'complete'],
    [
      'a Deployment whose pods failed after it',
      'Deployment',
      {},
      { ...progressing('NewReplicaSetAvailable'), ...counts(1, 1, 0) },
      'complete',
    ],
    ['a Deployment on its way', 'Deployment', {}, progressing('ReplicaSetUpdated'), 'progressing'],
    ['a Deployment that gave up', 'Deployment', {}, progressing('ProgressDeadlineExceeded', 'timed out'), 'stalled'],
    ['a Deployment without deadline, ready', 'Deployment', { replicas: 2 }, counts(2, 2, 2), 'complete'],
    ['a Deployment without deadline, not ready', 'Deployment', { replicas: 2 }, counts(2, 2, 1), 'progressing'],
    ['a Deployment without deadline, with old pods', 'Deployment', { replicas: 2 }, counts(3, 2, 2), 'progressing'],
    [
      'a Deployment that its controller has not seen',
      'Deployment',
      {},
      { ...progressing('NewReplicaSetAvailable'), observedGeneration: 2 },
      'progressing',
    ],
    ['a StatefulSet that got through', 'StatefulSet', {}, { currentRevision: 'a', updateRevision: 'a' }, 'complete'],
    ['a StatefulSet on its way', 'StatefulSet', {}, { currentRevision: 'a', updateRevision: 'b' }, 'progressing'],
    [
      'a DaemonSet that got through',
      'DaemonSet',
      {},
      { desiredNumberScheduled: 3, updatedNumberScheduled: 3 },
      'complete',
    ],
    [
      'a DaemonSet on its way',
      'DaemonSet',
      {},
      { desiredNumberScheduled: 3, updatedNumberScheduled: 2 },
      'progressing',
    ],
  ])('%s is told from its status', (_, kind, spec, status, state) => {
    expect(read(kind, spec, status).rollout.state).toBe(state);
  });

  test('a Deployment that gave up says why', () => {
    const { rollout } = read('Deployment', {}, progressing('ProgressDeadlineExceeded', 'timed out'));
    expect(rollout).toEqual({ state: 'stalled', message: 'timed out' });
  });
});

describe('held back', () => {
  test.each<[string, RestartKind, object, RegExp | undefined]>([
    ['a Deployment is not', 'Deployment', {}, undefined],
    ['a paused Deployment is', 'Deployment', { paused: true }, /paused: resume it/],
    ['a StatefulSet is not', 'StatefulSet', partition(0), undefined],
    ['a StatefulSet with a partition is', 'StatefulSet', partition(2), /partition 2/],
    ['a StatefulSet with OnDelete is', 'StatefulSet', onDelete, /OnDelete: delete its pods yourself/],
    [
      'a DaemonSet is not',
      'DaemonSet',
      { updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1 } } },
      undefined,
    ],
    ['a DaemonSet with OnDelete is', 'DaemonSet', onDelete, /OnDelete/],
  ])('%s', (_, kind, spec, message) => {
    const { heldBack } = read(kind, spec);
    if (message === undefined) expect(heldBack).toBeUndefined();
    else expect(heldBack).toMatch(message);
  });
});

test('pods that are wanted: replicas, one where none are named, and the nodes of a DaemonSet', () => {
  expect(read('Deployment').desired).toBe(1);
  expect(read('StatefulSet', { replicas: 3 }).desired).toBe(3);
  expect(read('DaemonSet', {}, { desiredNumberScheduled: 5 }).desired).toBe(5);
});

test('what it was restarted for is read from the annotation of its own Secret', () => {
  const marks = {
    [restartedForKey('web-mtls')]: 'AB12',
    [restartedForKey('other')]: 'CD34',
    [annotations.restartedAt]: '2030-01-02T00:00:00Z',
  };
  const found = read('Deployment', { template: { metadata: { annotations: marks } } });
  expect(found).toMatchObject({ restartedFor: 'AB12', restartedAt: Date.parse('2030-01-02T00:00:00Z') });
  expect(read('Deployment')).toMatchObject({ restartedFor: undefined, restartedAt: undefined });
  const nonsense = { template: { metadata: { annotations: { [annotations.restartedAt]: 'yesterday' } } } };
  expect(read('Deployment', nonsense).restartedAt).toBeUndefined();
});

test.each([
  undefined,
  null,
  {},
  { metadata: {} },
  { metadata, spec: { template: {}, replicas: -1 } },
  { metadata, spec: 7 },
])('refuses %j', (object) => {
  expect(() => readWorkload('Deployment', 'web-mtls', object)).toThrow();
});
