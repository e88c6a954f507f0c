import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { waitFor } from '../support/waitFor.ts';
import { makeGuardedDirectory } from './guardian.ts';

// Each test has a directory of its own, so what is left of its victim can be told from other people's clusters.
let parent: string;

beforeEach(() => {
  parent = mkdtempSync(join(tmpdir(), 'mtls-guardian-'));
});

afterEach(() => rmdirSync(parent)); // fails unless it is empty

function startVictim(how: string): ChildProcess {
  const script = join(import.meta.dirname, 'victim.fixture.ts');
  return spawn(process.execPath, [script, parent, how], { stdio: ['ignore', 'pipe', 'ignore'] });
}

async function untilStarted(victim: ChildProcess): Promise<void> {
  if (victim.stdout === null) throw new Error('no stdout');
  await once(victim.stdout, 'data');
}

function processes(): { readonly pid: number; readonly line: string }[] {
  return readdirSync('/proc').flatMap((entry) => {
    try {
      const line = () => readFileSync(`/proc/${entry}/cmdline`, 'utf8').replaceAll('\0', ' ');
      return /^\d+$/.test(entry) ? [{ pid: Number(entry), line: line() }] : [];
    } catch {
      return []; // ended while we looked
    }
  });
}

/** The processes that name our directory, the victim itself left out. */
function survivors(): unknown[] {
  return processes().filter(({ line }) => line.includes(parent) && !line.includes('victim.fixture.ts'));
}

async function expectNothingLeft(): Promise<void> {
  await waitFor('everything to be gone', () => survivors().length === 0 && readdirSync(parent).length === 0, {
    timeoutMs: 30_000,
  });
}

const end = async (victim: ChildProcess) => {
  if (victim.exitCode === null && victim.signalCode === null) await once(victim, 'exit');
};

test.each(['SIGKILL', 'SIGTERM', 'SIGINT'] as const)(
  'nothing is left of a cluster whose process got %s',
  async (signal) => {
    const victim = startVictim(signal === 'SIGKILL' ? 'everything' : 'wait');
    await untilStarted(victim);
    expect(survivors().length).toBeGreaterThanOrEqual(3); // etcd, the API server and the guardian at least
    victim.kill(signal);
    await end(victim);
    await expectNothingLeft();
  },
);

test.each(['operator', 'supervisor'])(
  'nothing is left of the operator when the process with the %s was killed',
  async (how) => {
    const victim = startVictim(how);
    await untilStarted(victim);
    expect(survivors()).toContainEqual({
      pid: expect.any(Number),
      line: expect.stringMatching(/src\/main\.ts .*--kubeconfig/),
    });
    victim.kill('SIGKILL');
    await end(victim);
    await expectNothingLeft();
  },
);

test('what still runs in a directory ends with it, children and all', async () => {
  const directory = await makeGuardedDirectory(parent, 'guarded-');
  const outside = join(parent, 'outside');
  const child = directory.launch(['/bin/sh', '-c', `sh -c 'sleep 600; : "${outside}"' & echo started; wait`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await untilStarted(child);
  expect(survivors().length).toBeGreaterThanOrEqual(3); // the guardian, the child and its own
  await directory.remove();
  await expectNothingLeft();
  await end(child);
});

test('what a process leaves elsewhere is undone when all have ended, and before the directory goes', async () => {
  const directory = await makeGuardedDirectory(parent, 'guarded-');
  const undone = join(parent, 'undone');
  directory.undo(
    'first',
    `ls '${directory.path}' >'${undone}'; kill -0 "$(cat '${directory.path}/pid')" || echo ended >>'${undone}'`,
  );
  directory.undo('second', `echo second >>'${undone}'`);
  const child = directory.launch(['/bin/sh', '-c', 'echo $$ >pid; echo started; sleep 600'], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await untilStarted(child);
  await directory.remove();
  const said = readFileSync(undone, 'utf8').trim().split('\n');
  rmSync(undone);
  expect(said).toContain('pid');
  expect(said.slice(-2)).toEqual(['ended', 'second']);
  await end(child);
});

test('nothing is left of a cluster whose process forgot to stop it', async () => {
  const victim = startVictim('exit');
  await end(victim);
  expect(victim.exitCode).toBe(3);
  await expectNothingLeft();
});

test('nothing is left wherever in its start the process is killed', async () => {
  for (const ms of [100, 200, 250, 300, 350, 400, 500, 800, 1_500]) {
    const victim = startVictim('everything');
    await delay(ms);
    victim.kill('SIGKILL');
    await end(victim);
    await expectNothingLeft();
  }
});

test('frozen processes go too', async () => {
  const victim = startVictim('wait');
  await untilStarted(victim);
  const servers = processes().filter(({ line }) => line.includes(parent) && line.includes('kube-apiserver --'));
  expect(servers).toHaveLength(1);
  for (const { pid } of servers) process.kill(pid, 'SIGSTOP');
  victim.kill('SIGKILL');
  await end(victim);
  await expectNothingLeft();
});
