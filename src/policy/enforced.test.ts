import { expect, test } from 'vitest';
import { describeEnforcement } from './enforced.ts';
import type { PolicyProxies } from './enforcement.ts';

const all: PolicyProxies = {
  policy: 'a 1',
  sidecars: 3,
  sidecarsIn: { shop: 3 },
  total: 3,
  acknowledged: 3,
  enforced: 3,
  lagging: [],
  refused: [],
};
const lagging = { ...all, acknowledged: 2, enforced: 1, lagging: ['shop/a'] };

test.each<[string, Parameters<typeof describeEnforcement>, string, string]>([
  ['nobody tells sidecars anything', [undefined, false, []], 'False NoSidecars', 'installed without sidecars'],
  ['nobody has been told of what it says now', ['before', false, []], 'False Switching', 'about to be told'],
  ['no pod has a sidecar', ['none', false, []], 'False NoSidecars', 'no pod for which it decides has a sidecar'],
  ['another policy is heard', [all, true, []], 'False Overruled', 'not heard'],
  [
    'a sidecar refuses',
    [{ ...lagging, refused: [{ pod: 'shop/a', error: 'no' }] }, false, []],
    'False Refused',
    'shop/a: no',
  ],
  ['a sidecar lags', [lagging, false, []], 'False ProxiesLag', 'acknowledged, shop/a. '],
  ['more lag than are named', [{ ...lagging, acknowledged: 1 }, false, []], 'False ProxiesLag', 'shop/a and more'],
  [
    'all have acknowledged and are on their way',
    [{ ...all, enforced: 2 }, false, []],
    'False Switching',
    'MTLSRollout',
  ],
  [
    'some pods have no sidecar',
    [all, false, ['shop']],
    'False PodsWithoutSidecar',
    'always took: in shop. Sidecars are added when pods are made: restart what made them',
  ],
  ['sidecars are all there are', [all, false, []], 'True Enforced', 'act by it'],
])('where %s', (_, args, expected, words) => {
  const { message, reason, status, type } = describeEnforcement(...args);
  expect([type, `${status} ${reason}`]).toEqual(['Enforced', expected]);
  expect(message).toContain(words);
});
