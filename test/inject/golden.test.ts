/** What pods look like with a sidecar, as files that a reviewer can read. `npm test -- test/inject/golden -u` writes them anew. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stringify } from 'yaml';
import { applyPatch, pod, settings, shop } from '../../src/inject/builders.fixture.ts';
import { inject } from '../../src/inject/index.ts';
import { shapes } from './shapes.ts';

test.each(Object.entries(shapes))('%s', async (name, spec) => {
  const of = pod(spec);
  const decision = inject(of, shop, settings);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  const file = join(import.meta.dirname, 'golden', `${name.replaceAll(/\W+/g, '-')}.yaml`);
  await expect(stringify(applyPatch(of, decision.patch), { lineWidth: 0 })).toMatchFileSnapshot(file);
});
