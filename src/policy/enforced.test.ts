import { expect, test } from 'vitest';
import { describeEnforcement } from './enforced.ts';
import type { PolicyProxies } from './enforcement.ts';

const all: PolicyProxies = {
  policy: 'a 1',
  sidecars: 3,
  total: 3,
  acknowledged: 3,
  enforced: 3,
  lagging: [],
  refused: [],
};
const lagging = { ...all, acknowledged: 2, enforced: 1, lagging: ['shop/a'] };

test.each<[string, Parameters<typeof describeEnforcement>, string, string]>([
  ['nobody tells sidecars anything', [undefined, false, 3], 'False NoSidecars', 'installed without sidecars'],
  ['nobody has been told of what it says now', ['before', false, 3], 'False Switching', 'about to be told'],
  ['no pod has a sidecar', ['none', false, 3], 'False NoSidecars', 'no pod for which it decides has a sidecar'],
  ['another policy is heard', [all, true, undefined], 'False Overruled', 'not heard'],
  [
    'a sidecar refuses',
    [{ ...lagging, refused: [{ pod: 'shop/a', error: 'no' }] }, false, 3],
    'False Refused',
    'shop/a: no',
  ],
  ['a sidecar lags', [lagging, false, 3], 'False ProxiesLag', 'acknowledged, shop/a. '],
  ['more lag than are named', [{ ...lagging, acknowledged: 1 }, false, 3], 'False ProxiesLag', 'shop/a and more'],
  ['all have acknowledged and are on their way', [{ ...all, enforced: 2 }, false, 3], 'False Switching', 'MTLSRollout'],
  ['some pods have no sidecar', [all, false, 4], 'False PodsWithoutSidecar', 'restart what made them'],
  ['sidecars are all there are', [all, false, 3], 'True Enforced', 'act by it'],
  ['pods are not known', [all, false, undefined], 'True Enforced', 'act by it'],
])('where %s', (_, args, expected, words) => {
  const { message, reason, status, type } = describeEnforcement(...args);
  expect([type, `${status} ${reason}`]).toEqual(['Enforced', expected]);
  expect(message).toContain(words);
});
