import { globSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { type Need, needsOf } from './needs.ts';

const root = join(import.meta.dirname, '..', '..');

test.each<[string, readonly Need[]]>([
  ['src/pki/der.test.ts', []],
  ['test/support/needs.test.ts', []],
  ['test/certificate/deletion.test.ts', ['controlPlane']],
  ['test/cli/check.test.ts', ['controlPlane', 'helm', 'goPrograms']],
  ['test/chart/render.test.ts', ['controlPlane', 'helm', 'goPrograms']],
  ['test/proxy/modes.test.ts', ['controlPlane', 'machine']],
  ['test/restart/node.test.ts', ['controlPlane', 'machine', 'node', 'goPrograms']],
  ['test/oldest/oldest.test.ts', ['controlPlane', 'helm', 'oldest', 'goPrograms']],
  ['test/docker/dockerTls.test.ts', ['controlPlane', 'machine', 'docker', 'goPrograms']],
  ['test/sidecar/installed.test.ts', ['controlPlane', 'machine', 'node', 'helm', 'docker', 'goPrograms']],
])('%s needs %j', (file, needs) => {
  expect([...needsOf(root, [file])].sort()).toEqual([...needs].sort());
});

test('what several need is needed', () => {
  expect([...needsOf(root, ['test/cli/check.test.ts', join(root, 'test/restart/node.test.ts')])].sort()).toEqual([
    'controlPlane',
    'goPrograms',
    'helm',
    'machine',
    'node',
  ]);
});

test('the tests of the repository have every need there is', () => {
  const files = globSync('{src,test}/**/*.test.ts', { cwd: root });
  expect(needsOf(root, files).size).toBe(7);
});
