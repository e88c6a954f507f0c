/** A mesh of one namespace on a real node: who its pods are, what they are made with, and the configuration server, which they reach by a Service as they would in a cluster of a user's. */
import type { Mode } from '../../src/api/index.ts';
import {
  type Inbound,
  inboundClusters,
  inboundListener,
  outboundClusters,
  outboundListener,
  probeClusters,
  probeListener,
  type TypedMessage,
} from '../../src/envoy/index.ts';
import { applyPatch, settings as defaults, shop } from '../../src/inject/builders.fixture.ts';
import {
  type InjectionSettings,
  identitySecretName,
  inject,
  type Pod,
  parsePod,
  probeRoutes,
  recordOf,
} from '../../src/inject/index.ts';
import type { ProxyClaim, ProxySource } from '../../src/xds/proxyStream.ts';
import type { XdsServer } from '../../src/xds/server.ts';
import type { Addresses } from '../node/addresses.ts';
import { initImage, proxyImage } from '../node/sidecarImages.ts';
import { type CorporateCa, type Identity, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { waitFor } from '../support/waitFor.ts';
import { serve, World } from '../xds/world.ts';

const settings: InjectionSettings = { ...defaults, proxyImage, initImage };

export const spiffeIdOf = (account: string): string => `spiffe://${TRUST_DOMAIN}/ns/${shop.name}/sa/${account}`;

export class Mesh {
  /** Who has come to be configured, by namespace/name. */
  readonly claims = new Map<string, ProxyClaim>();
  readonly #ca: CorporateCa;
  readonly #addresses: Addresses;
  readonly #pods = new Map<string, Pod>();
  readonly #worlds = new Map<string, World>();
  readonly #destinations = new World();
  #server: XdsServer | undefined;
  #port = 0;
  #mode: Mode = 'Permissive';
  /** Number of what proxies are to have. */
  #state = 0;

  private constructor(ca: CorporateCa, addresses: Addresses) {
    this.#ca = ca;
    this.#addresses = addresses;
  }

  static async start(addresses: Addresses): Promise<Mesh> {
    const mesh = new Mesh(await makeCorporateCa('Mesh'), addresses);
    await mesh.comeBack();
    return mesh;
  }

  /** Makes the configuration server go away. */
  async leave(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  /** Makes it come back where it was: at this machine's end of the node's link. */
  async comeBack(): Promise<void> {
    const own = await issueIdentity({ ca: this.#ca, namespace: 'mtls-system', account: 'mtls-operator-proxy-api' });
    this.#server = await serve({
      host: this.#addresses.machine,
      port: this.#port,
      identity: { key: own.keyPem, chain: own.chainPem, roots: own.rootsPem },
      state: () => this.#state,
      admit: (claim) => this.#admit(claim),
    });
    this.#port = this.#server.port;
  }

  /** By which pods find the configuration server. */
  service(): object[] {
    const [name = '', namespace] = settings.proxyApi.host.split('.');
    return [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name, namespace },
        spec: { ports: [{ name: 'xds', port: settings.proxyApi.port }] },
      },
      {
        apiVersion: 'discovery.k8s.io/v1',
        kind: 'EndpointSlice',
        metadata: { name, namespace, labels: { 'kubernetes.io/service-name': name } },
        addressType: 'IPv4',
        ports: [{ name: 'xds', port: this.#port }],
        endpoints: [{ addresses: [this.#addresses.machine] }],
      },
    ];
  }

  async identity(account: string): Promise<Identity> {
    return await issueIdentity({ ca: this.#ca, namespace: shop.name, account });
  }

  /** What the operator makes for a service account. */
  async secret(account: string): Promise<object> {
    const { sds } = await this.identity(account);
    const metadata = { name: identitySecretName(account), namespace: shop.name };
    return { apiVersion: 'v1', kind: 'Secret', metadata, stringData: sds };
  }

  /** The pod, or the template of a Job's, as the webhook would have it. */
  inject(pod: object): Pod {
    const before = parsePod(pod);
    const injection = inject(before, shop, settings);
    if (injection.action !== 'Inject') throw new Error(`it is not injected: ${JSON.stringify(injection)}`);
    const after = applyPatch(before, injection.patch);
    this.#pods.set(`${shop.name}/${after.metadata.name}`, after);
    return after;
  }

  /** What proxies are told of a destination that is dialled. */
  know(name: string, ...messages: readonly TypedMessage[]): void {
    this.#destinations.onDemand(name, ...messages);
    this.#state += 1;
    this.#server?.changed();
  }

  /** Resolves when all proxies have taken it. */
  async turn(mode: Mode): Promise<void> {
    this.#mode = mode;
    for (const [name, { address }] of this.claims) this.#fill(name, address);
    this.#state += 1;
    this.#server?.changed();
    await waitFor('all proxies to have taken it', () =>
      [...(this.#server?.streams() ?? [])].every(({ acknowledged }) => acknowledged === this.#state),
    );
  }

  #admit(claim: ProxyClaim): ProxySource {
    this.claims.set(claim.cluster, claim);
    const own = this.#fill(claim.cluster, claim.address);
    return {
      ended: undefined,
      view: undefined,
      subjects: [],
      all: (type) => own.all(type),
      named: (type, name) => this.#destinations.named(type, name),
    };
  }

  #fill(name: string, podAddress: string): World {
    const world = this.#worlds.get(name) ?? new World();
    this.#worlds.set(name, world);
    const pod = this.#pods.get(name);
    const record = pod && recordOf(pod);
    const routes = pod && record ? probeRoutes(pod.spec.containers, record.probes) : [];
    const probes = { podAddress, ipv6: false, routes };
    const inbound: Inbound = { trustDomain: TRUST_DOMAIN, ipv6: false, others: this.#mode, ports: [] };
    const ranges = [this.#addresses.pods, this.#addresses.services].map((range) => {
      const [address = '', length] = range.split('/');
      return { address, length: Number(length) };
    });
    return world.everybody(
      ...inboundClusters(inbound),
      ...outboundClusters(),
      ...probeClusters(probes),
      inboundListener(inbound),
      outboundListener({ ranges, ipv6: false }),
      probeListener(probes),
    );
  }
}
