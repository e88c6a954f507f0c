import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, rmdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { waitFor } from '../support/waitFor.ts';
import { makeProbeImage, startClusterWithNode } from './index.ts';
import { machineState, type Traces, tracesBelow } from './traces.ts';

// Each test has a directory of its own, so what is left of its node can be told from other people's.
let parent: string;
let before: object;
const names = new Set<string>();

beforeEach(async () => {
  parent = mkdtempSync(join(tmpdir(), 'mtls-node-'));
  names.clear();
  before = await machineState();
});

afterEach(() => rmdirSync(parent)); // fails unless it is empty

const nothing: Traces = { files: [], mounts: [], cgroups: [], interfaces: [], processes: [] };

async function traces(): Promise<Traces> {
  for (const name of readdirSync(parent)) names.add(name);
  return await tracesBelow(parent, names);
}

async function expectNothingLeft(): Promise<void> {
  // The kernel takes a moment to end namespaces.
  await waitFor('everything to be gone', async () => Object.values(await traces()).flat().length === 0).catch(() => {});
  expect(await traces()).toEqual(nothing);
  expect(await machineState()).toEqual(before);
}

/** That the node is there, and how little of it shows. */
async function expectNode(): Promise<void> {
  const found = await traces();
  expect(found.mounts).toEqual([]);
  expect(found.interfaces).toHaveLength(1);
  expect(found.cgroups.length).toBeGreaterThan(0);
  for (const program of [
    'etcd',
    'kube-apiserver',
    'kube-scheduler',
    'containerd',
    'kubelet',
    'kube-proxy',
    'unshare',
  ]) {
    expect(found.processes).toContainEqual(expect.stringMatching(new RegExp(`(^|/| )${program} `)));
  }
  expect(await machineState()).toEqual(before);
}

function startVictim(): ChildProcess {
  const script = join(import.meta.dirname, 'victim.fixture.ts');
  return spawn(process.execPath, [script, parent], { stdio: ['ignore', 'pipe', 'inherit'] });
}

async function kill(victim: ChildProcess): Promise<void> {
  const exit = once(victim, 'exit');
  victim.kill('SIGKILL');
  await exit;
}

test('nothing is left of a node that was stopped', async () => {
  const { cluster } = await startClusterWithNode({ parentDirectory: parent });
  await expectNode();
  await cluster.stop();
  await expectNothingLeft();
});

test('nothing is left of a node and its pods when the process that started it was killed', async () => {
  const victim = startVictim();
  if (victim.stdout === null) throw new Error('no stdout');
  await once(victim.stdout, 'data');
  await expectNode();
  expect((await traces()).processes).toContainEqual('/probe watch /mnt/value');
  await kill(victim);
  await expectNothingLeft();
});

test('`npm run cluster -- --node` says how to bring an image, and leaves nothing after Ctrl-C', async () => {
  const main = join(import.meta.dirname, '..', 'cluster', 'main.ts');
  const command = spawn(process.execPath, [main, '--node'], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, TMPDIR: parent },
  });
  let said = '';
  command.stdout.on('data', (text: Buffer) => {
    said += text.toString();
  });
  await waitFor('the introduction', () => said.includes('Ctrl-C stops it'), { timeoutMs: 60_000 });
  const archive = join(parent, 'image.tar');
  writeFileSync(archive, await makeProbeImage());
  const brings = /^ {2}(nsenter .*) <image\.tar$/m.exec(said)?.[1] ?? '';
  await run('sh', ['-c', `${brings} <${archive}`]);
  rmSync(archive);
  const kubectl = /^ {2}(\S+kubectl --kubeconfig \S+) get/m.exec(said)?.[1] ?? '';
  const runs = `${kubectl} run once --image=localhost/probe:1 --restart=Never --quiet --attach -- api /version`;
  await waitFor('the service account `default`', () => run('sh', ['-c', `${kubectl} get serviceaccount default`]));
  expect((await run('sh', ['-c', runs])).stdout).toMatch(/^200 /);
  await traces();
  const exit = once(command, 'exit');
  command.kill('SIGINT');
  expect(await exit).toEqual([0, null]);
  await expectNothingLeft();
});

test('nothing is left wherever in its start the process is killed', async () => {
  for (const ms of [300, 400, 500, 700, 1_000, 2_000, 3_000, 4_000, 5_000, 6_000]) {
    const victim = startVictim();
    const until = performance.now() + ms;
    while (performance.now() < until) {
      await traces(); // to know by what name it goes
      await delay(20);
    }
    await kill(victim);
    await expectNothingLeft();
  }
});
