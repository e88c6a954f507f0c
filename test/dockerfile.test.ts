import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { operatorEnvironment, operatorNodeFlags } from '../build.ts';
import { version } from '../src/version.ts';

const dockerfile = readFileSync(join(import.meta.dirname, '..', 'Dockerfile'), 'utf8');

test('the image starts Node with the flags and the environment of build.ts', () => {
  const entrypoint = JSON.parse(/^ENTRYPOINT (.*)$/m.exec(dockerfile)?.[1] ?? '[]');
  expect(entrypoint).toEqual(['node', ...operatorNodeFlags, '/app/main.js']);
  for (const [name, value] of Object.entries(operatorEnvironment)) expect(dockerfile).toContain(`${name}=${value}`);
});

test('both images have the version of the operator', () => {
  expect([...dockerfile.matchAll(/^ARG VERSION=(.*)$/gm)].map(([, value]) => value)).toEqual([version, version]);
});

test('the image of the operator is what is built where no target is named', () => {
  const stages = [...dockerfile.matchAll(/^FROM (\S+)(?: AS (\S+))?$/gm)].map(([, base, name]) => [base, name]);
  expect(stages.at(-1)).toEqual([`\${RUNTIME_IMAGE}`, undefined]);
  expect(stages).toContainEqual([`\${INIT_IMAGE}`, 'init']);
});

test('no line of the Dockerfile makes the builder ask a registry for its own syntax', () => {
  expect(dockerfile).not.toMatch(/^#\s*syntax\s*=/m);
});
