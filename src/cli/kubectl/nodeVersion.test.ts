import { expect, test } from 'vitest';
import { problemOfNode } from './nodeVersion.ts';

test.each(['24.0.0', '24.21.0', '100.0.0-nightly'])('the plugin runs on Node %s', (version) => {
  expect(problemOfNode(version)).toBeUndefined();
});

test.each(['20.20.2', '9.0.0', ''])('it says what it needs on Node %j, and does not break off half-way', (version) => {
  expect(problemOfNode(version)).toBe(
    `it needs Node 24 or newer, and the node on your PATH is ${version}: put a newer one before it`,
  );
});

test('this is one', () => {
  expect(problemOfNode(process.versions.node)).toBeUndefined();
});
