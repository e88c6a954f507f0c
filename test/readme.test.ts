// What README.md says is what happens: every block in it is run or applied, in its order, against a real control plane.
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { isFreeDnsName } from '../src/authority/index.ts';
import { startController } from './chart/chart.ts';
import { type GuardedDirectory, makeGuardedDirectory } from './cluster/guardian.ts';
import { type Cluster, startCluster } from './cluster/index.ts';
import { type Dockerd, startDockerd } from './docker/dockerd.ts';
import { docker } from './docker/machine.ts';
import { loadBases } from './image/bases.ts';
import { CommandError } from './support/command.ts';
import { type CommandLine, commandLine } from './support/commandLine.ts';
import { helmProgram } from './support/helm.ts';
import { fencedBlocks, inlineCode, linkedFiles, troubleshootingReasons } from './support/markdown.ts';
import type { OperatorProcess } from './support/operator.ts';
import { printProgress } from './support/progress.ts';
import { authorityReasons, certificateReasons } from './support/reasons.ts';
import { waitFor } from './support/waitFor.ts';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

let cluster: Cluster;
let guarded: GuardedDirectory;
let dockerd: Dockerd;
let shell: CommandLine;
let operator: OperatorProcess | undefined;

beforeAll(async () => {
  guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-readme-');
  cluster = await startCluster();
  dockerd = await startDockerd({ progress: printProgress });
  await loadBases(dockerd, printProgress);
  const programs = { helm: await helmProgram(printProgress), docker };
  shell = commandLine(guarded.path, cluster, programs, { DOCKER_HOST: dockerd.host, DOCKER_BUILDKIT: '1' });
});

afterAll(async () => {
  await operator?.stop();
  await dockerd?.remove();
  await cluster?.stop();
  await guarded?.remove();
});

/** There is no node in this cluster: what the chart's Deployment would start runs beside it. */
async function install(script: string): Promise<void> {
  await shell.run(script);
  operator = await startController(cluster);
}

async function apply(yaml: string): Promise<void> {
  // A pod needs the service account `default`, which the controller manager makes a moment after the namespace.
  await waitFor('kubectl apply', async () => {
    await cluster.kubectl(['apply', '-f', '-'], { input: yaml });
    return true;
  });
  for (const kind of ['wcert', 'mca']) {
    const names = await cluster.kubectl(['get', kind, '-A', '-o', 'name']);
    if (names.trim() === '') continue;
    await cluster.kubectl(['wait', '--for=condition=Ready', kind, '-A', '--all', '--timeout=60s']);
  }
}

const blocks = fencedBlocks(readme);

describe('the blocks, one after the other', () => {
  test('are all of a kind that can be run', () => {
    expect(blocks.length).toBeGreaterThan(10);
    expect(blocks.filter(({ language }) => language !== 'sh' && language !== 'yaml')).toEqual([]);
  });

  test.each(blocks.map((block) => ({ ...block, title: block.text.split('\n')[0] ?? '' })))(
    'line $line, $language: $title',
    async ({ language, text }) => {
      if (language === 'yaml') await apply(text);
      // `npm start` has a test of its own (test/demo/start.test.ts), and `npm test` is what runs this one.
      else if (text.startsWith('npm start\n')) expect(text).toBe('npm start\nnpm test\n');
      else if (text.startsWith('helm install')) await install(text);
      else await shell.run(text);
    },
  );

  test('have left every certificate ready', async () => {
    const names = (await cluster.kubectl(['get', 'wcert', '-n', 'shop', '-o', 'name'])).trim().split('\n');
    expect(names.map((name) => name.split('/')[1]).sort()).toEqual(['cart', 'front', 'ledger', 'legacy', 'web']);
    const revision = ['get', 'wcert', 'web', '-n', 'shop', '-o', 'jsonpath={.status.revision}'];
    // The renewal out of turn.
    await waitFor('a second certificate of web', async () => (await cluster.kubectl(revision)) === '2');
  });

  test('the first certificate takes five lines', () => {
    const first = blocks.find(({ language }) => language === 'yaml');
    expect(first?.text.trimEnd().split('\n')).toHaveLength(5);
  });
});

describe('the text', () => {
  test('names only scripts that exist', () => {
    const packageSchema = z.object({ scripts: z.record(z.string(), z.string()) });
    const { scripts } = packageSchema.parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
    const commands = [...inlineCode(readme), ...blocks.flatMap(({ text }) => text.split('\n'))];
    const names = commands.flatMap((command) => /^npm (?:run )?([a-z0-9:]+)/.exec(command)?.[1] ?? []);
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) expect(Object.keys(scripts)).toContain(name);
  });

  test('links to files that exist', () => {
    const missing = linkedFiles(readme).filter((file) => !existsSync(join(root, file)));
    expect(missing).toEqual([]);
  });

  test('calls those names free that are', () => {
    const free = /Free to a namespace are[\s\S]*?Everything else/.exec(readme)?.[0] ?? '';
    const named = inlineCode(free).filter((code) => /^[a-z0-9-]+\.[a-z0-9.-]+$/.test(code));
    const isFree = (name: string): boolean =>
      isFreeDnsName(name, /\borders\b/.test(name) ? 'orders' : 'shop', 'cluster.local');
    expect(named.filter((name) => !isFree(name))).toEqual(['web.shop']);
    expect(named.length).toBeGreaterThan(4);
  });

  test('explains every reason of a condition, and no other', () => {
    const [certificates, authorities] = troubleshootingReasons(readme);
    expect(certificates).toEqual([...certificateReasons].sort());
    expect(authorities).toEqual([...authorityReasons].sort());
  });
});

test('a block that fails says why', async () => {
  await expect(shell.run('kubectl get nothing-of-this-kind')).rejects.toThrow(CommandError);
});
