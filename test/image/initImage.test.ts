// The image of sidecars' init container, built by a real Docker daemon from the Dockerfile as it stands, and run as injection has it run.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { settings } from '../../src/inject/builders.fixture.ts';
import { initContainer } from '../../src/inject/containers.ts';
import { readWishes } from '../../src/inject/index.ts';
import { version } from '../../src/version.ts';
import { type Dockerd, startDockerd } from '../docker/dockerd.ts';
import { CommandError } from '../support/command.ts';
import { printProgress } from '../support/progress.ts';
import { buildInitImage, initBaseName, initImageName, loadInitBase } from './initImage.ts';

let dockerd: Dockerd;

beforeAll(async () => {
  dockerd = await startDockerd({ progress: printProgress });
  await loadInitBase(dockerd, printProgress);
  await buildInitImage(dockerd, ['--build-arg=REVISION=0123abc']);
});

afterAll(() => dockerd?.remove());

async function packages(image: string): Promise<string[]> {
  const query = ['run', '--rm', '--network=none', image, 'dpkg', '--get-selections'];
  const { stdout } = await dockerd.docker(query);
  return stdout
    .trim()
    .split('\n')
    .map((line) => line.split(/[:\s]/)[0] ?? '');
}

test('it says what it is', async () => {
  const { stdout } = await dockerd.docker(['image', 'inspect', initImageName]);
  const schema = z.tuple([z.object({ Config: z.object({ Labels: z.record(z.string(), z.string()) }) })]);
  expect(schema.parse(JSON.parse(stdout))[0].Config.Labels).toMatchObject({
    'org.opencontainers.image.title': 'mtls-operator-init',
    'org.opencontainers.image.licenses': 'Apache-2.0',
    'org.opencontainers.image.version': version,
    'org.opencontainers.image.revision': '0123abc',
  });
});

test('beyond its base it has iproute2, nftables and the libraries of these, and no lists of packages', async () => {
  const before = new Set(await packages(initBaseName));
  const added = (await packages(initImageName)).filter((name) => !before.has(name));
  expect(added).toEqual(expect.arrayContaining(['iproute2', 'nftables']));
  expect(added.filter((name) => !name.startsWith('lib')).sort()).toEqual(['iproute2', 'nftables']);
  const lists = ['run', '--rm', '--network=none', initImageName, 'ls', '/var/lib/apt/lists', '/var/cache/apt'];
  expect((await dockerd.docker(lists)).stdout.trim().split('\n')).toEqual([
    '/var/cache/apt:',
    '',
    '/var/lib/apt/lists:',
  ]);
});

/** As kubelet runs it: root, with a read-only root file system and no capability but NET_ADMIN. */
const confined = ['--user=0:0', '--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none'];
const { command } = z
  .object({ command: z.array(z.string()) })
  .parse(initContainer(settings, readWishes({}, settings.resources)));

test('run as injection has it run, it redirects', async () => {
  const listing = ['/bin/sh', '-euc', '"$@"; "$@"; nft list table inet mtls_operator', 'sh', ...command];
  const { stdout } = await dockerd.docker([
    'run',
    '--rm',
    ...confined,
    '--cap-add=NET_ADMIN',
    initImageName,
    ...listing,
  ]);
  expect(stdout).toContain('type nat hook prerouting');
  expect(stdout.match(/redirect to :/g)).toHaveLength(4);
});

test('without its capability it fails, so that the pod does not start', async () => {
  await expect(dockerd.docker(['run', '--rm', ...confined, initImageName, ...command])).rejects.toThrow(CommandError);
});
