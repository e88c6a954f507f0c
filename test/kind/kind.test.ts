// What can be said of kind's parts without a cluster; `npm run e2e:kind` runs one.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { readVersions } from '../cluster/versions.ts';
import { run } from '../support/command.ts';
import { releasedImage } from './programs.ts';
import { hasSysResource, writeRuntime } from './runtime.ts';

test('kubeadm is of the same Kubernetes as the programs that it starts', () => {
  const pin = /^\s*k8s\.io\/kubernetes (v\S+)/m.exec(readFileSync(join(import.meta.dirname, 'go.mod'), 'utf8'))?.[1];
  expect(pin).toBe(readVersions().kubernetes);
});

test('the released node image is the one that kind names, with its digest', () => {
  const source = '// Image is the default\nconst Image = "kindest/node:v1.37.0@sha256:0123"\n';
  expect(releasedImage('kind', () => source)).toBe('kindest/node:v1.37.0@sha256:0123');
  expect(() => releasedImage('kind', () => '')).toThrow('do not say its node image');
});

test.each([
  ['000001ffffffffff', true],
  ['000001fffeffffff', false],
])('with the capabilities %s CAP_SYS_RESOURCE can be given: %s', (bounding, expected) => {
  expect(hasSysResource(`CapEff:\t0000000000000000\nCapBnd:\t${bounding}\nCapAmb:\t0000000000000000\n`)).toBe(expected);
});

describe('the runtime', () => {
  let directory: string;

  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), 'mtls-runtime-'));
    writeRuntime(join(directory, 'runtime'));
    writeFileSync(join(directory, 'runc'), '#!/bin/sh\necho "$@"\n', { mode: 0o755 }); // it only shows what reaches it
    mkdirSync(join(directory, 'bundle'));
  });

  afterEach(() => rmSync(directory, { recursive: true }));

  const capabilities = {
    first: ['CAP_SYS_RESOURCE', 'CAP_CHOWN'],
    last: ['CAP_CHOWN', 'CAP_SYS_RESOURCE'],
    between: ['CAP_CHOWN', 'CAP_SYS_RESOURCE', 'CAP_KILL'],
    none: ['CAP_CHOWN'],
  };
  const stripped = {
    first: ['CAP_CHOWN'],
    last: ['CAP_CHOWN'],
    between: ['CAP_CHOWN', 'CAP_KILL'],
    none: ['CAP_CHOWN'],
  };

  test.each([
    ['a container', ['create', '--bundle', 'bundle', 'name'], 'bundle/config.json'],
    ['a command in one', ['exec', '--process', 'process.json', '--detach', 'name'], 'process.json'],
  ])('takes CAP_SYS_RESOURCE from %s, and nothing else', async (_, args, file) => {
    writeFileSync(join(directory, file), JSON.stringify({ process: { capabilities } }));
    const env = { PATH: `${directory}:${process.env['PATH']}` };
    const { stdout } = await run(join(directory, 'runtime'), args, { cwd: directory, env });
    expect(stdout.trim()).toBe(args.join(' '));
    const left: unknown = JSON.parse(readFileSync(join(directory, file), 'utf8'));
    expect(left).toEqual({ process: { capabilities: stripped } });
  });
});
