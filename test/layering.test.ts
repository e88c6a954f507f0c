import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { importsOf, layeringViolations } from './support/layering.ts';

const root = join(import.meta.dirname, '..');

test('imports go one way: main, then domains, then api, pki and kube', () => {
  const files = globSync('src/**/*.ts', { cwd: root }).map((path) => ({
    path,
    text: readFileSync(join(root, path), 'utf8'),
  }));
  expect(files.length).toBeGreaterThan(0);
  expect(layeringViolations(files)).toEqual([]);
});

describe('the rule', () => {
  test.each([
    ['a foundation and another foundation', 'src/pki/a.ts', '../kube/index.ts', 'pki imports no other folder'],
    ['a foundation and a domain', 'src/kube/deep/a.ts', '../../certificate/decide.ts', 'kube imports no other folder'],
    ['a foundation and its own', 'src/pki/a.ts', './b.ts', undefined],
    ['a foundation and a package', 'src/pki/a.ts', 'node-forge', undefined],
    ['a domain and a foundation', 'src/certificate/a.ts', '../pki/index.ts', undefined],
    ['a domain and another', 'src/certificate/a.ts', '../authority/index.ts', undefined],
    [
      "a domain and another's reconcile",
      'src/certificate/a.ts',
      '../authority/reconcile.ts',
      "another domain's reconcile",
    ],
    ['a domain and its own reconcile', 'src/certificate/index.ts', './reconcile.ts', undefined],
    ['a domain and main', 'src/certificate/a.ts', '../main.ts', 'nothing imports'],
    ['main and a reconcile', 'src/main.ts', './certificate/reconcile.ts', undefined],
    ['a source and a test', 'src/kube/a.ts', '../../test/cluster/index.ts', 'src does not import from test'],
    ['a test beside a unit and the cluster', 'src/kube/a.test.ts', '../../test/cluster/index.ts', undefined],
  ])('between %s', (_, path, target, violation) => {
    const found = layeringViolations([{ path, text: `import { x } from '${target}';\n` }]);
    expect(found).toEqual(violation === undefined ? [] : [expect.stringContaining(violation)]);
  });

  test('sees every way to import', () => {
    const text = `
      import type { A } from './a.ts';
      import {
        b,
        c,
      } from "./b.ts";
      export * from './c.ts';
      import './d.ts';
      const e = await import('./e.ts');
      // import of a word in a comment, from nowhere
    `;
    expect(importsOf(text)).toEqual(['./a.ts', './b.ts', './c.ts', './d.ts', './e.ts']);
  });
});
