import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, dirname } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { loadBases } from '../image/bases.ts';
import { run } from '../support/command.ts';
import { printProgress } from '../support/progress.ts';
import { type Dockerd, startDockerd } from './dockerd.ts';

const image = 'gcr.io/distroless/nodejs24-debian13:nonroot';
const idle = ['-e', 'setInterval(() => {}, 1000)'];

/** This machine may have a Docker daemon of its own. */
const ours = (): string[] => readdirSync('/sys/class/net').filter((name) => name === 'docker0' || name === 'tap0');
const before = ours();

let dockerd: Dockerd;

beforeEach(async () => {
  dockerd = await startDockerd({ progress: printProgress });
  await loadBases(dockerd, printProgress);
});

afterEach(() => dockerd?.remove());

const started = async (name: string): Promise<string> =>
  (await dockerd.docker(['inspect', '--format={{.State.Running}} {{.State.Pid}} {{.State.StartedAt}}', name])).stdout;

test('containers reach each other by name, and outlive the daemon that is restarted with --live-restore', async () => {
  await dockerd.docker(['network', 'create', 'bridge-of-the-test']);
  const serve = `require('node:http').createServer((_, answer) => answer.end('hello')).listen(80)`;
  const network = '--network=bridge-of-the-test';
  await dockerd.docker(['run', '--detach', '--name=server', network, '--user=0', image, '-e', serve]);
  const ask = `fetch('http://server').then((answer) => answer.text()).then(console.log)`;
  expect((await dockerd.docker(['run', '--rm', network, image, '-e', ask])).stdout).toBe('hello\n');

  await dockerd.stop();
  await dockerd.start(['--live-restore']);
  await dockerd.docker(['start', 'server']);
  const state = await started('server');
  expect(state).toMatch(/^true /);
  await dockerd.stop();
  await dockerd.start(['--live-restore']);
  expect(await started('server')).toBe(state);
});

test('its network is its own', async () => {
  const [program, ...args] = dockerd.enter(['ip', '-brief', 'link']);
  const inside = (await run(program, args)).stdout;
  expect([inside.includes('docker0'), inside.includes('tap0'), ours()]).toEqual([true, true, before]);
});

test('nothing is left of it: no process, no cgroup, no file', async () => {
  await dockerd.docker(['run', '--detach', image, ...idle]);
  const directory = dirname(dockerd.directory);
  const name = basename(directory);
  const cgroups = () => globSync(`/sys/fs/cgroup/{.,*}/${name}`);
  const processes = () => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && cgroupOf(pid).includes(name));
  expect(cgroups().length).toBeGreaterThan(0);
  expect(processes().length).toBeGreaterThan(0);
  await dockerd.remove();
  expect([cgroups(), processes(), existsSync(directory)]).toEqual([[], [], false]);
});

function cgroupOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cgroup`, 'utf8');
  } catch {
    return ''; // it has just ended
  }
}
