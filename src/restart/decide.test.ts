import { describe, expect, test } from 'vitest';
import { decide, type Present } from './decide.ts';
import type { Workload } from './workload.ts';

const HOUR = 3_600_000;
const ISSUED = Date.parse('2030-01-02T00:00:00Z');
const NOW = ISSUED + 1_000;

const present: Present = { serialNumber: 'NEW', issuedAt: ISSUED, first: false };
const workload: Workload = {
  uid: 'u-web',
  resourceVersion: '7',
  created: ISSUED - HOUR,
  deleting: false,
  desired: 2,
  heldBack: undefined,
  rollout: { state: 'complete' },
  restartedFor: 'OLD',
  restartedAt: ISSUED - HOUR / 2,
};
const progressing = { state: 'progressing' } as const;
const stalled = { state: 'stalled', message: 'timed out' } as const;

test.each<[string, Partial<Workload>, Partial<Present>, string]>([
  ['restarted for an earlier certificate is restarted', {}, {}, 'restart'],
  [
    'never restarted, and older than the certificate, is restarted',
    { restartedFor: undefined, restartedAt: undefined },
    {},
    'restart',
  ],
  ['restarted for this certificate is done', { restartedFor: 'NEW' }, {}, 'done'],
  ['restarted for this certificate may be under way', { restartedFor: 'NEW', rollout: progressing }, {}, 'progressing'],
  ['restarted for this certificate may have stalled', { restartedFor: 'NEW', rollout: stalled }, {}, 'stalled'],
  ['that never ran before the first certificate is left alone', { restartedFor: undefined }, { first: true }, 'done'],
  ['restarted before has run before the first certificate of this object', {}, { first: true }, 'restart'],
  ['made after the certificate is left alone', { created: ISSUED + 1_000, restartedFor: undefined }, {}, 'done'],
  [
    'made in the second of the certificate may have the older one',
    { created: ISSUED, restartedFor: undefined },
    {},
    'restart',
  ],
  ['without pods is left alone', { desired: 0 }, {}, 'done'],
  ['held back is told of', { heldBack: 'it is paused' }, {}, 'blocked'],
  ['held back needs nothing where it is done', { heldBack: 'it is paused', restartedFor: 'NEW' }, {}, 'done'],
  ['held back needs nothing where its pods are new', { heldBack: 'it is paused', desired: 0 }, {}, 'done'],
  ['still being restarted by us is waited for', { rollout: progressing }, {}, 'wait'],
  [
    'being replaced by somebody else is restarted over it',
    { rollout: progressing, restartedAt: undefined },
    {},
    'restart',
  ],
  [
    'whose last restart has stalled is restarted: the new certificate may be the cure',
    { rollout: stalled },
    {},
    'restart',
  ],
  ['under way for more than an hour is restarted', { rollout: progressing, restartedAt: NOW - HOUR }, {}, 'restart'],
])('a workload %s', (_, changes, other, step) => {
  expect(decide({ ...workload, ...changes }, { ...present, ...other }, NOW, undefined).step).toBe(step);
});

describe('a workload that is not there', () => {
  test.each([undefined, { ...workload, deleting: true }])('is told of', (missing) => {
    expect(decide(missing, present, NOW, undefined)).toMatchObject({ step: 'blocked', reason: 'WorkloadNotFound' });
  });
});

describe('a workload that was restarted for this certificate, and whose pod template was put back', () => {
  test('is not restarted again', () => {
    const step = decide(workload, present, NOW, 'begun');
    expect(step).toMatchObject({ step: 'blocked', reason: 'RestartUndone' });
    expect(step).toHaveProperty(
      'message',
      expect.stringMatching(
        /leave the annotations restarted-for\.mtls-operator\.io\/\* and mtls-operator\.io\/restarted-at alone/,
      ),
    );
  });

  test('is done if its pods had all been replaced before', () => {
    expect(decide(workload, present, NOW, 'through')).toEqual({ step: 'done' });
  });
});
