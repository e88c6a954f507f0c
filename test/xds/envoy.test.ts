/** A real Envoy that is configured by our server: what it does with what it is sent, and what becomes of its connections. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from '../../src/api/index.ts';
import {
  destinationName,
  type Endpoint,
  type Inbound,
  inboundClusters,
  inboundListener,
  MESH_ALPN,
  outboundClusters,
  outboundListener,
  type Peer,
  passThroughCluster,
  podCluster,
  probeListener,
  proxyPorts,
  type Resource,
  refusedCluster,
  serviceCluster,
  serviceEndpoints,
} from '../../src/envoy/index.ts';
import type { XdsServer } from '../../src/xds/server.ts';
import type { Addresses } from '../node/addresses.ts';
import { ports } from '../proxy/application.ts';
import { speakPlainly, speakTls } from '../proxy/clients.ts';
import { Dialer } from '../proxy/dialer.ts';
import { type CorporateCa, type Identity, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { Pod } from '../proxy/pod.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { serve, World } from './world.ts';

const PROXY_API = `spiffe://${TRUST_DOMAIN}/ns/mtls-system/sa/mtls-operator-proxy-api`;
const CART = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/cart`;
const DB = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/db`;

let mesh: CorporateCa;
let envoy: string;
let client: Identity;
let own: { keyPem: string; certificatePem: string };

beforeAll(async () => {
  envoy = await findEnvoy(printProgress);
  mesh = await makeCorporateCa('Mesh');
  client = await issueIdentity({ ca: mesh, account: 'client' });
  const other = await issueIdentity({ ca: await makeCorporateCa('Own'), account: 'own' });
  own = { keyPem: other.keyPem, certificatePem: other.chainPem };
});

async function proxyApiIdentity() {
  const { chainPem, keyPem, rootsPem } = await issueIdentity({
    ca: mesh,
    namespace: 'mtls-system',
    account: 'mtls-operator-proxy-api',
  });
  return { key: keyPem, chain: chainPem, roots: rootsPem };
}

/** First octet of a TLS record that begins a handshake (RFC 8446, section 5.1). */
const HANDSHAKE = 22;

/** A server on this machine that repeats what it hears, and remembers who came how. */
class Upstream {
  readonly server: Server;
  readonly visitors: string[] = [];

  constructor(identity?: Identity, { plaintextToo = false } = {}) {
    const say = (prefix: string) => (socket: Socket) => {
      socket.on('error', () => socket.destroy());
      socket.on('data', (data) => socket.write(`${prefix} ${data.toString('utf8')}`));
    };
    const sayPlainly = (socket: Socket): void => {
      this.visitors.push('plaintext');
      say('in plaintext')(socket);
    };
    if (identity === undefined) {
      this.server = createServer(sayPlainly);
      return;
    }
    const options = {
      key: identity.keyPem,
      cert: identity.chainPem,
      ca: identity.rootsPem,
      requestCert: true,
      ALPNProtocols: [MESH_ALPN],
    };
    const secure = createTlsServer(options, (socket: TLSSocket) => {
      const { subjectaltname } = socket.getPeerCertificate();
      this.visitors.push(
        `${subjectaltname?.split(', ').find((name) => name.startsWith('URI:'))} ${socket.alpnProtocol}`,
      );
      say('by mutual TLS')(socket);
    }).on('tlsClientError', () => {});
    const either = (socket: Socket): void => {
      socket.once('data', (data: Buffer) => {
        socket.pause();
        socket.unshift(data);
        if (data[0] === HANDSHAKE) secure.emit('connection', socket);
        else sayPlainly(socket.resume());
      });
    };
    this.server = plaintextToo ? createServer(either) : secure;
  }

  async listen(): Promise<number> {
    await new Promise<void>((resolve) => this.server.listen(0, () => resolve()));
    const address = this.server.address();
    if (address === null || typeof address === 'string') throw new Error('it has no port');
    return address.port;
  }
}

function inbound(mode: Mode): Inbound {
  const declared = [{ number: ports.plain, mode, serverFirst: false }];
  return { trustDomain: TRUST_DOMAIN, ipv6: true, others: mode, ports: declared };
}

/** The network of the pod and of this machine's end of its link, in which it asks before it dials. */
let network: Pick<Addresses, 'block' | 'node'>;

