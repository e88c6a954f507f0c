// What docs/install.md and docs/upgrade.md say is what happens: every block in them is run, in its order.
import { existsSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { type Dockerd, startDockerd } from '../docker/dockerd.ts';
import { docker } from '../docker/machine.ts';
import { loadBases } from '../image/bases.ts';
import { loadInitBase } from '../image/initImage.ts';
import { type CommandLine, commandLine } from '../support/commandLine.ts';
import { helmProgram } from '../support/helm.ts';
import { type Block, fencedBlocks, inlineCode, linkedFiles } from '../support/markdown.ts';
import type { OperatorProcess } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { nextChart, startController } from './chart.ts';

const root = join(import.meta.dirname, '..', '..');
const docs = join(root, 'docs');
const read = (name: string): string => readFileSync(join(docs, name), 'utf8');
const install = read('install.md');
const upgrade = read('upgrade.md');

/** What stands before the first section. */
const preamble = (markdown: string): string => markdown.slice(0, markdown.indexOf('\n## '));

/** The blocks of one section, by its heading. */
function section(markdown: string, heading: string): Block[] {
  const from = markdown.indexOf(`## ${heading}\n`);
  if (from === -1) throw new Error(`there is no section ${heading}`);
  const to = markdown.indexOf('\n## ', from);
  return fencedBlocks(markdown.slice(from, to === -1 ? undefined : to));
}

interface Place extends AsyncDisposable {
  readonly cluster: Cluster;
  readonly guarded: GuardedDirectory;
  readonly shell: CommandLine;
}

async function makePlace(programs: Readonly<Record<string, string>>, variables = {}): Promise<Place> {
  const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-docs-');
  const cluster = await startCluster();
  const shell = commandLine(guarded.path, cluster, programs, variables);
  return {
    cluster,
    guarded,
    shell,
    [Symbol.asyncDispose]: async () => {
      await cluster.stop();
      await guarded.remove();
    },
  };
}

describe('with helm', () => {
  let dockerd: Dockerd;
  let place: Place;
  let operator: OperatorProcess | undefined;

  beforeAll(async () => {
    dockerd = await startDockerd({ progress: printProgress });
    await loadBases(dockerd, printProgress);
    await loadInitBase(dockerd, printProgress);
    const variables = { DOCKER_HOST: dockerd.host, DOCKER_BUILDKIT: '1' };
    place = await makePlace({ helm: await helmProgram(printProgress), docker }, variables);
  });

  afterAll(async () => {
    await operator?.stop();
    await place?.[Symbol.asyncDispose]();
    await dockerd?.remove();
  });

  const titled = (blocks: readonly Block[]) =>
    blocks.map((block) => ({ ...block, title: block.text.split('\n')[0] ?? '' }));

  /** There is no node in this cluster: what the chart's Deployment would start runs beside it, and again after each change. */
  async function follow(text: string): Promise<void> {
    await operator?.stop();
    operator = undefined;
    await place.shell.run(text);
    if (/^helm (?:install|upgrade|rollback)/m.test(text)) operator = await startController(place.cluster);
  }

  const inOrder = [
    ...section(install, 'The image'),
    ...section(install, 'The operator'),
    ...section(install, 'For some namespaces only'),
    ...fencedBlocks(preamble(upgrade)),
  ];

  test.each(titled(inOrder))('$title', async ({ text }) => {
    await follow(text);
    if (text.includes('namespaces=')) {
      const bound = ['get', 'rolebinding', 'mtls-operator-served', '-n', 'bank', '--ignore-not-found', '-o', 'name'];
      expect((await place.cluster.kubectl(bound)) !== '').toBe(text.includes('bank'));
    }
    if (!text.startsWith('helm install')) return;
    const trustDomain = ['get', 'mca', 'default', '-o', 'jsonpath={.spec.trustDomain}'];
    expect(await place.cluster.kubectl(trustDomain)).toBe('prod.example.com');
  });

  test('a second authority does not stand in the way of an uninstallation', async () => {
    const second = {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'second' },
      spec: { trustDomain: 'second.example.com', selfSigned: {} },
    };
    await place.cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(second) });
    await place.cluster.kubectl(['wait', '--for=condition=Ready', 'mca/second', '--timeout=60s']);
    expect(await place.cluster.kubectl(['get', 'mca', 'second', '-o', 'jsonpath={.metadata.finalizers}'])).not.toBe('');
  });

  const certificate = (name: string): string =>
    JSON.stringify({
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name, namespace: 'shop' },
      spec: { secretName: name, dnsNames: [`${name}.shop.svc`] },
    });
  const issue = async (name: string): Promise<void> => {
    await place.cluster.kubectl(['apply', '-f', '-'], { input: certificate(name) });
    await place.cluster.kubectl(['wait', '--for=condition=Ready', `wcert/${name}`, '-n', 'shop', '--timeout=60s']);
  };
  const leaves = (): Promise<string> => place.cluster.kubectl(['get', 'secret', '-n', 'shop', '-o', 'name']);

  test('a workload has a certificate', async () => {
    await issue('web');
    expect(await leaves()).toBe('secret/web\n');
  });

  test.each(titled(section(install, 'Uninstall')))('$title', ({ text }) => follow(text));

  test('nothing of it is left at the end', async () => {
    expect(await place.cluster.kubectl(['get', 'crd', '-o', 'name'])).toBe('');
    const namespace = ['get', 'namespace', 'mtls-system', '--ignore-not-found', '-o', 'name'];
    await waitFor('the namespace to be gone', async () => (await place.cluster.kubectl(namespace)) === '');
    expect(await leaves()).toBe('');
  });

  test('a new installation issues', async () => {
    for (const { text } of section(install, 'The operator')) await follow(text);
    await issue('web');
  });
});

