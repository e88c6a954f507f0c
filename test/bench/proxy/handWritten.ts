/** Two Envoys as somebody would write them who wants mutual TLS between two programs and nothing else: no configuration server, no statistics left out. */
import { chmodSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type GuardedDirectory, makeGuardedDirectory } from '../../cluster/guardian.ts';
import { get } from '../../cluster/http.ts';
import { machinePath } from '../../node/machine.ts';
import { makeNamespaces } from '../../node/namespaces.ts';
import type { Identity } from '../../proxy/identities.ts';
import { run } from '../../support/command.ts';
import { waitFor } from '../../support/waitFor.ts';
import { linkAddresses, type Place } from './pair.ts';
import { benchPorts } from './server.ts';

/** Where a client dials its Envoy instead of the server; the same on the other side of it. */
export const envoyPorts = { echo: 7100, sink: 7101 } as const;

/** A network of its own, and nothing in it. */
export class BarePlace implements Place, AsyncDisposable {
  readonly pid: number;
  readonly launch: Place['launch'];
  readonly inside: Place['inside'];
  /** Of files that programs in it can read. */
  readonly directory: string;
  readonly #guarded: GuardedDirectory;

  private constructor(guarded: GuardedDirectory, directory: string, of: Omit<Place, 'launch'> & Pick<Place, 'launch'>) {
    this.#guarded = guarded;
    this.directory = directory;
    this.pid = of.pid;
    this.launch = of.launch;
    this.inside = of.inside;
  }

  static async make(): Promise<BarePlace> {
    const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-bare-');
    try {
      const directory = join(guarded.path, 'place');
      const namespaces = await makeNamespaces(guarded, directory);
      return new BarePlace(guarded, directory, {
        pid: namespaces.pid,
        launch: (command, options) => guarded.launch(namespaces.enter(command), options),
        inside: async (program, args) => {
          const [first, ...words] = namespaces.enter([program, ...args]);
          await run(first, words, { env: { PATH: machinePath } });
        },
      });
    } catch (error) {
      await guarded.remove();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#guarded.remove();
  }
}

export interface HandWritten {
  readonly envoy: string;
  readonly side: 'client' | 'server';
  readonly identity: Identity;
  /** SPIFFE ID of the other side. */
  readonly peer: string;
  /** The address that programs dial and nobody has: what goes there is redirected to Envoy by the kernel, on either side, as with sidecars. undefined: programs dial Envoy. */
  readonly service: string | undefined;
}

/** As little as a sidecar can do with. Two rules for each side. */
async function redirect(place: BarePlace, side: HandWritten['side'], service: string): Promise<void> {
  if (side === 'client') await place.inside('ip', ['route', 'add', service, 'dev', 'bench0']);
  const [hook, match] = side === 'client' ? ['output', `ip daddr ${service}`] : ['prerouting', 'iifname bench0'];
  const rules = (['echo', 'sink'] as const).map(
    (name) => `${match} tcp dport ${benchPorts[name]} redirect to :${envoyPorts[name]}`,
  );
  const file = join(place.directory, 'redirection.nft');
  writeFileSync(
    file,
    `table ip bench {\n chain c {\n type nat hook ${hook} priority -100\n ${rules.join('\n ')}\n }\n}\n`,
  );
  await place.inside('nft', ['-f', file]);
}

export async function startHandWritten(place: BarePlace, of: HandWritten): Promise<void> {
  const { envoy, identity, peer, service, side } = of;
  if (service !== undefined) await redirect(place, side, service);
  const dialled = side === 'client' && service === undefined ? envoyPorts : benchPorts;
  const names = ['echo', 'sink'] as const;
  const [own, other] = side === 'client' ? ['127.0.0.1', linkAddresses.server] : [linkAddresses.server, '127.0.0.1'];
  const tls = {
    tls_params: { tls_minimum_protocol_version: 'TLSv1_2', tls_maximum_protocol_version: 'TLSv1_3' },
    tls_certificates: [
      { certificate_chain: { inline_string: identity.chainPem }, private_key: { inline_string: identity.keyPem } },
    ],
    validation_context: {
      trusted_ca: { inline_string: identity.rootsPem },
      match_typed_subject_alt_names: [{ san_type: 'URI', matcher: { exact: peer } }],
    },
  };
  const socket = (kind: 'Upstream' | 'Downstream', more: object) => ({
    name: 'envoy.transport_sockets.tls',
    typed_config: {
      '@type': `type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.${kind}TlsContext`,
      common_tls_context: tls,
      ...more,
    },
  });
  const address = (host: string, port: number) => ({ socket_address: { address: host, port_value: port } });
  const admin = join(place.directory, 'admin.sock');
  const configuration = {
    admin: { address: { pipe: { path: admin } } },
    static_resources: {
      listeners: names.map((name) => ({
        name,
        address: address(own, envoyPorts[name]),
        filter_chains: [
          {
            ...(side === 'server'
              ? { transport_socket: socket('Downstream', { require_client_certificate: true }) }
              : {}),
            filters: [
              {
                name: 'envoy.filters.network.tcp_proxy',
                typed_config: {
                  '@type': 'type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy',
                  stat_prefix: name,
                  cluster: name,
                },
              },
            ],
          },
        ],
      })),
      clusters: names.map((name) => ({
        name,
        type: 'STATIC',
        connect_timeout: '5s',
        load_assignment: {
          cluster_name: name,
          endpoints: [
            {
              lb_endpoints: [{ endpoint: { address: address(other, dialled[name]) } }],
            },
          ],
        },
        ...(side === 'client' ? { transport_socket: socket('Upstream', { sni: 'server' }) } : {}),
      })),
    },
  };
  const file = join(place.directory, 'bootstrap.json');
  writeFileSync(file, JSON.stringify(configuration), { mode: 0o600 });
  chmodSync(file, 0o600);
  const words = [envoy, '-c', file, '--concurrency', '2', '--disable-hot-restart', '-l', 'warn'] as const;
  const child = place.launch([...words], { stdio: ['ignore', 'ignore', 'inherit'] });
  await waitFor('the hand-written Envoy to live', async () => {
    if (child.exitCode !== null) throw new Error('it has ended');
    const { body } = await get('http://envoy/ready', { socketPath: admin, signal: AbortSignal.timeout(5_000) });
    return body.startsWith('LIVE');
  });
}