function listeners(mode: Mode): [Resource, ...Resource[]] {
  const [address = '', length] = network.block.split('/');
  return [
    inboundListener(inbound(mode)),
    outboundListener({ ranges: [{ address, length: Number(length) }], ipv6: true }),
    probeListener({ podAddress: network.node, ipv6: true, routes: [] }),
  ];
}

let server: XdsServer;
const world = new World();
let known = false;
let pod: Pod;
let dialer: Dialer;
let plaintext: Upstream;
let secured: Upstream;
let plaintextPort: number;
let securedPort: number;

beforeAll(async () => {
  server = await serve({
    identity: await proxyApiIdentity(),
    state: () => world.state,
    admit: () => (known ? world : { refused: 'its pod is not known yet', soon: true }),
  });
  plaintext = new Upstream();
  secured = new Upstream(await issueIdentity({ ca: mesh, account: 'db' }));
  plaintextPort = await plaintext.listen();
  securedPort = await secured.listen();
  pod = await Pod.start({
    envoy,
    identity: await issueIdentity({ ca: mesh, account: 'cart' }),
    own,
    configuration: { node: { id: 'uid-1', cluster: 'shop/cart-0' }, port: server.port, spiffeId: PROXY_API },
    addressed: (addresses) => {
      network = addresses;
      world.everybody(...inboundClusters(inbound('Permissive')), ...outboundClusters(), ...listeners('Permissive'));
      known = true;
    },
  });
  dialer = new Dialer(pod);
});

afterAll(async () => {
  await pod?.[Symbol.asyncDispose]();
  await server?.close();
  plaintext?.server.close();
  secured?.server.close();
});

/** Resolves when the proxy has taken what it is to have now. */
async function taken(): Promise<void> {
  world.state += 1;
  server.changed();
  await waitFor('the proxy to have taken it', () => {
    const [stream, ...others] = server.streams();
    if (others.length > 0) throw new Error('there are more streams than proxies');
    return stream?.acknowledged === world.state;
  });
}

/** The address of a Service, which nobody has. */
let services = 0;
function serviceAddress(): string {
  services += 1;
  return pod.services.replace(/\.0\/17$/, `.${services}`);
}

/** @param peers whom the cluster can speak to by mutual TLS. */
function know(
  address: string,
  port: number,
  endpoints: readonly Endpoint[],
  peers: readonly Peer[] = endpoints.flatMap(({ peer }) => peer ?? []),
): void {
  const name = destinationName(address, port);
  world.onDemand(name, serviceCluster(name, peers, TRUST_DOMAIN), serviceEndpoints(name, endpoints));
}

const endpoint = (port: number, spiffeId: string | undefined): Endpoint => ({
  address: pod.machine,
  port,
  peer: spiffeId === undefined ? undefined : { spiffeId, serverFirstPort: undefined },
});

describe('what comes to the pod', () => {
  test('is treated by the mode that was sent', async () => {
    const target = { address: pod.ipv4, port: ports.plain };
    expect(await speakPlainly(target)).toBe(`answer: ${ports.plain} got question`);
    world.everybody(...listeners('Strict'));
    await taken();
    expect(await speakPlainly(target)).toBe('refused');
    expect(await speakTls(target, { identity: client, rootsPem: mesh.files['ca.crt'] })).toBe(
      `answer: ${ports.plain} got question`,
    );
    world.everybody(...listeners('Permissive'));
    await taken();
    expect(await speakPlainly(target)).toBe(`answer: ${ports.plain} got question`);
  });
});