describe('from kubectl apply to helm', () => {
  let place: Place;
  let operator: OperatorProcess | undefined;

  beforeAll(async () => {
    place = await makePlace({ helm: await helmProgram(printProgress) });
  });

  afterAll(async () => {
    await operator?.stop();
    await place?.[Symbol.asyncDispose]();
  });

  test('the release takes over what the files have installed, and can change it from then on', async () => {
    const { cluster, guarded, shell } = place;
    await shell.run(section(install, 'Without Helm')[0]?.text ?? '');
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    const helm = 'helm install mtls-operator charts/mtls-operator -n mtls-system';
    await expect(shell.run(helm)).rejects.toThrow('exists and cannot be imported into the current release');
    for (const { text } of section(upgrade, 'From kubectl apply to Helm')) await shell.run(text);
    operator = await startController(cluster);
    await cluster.kubectl(['wait', '--for=condition=Ready', 'mca/default', '--timeout=60s']);
    await shell.run(`helm upgrade mtls-operator ${await nextChart(guarded.path)} -n mtls-system`);
    const explained = ['explain', 'wcert.spec.duration'];
    await waitFor('the new kind', async () => (await cluster.kubectl(explained)).includes('For how long'));
  });

  test('what kubectl apply has changed beside a release is mended by the first command', async () => {
    const { guarded, shell } = place;
    await shell.run('kubectl apply -f crds/');
    const next = `helm upgrade mtls-operator ${join(guarded.path, 'next')} -n mtls-system`;
    await expect(shell.run(next)).rejects.toThrow('kubectl-client-side-apply');
    const [first = ''] = section(upgrade, 'From kubectl apply to Helm')[0]?.text.split('\n') ?? [];
    await shell.run(first.replace(/ -f \S+rbac\.yaml/, ''));
    await shell.run(next);
  });
});

describe('without helm', () => {
  let place: Place;

  beforeAll(async () => {
    place = await makePlace({});
  });

  afterAll(() => place?.[Symbol.asyncDispose]());

  test('the commands install the kinds and run the operator', async () => {
    const [kinds, running, ...others] = section(install, 'Without Helm');
    expect(others).toEqual([]);
    await place.shell.run(kinds?.text ?? '');
    // Another port than the default, which somebody on this machine may have.
    const line = `${running?.text.trim()} --health-port 0 --health-host 127.0.0.1`;
    const { env } = place.shell;
    const child = place.guarded.launch(['bash', '-c', line], { cwd: root, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const lines: string[] = [];
    for (const stream of [child.stdout, child.stderr]) {
      if (stream !== null) createInterface({ input: stream }).on('line', (text) => lines.push(text));
    }
    const judged = () => {
      if (child.exitCode !== null) throw new Error(lines.slice(-20).join('\n'));
      return lines.some((text) => text.includes('judged every certificate'));
    };
    await waitFor('the operator to have judged every certificate', judged, { timeoutMs: 60_000 });
  });

  test('the help is to be had as it says', async () => {
    const command = inlineCode(install).find((code) => code.endsWith('--help')) ?? '';
    expect(await place.shell.run(command)).toContain('--create-default-authority');
  });
});

describe('the text', () => {
  test.each(['install.md', 'upgrade.md', 'security.md', 'backup.md'])('of %s links to files that exist', (name) => {
    expect(linkedFiles(read(name)).filter((file) => !existsSync(join(docs, file)))).toEqual([]);
  });
});
