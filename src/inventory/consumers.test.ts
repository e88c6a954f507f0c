import { expect, test } from 'vitest';
import { type Consumer, consumersOf } from './consumers.ts';

const ISSUED = Date.parse('2030-01-02T00:00:00Z');

const consumer = (pod: string, startedAt: number, frozenAt?: number): Consumer => ({
  pod,
  use: { secret: 'web', startedAt, frozenAt },
});
const older = (pod: string) => consumer(pod, ISSUED - 1);
const newer = (pod: string) => consumer(pod, ISSUED + 1);
const frozen = (pod: string) => consumer(pod, ISSUED - 1, ISSUED - 1);

test('nothing is said where no pod uses the Secret', () => {
  expect(consumersOf([], ISSUED)).toBeUndefined();
});

test('pods that were started with the certificate or after it are only counted', () => {
  const pods = [newer('a'), consumer('b', ISSUED, ISSUED)];
  expect(consumersOf(pods, ISSUED)).toEqual({ pods: 2, startedBeforeRenewal: 0, neverUpdated: 0 });
});

test('a pod that is never updated is one that was started before, and is named first', () => {
  expect(consumersOf([older('a'), newer('b'), frozen('z')], ISSUED)).toEqual({
    pods: 3,
    startedBeforeRenewal: 2,
    neverUpdated: 1,
    names: ['z', 'a'],
  });
});

test('a container that was started anew has what was in the Secret then, however old the pod’s others are', () => {
  expect(consumersOf([consumer('a', ISSUED - 1, ISSUED + 1)], ISSUED)).toMatchObject({
    startedBeforeRenewal: 1,
    neverUpdated: 0,
  });
});

test('no more than five are named, the same ones in whatever order they come', () => {
  const pods = Array.from({ length: 30 }, (_, index) => older(`web-${String(index).padStart(2, '0')}`));
  const said = consumersOf(pods, ISSUED);
  expect(said).toMatchObject({
    pods: 30,
    startedBeforeRenewal: 30,
    names: ['web-00', 'web-01', 'web-02', 'web-03', 'web-04'],
  });
  expect(consumersOf(pods.toReversed(), ISSUED)).toEqual(said);
});

test('without a certificate nobody has an older one', () => {
  expect(consumersOf([older('a'), frozen('b')], undefined)).toEqual({
    pods: 2,
    startedBeforeRenewal: 0,
    neverUpdated: 0,
  });
});