describe('what leaves the pod for a Service', () => {
  test('goes by mutual TLS to an endpoint with an identity, which sees who comes', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(securedPort, DB)]);
    expect(await dialer.visit(address, 80)).toBe('by mutual TLS question');
    expect(secured.visitors.at(-1)).toBe(`URI:${CART} ${MESH_ALPN}`);
  });

  test('goes in plaintext to one without', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(plaintextPort, undefined)]);
    expect(await dialer.visit(address, 80)).toBe('in plaintext question');
  });

  test('does not go to one that has another identity than is expected', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(securedPort, `spiffe://${TRUST_DOMAIN}/ns/shop/sa/other`)]);
    expect(await dialer.visit(address, 80)).toBe('closed');
  });

  test('goes to another endpoint where one cannot be connected to, or is not who it should be', async () => {
    const gone = new Upstream();
    const gonePort = await gone.listen();
    gone.server.close();
    const address = serviceAddress();
    know(address, 80, [endpoint(gonePort, DB), endpoint(plaintextPort, DB), endpoint(securedPort, DB)]);
    const before = secured.visitors.length;
    for (let visit = 0; visit < 6; visit += 1) expect(await dialer.visit(address, 80)).toBe('by mutual TLS question');
    expect(secured.visitors.length - before).toBe(6);
  });

  test('never falls back to plaintext where the endpoint does not speak TLS', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(plaintextPort, DB)]);
    const before = plaintext.visitors.length;
    expect(await dialer.visit(address, 80)).toBe('closed');
    // It was dialled, but no byte of the application came to it.
    expect(plaintext.visitors.length).toBeGreaterThan(before);
  });

  test('goes to nobody where the cluster does not know whom the endpoint means', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(securedPort, DB)], []);
    expect(await dialer.visit(address, 80)).toBe('closed');
  });

  test('is closed at once where it has no endpoint', async () => {
    const address = serviceAddress();
    know(address, 80, []);
    expect(await dialer.visit(address, 80)).toBe('closed');
  });

  test('is refused where nobody is known by that address, and served when somebody is', async () => {
    const address = serviceAddress();
    const name = destinationName(address, 80);
    world.onDemand(name, refusedCluster(name));
    expect(await dialer.visit(address, 80)).toBe('closed');
    know(address, 80, [endpoint(securedPort, DB)]);
    await taken();
    expect(await dialer.visit(address, 80)).toBe('by mutual TLS question');
  });

  test('changes from plaintext to mutual TLS with the next connection, and leaves the open ones alone', async () => {
    const address = serviceAddress();
    know(address, 80, [endpoint(plaintextPort, undefined)]);
    const open = dialer.open(address, 80);
    expect(await open.ask('one')).toBe('in plaintext one');
    know(address, 80, [endpoint(securedPort, DB)]);
    await taken();
    expect(await dialer.visit(address, 80)).toBe('by mutual TLS question');
    expect(await open.ask('two')).toBe('in plaintext two');
    know(address, 80, [endpoint(plaintextPort, undefined)]);
    await taken();
    expect(await dialer.visit(address, 80)).toBe('in plaintext question');
    expect(await open.ask('three')).toBe('in plaintext three');
    open.close();
  });
});

describe('a switch of one server, which takes both, changes nothing but how its endpoint is spoken to:', () => {
  test('the next connection goes by mutual TLS, the one after the switch back in plaintext, the open ones stay', async () => {
    const both = new Upstream(await issueIdentity({ ca: mesh, account: 'db' }), { plaintextToo: true });
    const port = await both.listen();
    const address = serviceAddress();
    const { peer } = endpoint(port, DB);
    const switchTo = async (is: Endpoint): Promise<void> => {
      know(address, 80, [is], peer && [peer]);
      await taken();
    };
    try {
      await switchTo(endpoint(port, undefined));
      const plain = dialer.open(address, 80);
      expect(await plain.ask('one')).toBe('in plaintext one');
      await switchTo(endpoint(port, DB));
      expect(await dialer.visit(address, 80)).toBe('by mutual TLS question');
      const mutual = dialer.open(address, 80);
      expect(await mutual.ask('one')).toBe('by mutual TLS one');
      expect(await plain.ask('two')).toBe('in plaintext two');
      await switchTo(endpoint(port, undefined));
      expect(await dialer.visit(address, 80)).toBe('in plaintext question');
      expect(await mutual.ask('two')).toBe('by mutual TLS two');
      expect(await plain.ask('three')).toBe('in plaintext three');
      plain.close();
      mutual.close();
    } finally {
      both.server.close();
    }
  });
});

describe('what leaves the pod for another pod’s address', () => {
  test('goes to that pod by mutual TLS', async () => {
    const address = serviceAddress();
    const name = destinationName(address, 5432);
    world.onDemand(name, podCluster(name, endpoint(securedPort, DB)));
    expect(await dialer.visit(address, 5432)).toBe('by mutual TLS question');
  });

  test('passes through in plaintext where that is said', async () => {
    const name = destinationName(pod.machine, plaintextPort);
    world.onDemand(name, passThroughCluster(name));
    expect(await dialer.visit(pod.machine, plaintextPort)).toBe('in plaintext question');
  });
});

