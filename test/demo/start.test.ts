// What a newcomer does: `npm start`, with and without `--once`, and Ctrl-C.
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { globSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { z } from 'zod';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { waitFor } from '../support/waitFor.ts';

const root = join(import.meta.dirname, '..', '..');

class Start implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), 'start-'));
  readonly child: ChildProcess;
  output = '';
  readonly #temporary = join(this.directory, 'tmp');
  readonly #userKubeconfig = join(this.directory, 'kubeconfig');
  readonly #guarded: GuardedDirectory;

  /** @param command `npm start`, or the command behind it: npm passes signals on, and then ends by the signal itself. */
  static async command(
    command: 'npm start' | 'sh .ci/setup node test/demo/start.ts',
    ...args: readonly string[]
  ): Promise<Start> {
    return new Start(await makeGuardedDirectory(tmpdir(), 'start-guard-'), [...command.split(' '), ...args]);
  }

  /**
   * @param guarded only ends the command, should this process be killed: what it makes lies elsewhere, since the guardians of its own must
   *   find their directories as they were.
   */
  private constructor(guarded: GuardedDirectory, [program = '', ...words]: readonly string[]) {
    this.#guarded = guarded;
    mkdirSync(this.#temporary);
    writeFileSync(this.#userKubeconfig, 'this is nothing that a demonstration should read');
    // A process group of its own, as in a terminal.
    this.child = guarded.launch([program, ...words], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'pipe'],
      // Without npm's own cache of compiled code, which it keeps in the temporary directory.
      env: {
        ...process.env,
        TMPDIR: this.#temporary,
        KUBECONFIG: this.#userKubeconfig,
        NODE_DISABLE_COMPILE_CACHE: '1',
      },
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => {
        this.output += text;
      });
    }
  }

  async said(text: string): Promise<void> {
    await waitFor(
      `"${text}"`,
      () => {
        if (this.child.exitCode !== null) throw new Error(`ended with ${this.child.exitCode}:\n${this.output}`);
        return this.output.includes(text);
      },
      { timeoutMs: 240_000 },
    );
  }

  /** As a terminal does it: to the whole process group. */
  signal(signal: NodeJS.Signals): void {
    if (this.child.pid !== undefined) process.kill(-this.child.pid, signal);
  }

  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  /** Files and processes that are still there. */
  leftBehind(): string[] {
    const processes = globSync('/proc/[0-9]*/cmdline').flatMap((file) => {
      try {
        const command = readFileSync(file, 'utf8').replaceAll('\0', ' ');
        return command.includes(this.#temporary) ? [command] : [];
      } catch {
        return []; // ended meanwhile
      }
    });
    return [...readdirSync(this.#temporary), ...processes];
  }

  get userKubeconfig(): string {
    return readFileSync(this.#userKubeconfig, 'utf8');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guarded.remove();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

async function expectNothingLeft(start: Start): Promise<void> {
  // What is ended early is removed by guardians, which outlive the process by a moment.
  await waitFor('nothing to be left behind', () => {
    const left = start.leftBehind();
    if (left.length > 0) throw new Error(left.join('\n'));
    return true;
  });
  expect(start.userKubeconfig).toBe('this is nothing that a demonstration should read');
  expect(start.output).not.toContain('PRIVATE KEY');
}

/** A loaded machine takes its time to raise three control planes at once. */
const patience = { timeout: 300_000 };
const behindNpm = 'sh .ci/setup node test/demo/start.ts';

test.concurrent('npm start -- --once shows three renewals on both sides and ends with 0', patience, async () => {
  await using start = await Start.command('npm start', '--', '--once');
  expect(await start.ended(), start.output).toBe(0);
  expect(start.output).toContain('5 WorkloadCertificates are Ready');
  expect(start.output).toMatch(/failures +0\n/);
  for (const who of ['server', 'client']) expect(start.output).toMatch(new RegExp(`${who} +[3-9] renewals: `));
  await expectNothingLeft(start);
});

test.concurrent('npm start stays up until Ctrl-C, which is a good end', patience, async () => {
  await using start = await Start.command(behindNpm);
  await start.said('It all goes on until Ctrl-C');
  start.signal('SIGINT');
  expect(await start.ended(), start.output).toBe(0);
  await expectNothingLeft(start);
});

test.concurrent('SIGTERM while it is being raised leaves nothing behind', patience, async () => {
  await using start = await Start.command(behindNpm);
  await start.said('✓ Kubernetes control plane');
  start.signal('SIGTERM');
  expect(await start.ended(), start.output).toBe(130);
  await expectNothingLeft(start);
});

test('npm start is what is run above', () => {
  const { scripts } = z
    .object({ scripts: z.object({ start: z.string() }) })
    .parse(JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')));
  expect(scripts.start).toBe(behindNpm);
});

test('every file in examples/ is applied by this demonstration or run by test/clients, test/docker, test/node, test/proxy or test/sidecar', () => {
  const programs = ['server', 'client', 'meshclient', 'mtls'];
  const known = [
    'examples/*.yaml',
    'examples/go/{go.mod,mtls/mesh.go}',
    'examples/java/{Http,Identity,Server,Client,MeshClient}.java',
    'examples/envoy/envoy.yaml',
    'examples/grpc/{go.mod,go.sum,{server,client}/main.go}',
    'examples/nginx/nginx.{conf,yaml}',
    'examples/postgresql/{postgresql.conf,postgresql.yaml,pg_hba.conf,pg_ident.conf,roles.yaml}',
    'examples/shell/{on-change,with-files}.sh',
    'examples/containers/{Dockerfile,certificates.yaml,docker.sh,pods.yaml}',
    'examples/mesh/{shop,mtlspolicy}.yaml',
    'examples/docker-daemon/*', // test/docker sees to it that the page about them names each
    ...programs.flatMap((name) => [
      `examples/go/${name}/${name === 'mtls' ? name : 'main'}.go`,
      `examples/node/${name}.mjs`,
      `examples/python/${name}.py`,
    ]),
  ];
  const all = globSync('examples/**/*', {
    cwd: root,
    withFileTypes: true,
    exclude: (entry) => entry.name === '__pycache__',
  })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1));
  expect(all.sort()).toEqual(globSync(known, { cwd: root }).sort());
});
