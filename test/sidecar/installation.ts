/** The chart on a real kubelet, as users install it, and what one does with it by kubectl. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import type { Mode } from '../../src/api/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { operatorImage } from '../image/operatorImage.ts';
import { type Node, startClusterWithNode } from '../node/index.ts';
import { initImage, makeInitImage, makeProxyImage, proxyImage } from '../node/sidecarImages.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { type Progress, printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { namespaceOf } from './workload.ts';

export type MakeImage = (progress: Progress) => Promise<Buffer>;

/** What a user applies: a namespace in the mesh, and Strict for it. */
const examples = join(import.meta.dirname, '..', '..', 'examples', 'mesh');

/** In the mesh, as examples/mesh has it. */
export const MESHED = 'shop';
/** Not in the mesh. */
export const PLAIN = 'outside';

/** A Deployment of the operator's. */
export type Component = 'controller' | 'proxy-api';

export class Installation implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly node: Node;
  readonly #helm: Helm;
  readonly #home: string;

  private constructor(cluster: Cluster, node: Node, helm: Helm, home: string) {
    this.cluster = cluster;
    this.node = node;
    this.#helm = helm;
    this.#home = home;
  }

  /** A cluster with a node that has these images, and a namespace in the mesh and one beside it. Nothing is installed yet. */
  static async prepare(
    images: readonly MakeImage[],
    options: { readonly dualStack?: boolean } = {},
  ): Promise<Installation> {
    const image = await operatorImage(printProgress);
    const archives = await Promise.all([makeProxyImage, makeInitImage, ...images].map((make) => make(printProgress)));
    // As anywhere else: a node from which nothing is heard while the API server is away is not lost yet.
    const controllerManagerFlags = ['--node-monitor-grace-period=50s'];
    const { cluster, node } = await startClusterWithNode({
      ...options,
      log: printProgress,
      controllerManagerFlags,
    });
    try {
      for (const archive of [image.archive, ...archives]) await node.load(archive);
      const home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
      const made = new Installation(cluster, node, await helmFor(home, cluster), home);
      // As restricted as it can be: nothing of the operator's own needs more.
      await made.apply(
        namespaceOf(OPERATOR_NAMESPACE, { 'pod-security.kubernetes.io/enforce': 'restricted' }),
        namespaceOf(PLAIN),
      );
      await cluster.kubectl(['apply', '-f', join(examples, 'shop.yaml')]);
      return made;
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.cluster.stop();
    await rm(this.#home, { recursive: true, force: true });
  }

  /** By helm; resolves when pods of the meshed namespace can be made. */
  async install(): Promise<void> {
    const { ipv6, pods, services } = this.node.addresses;
    const ranges = [pods, services, ...(ipv6 === undefined ? [] : [ipv6.pods, ipv6.services])];
    const values = [
      'mesh.enabled=true',
      `mesh.ranges={${ranges.join(',')}}`,
      `mesh.proxyImage=${proxyImage}`,
      `mesh.initImage=${initImage}`,
      'mesh.drainSeconds=1',
    ].flatMap((value) => ['--set', value]);
    const words = ['install', 'mtls-operator', chartDirectory, '-n', OPERATOR_NAMESPACE, '--wait', '--timeout=3m'];
    await this.#helm(...words, ...values).catch(async (error: unknown) => {
      throw new Error(`${String(error)}\n${await this.#operatorsWords()}`);
    });
    await waitFor('the roots in the webhooks', async () => {
      const path = 'jsonpath={.webhooks[*].clientConfig.caBundle}';
      const found = await this.cluster.kubectl(['get', 'mutatingwebhookconfiguration', 'mtls-operator', '-o', path]);
      return found.split(' ').filter((word) => word !== '').length === 2;
    });
  }

  /** By helm. @throws CommandError, with what helm said. */
  async uninstall(...flags: readonly string[]): Promise<void> {
    await this.#helm('uninstall', 'mtls-operator', '-n', OPERATOR_NAMESPACE, '--wait', '--timeout=2m', ...flags);
  }

  /** Sets how many pods these Deployments of the operator's have each, and waits until that is so. */
  async scale(replicas: number, ...components: readonly Component[]): Promise<void> {
    const deployments = components.map((component) => `deployment/mtls-operator-${component}`);
    await this.cluster.kubectl(['scale', ...deployments, `--replicas=${replicas}`, '-n', OPERATOR_NAMESPACE]);
    for (const deployment of deployments) await this.rolledOut(OPERATOR_NAMESPACE, deployment);
    await waitFor('pods of before to be gone', async () => {
      const counts = await Promise.all(components.map(async (component) => (await this.podsOf(component)).length));
      return counts.every((count) => count === replicas);
    });
  }

  /** Names of its pods in the operator's namespace, those that are ending included. */
  async podsOf(component: Component): Promise<string[]> {
    return await this.#names(OPERATOR_NAMESPACE, `app.kubernetes.io/component=${component}`);
  }

  async apply(...objects: readonly object[]): Promise<void> {
    const list = { apiVersion: 'v1', kind: 'List', items: objects };
    await this.cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(list) });
  }

  async podNames(namespace: string, app: string): Promise<string[]> {
    return await this.#names(namespace, `app=${app}`);
  }

  /** @param workload as in `deployment/web`; its pods have its name as the label `app`. */
  async rolledOut(namespace: string, workload: string): Promise<void> {
    const words = ['rollout', 'status', workload, '-n', namespace, '--timeout=120s'];
    await this.cluster.kubectl(words).catch(async (error: unknown) => {
      const label = `app=${workload.split('/')[1]}`;
      // Where pods are refused only those who would make them say so.
      const said = await this.cluster.kubectl(['describe', 'replicasets,pods', '-n', namespace, '-l', label]);
      throw new Error(`${workload} is not rolled out: ${said.slice(-6_000)}`, { cause: error });
    });
  }

  /** Asks for a mode of the meshed namespace. */
  async ask(mode: Mode): Promise<void> {
    if (mode === 'Strict') {
      await this.cluster.kubectl(['apply', '-f', join(examples, 'mtlspolicy.yaml')]);
      return;
    }
    const metadata = { name: MESHED, namespace: MESHED };
    await this.apply({ apiVersion: 'mtls-operator.io/v1alpha1', kind: 'MTLSPolicy', metadata, spec: { mode } });
  }

  /** Asks for it, and waits until it is in force everywhere. */
  async turn(mode: Mode): Promise<void> {
    await this.ask(mode);
    await this.enforced(mode);
  }

  /** Waits until the policy says that its mode is enforced everywhere, by its own present spec. */
  async enforced(mode: Mode): Promise<void> {
    let last = '';
    const both = [`mtlspolicies/${MESHED}`, 'mtlsrollouts'].map((what) => async () => {
      return await this.cluster.kubectl(['get', ...what.split('/'), '-n', MESHED, '-o', 'json']);
    });
    await waitFor(
      `${mode} to be enforced`,
      async () => {
        const [policy = '', record = ''] = await Promise.all(both.map((get) => get()));
        last = `${policy}\n${record}`;
        const { status } = statusSchema.parse(JSON.parse(policy));
        const done = status.conditions.some(({ type, status: value }) => type === 'Enforced' && value === 'True');
        return done && settledIn(record, mode);
      },
      { timeoutMs: 60_000 },
    ).catch(async (error: unknown) => {
      const words = await this.#operatorsWords();
      throw new Error(`${String(error)}; the policy and the record were ${last}; the operator says ${words}`);
    });
  }

  async #names(namespace: string, selector: string): Promise<string[]> {
    const words = ['get', 'pods', '-n', namespace, '-l', selector, '-o', 'jsonpath={.items[*].metadata.name}'];
    return (await this.cluster.kubectl(words)).split(' ').filter((name) => name !== '');
  }

  /** What is wrong with its pods, and what they have logged last. */
  async #operatorsWords(): Promise<string> {
    const pods = await this.cluster.kubectl(['describe', 'pods', '-n', OPERATOR_NAMESPACE]);
    const all = ['-l', 'app.kubernetes.io/instance=mtls-operator', '--tail=30', '--prefix'];
    const logs = await this.cluster.kubectl(['logs', '-n', OPERATOR_NAMESPACE, ...all]).catch(String);
    return `${pods.slice(-6_000)}\n${logs.slice(-20_000)}`;
  }
}

const statusSchema = z.object({
  status: z
    .object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) })
    .default({ conditions: [] }),
});

const recordSchema = z.object({
  items: z.array(
    z.object({
      spec: z.object({
        workloads: z.array(z.object({ target: z.string(), servers: z.string(), phase: z.string() })).default([]),
      }),
    }),
  ),
});

function settledIn(json: string, mode: Mode): boolean {
  const workloads = recordSchema.parse(JSON.parse(json)).items.flatMap(({ spec }) => spec.workloads);
  return (
    workloads.length > 0 &&
    workloads.every(({ phase, servers, target }) => phase === 'Settled' && servers === mode && target === mode)
  );
}