/** How many of the pod's established connections the kernel keeps alive, of those that have these ports. */
function keptAlive(is: (local: number, remote: number) => boolean): number {
  const rows = ['tcp', 'tcp6'].flatMap((family) =>
    readFileSync(`/proc/${pod.pid}/net/${family}`, 'utf8').trim().split('\n').slice(1),
  );
  const portOf = (address = ''): number => Number.parseInt(address.split(':')[1] ?? '', 16);
  // State 01 is an established one, and 02 the timer by which it is kept alive (proc_pid_net(5)).
  return rows
    .map((row) => row.trim().split(/\s+/))
    .filter(
      ([, local, remote, state, , timer]) =>
        state === '01' && timer?.startsWith('02:') && is(portOf(local), portOf(remote)),
    ).length;
}

describe('a connection that is silent for long', () => {
  test('is asked about on the way to a peer, to whoever is outside, and from a client', async () => {
    const [meshed, outside] = [serviceAddress(), destinationName(pod.machine, plaintextPort)];
    know(meshed, 80, [endpoint(securedPort, DB)]);
    world.onDemand(outside, passThroughCluster(outside));
    const all = [dialer.open(meshed, 80), dialer.open(pod.machine, plaintextPort)];
    const client = connect({ host: pod.ipv4, port: ports.plain });
    try {
      for (const one of all) await one.ask('one');
      client.write('question');
      await once(client, 'data');
      const seen = () => [
        keptAlive((_, remote) => remote === securedPort),
        keptAlive((_, remote) => remote === plaintextPort),
        keptAlive((local) => local === proxyPorts.inbound),
      ];
      // Until what was just said is acknowledged another timer runs.
      await waitFor('each to be kept alive', () => seen().every((count) => count > 0));
    } finally {
      for (const one of all) one.close();
      client.destroy();
    }
  });
});

describe('a proxy', () => {
  test('that refuses something says why, keeps what it has, and takes what is right after it', async () => {
    const target = { address: pod.ipv4, port: ports.plain };
    const [good, ...others] = listeners('Permissive');
    const { filter_chains: chains } = good;
    if (!Array.isArray(chains)) throw new Error('the listener has no chains');
    // Two chains for the same connections.
    world.everybody({ ...good, filter_chains: [...chains, ...chains] }, ...others);
    const before = world.state;
    world.state += 1;
    server.changed();
    const refused = () => [...server.streams()].flatMap((stream) => stream.refused);
    await waitFor('the proxy to refuse it', () => refused().length > 0);
    expect(refused()[0]?.error).toMatch(/inbound.*same (?:match|matching)/i);
    expect([...server.streams()].map((stream) => stream.acknowledged)).toEqual([before]);
    expect(await speakPlainly(target)).toBe(`answer: ${ports.plain} got question`);
    world.everybody(...listeners('Strict'));
    await taken();
    expect(await speakPlainly(target)).toBe('refused');
    world.everybody(...listeners('Permissive'));
    await taken();
  });

  test('goes on as it was while there is no server, and is told of what has changed when there is one again', async () => {
    const [known, unknown, later] = [serviceAddress(), serviceAddress(), serviceAddress()];
    know(known, 80, [endpoint(securedPort, DB)]);
    expect(await dialer.visit(known, 80)).toBe('by mutual TLS question');
    const open = dialer.open(known, 80);
    expect(await open.ask('before')).toBe('by mutual TLS before');
    const { port } = server;
    await server.close();
    expect(await dialer.visit(known, 80)).toBe('by mutual TLS question');
    expect(await open.ask('without')).toBe('by mutual TLS without');
    // Nobody says who that is: it is closed, not passed on.
    expect(await dialer.visit(unknown, 80)).toBe('closed');

    know(later, 80, [endpoint(securedPort, DB)]);
    world.everybody(...listeners('Strict'));
    server = await serve({ identity: await proxyApiIdentity(), state: () => world.state, admit: () => world, port });
    await waitFor('the proxy to come back', () => server.streams().size === 1, { timeoutMs: 60_000 });
    await taken();
    expect(await speakPlainly({ address: pod.ipv4, port: ports.plain })).toBe('refused');
    expect(await open.ask('after')).toBe('by mutual TLS after');
    expect(await dialer.visit(later, 80)).toBe('by mutual TLS question');
    open.close();
    world.everybody(...listeners('Permissive'));
    await taken();
  });
});
