import { describe, expect, test } from 'vitest';
import { findCondition, type MTLSPolicyStatus } from '../api/index.ts';
import type { Judgement } from './judge.ts';
import { statusWith } from './status.ts';

const [THEN, NOW] = ['2030-01-01T00:00:00Z', '2030-01-01T01:00:00Z'];

const enforced: MTLSPolicyStatus = {
  observedGeneration: 3,
  conditions: [
    { type: 'Theirs', status: 'True', reason: 'Said', message: '', lastTransitionTime: THEN },
    {
      type: 'Enforced',
      status: 'True',
      reason: 'Enforced',
      message: 'all act by it',
      observedGeneration: 3,
      lastTransitionTime: THEN,
    },
    { type: 'Expired', status: 'True', reason: 'Expired', message: '', lastTransitionTime: THEN },
  ],
  effective: { scope: 'Namespace', proxies: { total: 2, acknowledged: 2, enforced: 2 } },
};

const judged = (counted: boolean): Judgement => ({
  verdicts: [{ type: 'Enforced', status: 'False', reason: 'Switching', message: 'about to be told' }],
  counted,
  effective: { scope: 'Namespace', pods: 4 },
  again: Number.POSITIVE_INFINITY,
});

const enforcedIn = (status: MTLSPolicyStatus) => findCondition(status.conditions, 'Enforced');

describe('what a policy’s sidecars do', () => {
  test('stays as it was said of the same generation until it is known again', () => {
    const { effective, ...status } = statusWith(enforced, judged(false), 3, NOW);
    expect(enforcedIn(status)).toEqual(enforcedIn(enforced));
    expect(effective).toEqual({ scope: 'Namespace', pods: 4, proxies: { total: 2, acknowledged: 2, enforced: 2 } });
  });

  test.each([
    ['it is known', judged(true), 3],
    ['the policy says something else', judged(false), 4],
  ])('is said anew where %s', (_, judgement, generation) => {
    const status = statusWith(enforced, judgement, generation, NOW);
    expect(enforcedIn(status)).toMatchObject({ reason: 'Switching', observedGeneration: generation });
    expect(status.effective).not.toHaveProperty('proxies');
  });

  test('is said where nothing was', () => {
    expect(enforcedIn(statusWith({}, judged(false), 1, NOW))).toMatchObject({ status: 'False', reason: 'Switching' });
  });
});

test('conditions of others stay, and ours that are not true any more go', () => {
  const types = statusWith(enforced, judged(true), 3, NOW).conditions?.map(({ type }) => type);
  expect(types).toEqual(['Theirs', 'Enforced']);
});
