// The image, built by a real Docker daemon from the Dockerfile as it stands.
import { cpSync, readdirSync, readFileSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { operatorEnvironment, operatorNodeFlags } from '../../build.ts';
import { version } from '../../src/version.ts';
import { kubeconfigText } from '../cluster/kubeconfig.ts';
import { type Dockerd, startDockerd } from '../docker/dockerd.ts';
import { CommandError, run } from '../support/command.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { loadBases } from './bases.ts';
import { buildOperatorImage, operatorImage, operatorImageName } from './operatorImage.ts';

const root = join(import.meta.dirname, '..', '..');

let dockerd: Dockerd;

beforeAll(async () => {
  dockerd = await startDockerd({ progress: printProgress });
  await loadBases(dockerd, printProgress);
  await buildOperatorImage(dockerd, operatorImageName, ['--build-arg=REVISION=0123abc']);
});

afterAll(() => dockerd?.remove());

const imageSchema = z.object({
  Config: z.object({
    User: z.string(),
    Env: z.array(z.string()),
    Entrypoint: z.array(z.string()),
    Cmd: z.array(z.string()).nullish(),
    Labels: z.record(z.string(), z.string()),
    StopSignal: z.string(),
    Healthcheck: z.unknown().optional(),
  }),
  RootFS: z.object({ Layers: z.array(z.string()) }),
});

async function inspect(reference = operatorImageName): Promise<z.output<typeof imageSchema>> {
  const { stdout } = await dockerd.docker(['image', 'inspect', reference]);
  return z.tuple([imageSchema]).parse(JSON.parse(stdout))[0];
}

/** As the chart runs it. */
const restricted = ['--read-only', '--cap-drop=ALL', '--security-opt=no-new-privileges', '--network=none'];

async function failure(work: Promise<unknown>): Promise<CommandError> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CommandError) return error;
    throw error;
  }
  throw new Error('it succeeded');
}

describe('the configuration', () => {
  test('is that of a program that needs neither root nor a shell', async () => {
    const { Config } = await inspect();
    expect(Config.User).toBe('65532:65532');
    expect(Config.Entrypoint).toEqual(['node', ...operatorNodeFlags, '/app/main.js']);
    expect(Config.Cmd ?? []).toEqual([]);
    expect(Config.StopSignal).toBe('SIGTERM');
    expect(Config.Healthcheck).toBeUndefined();
  });

  test('has the environment that saves memory', async () => {
    const { Config } = await inspect();
    const wanted = Object.entries(operatorEnvironment).map(([name, value]) => `${name}=${value}`);
    expect(Config.Env).toEqual(expect.arrayContaining(wanted));
  });

  test('says what it is', async () => {
    const { Labels } = (await inspect()).Config;
    expect(Labels).toMatchObject({
      'org.opencontainers.image.title': 'mtls-operator',
      'org.opencontainers.image.licenses': 'Apache-2.0',
      'org.opencontainers.image.version': version,
      'org.opencontainers.image.revision': '0123abc',
    });
  });
});

describe('the content', () => {
  interface Entry {
    readonly path: string;
    readonly mode: string;
    readonly owner: string;
    readonly size: number;
    readonly time: string;
  }
  let entries: Entry[];

  beforeAll(async () => {
    // The topmost layer, as tar lists it.
    const archive = join(dockerd.directory, 'image.tar');
    await dockerd.docker(['save', `--output=${archive}`, operatorImageName]);
    const manifest = await run('tar', ['-xOf', archive, 'manifest.json']);
    const layers = z.tuple([z.object({ Layers: z.array(z.string()) })]).parse(JSON.parse(manifest.stdout))[0].Layers;
    await run('tar', ['-xf', archive, '-C', dockerd.directory, layers.at(-1) ?? '']);
    const listed = await run('tar', [
      '-tvf',
      join(dockerd.directory, layers.at(-1) ?? ''),
      '--numeric-owner',
      '--full-time',
      '--utc',
    ]);
    entries = listed.stdout
      .trim()
      .split('\n')
      .map((line) => {
        const [mode = '', owner = '', size = '', day = '', time = '', path = ''] = line.split(/\s+/);
        return { mode, owner, size: Number(size), time: `${day} ${time}`, path };
      });
  });

  test('of its own layer is the bundle and the licence, no dependency and no source', () => {
    const names = entries.map(({ path }) => path);
    expect(names).toContain('app/main.js');
    expect(names).toContain('app/LICENSE');
    expect(names.filter((path) => !/^app\/(?:[\w-]+\.js(?:\.map|\.LEGAL\.txt)?|LICENSE)?$/.test(path))).toEqual([]);
  });

  test('of its own layer belongs to root, and nobody else may write it', () => {
    for (const { mode, owner } of entries) {
      expect([owner, mode]).toEqual(['0/0', mode.startsWith('d') ? 'drwxr-xr-x' : '-rw-r--r--']);
    }
  });

  test('of its own layer carries no time of its making', () => {
    expect(new Set(entries.map(({ time }) => time))).toEqual(new Set(['1970-01-01 00:00:00']));
  });

  test('of its own layer is less than 10 MB', () => {
    const bytes = entries.reduce((sum, { size }) => sum + size, 0);
    printProgress(`The layer that changes: ${(bytes / 1e6).toFixed(1)} MB`);
    expect(bytes).toBeGreaterThan(1e6);
    expect(bytes).toBeLessThan(10e6);
  });

  test('has no shell', async () => {
    const shell = dockerd.docker(['run', '--rm', '--entrypoint=/bin/sh', operatorImageName, '-c', 'true']);
    expect((await failure(shell)).output).toContain('no such file or directory');
  });
});

