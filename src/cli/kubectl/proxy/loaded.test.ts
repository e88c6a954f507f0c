import { beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from '../../../api/index.ts';
import type { ParsedCertificate } from '../../../pki/index.ts';
import { authority, isoIn, NOW } from '../check/builders.fixture.ts';
import type { RolloutRecord, Switch } from '../rolloutRecord.ts';
import {
  type FactsSketch,
  facts,
  identityAnswer,
  inboundAnswer,
  issuedAs,
  makeIdentity,
  SPIFFE_ID,
} from './builders.fixture.ts';
import type { ProxyFacts } from './facts.ts';
import { describeLoaded } from './loaded.ts';

let leaf: ParsedCertificate;
let root: ParsedCertificate;
let other: { leaf: ParsedCertificate; root: ParsedCertificate };

beforeAll(async () => {
  ({ leaf, root } = await makeIdentity());
  other = await makeIdentity('spiffe://shop.example/ns/shop/sa/cart');
});

const sound = (): FactsSketch => ({
  identity: identityAnswer([leaf], [root]),
  certificate: issuedAs(leaf.serialNumber),
  authority: { value: authority([root]) },
});

const loaded = (more: Partial<FactsSketch> = {}, modes: readonly [number | null, Mode][] = [[8080, 'Strict']]) =>
  describeLoaded(
    modes.map(([port, mode]) => ({ port, mode })),
    facts({ ...sound(), ...more }),
  );

describe('a proxy that has loaded what it should', () => {
  test('is told as it is, without a note', () => {
    expect(loaded()).toEqual({
      ports: [{ accepts: 'MutualTLS', agrees: true }],
      proxy: {
        unread: null,
        listener: { version: 'v1', since: '2031-01-01T00:00:00.123Z' },
        certificate: {
          state: 'Current',
          serialNumber: leaf.serialNumber,
          spiffeId: SPIFFE_ID,
          notBefore: isoIn(-1).replace('.000', ''),
          notAfter: isoIn(1).replace('.000', ''),
        },
        roots: [
          {
            subject: 'CN=Mesh',
            serialNumber: root.serialNumber,
            notAfter: isoIn(1).replace('.000', ''),
            fingerprint: root.fingerprint,
          },
        ],
      },
      notes: [],
    });
  });

  test('agrees with Disabled, too, which is for those who dial', () => {
    const inbound = inboundAnswer({ others: 'Permissive' });
    expect(loaded({ inbound }, [[null, 'Disabled']]).ports).toEqual([
      { accepts: 'MutualTLSAndPlaintext', agrees: true },
    ]);
  });
});

test('a proxy that cannot be asked is unknown, and so is every port', () => {
  const asked = { ...facts(sound()), asked: { unread: 'it is asleep' } };
  expect(describeLoaded([{ port: 8080, mode: 'Strict' }], asked)).toEqual({
    ports: [null],
    proxy: { unread: 'it is asleep', listener: null, certificate: null, roots: [] },
    notes: [],
  });
});

describe('a port at which the proxy takes something else than its mode asks for', () => {
  const inbound = (states?: object): string => inboundAnswer({ others: 'Permissive' }, states);
  const entry = (more: Partial<Switch>): Switch => ({
    target: 'Strict',
    servers: 'Permissive',
    clients: 'MutualTLS',
    phase: 'Clients',
    since: '2031-01-01T00:00:00Z',
    ...more,
  });
  const record = (
    more: Partial<Switch>,
    ports: Partial<Switch> & { readonly port?: number } = {},
  ): ProxyFacts['rollout'] => {
    const own = ports.port === undefined ? [] : [{ port: ports.port, ...entry(ports) }];
    const workloads: RolloutRecord['workloads'] = new Map([['Deployment/web', { others: entry(more), ports: own }]]);
    return { value: { namespace: 'shop', workloads, unsettled: undefined } };
  };

  test.each<[string, Partial<FactsSketch>, string]>([
    [
      'refused what it was told',
      { inbound: inbound({ error_state: { details: 'no such cluster' } }) },
      'it refused what it was told last',
    ],
    [
      'waits for something',
      { inbound: inbound({ warming_state: { version_info: 'v2' } }) },
      'version v2 of its listener waits in it',
    ],
    ['was told nothing', { inbound: '{}', rollout: record({}) }, 'proxy-api has told it nothing yet'],
    [
      'is told nothing before a mode is recorded',
      { inbound: '{}' },
      'the operator has recorded no mode for its workload yet: it waits closed for that',
    ],
    [
      'may not be compared with the record',
      { inbound: inbound(), rollout: { missing: 'get mtlsrollouts.mtls-operator.io in namespace shop' } },
      'you lack the permission to get mtlsrollouts.mtls-operator.io in namespace shop',
    ],
    ['is not recorded', { inbound: inbound() }, 'the operator has recorded no mode for its workload yet'],
    [
      'is on its way',
      { inbound: inbound(), rollout: record({}) },
      'the switch to Strict is on its way (Clients since 2031-01-01T00:00:00Z)',
    ],
    [
      'is not on its way yet',
      { inbound: inbound(), rollout: record({ phase: 'Settled', target: 'Permissive' }) },
      'the operator has not begun to switch from Permissive to Strict',
    ],
    [
      'was told so and has not taken it',
      { inbound: inbound(), rollout: record({ servers: 'Strict', phase: 'Servers' }) },
      'it was told Strict and has not taken it',
    ],
    [
      'has a record of its own',
      { inbound: inbound(), rollout: record({ phase: 'Settled' }, { port: 8080, phase: 'Waiting' }) },
      'the switch to Strict is on its way (Waiting since',
    ],
  ])('%s', (_, more, cause) => {
    const found = loaded(more);
    expect(found.ports).toMatchObject([{ agrees: false }]);
    expect(found.notes[0]).toMatch(/^at port 8080 the proxy takes .*, which is not what Strict asks for: /);
    expect(found.notes[0]).toContain(cause);
  });

  test('is named with the others for which the same holds', () => {
    const { notes } = loaded({ inbound: inbound(), rollout: record({}) }, [
      [8080, 'Strict'],
      [9090, 'Strict'],
      [7070, 'Permissive'],
      [null, 'Strict'],
    ]);
    expect(notes).toEqual([expect.stringMatching(/^at ports 8080, 9090 and all others the proxy takes /)]);
  });

  test('is told what was refused, in Envoy’s words, even where modes agree', () => {
    const refused = inboundAnswer({}, { error_state: { details: 'no such cluster' } });
    expect(loaded({ inbound: refused }).notes).toEqual(['the proxy refused what it was told last: no such cluster']);
  });
});

describe('a port that the pod excludes', () => {
  const sidecar = (): ProxyFacts['sidecar'] => ({ ...facts(sound()).sidecar, excluded: [8080] });

  test.each<[Mode, boolean]>([
    ['Strict', false],
    ['Permissive', true],
  ])('goes past the proxy, which %s does or does not ask for', (mode, agrees) => {
    const found = loaded({ sidecar: sidecar() }, [[8080, mode]]);
    expect(found.ports).toEqual([{ accepts: 'PastTheProxy', agrees }]);
    expect(found.notes).toEqual([expect.stringMatching(/^port 8080 is excluded .*goes past the proxy$/)]);
  });
});

describe('a certificate', () => {
  test.each<[string, () => Partial<FactsSketch>, string | undefined, RegExp]>([
    ['that was renewed since', () => ({ certificate: issuedAs('0A') }), 'Outdated', /0A has been issued .*kubelet/],
    ['that has expired', () => ({ now: NOW + 3 * 3_600_000 }), 'Expired', /expired 120m ago/],
    [
      'of which nothing may be read',
      () => ({ certificate: { missing: 'get workloadcertificates' } }),
      'Unknown',
      /permission to get workloadcertificates/,
    ],
    ['for which nobody asks', () => ({ certificate: { value: undefined } }), 'Unknown', /mtls-proxy-web is not there/],
    [
      'of another service account',
      () => ({ identity: identityAnswer([other.leaf], [root]), certificate: issuedAs(other.leaf.serialNumber) }),
      'Current',
      /not for the service account of the pod.*\/ns\/shop\/sa\/web/,
    ],
    ['that is not there', () => ({ identity: '{}' }), undefined, /has no certificate/],
  ])('%s', (_, more, state, note) => {
    const { notes, proxy } = loaded(more());
    expect(proxy.certificate?.state).toBe(state);
    expect(notes[0]).toMatch(note);
  });
});

describe('roots', () => {
  test.each<[string, () => Partial<FactsSketch>, RegExp[]]>([
    [
      'that are to be trusted and are not yet',
      () => ({ authority: { value: authority([root, other.root]) } }),
      [/does not trust root \S+ of the authority: kubelet/],
    ],
    [
      'that are trusted and are not to be',
      () => ({ identity: identityAnswer([leaf], [root, other.root]) }),
      [/trusts root CN=Mesh, which is none of the authority/],
    ],
    ['of an authority that may not be read', () => ({ authority: { missing: 'get x' } }), [/permission to get x/]],
    ['of an authority that says nothing', () => ({ authority: { value: undefined } }), []],
    [
      'that are not there',
      () => ({ identity: identityAnswer([leaf], [root]).replace('"roots"', '"none"') }),
      [/trusts nobody/],
    ],
  ])('%s', (_, more, expected) => {
    expect(loaded(more()).notes).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });
});
