// What README.md says is what happens: every block in it is run or applied, in its order, against a real control plane.
import type { ChildProcess } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type GuardedDirectory, makeGuardedDirectory } from './cluster/guardian.ts';
import { type Cluster, startCluster } from './cluster/index.ts';
import { CommandError, run } from './support/command.ts';
import { fencedBlocks, inlineCode, linkedFiles, troubleshootingReasons } from './support/markdown.ts';
import { authorityReasons, certificateReasons } from './support/reasons.ts';
import { waitFor } from './support/waitFor.ts';

const root = join(import.meta.dirname, '..');
const readme = readFileSync(join(root, 'README.md'), 'utf8');

let cluster: Cluster;
let guarded: GuardedDirectory;
let env: NodeJS.ProcessEnv;
let operator: ChildProcess | undefined;
const operatorLines: string[] = [];

beforeAll(async () => {
  guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-readme-');
  cluster = await startCluster();
  // The home of somebody whose current cluster is this one. Caches stay where they are.
  const home = join(guarded.path, 'home');
  mkdirSync(join(home, '.kube'), { recursive: true });
  copyFileSync(cluster.kubeconfig, join(home, '.kube', 'config'));
  const bin = join(guarded.path, 'bin');
  mkdirSync(bin);
  symlinkSync(cluster.binaries.kubectl, join(bin, 'kubectl'));
  const { KUBECONFIG: _, ...inherited } = process.env;
  env = { ...inherited, HOME: home, TMPDIR: guarded.path, PATH: `${bin}:${inherited['PATH'] ?? ''}` };
});

afterAll(async () => {
  if (operator?.pid !== undefined && operator.exitCode === null) process.kill(-operator.pid, 'SIGTERM');
  await cluster?.stop();
  await guarded?.remove();
});

async function runScript(script: string): Promise<string> {
  const { stdout } = await run('bash', ['-euo', 'pipefail', '-c', script], { cwd: root, env });
  return stdout;
}

/** Like a terminal in which the command stays in the foreground. */
async function runOperator(command: string): Promise<void> {
  // Another port than the default, which somebody on this machine may have.
  const line = `${command.trim()} --health-port 0 --health-host 127.0.0.1`;
  operator = guarded.launch(['bash', '-c', line], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
  for (const stream of [operator.stdout, operator.stderr]) {
    if (stream !== null) createInterface({ input: stream }).on('line', (text) => operatorLines.push(text));
  }
  await waitFor(
    'the operator to have judged every certificate',
    () => {
      if (operator?.exitCode !== null) throw new Error(operatorLines.slice(-20).join('\n'));
      return operatorLines.some((text) => text.includes('judged every certificate'));
    },
    { timeoutMs: 60_000 },
  );
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
      else if (text.startsWith('npm run operator')) await runOperator(text);
      else await runScript(text);
    },
  );

  test('have left every certificate ready', async () => {
    const names = (await cluster.kubectl(['get', 'wcert', '-n', 'shop', '-o', 'name'])).trim().split('\n');
    expect(names.map((name) => name.split('/')[1]).sort()).toEqual(['cart', 'front', 'ledger', 'web']);
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
    const names = commands.flatMap((command) => /^npm (?:run )?([a-z]+)/.exec(command)?.[1] ?? []);
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) expect(Object.keys(scripts)).toContain(name);
  });

  test('the help of the operator is to be had as it says', async () => {
    const command = inlineCode(readme).find((code) => code.endsWith('--help')) ?? '';
    expect(await runScript(command)).toContain('--create-default-authority');
  });

  test('links to files that exist', () => {
    const missing = linkedFiles(readme).filter((file) => !existsSync(join(root, file)));
    expect(missing).toEqual([]);
  });

  test('explains every reason of a condition, and no other', () => {
    const [certificates, authorities] = troubleshootingReasons(readme);
    expect(certificates).toEqual([...certificateReasons].sort());
    expect(authorities).toEqual([...authorityReasons].sort());
  });
});

test('a block that fails says why', async () => {
  await expect(runScript('kubectl get nothing-of-this-kind')).rejects.toThrow(CommandError);
});
