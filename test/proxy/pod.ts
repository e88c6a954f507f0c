/**
 * A pod with a sidecar, without a kubelet: an application and a real Envoy in a network of their own, redirection by nft, and the configuration in files, or from a configuration server
 * on this machine. So are its clients, at the other end of a link.
 */
import type { ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import * as z from 'zod';
import {
  bootstrap,
  type Inbound,
  inboundClusters,
  inboundListener,
  type ProbeRoute,
  probeClusters,
  probeListener,
  proxyPaths,
  type Resource,
} from '../../src/envoy/index.ts';
import { readWishes } from '../../src/inject/annotations.ts';
import { settings } from '../../src/inject/builders.fixture.ts';
import { initContainer } from '../../src/inject/containers.ts';
import { PROXY_USER } from '../../src/inject/redirection.ts';
import { type GuardedDirectory, type LaunchOptions, makeGuardedDirectory } from '../cluster/guardian.ts';
import { get } from '../cluster/http.ts';
import { type Addresses, ipv6AddressesOf } from '../node/addresses.ts';
import { connect as link } from '../node/link.ts';
import { machinePath } from '../node/machine.ts';
import { makeNamespaces, type Namespaces } from '../node/namespaces.ts';
import { run } from '../support/command.ts';
import { writeAtomically } from '../support/mount.ts';
import { waitFor } from '../support/waitFor.ts';
import type { Identity } from './identities.ts';

/** How long Envoy lets plaintext connections of a chain that is gone go on, in seconds. */
const DRAIN_SECONDS = 1;

/** Where the pod's /run is in its namespace. */
const configuration = '/run/mtls-operator/proxy';

export interface PodOptions {
  readonly envoy: string;
  readonly identity: Identity;
  /** What the application shows where it has TLS of its own. */
  readonly own: { readonly keyPem: string; readonly certificatePem: string };
  /** What Envoy is to do: by files, or by what a configuration server says who serves on this machine's end of the link. */
  readonly configuration: Inbound | ConfigurationServer;
  /** What kubelet asks. */
  readonly probes?: readonly ProbeRoute[];
  /** Called when the pod has its addresses, before its Envoy starts. */
  readonly addressed?: (addresses: Addresses) => void;
}

export interface ConfigurationServer {
  readonly node: { readonly id: string; readonly cluster: string };
  readonly port: number;
  readonly spiffeId: string;
}

export class Pod implements AsyncDisposable {
  readonly ipv4: string;
  readonly ipv6: string;
  /** This machine's end of the link. */
  readonly machine: string;
  /** Addresses that are nobody's, as those of Services are. */
  readonly services: string;
  readonly #guarded: GuardedDirectory;
  readonly #namespaces: Namespaces;
  /** Of the pod's files. */
  readonly #directory: string;
  readonly #accepted: number[] = [];
  readonly #probes: readonly ProbeRoute[];
  #updates = 0;
  #log = '';

  private constructor(
    guarded: GuardedDirectory,
    namespaces: Namespaces,
    directory: string,
    addresses: Addresses,
    probes: readonly ProbeRoute[],
  ) {
    this.#guarded = guarded;
    this.#namespaces = namespaces;
    this.#directory = directory;
    this.ipv4 = addresses.node;
    this.ipv6 = ipv6AddressesOf(addresses).node;
    this.machine = addresses.machine;
    this.services = addresses.services;
    this.#probes = probes;
  }

  static async start(options: PodOptions): Promise<Pod> {
    const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-pod-');
    try {
      const directory = join(guarded.path, 'pod');
      const namespaces = await makeNamespaces(guarded, directory);
      const addresses = await link(namespaces, guarded.path, true);
      options.addressed?.(addresses);
      const pod = new Pod(guarded, namespaces, directory, addresses, options.probes ?? []);
      await pod.#startApplication(options.own);
      await pod.#redirect();
      await pod.#startEnvoy(options);
      return pod;
    } catch (error) {
      await guarded.remove();
      throw error;
    }
  }

  /** Ports on which the application got a connection, in order, since this was last asked. */
  takeAccepted(): number[] {
    return this.#accepted.splice(0);
  }

  /** Has the proxy act by another mode, and resolves when it has taken it. @param inbound undefined: nothing is let in */
  async configure(inbound: Inbound | undefined): Promise<void> {
    this.#updates += 1;
    const version = String(this.#updates);
    this.#put(
      'lds.json',
      discovery(version, [
        ...(inbound === undefined ? [] : [inboundListener(inbound)]),
        probeListener(this.#probeOptions),
      ]),
    );
    await waitFor(`Envoy to take listener ${version}`, async () => {
      const text = await this.#admin('/stats?filter=^listener_manager');
      if (/lds.update_rejected: [1-9]/.test(text)) throw new Error(`Envoy refused it: ${this.#log}`);
      return text.includes(`lds.version_text: "${version}"`) && /total_listeners_warming: 0\n/.test(text);
    });
  }

  /** One of Envoy's numbers; undefined where there is none of that name. */
  async stat(name: string): Promise<number | undefined> {
    const text = await this.#admin(`/stats?filter=${encodeURIComponent(`^${name.replaceAll('.', '\\.')}$`)}`);
    const [, value] = /: (\d+)\n/.exec(text) ?? [];
    return value === undefined ? undefined : Number(value);
  }

  /** A program in the pod's network, which ends with the pod. */
  launch(command: readonly [string, ...string[]], options: LaunchOptions): ChildProcess {
    return this.#guarded.launch(this.#namespaces.enter(command), options);
  }

  /** A process in the pod's network. */
  get pid(): number {
    return this.#namespaces.pid;
  }

  /** Runs a program in the pod's network, to its end. */
  async inside(program: string, args: readonly string[]): Promise<void> {
    const [first, ...words] = this.#namespaces.enter([program, ...args]);
    await run(first, words, { env: { PATH: machinePath } });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guarded.remove();
  }

  get #probeOptions() {
    return { podAddress: this.ipv4, ipv6: true, routes: this.#probes };
  }

  async #startApplication({ keyPem, certificatePem }: PodOptions['own']): Promise<void> {
    const [key, certificate] = [join(this.#directory, 'own.key'), join(this.#directory, 'own.crt')];
    writeFileSync(key, keyPem, { mode: 0o600 });
    writeFileSync(certificate, certificatePem);
    const program = join(import.meta.dirname, 'application.ts');
    const command = this.#namespaces.enter([process.execPath, program, key, certificate]);
    const { stdout } = this.#guarded.launch(command, { stdio: ['ignore', 'pipe', 'inherit'] });
    let ready = false;
    let rest = '';
    stdout?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) {
        const said: unknown = JSON.parse(line);
        if (typeof said !== 'object' || said === null) throw new Error(`unexpected: ${line}`);
        if ('ready' in said) ready = true;
        if ('port' in said && typeof said.port === 'number') this.#accepted.push(said.port);
      }
    });
    await waitFor('the application to listen', () => ready);
  }

  /** By the very command of the init container. */
  async #redirect(): Promise<void> {
    const command = z.array(z.string()).parse(initContainer(settings, readWishes({}, settings.resources))['command']);
    const [program = '', ...args] = command;
    await this.inside(program, args);
  }

  async #startEnvoy({ configuration: wanted, envoy, identity }: PodOptions): Promise<void> {
    const path = this.#hostPath(configuration);
    mkdirSync(path, { recursive: true });
    chownSync(path, PROXY_USER, PROXY_USER);
    const files = Object.entries(identity.sds).map(([name, text]) => [name, Buffer.from(text)] as const);
    writeAtomically(this.#hostPath(proxyPaths.identity), new Map(files), { group: PROXY_USER, fileMode: 0o440 });
    if ('node' in wanted) {
      const { node, port, spiffeId } = wanted;
      this.#put('bootstrap.json', bootstrap({ node, proxyApi: { host: this.machine, port, spiffeId } }));
      await this.#launchEnvoy(envoy);
      return;
    }
    const start = bootstrap({
      node: { id: 'pod-uid', cluster: 'shop/web-0' },
      // Nobody is there: what it would send is in files.
      proxyApi: { host: '127.0.0.1', port: 15_012, spiffeId: 'spiffe://cluster.local/none' },
    });
    const file = (name: string) => ({
      path_config_source: { path: `${configuration}/${name}` },
      resource_api_version: 'V3',
    });
    this.#put('cds.json', discovery('1', [...inboundClusters(wanted), ...probeClusters(this.#probeOptions)]));
    this.#put('lds.json', discovery('0', []));
    const sources = { lds_config: file('lds.json'), cds_config: file('cds.json') };
    this.#put('bootstrap.json', { ...start, dynamic_resources: sources });
    await this.#launchEnvoy(envoy);
    await this.configure(wanted);
  }

  async #launchEnvoy(envoy: string): Promise<void> {
    // Its own path may lie where nobody but root can go.
    const program = '/run/envoy';
    writeFileSync(this.#hostPath(program), '');
    await this.inside('mount', ['--bind', envoy, program]);
    const flags = ['--concurrency', '2', '--drain-time-s', String(DRAIN_SECONDS), '--drain-strategy', 'immediate'];
    const user = [`--reuid=${PROXY_USER}`, `--regid=${PROXY_USER}`, '--clear-groups', '--bounding-set=-all'];
    const words = [program, '-c', `${configuration}/bootstrap.json`, ...flags, '--disable-hot-restart', '-l', 'warn'];
    const child = this.#guarded.launch(this.#namespaces.enter(['setpriv', ...user, '--inh-caps=-all', ...words]), {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-4_000);
    });
    await waitFor('Envoy to live', async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`Envoy has ended: ${this.#log}`);
      const state = await this.#admin('/ready');
      if (!state.startsWith('LIVE')) throw new Error(`it is ${state.trim()}: ${this.#log}`);
      return true;
    });
  }

  #hostPath(path: string): string {
    return join(this.#directory, path.replace(/^\/var\/run\//, '/run/'));
  }

  /** Envoy sees a file that is moved into place, not one that is written to. */
  #put(name: string, content: object): void {
    const file = this.#hostPath(`${configuration}/${name}`);
    const partial = `${file}.new`;
    rmSync(partial, { force: true });
    writeFileSync(partial, JSON.stringify(content));
    chmodSync(partial, 0o644);
    renameSync(partial, file);
  }

  async #admin(path: string): Promise<string> {
    const socketPath = this.#hostPath(proxyPaths.admin);
    return (await get(`http://envoy${path}`, { socketPath, signal: AbortSignal.timeout(5_000) })).body;
  }
}

function discovery(version: string, resources: readonly Resource[]): object {
  return { version_info: version, resources };
}
