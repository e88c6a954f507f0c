import { expect, test } from 'vitest';
import { refusedCluster } from '../envoy/index.ts';
import { Encodings } from './encodings.ts';

test('what has the same source is rendered once, and has one version', () => {
  const encodings = new Encodings();
  let rendered = 0;
  const ask = (source: string) =>
    encodings.resource('a', source, () => {
      rendered += 1;
      return refusedCluster('a');
    });
  expect(ask('one')).toBe(ask('one'));
  expect(rendered).toBe(1);
  expect(ask('other').version).toBe(ask('one').version);
  expect(rendered).toBe(2);
});

test('what nobody asks for is forgotten, and what is asked for is not', () => {
  const encodings = new Encodings();
  const resource = refusedCluster('a');
  let kept = 0;
  const keep = () =>
    encodings.resource('a', 'kept', () => {
      kept += 1;
      return resource;
    });
  for (let i = 0; i < 60_000; i += 1) {
    encodings.resource('a', `passing ${i}`, () => resource);
    if (i % 1_000 === 0) keep();
  }
  expect(encodings.size).toBeLessThanOrEqual(40_001);
  expect(kept).toBe(1);
});
