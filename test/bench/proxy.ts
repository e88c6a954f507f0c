/**
 * What sidecars cost the traffic between two pods: through two real Envoys with our configuration, beside two with a hand-written minimal one to which the kernel redirects as well, two of that
 * sort that programs dial themselves, and without any. The four take turns.
 */
import type { Mode } from '../../src/api/index.ts';
import {
  destinationName,
  inboundClusters,
  inboundListener,
  outboundClusters,
  outboundListener,
  type Peer,
  probeListener,
  serviceCluster,
  serviceEndpoints,
} from '../../src/envoy/index.ts';
import { issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { Pod } from '../proxy/pod.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { serve, World } from '../xds/world.ts';
import { quantile } from './harness.ts';
import { BarePlace, envoyPorts, startHandWritten } from './proxy/handWritten.ts';
import { envoyCpuMilliseconds, Load, linkAddresses, linkPlaces, type Place, startServer } from './proxy/pair.ts';
import { benchPorts } from './proxy/server.ts';

export interface ProxyResult {
  readonly benchmark: 'proxy';
  readonly rounds: number;
  readonly ours: Figures;
  readonly handWritten: Figures;
  readonly withoutRedirection: Figures;
  readonly direct: Figures;
  /** Ours by the hand-written one's, round by round: the median of the rounds. */
  readonly ratios: Ratios;
  /** By those that programs dial themselves: what redirection by the kernel costs is in it. */
  readonly ratiosWithoutRedirection: Ratios;
}

interface Ratios {
  readonly latencyP50: number;
  readonly latencyP99: number;
  readonly connectionP50: number;
  readonly connectionP99: number;
  readonly throughput: number;
  readonly envoyCpuPerGigabyte: number;
}

/** Medians of the rounds. */
interface Figures {
  /** A question of 100 octets and its answer, on an open connection. */
  readonly latencyP50Microseconds: number;
  readonly latencyP99Microseconds: number;
  /** The same on a new connection. */
  readonly connectionP50Microseconds: number;
  readonly connectionP99Microseconds: number;
  /** Four connections at once, one way. */
  readonly throughputMegabytesPerSecond: number;
  /** Of both Envoys; 0 without. */
  readonly envoyCpuMillisecondsPerGigabyte: number;
}

export const proxyGoals =
  'latency and throughput within 5 % of the hand-written configuration: ratios ≤ 1.05, throughput ≥ 0.95';

/** Address of the Service that the meshed client dials, which nobody has. */
const SERVICE = '198.19.0.1';
const WARM = 200;
const QUESTIONS = 3_000;
const CONNECTIONS = 200;
const SENDING = 2_000;

export async function measureProxy(rounds: number): Promise<ProxyResult> {
  const envoy = await findEnvoy(printProgress);
  const mesh = await makeCorporateCa('Mesh');
  const [client, server] = [
    await issueIdentity({ ca: mesh, account: 'client' }),
    await issueIdentity({ ca: mesh, account: 'server' }),
  ];
  const idOf = (account: string, namespace = 'shop'): string =>
    `spiffe://${TRUST_DOMAIN}/ns/${namespace}/sa/${account}`;
  await using stack = new AsyncDisposableStack();

  printProgress('  two pods with sidecars');
  const api = await issueIdentity({ ca: mesh, namespace: 'mtls-system', account: 'proxy-api' });
  const worlds = new Map<string, World>();
  const xds = await serve({
    identity: { key: api.keyPem, chain: api.chainPem, roots: api.rootsPem },
    admit: ({ id }) => worlds.get(id) ?? { refused: 'it is not known yet', soon: true },
  });
  stack.defer(() => xds.close());
  const meshed: Pod[] = [];
  for (const [id, identity] of [
    ['client', client],
    ['server', server],
  ] as const) {
    const pod = await Pod.start({
      envoy,
      identity,
      own: { keyPem: api.keyPem, certificatePem: api.chainPem },
      configuration: {
        node: { id, cluster: `shop/${id}` },
        port: xds.port,
        spiffeId: idOf('proxy-api', 'mtls-system'),
      },
      addressed: ({ node }) => worlds.set(id, worldOf(node, idOf('server'))),
    });
    meshed.push(pod);
    stack.use(pod);
  }
  printProgress('  two with hand-written ones');
  const handWritten = async (service: string | undefined) => {
    const [from, to] = [stack.use(await BarePlace.make()), stack.use(await BarePlace.make())];
    await linkPlaces(from, to);
    await startHandWritten(from, { envoy, side: 'client', identity: client, peer: idOf('server'), service });
    await startHandWritten(to, { envoy, side: 'server', identity: server, peer: idOf('client'), service });
    await startServer(to);
    return { load: new Load(from), places: [from, to] };
  };
  const [redirected, bare] = [await handWritten(SERVICE), await handWritten(undefined)];
  const [meshedClient, meshedServer] = meshed;
  if (meshedClient === undefined || meshedServer === undefined) throw new Error('there are no pods');
  await linkPlaces(meshedClient, meshedServer);
  await startServer(meshedServer);
  const meshedLoad = new Load(meshedClient);

  const ways: readonly Way[] = [
    { name: 'ours', load: meshedLoad, host: SERVICE, ports: benchPorts, places: [meshedClient, meshedServer] },
    { name: 'handWritten', ...redirected, host: SERVICE, ports: benchPorts },
    { name: 'withoutRedirection', ...bare, host: '127.0.0.1', ports: envoyPorts },
    { name: 'direct', load: bare.load, host: linkAddresses.server, ports: benchPorts, places: [] },
  ];
  const found: Record<Way['name'], Figures[]> = { ours: [], handWritten: [], withoutRedirection: [], direct: [] };
  for (const way of ways) await visit(way); // destinations are fetched, code is compiled
  for (let round = 1; round <= rounds; round += 1) {
    // Whoever comes first is another one each time: the machine's speed drifts.
    for (let turn = 0; turn < ways.length; turn += 1) {
      const way = ways[(round + turn) % ways.length];
      if (way !== undefined) found[way.name].push(await visit(way));
    }
    printProgress(
      `  round ${round} of ${rounds}: ${ways.map(({ name }) => `${name} ${JSON.stringify(found[name].at(-1))}`).join(', ')}`,
    );
  }
  const median = (name: Way['name']): Figures => mediansOf(found[name]);
  const ratiosBy = (base: 'handWritten' | 'withoutRedirection'): Ratios => {
    const ratio = (of: keyof Figures): number =>
      quantile(
        found.ours.map((figures, index) => figures[of] / (found[base][index]?.[of] ?? Number.NaN)),
        0.5,
      );
    return {
      latencyP50: ratio('latencyP50Microseconds'),
      latencyP99: ratio('latencyP99Microseconds'),
      connectionP50: ratio('connectionP50Microseconds'),
      connectionP99: ratio('connectionP99Microseconds'),
      throughput: ratio('throughputMegabytesPerSecond'),
      envoyCpuPerGigabyte: ratio('envoyCpuMillisecondsPerGigabyte'),
    };
  };
  return {
    benchmark: 'proxy',
    rounds,
    ours: median('ours'),
    handWritten: median('handWritten'),
    withoutRedirection: median('withoutRedirection'),
    direct: median('direct'),
    ratios: ratiosBy('handWritten'),
    ratiosWithoutRedirection: ratiosBy('withoutRedirection'),
  };
}

interface Way {
  readonly name: 'ours' | 'handWritten' | 'withoutRedirection' | 'direct';
  readonly load: Load;
  readonly host: string;
  readonly ports: { readonly echo: number; readonly sink: number };
  /** Where its Envoys are. */
  readonly places: readonly Place[];
}

/** The configuration of either pod, and how both reach the server. */
function worldOf(podAddress: string, serverId: string): World {
  const mode: Mode = 'Strict';
  const ports = Object.values(benchPorts).map((number) => ({ number, mode, serverFirst: false }));
  const inbound = { trustDomain: TRUST_DOMAIN, ipv6: true, others: mode, ports };
  const { length, range, server } = linkAddresses;
  const world = new World().everybody(
    ...inboundClusters(inbound),
    ...outboundClusters(),
    inboundListener(inbound),
    outboundListener({ ranges: [{ address: range, length }], ipv6: true }),
    probeListener({ podAddress, ipv6: true, routes: [] }),
  );
  for (const port of Object.values(benchPorts)) {
    const name = destinationName(SERVICE, port);
    const peer: Peer = { spiffeId: serverId, serverFirstPort: undefined };
    const endpoints = [{ address: server, port, peer }];
    world.onDemand(name, serviceCluster(name, [peer], TRUST_DOMAIN), serviceEndpoints(name, endpoints));
  }
  return world;
}

async function visit({ host, load, places, ports }: Way): Promise<Figures> {
  const to = (port: number) => ({ host, port });
  const asked = await load.measure({ what: 'ask', target: to(ports.echo), count: WARM + QUESTIONS });
  const connected = await load.measure({ what: 'connect', target: to(ports.echo), count: CONNECTIONS });
  const cpu = (): number => places.reduce((sum, place) => sum + envoyCpuMilliseconds(place), 0);
  const before = cpu();
  const { bytes, milliseconds } = await load.measure({
    what: 'send',
    target: to(ports.sink),
    connections: 4,
    milliseconds: SENDING,
  });
  const questions = asked.microseconds.slice(WARM);
  return {
    latencyP50Microseconds: quantile(questions, 0.5),
    latencyP99Microseconds: quantile(questions, 0.99),
    connectionP50Microseconds: quantile(connected.microseconds, 0.5),
    connectionP99Microseconds: quantile(connected.microseconds, 0.99),
    throughputMegabytesPerSecond: Math.round(bytes / 1e3 / milliseconds),
    envoyCpuMillisecondsPerGigabyte: Math.round(((cpu() - before) / bytes) * 1e9),
  };
}

function mediansOf(rounds: readonly Figures[]): Figures {
  const of = (name: keyof Figures): number =>
    quantile(
      rounds.map((figures) => figures[name]),
      0.5,
    );
  return {
    latencyP50Microseconds: of('latencyP50Microseconds'),
    latencyP99Microseconds: of('latencyP99Microseconds'),
    connectionP50Microseconds: of('connectionP50Microseconds'),
    connectionP99Microseconds: of('connectionP99Microseconds'),
    throughputMegabytesPerSecond: of('throughputMegabytesPerSecond'),
    envoyCpuMillisecondsPerGigabyte: of('envoyCpuMillisecondsPerGigabyte'),
  };
}