test('two builds of the same sources have the same layers, whenever and wherever they are made', async () => {
  const elsewhere = join(dockerd.directory, 'elsewhere');
  for (const name of [
    'Dockerfile',
    '.dockerignore',
    'build.ts',
    'package.json',
    'package-lock.json',
    'tsconfig.json',
    'LICENSE',
    'src',
  ]) {
    cpSync(join(root, name), join(elsewhere, name), { recursive: true });
  }
  for (const entry of readdirSync(elsewhere, { recursive: true, withFileTypes: true })) {
    utimesSync(join(entry.parentPath, entry.name), new Date('2001-02-03'), new Date('2001-02-03'));
  }
  // What must not get in.
  writeFileSync(join(elsewhere, 'secret.pem'), 'x');
  await buildOperatorImage(dockerd, 'localhost/again:1', ['--no-cache'], elsewhere);
  expect((await inspect('localhost/again:1')).RootFS.Layers).toEqual((await inspect()).RootFS.Layers);
});

describe('run with a read-only root, without capabilities, as nobody', () => {
  test('it tells its flags', async () => {
    const { stdout } = await dockerd.docker(['run', '--rm', ...restricted, operatorImageName, '--help']);
    expect(stdout).toContain(`mtls-operator ${version}`);
  });

  test('a flag that there is not is an error', async () => {
    const { code, output } = await failure(
      dockerd.docker(['run', '--rm', ...restricted, operatorImageName, '--nonsense']),
    );
    expect([code, output]).toEqual([2, expect.stringContaining("Unknown option '--nonsense'")]);
  });

  test('it ends with code 0 when it is asked to', async () => {
    // Nobody answers there: it goes on trying until it is stopped.
    const kubeconfig = join(dockerd.directory, 'kubeconfig');
    const text = kubeconfigText({
      url: 'https://127.0.0.1:1',
      caPem: readFileSync('/etc/ssl/certs/ca-certificates.crt', 'utf8'),
      credential: { token: 'x' },
    });
    writeFileSync(kubeconfig, text, { mode: 0o644 });
    const mount = `--volume=${kubeconfig}:/kubeconfig:ro`;
    await dockerd.docker([
      'run',
      '--detach',
      '--name=operator',
      ...restricted,
      mount,
      operatorImageName,
      '--kubeconfig=/kubeconfig',
    ]);
    const logs = async (): Promise<string> => (await dockerd.docker(['logs', 'operator'])).stdout;
    await waitFor('the operator to start', async () => (await logs()).includes('"msg":"started"'));
    const pid1 = await dockerd.docker(['top', 'operator', '-eo', 'pid,uid,args']);
    expect(pid1.stdout).toMatch(/\b65532\b.*node .*\/app\/main\.js/);
    // With 137 it would have been killed, since it had not ended by itself.
    await dockerd.docker(['stop', '--time=30', 'operator']);
    const state = await dockerd.docker(['inspect', '--format={{.State.ExitCode}} {{.State.OOMKilled}}', 'operator']);
    expect([state.stdout.trim(), await logs()]).toEqual(['0 false', expect.stringContaining('"outcome":"released"')]);
  });
});

test('the image for others is built once, and has the same layers', async () => {
  const made = await operatorImage(printProgress);
  expect(made.reference).toBe(operatorImageName);
  await dockerd.docker(['tag', operatorImageName, 'localhost/mine:1']);
  await dockerd.docker(['load', `--input=${made.archive}`]);
  expect((await inspect(made.reference)).RootFS.Layers).toEqual((await inspect('localhost/mine:1')).RootFS.Layers);
  const before = statSync(made.archive).mtimeMs;
  expect(statSync((await operatorImage()).archive).mtimeMs).toBe(before);
});
