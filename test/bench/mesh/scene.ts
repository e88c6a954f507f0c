/** The whole scene: a cluster with a mesh in it, proxy-api as its image runs it, and its simulated proxies in a process of their own. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildOperator, operatorEnvironment, operatorNodeFlags } from '../../../build.ts';
import type { Transport } from '../../../src/kube/index.ts';
import { type Cluster, startCluster } from '../../cluster/index.ts';
import { type CorporateCa, issueIdentity, makeCorporateCa } from '../../proxy/identities.ts';
import { installOperator, OPERATOR_NAMESPACE } from '../../support/operator.ts';
import { printProgress } from '../../support/progress.ts';
import {
  grantToProxyApi,
  mountIdentity,
  PROXY_API,
  type ProxyApiProcess,
  startProxyApi,
} from '../../support/proxyApi.ts';
import { waitFor } from '../../support/waitFor.ts';
import { ReportListener } from '../../xds/client.ts';
import { transportFor } from '../harness.ts';
import { BareServer } from './bare.ts';
import { ProxiesProcess } from './client.ts';
import type { Look } from './proxies.ts';
import { type Mesh, MeshMaker, type MeshSize, Records } from './world.ts';

export interface SceneOptions extends MeshSize {
  /** Where profiles of proxy-api go, one for each of its processes; undefined: none are made. */
  readonly profiles: string | undefined;
}

/** Nothing has come for so long: whatever was to come is there (ms). */
const QUIET = 500;

export class Scene {
  readonly cluster: Cluster;
  readonly maker: MeshMaker;
  readonly mesh: Mesh;
  readonly records: Records;
  readonly proxies: ProxiesProcess;
  proxyApi: ProxyApiProcess;
  readonly #transport: Transport;
  readonly #ca: CorporateCa;
  readonly #directory: string;
  readonly #start: () => Promise<ProxyApiProcess>;
  #listener: ReportListener;

  private constructor(
    parts: Pick<Scene, 'cluster' | 'maker' | 'mesh' | 'records' | 'proxies' | 'proxyApi'>,
    rest: {
      readonly transport: Transport;
      readonly ca: CorporateCa;
      readonly directory: string;
      readonly start: () => Promise<ProxyApiProcess>;
      readonly listener: ReportListener;
    },
  ) {
    this.cluster = parts.cluster;
    this.maker = parts.maker;
    this.mesh = parts.mesh;
    this.records = parts.records;
    this.proxies = parts.proxies;
    this.proxyApi = parts.proxyApi;
    this.#transport = rest.transport;
    this.#ca = rest.ca;
    this.#directory = rest.directory;
    this.#start = rest.start;
    this.#listener = rest.listener;
  }

  /** The records say Disabled, proxy-api serves, and nobody is connected. */
  static async open(options: SceneOptions): Promise<Scene> {
    const bundle = await buildOperator();
    const directory = mkdtempSync(join(tmpdir(), 'mtls-operator-bench-'));
    const cluster = await startCluster({ audit: 'off', log: printProgress });
    try {
      await installOperator(cluster);
      await grantToProxyApi(cluster);
      const transport = await transportFor(cluster.kubeconfig);
      const maker = new MeshMaker(transport);
      const mesh = await maker.make(options);
      const records = new Records(transport, mesh);
      await records.begin('Disabled');
      const ca = await makeCorporateCa('Mesh');
      const proxies = new ProxiesProcess();
      printProgress(`  issuing ${mesh.pods.length} identities`);
      for (let from = 0; from < mesh.pods.length; from += 100)
        await proxies.add(
          await Promise.all(
            mesh.pods.slice(from, from + 100).map(async ({ account, name, namespace, uid }, index) => ({
              node: { id: uid, cluster: `${namespace}/${name}` },
              identity: await issueIdentity({ ca, namespace, account }),
              destinations: destinationsOf(from + index, mesh, options),
            })),
          ),
        );
      mountIdentity(directory, await issueIdentity({ ca, namespace: OPERATOR_NAMESPACE, account: PROXY_API }));
      if (options.profiles !== undefined) mkdirSync(options.profiles, { recursive: true });
      const profiling = options.profiles === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profiles}`];
      const start = () =>
        // Proxies connect from this machine, not from addresses of pods.
        startProxyApi(cluster, directory, ['--ignore-source-addresses'], {
          program: [...operatorNodeFlags, ...profiling, bundle],
          env: operatorEnvironment,
        });
      const proxyApi = await start();
      const listener = await listen(ca, proxyApi);
      return new Scene(
        { cluster, maker, mesh, records, proxies, proxyApi },
        { transport, ca, directory, start, listener },
      );
    } catch (error) {
      await cluster.stop();
      throw error;
    }
  }

  /** As after a roll-out of proxy-api: a process that has rendered nothing yet. Nobody is connected. */
  async restart(): Promise<void> {
    await this.proxies.close();
    this.#listener.close();
    await this.proxyApi.stop();
    this.proxyApi = await this.#start();
    this.#listener = await listen(this.#ca, this.proxyApi);
  }

  /** Resolves when the leader has heard that every proxy has taken all records at these versions. */
  async taken(versions: ReadonlyMap<string, string>, timeoutMs = 120_000): Promise<void> {
    const lagging = (): number =>
      this.mesh.pods.filter(({ uid }) =>
        [...versions].some(([namespace, version]) => !this.#listener.hasTaken(uid, namespace, version)),
      ).length;
    try {
      await waitFor('all proxies to have taken the records', () => lagging() === 0, { timeoutMs, intervalMs: 20 });
    } catch (error) {
      const { complete, ended, why } = await this.proxies.look();
      const state = `${complete} have everything, ${ended} streams have ended (${why ?? 'none'})`;
      throw new Error(`${lagging()} of ${this.mesh.pods.length} lag; ${state}`, { cause: error });
    }
  }

  /** A server that all proxies are connected to instead, and that only sends. */
  async bare(): Promise<BareServer> {
    await this.proxies.close();
    const bare = await BareServer.start(
      await issueIdentity({ ca: this.#ca, namespace: OPERATOR_NAMESPACE, account: PROXY_API }),
    );
    await this.proxies.open(bare.port, true);
    await waitFor('all proxies to be there', async () => (await bare.streams()) >= this.mesh.pods.length, {
      timeoutMs: 120_000,
    });
    return bare;
  }

  /** What has come, once nothing more comes. */
  async quiet(): Promise<Look> {
    let before = await this.proxies.look();
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, QUIET));
      const after = await this.proxies.look();
      if (Math.max(0, ...after.lastAcknowledged) <= before.now) return after;
      before = after;
    }
  }

  async close(): Promise<void> {
    this.#listener.close();
    this.proxies.end();
    await this.proxyApi.stop();
    await this.#transport.close();
    await this.cluster.stop();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

async function listen(ca: CorporateCa, { ports }: ProxyApiProcess): Promise<ReportListener> {
  const leader = await issueIdentity({ ca, namespace: OPERATOR_NAMESPACE, account: 'mtls-operator' });
  return new ReportListener(ports.port, leader);
}

/** Of Services elsewhere in the mesh, and the one that everybody dials: as many as its own namespace has. */
function destinationsOf(index: number, { services, shared }: Mesh, { destinations }: MeshSize): string[] {
  const found = new Set([shared]);
  const wanted = Math.min(Math.ceil(destinations / 2), services.length);
  // A step that has no factor in common with most counts: neighbours do not dial the same.
  for (let at = index * 7 + 1; found.size < wanted; at += 37) found.add(services[at % services.length] ?? shared);
  return [...found];
}
