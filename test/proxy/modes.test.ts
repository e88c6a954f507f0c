/** Every cell of the table of modes, by real clients, on a real Envoy that stands before a real application. */
import { connect } from 'node:net';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Mode } from '../../src/api/index.ts';
import { type Inbound, proxyPorts, serverFirstName } from '../../src/envoy/index.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { ports } from './application.ts';
import { Kept, type Outcome, openTls, speakPlainly, speakTls } from './clients.ts';
import { type CorporateCa, type Identity, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from './identities.ts';
import { Pod } from './pod.ts';

let mesh: CorporateCa;
let client: Identity;
let foreign: Identity;
let otherDomain: Identity;
let expired: Identity;
let pod: Pod;

function inbound(mode: Mode): Inbound {
  const declared = (number: number, serverFirst = false) => ({ number, mode, serverFirst });
  return {
    trustDomain: TRUST_DOMAIN,
    ipv6: true,
    others: mode,
    ports: [
      declared(ports.plain),
      declared(ports.ownTls),
      declared(ports.serverFirst, true),
      declared(ports.otherServerFirst, true),
    ],
  };
}

beforeAll(async () => {
  const envoy = await findEnvoy(printProgress);
  mesh = await makeCorporateCa('Mesh');
  const stranger = await makeCorporateCa('Stranger');
  client = await issueIdentity({ ca: mesh, account: 'cart' });
  foreign = await issueIdentity({ ca: stranger, account: 'cart' });
  otherDomain = await issueIdentity({ ca: mesh, account: 'cart', trustDomain: `${TRUST_DOMAIN}.example` });
  expired = await issueIdentity({ ca: mesh, account: 'cart', endsIn: -60_000 });
  const own = await issueIdentity({ ca: stranger, account: 'own' });
  pod = await Pod.start({
    envoy,
    identity: await issueIdentity({ ca: mesh, account: 'web' }),
    own: { keyPem: own.keyPem, certificatePem: own.chainPem },
    configuration: inbound('Permissive'),
  });
});

afterAll(() => pod?.[Symbol.asyncDispose]());

type Visit = (address: string) => Promise<Outcome>;

const answered = (port: number): Outcome => `answer: ${port} got question`;

interface Row {
  readonly who: string;
  readonly visit: Visit;
  /** In the order of `modes`. */
  readonly expected: readonly [Outcome, Outcome, Outcome];
}

const same = (outcome: Outcome): Row['expected'] => [outcome, outcome, outcome];
const unlessStrict = (outcome: Outcome): Row['expected'] => [outcome, 'refused', outcome];
const modes = ['Permissive', 'Strict', 'Disabled'] as const;

const at = (port: number, address: string) => ({ address, port });
const serverFirst = (port: number, more: object = {}): Visit => {
  return (address) =>
    speakTls(at(proxyPorts.serverFirst, address), {
      identity: client,
      serverName: serverFirstName(port),
      silent: true,
      rootsPem: mesh.files['ca.crt'],
      ...more,
    });
};

const rows: readonly Row[] = [
  {
    who: 'plaintext',
    visit: (address) => speakPlainly(at(ports.plain, address)),
    expected: unlessStrict(answered(ports.plain)),
  },
  {
    who: 'plaintext to a port that nobody declares',
    visit: (address) => speakPlainly(at(ports.other, address)),
    expected: unlessStrict(answered(ports.other)),
  },
  {
    who: 'mutual TLS of the mesh',
    visit: (address) => speakTls(at(ports.plain, address), { identity: client, rootsPem: mesh.files['ca.crt'] }),
    expected: same(answered(ports.plain)),
  },
  {
    who: 'mutual TLS of the mesh to a port that nobody declares',
    visit: (address) => speakTls(at(ports.other, address), { identity: client, rootsPem: mesh.files['ca.crt'] }),
    expected: same(answered(ports.other)),
  },
  {
    who: 'mutual TLS without the marker, before an application without TLS',
    visit: (address) => speakTls(at(ports.plain, address), { identity: client, marked: false }),
    expected: ['refused', answered(ports.plain), 'refused'],
  },
  {
    who: 'the marker with a certificate of a foreign CA',
    visit: (address) => speakTls(at(ports.plain, address), { identity: foreign }),
    expected: same('refused'),
  },
  {
    who: 'the marker without a certificate',
    visit: (address) => speakTls(at(ports.plain, address), { identity: undefined }),
    expected: same('refused'),
  },
  {
    who: 'the marker with an identity of another trust domain, by the same CA',
    visit: (address) => speakTls(at(ports.plain, address), { identity: otherDomain }),
    expected: same('refused'),
  },
  {
    who: 'the marker with a certificate that has expired',
    visit: (address) => speakTls(at(ports.plain, address), { identity: expired }),
    expected: same('refused'),
  },
  {
    who: "the application's own TLS",
    visit: (address) => speakTls(at(ports.ownTls, address), { identity: undefined, marked: false }),
    expected: unlessStrict(answered(ports.ownTls)),
  },
  {
    who: 'plaintext to a server that speaks first',
    visit: (address) => speakPlainly(at(ports.serverFirst, address), true),
    expected: unlessStrict('answer: hello from 3306'),
  },
  {
    who: 'mutual TLS to a server that speaks first',
    visit: serverFirst(3306),
    expected: same('answer: hello from 3306'),
  },
  {
    who: 'mutual TLS to another server that speaks first',
    visit: serverFirst(3307),
    expected: same('answer: hello from 3307'),
  },
  {
    who: 'mutual TLS to a server that does not speak first, by its SNI',
    visit: serverFirst(8080),
    expected: same('refused'),
  },
  {
    who: 'a foreign CA to a server that speaks first',
    visit: (address) => serverFirst(3306, { identity: foreign })(address),
    expected: same('refused'),
  },
  {
    who: 'no certificate to a server that speaks first',
    visit: (address) => serverFirst(3306, { identity: undefined })(address),
    expected: same('refused'),
  },
  {
    who: 'no marker to a server that speaks first',
    visit: serverFirst(3306, { marked: false }),
    expected: same('refused'),
  },
  {
    who: 'plaintext to the port that serves servers that speak first',
    visit: (address) => speakPlainly(at(proxyPorts.serverFirst, address)),
    expected: same('refused'),
  },
  {
    who: "plaintext to the proxy's own inbound port",
    visit: (address) => speakPlainly(at(proxyPorts.inbound, address)),
    expected: same('refused'),
  },
  {
    who: "plaintext to the proxy's own outbound port",
    visit: (address) => speakPlainly(at(proxyPorts.outbound, address)),
    expected: same('refused'),
  },
  {
    who: 'plaintext to the port at which the proxy tells of itself',
    visit: (address) => speakPlainly(at(proxyPorts.inspection, address)),
    expected: same('refused'),
  },
  {
    who: 'mutual TLS to the port at which the proxy tells of itself',
    visit: (address) => speakTls(at(proxyPorts.inspection, address), { identity: client }),
    expected: same('refused'),
  },
];

describe.each([...modes])('%s', (mode) => {
  beforeAll(() => pod.configure(inbound(mode)));
  beforeEach(() => {
    pod.takeAccepted();
  });

  describe.each(['IPv4', 'IPv6'] as const)('over %s', (family) => {
    test.each(rows.map((row) => [row.who, row] as const))('%s', async (_, { visit, expected }) => {
      const outcome = expected[modes.indexOf(mode)];
      expect(await visit(family === 'IPv4' ? pod.ipv4 : pod.ipv6)).toBe(outcome);
    });
  });

  test('the application gets no connection from a handshake that fails', async () => {
    for (const identity of [foreign, otherDomain, expired, undefined])
      expect(await speakTls(at(ports.plain, pod.ipv4), { identity })).toBe('refused');
    // The application tells in order, and of this one, on another port, last.
    expect(await speakTls(at(ports.other, pod.ipv4), { identity: client })).toBe(answered(ports.other));
    const accepted: number[] = [];
    await waitFor('the application to tell', () => {
      accepted.push(...pod.takeAccepted());
      return accepted.includes(ports.other);
    });
    expect(accepted).toEqual([ports.other]);
  });
});

describe('a switch of modes', () => {
  test('leaves mutual TLS alone, and ends plaintext where the new mode refuses it', async () => {
    await pod.configure(inbound('Permissive'));
    const secured = new Kept(openTls(at(ports.plain, pod.ipv4), { identity: client }));
    const greeted = new Kept(
      openTls(at(proxyPorts.serverFirst, pod.ipv4), { identity: client, serverName: serverFirstName(3306) }),
    );
    const plain = new Kept(connect(ports.plain, pod.ipv4));
    for (const connection of [secured, greeted, plain]) expect(await connection.answers()).toBe(true);
    await pod.configure(inbound('Disabled'));
    for (const connection of [secured, greeted, plain]) expect(await connection.answers()).toBe(true);
    await pod.configure(inbound('Strict'));
    await waitFor('the plaintext connection to end', () => plain.closed);
    for (const connection of [secured, greeted]) expect(await connection.answers()).toBe(true);
    expect(await pod.stat('cluster.inbound-plaintext.upstream_cx_active')).toBe(0);
    await pod.configure(inbound('Permissive'));
    for (const connection of [secured, greeted]) {
      expect(await connection.answers()).toBe(true);
      connection.close();
    }
    expect(await speakPlainly(at(ports.plain, pod.ipv4))).toBe(answered(ports.plain));
  });
});

test('as many connections are held as the application takes: none of Envoy’s own limits of 1,024', async () => {
  await pod.configure(inbound('Permissive'));
  const held: Kept[] = [];
  try {
    for (let opened = 0; opened < 1_100; opened += 1) held.push(new Kept(connect(ports.plain, pod.ipv4)));
    const answers = await Promise.all(held.map((connection) => connection.answers()));
    expect(answers.filter((answered) => answered)).toHaveLength(held.length);
    expect(await pod.stat('cluster.inbound-plaintext.upstream_cx_active')).toBe(held.length);
  } finally {
    for (const connection of held) connection.close();
  }
});
