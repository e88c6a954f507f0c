import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { certificateAuthoritySpecSchema, type NameRule } from '../api/index.ts';
import { buildLeafProfile, PkiError } from '../pki/index.ts';
import { deniedNames, describeDenied, isFreeDnsName, type NamesAsked, selectorMatches } from './names.ts';

const asked = (names: Partial<NamesAsked> = {}): NamesAsked => ({
  namespace: 'shop',
  namespaceLabels: { 'kubernetes.io/metadata.name': 'shop', team: 'build' },
  serviceAccountName: undefined,
  dnsNames: [],
  ipAddresses: [],
  uris: [],
  emailAddresses: [],
  subject: {},
  ...names,
});
const rule = (allows: Partial<NameRule>): NameRule => ({ namespaces: {}, ...allows });
const isDenied = (names: Partial<NamesAsked>, ...rules: NameRule[]) =>
  deniedNames(asked(names), rules, 'cluster.local').length > 0;

describe('free DNS names', () => {
  test.each([
    ['web.shop.svc', 'shop'],
    ['web.shop.svc.cluster.local', 'shop'],
    ['pod-0.web.shop.svc', 'shop'],
    ['pod-0.web.shop.svc.cluster.local', 'shop'],
    ['*.shop.svc', 'shop'],
    ['*.shop.svc.cluster.local', 'shop'],
    ['*.web.shop.svc', 'shop'],
    ['*.web.shop.svc.cluster.local', 'shop'],
    ['web.orders', 'orders'],
    ['web.default.svc', 'default'],
    ['web.svc.svc', 'svc'],
    ['web.com.svc', 'com'],
    ['web.local.svc.cluster.local', 'local'],
  ])('%s is free in namespace %s', (name, namespace) => {
    expect(isFreeDnsName(name, namespace, 'cluster.local')).toBe(true);
  });

  test.each([
    ['a Service of another namespace', 'web.bank.svc', 'shop'],
    ['a Service of another namespace, long', 'web.bank.svc.cluster.local', 'shop'],
    ['a Service of another namespace, short', 'web.bank', 'shop'],
    ['the own namespace in the wrong place', 'shop.bank.svc', 'shop'],
    ['the own namespace as the Service’s pod', 'shop.web.bank.svc', 'shop'],
    ['every Service everywhere', '*.svc', 'shop'],
    ['every short name of the namespace', '*.shop', 'shop'],
    ['more labels than a pod has', 'a.pod-0.web.shop.svc', 'shop'],
    ['the namespace itself', 'shop.svc', 'shop'],
    ['another cluster domain', 'web.shop.svc.example.com', 'shop'],
    ['the cluster domain without svc', 'web.shop.cluster.local', 'shop'],
    ['a single label', 'web', 'shop'],
    ['localhost', 'localhost', 'localhost'],
    ['a namespace called like a top-level domain', 'example.com', 'com'],
    ['a namespace called like one that few know', 'web.shop', 'shop'],
    ['an internationalised top-level domain', 'example.xn--p1ai', 'xn--p1ai'],
    ['a namespace called local', 'printer.local', 'local'],
    ['a namespace called internal', 'metadata.google.internal', 'internal'],
    ['a namespace called internal, short', 'google.internal', 'internal'],
    ['a namespace called svc', 'shop.svc', 'svc'],
    ['a namespace called svc, a Service of another', 'web.shop.svc', 'svc'],
    ['a namespace called cluster', 'svc.cluster', 'local'],
    ['a namespace called arpa', 'x.arpa', 'arpa'],
    ['a namespace called default', 'default.svc', 'svc'],
  ])('%s is not free (%s in namespace %s)', (_, name, namespace) => {
    expect(isFreeDnsName(name, namespace, 'cluster.local')).toBe(false);
  });

  test.each([
    ['cluster.local', 'web.shop.svc.cluster.local', true],
    ['k8s.example.com', 'web.shop.svc.k8s.example.com', true],
    ['k8s.example.com', 'web.shop.svc.cluster.local', false],
    ['k8s', 'web.shop.svc.k8s', true],
    ['k8s.example.com', 'web.orders', true, 'orders'],
    ['orders', 'web.orders', false, 'orders'],
    ['orders', 'web.svc.orders', false, 'orders'],
    ['example.orders', 'web.orders', false, 'orders'],
    ['svc', 'web.shop.svc.svc', true],
  ])('with the cluster domain %s: is %s free to its namespace? %s', (clusterDomain, name, free, namespace = 'shop') => {
    expect(isFreeDnsName(name, namespace, clusterDomain)).toBe(free);
  });

  const label = fc.stringMatching(/^[a-z]([a-z0-9-]{0,8}[a-z0-9])?$/);
  test('property: no name is free to two namespaces', () => {
    fc.assert(
      fc.property(fc.array(label, { minLength: 1, maxLength: 5 }), label, label, fc.boolean(), (labels, a, b, svc) => {
        fc.pre(a !== b);
        for (const place of labels.keys()) {
          const name = [...labels.with(place, a), ...(svc ? ['svc'] : [])].join('.');
          if (isFreeDnsName(name, a, 'cluster.local')) expect(isFreeDnsName(name, b, 'cluster.local')).toBe(false);
        }
      }),
    );
  });
});

describe('the API server’s names', () => {
  const everything: NameRule[] = [
    rule({
      dnsNames: [
        '*.default.svc',
        '*.default.svc.cluster.local',
        'kubernetes.default',
        'kubernetes.default.svc',
        'kubernetes.default.svc.k8s.corp',
      ],
      singleLabelNames: ['kubernetes'],
      commonNames: ['kubernetes', 'kubernetes.default.svc', 'KUBERNETES.default.svc'],
    }),
  ];

  test.each([
    'kubernetes',
    'kubernetes.default',
    'kubernetes.default.svc',
    'kubernetes.default.svc.cluster.local',
    'kubernetes.default.svc.k8s.corp',
    '*.default.svc',
    '*.default.svc.cluster.local',
  ])('%s is nobody’s, not even by a rule, and not in namespace default', (name) => {
    for (const namespace of ['default', 'shop']) {
      const [denied, ...more] = deniedNames(asked({ namespace, dnsNames: [name] }), everything, 'cluster.local');
      expect(more).toEqual([]);
      expect(denied).toMatchObject({ name, advice: expect.stringContaining('no rule can allow it') });
    }
  });

  test.each(['kubernetes.default.svc', 'KUBERNETES.default.svc', 'kubernetes'])(
    '%s is no common name either',
    (commonName) => {
      expect(isDenied({ subject: { commonName } }, ...everything)).toBe(true);
    },
  );

  test('a Service of namespace default beside it is free there', () => {
    expect(isDenied({ namespace: 'default', dnsNames: ['kubernetes-dashboard.default.svc', 'web.default.svc'] })).toBe(
      false,
    );
  });
});

describe('rules', () => {
  test.each<[string, Partial<NamesAsked>, Partial<NameRule>, boolean]>([
    ['a DNS name word for word', { dnsNames: ['a.example.com'] }, { dnsNames: ['a.example.com'] }, true],
    ['a DNS name without regard to case', { dnsNames: ['a.example.com'] }, { dnsNames: ['A.Example.COM'] }, true],
    ['a DNS name in Unicode', { dnsNames: ['xn--bcher-kva.example'] }, { dnsNames: ['bücher.example'] }, true],
    ['a wildcard in Unicode', { dnsNames: ['a.xn--bcher-kva.example'] }, { dnsNames: ['*.Bücher.example'] }, true],
    ['a name under a wildcard', { dnsNames: ['a.example.com'] }, { dnsNames: ['*.example.com'] }, true],
    ['the wildcard itself', { dnsNames: ['*.example.com'] }, { dnsNames: ['*.example.com'] }, true],
    ['not two labels under a wildcard', { dnsNames: ['a.b.example.com'] }, { dnsNames: ['*.example.com'] }, false],
    ['not the domain of a wildcard', { dnsNames: ['example.com'] }, { dnsNames: ['*.example.com'] }, false],
    ['not a wildcard by a plain name', { dnsNames: ['*.example.com'] }, { dnsNames: ['a.example.com'] }, false],
    ['not a name that ends alike', { dnsNames: ['badexample.com'] }, { dnsNames: ['example.com'] }, false],
    ['a single label', { dnsNames: ['cache'] }, { singleLabelNames: ['Cache'] }, true],
    ['not a single label by dnsNames', { dnsNames: ['cache'] }, { dnsNames: ['cache'] }, false],
    ['an address', { ipAddresses: ['192.0.2.1'] }, { ipAddresses: ['192.0.2.1'] }, true],
    ['an address in a range', { ipAddresses: ['192.0.2.129'] }, { ipAddresses: ['192.0.2.128/25'] }, true],
    ['not an address beside a range', { ipAddresses: ['192.0.2.127'] }, { ipAddresses: ['192.0.2.128/25'] }, false],
    ['any IPv4 address', { ipAddresses: ['203.0.113.9'] }, { ipAddresses: ['0.0.0.0/0'] }, true],
    ['not IPv6 by a range of IPv4', { ipAddresses: ['2001:db8::1'] }, { ipAddresses: ['0.0.0.0/0'] }, false],
    ['not IPv4 by a range of IPv6', { ipAddresses: ['192.0.2.1'] }, { ipAddresses: ['::/0'] }, false],
    ['an IPv6 address in a range', { ipAddresses: ['2001:db8:0:1::1'] }, { ipAddresses: ['2001:db8::/47'] }, true],
    ['a URI word for word', { uris: ['urn:a:b'] }, { uris: ['urn:a:b'] }, true],
    ['the rest of a URI', { uris: ['https://a.example/x/y'] }, { uris: ['https://a.example/*'] }, true],
    ['not the empty rest of a URI', { uris: ['https://a.example/'] }, { uris: ['https://a.example/*'] }, false],
    ['not a host that begins alike', { uris: ['https://a.example.evil/'] }, { uris: ['https://a.example/*'] }, false],
    ['a mailbox', { emailAddresses: ['ops@example.com'] }, { emailAddresses: ['ops@Example.com'] }, true],
    [
      'not a mailbox of another case',
      { emailAddresses: ['Ops@example.com'] },
      { emailAddresses: ['ops@example.com'] },
      false,
    ],
    ['every mailbox', { emailAddresses: ['ops@example.com'] }, { emailAddresses: ['*@example.com'] }, true],
    ['not of a domain below', { emailAddresses: ['ops@a.example.com'] }, { emailAddresses: ['*@example.com'] }, false],
    ['a common name', { subject: { commonName: 'replicator' } }, { commonNames: ['replicator'] }, true],
    [
      'not a common name of another case',
      { subject: { commonName: 'Replicator' } },
      { commonNames: ['replicator'] },
      false,
    ],
    ['a subject', { subject: { organizations: ['A'] } }, { subjects: [{ organizations: ['A', 'B'] }] }, true],
    [
      'not a value that is not listed',
      { subject: { organizations: ['A', 'C'] } },
      { subjects: [{ organizations: ['A'] }] },
      false,
    ],
    [
      'not an attribute that is not listed',
      { subject: { organizations: ['A'], countries: ['DE'] } },
      { subjects: [{ organizations: ['A'] }] },
      false,
    ],
    [
      'not a subject pieced together from two',
      { subject: { organizations: ['A'], countries: ['DE'] } },
      { subjects: [{ organizations: ['A'] }, { countries: ['DE'] }] },
      false,
    ],
    ['the serial number of a subject', { subject: { serialNumber: '7' } }, { subjects: [{ serialNumber: '7' }] }, true],
  ])('allow %s', (_, names, allows, allowed) => {
    expect(isDenied(names)).toBe(true);
    expect(isDenied(names, rule(allows))).toBe(!allowed);
  });

  test('only add: one that allows nothing here changes nothing, in any order', () => {
    const one = rule({ dnsNames: ['a.example.com'] });
    const other = rule({ dnsNames: ['b.example.com'] });
    for (const rules of [
      [one, other],
      [other, one],
    ])
      expect(isDenied({ dnsNames: ['a.example.com', 'b.example.com'] }, ...rules)).toBe(false);
  });

  test.each<[string, Partial<NamesAsked>, Partial<NameRule>, boolean]>([
    ['for every namespace', {}, { namespaces: {} }, true],
    ['for a label', {}, { namespaces: { matchLabels: { team: 'build' } } }, true],
    ['for another label', {}, { namespaces: { matchLabels: { team: 'ops' } } }, false],
    ['for a service account', { serviceAccountName: 'builder' }, { serviceAccounts: ['builder'] }, true],
    ['for another service account', { serviceAccountName: 'web' }, { serviceAccounts: ['builder'] }, false],
    ['for a service account where there is none', {}, { serviceAccounts: ['builder'] }, false],
  ])('%s', (_, names, scope, applies) => {
    const dnsNames = ['a.example.com'];
    expect(isDenied({ ...names, dnsNames }, rule({ dnsNames, ...scope }))).toBe(!applies);
  });
});

describe('selectors', () => {
  const labels = { team: 'build', tier: '' };
  test.each([
    [{ key: 'team', operator: 'In' as const, values: ['build', 'ops'] }, true],
    [{ key: 'team', operator: 'In' as const, values: ['ops'] }, false],
    [{ key: 'gone', operator: 'In' as const, values: ['ops'] }, false],
    [{ key: 'team', operator: 'NotIn' as const, values: ['ops'] }, true],
    [{ key: 'team', operator: 'NotIn' as const, values: ['build'] }, false],
    [{ key: 'gone', operator: 'NotIn' as const, values: ['ops'] }, true],
    [{ key: 'tier', operator: 'Exists' as const }, true],
    [{ key: 'gone', operator: 'Exists' as const }, false],
    [{ key: 'gone', operator: 'DoesNotExist' as const }, true],
    [{ key: 'tier', operator: 'DoesNotExist' as const }, false],
    [{ key: 'constructor', operator: 'Exists' as const }, false],
    [{ key: '__proto__', operator: 'Exists' as const }, false],
  ])('%j: %s', (requirement, matches) => {
    expect(selectorMatches({ matchExpressions: [requirement] }, labels)).toBe(matches);
  });

  test('need everything that they say', () => {
    const team = { matchLabels: { team: 'build' } };
    expect(selectorMatches({ ...team, matchExpressions: [{ key: 'gone', operator: 'Exists' }] }, labels)).toBe(false);
  });
});

describe('common names', () => {
  test.each([
    ['is free if it is among the DNS names', 'web.shop.svc', true],
    ['is free in another case of ASCII letters', 'Web.Shop.SVC', true],
    ['is not free as another name', 'postgres', false],
    ['is not free with a letter that only folds to one', '\u212Aube.shop.svc', false],
  ])('%s', (_, commonName, free) => {
    const dnsNames = ['web.shop.svc', 'kube.shop.svc'];
    expect(isDenied({ dnsNames, subject: { commonName } })).toBe(!free);
  });
});

describe('what is denied', () => {
  test('is listed name by name, each with the rule that would allow it', () => {
    const denied = deniedNames(
      asked({ serviceAccountName: 'web', dnsNames: ['a.example.com', 'web.shop.svc'], ipAddresses: ['192.0.2.1'] }),
      [],
      'cluster.local',
    );
    expect(describeDenied(denied, 'default')).toBe(
      'the CertificateAuthority "default" does not allow this namespace: ' +
        'dnsNames "a.example.com" (spec.names would need: {namespaces: {matchLabels: {kubernetes.io/metadata.name: "shop"}}, serviceAccounts: ["web"], dnsNames: ["a.example.com"]}); ' +
        'ipAddresses "192.0.2.1" (spec.names would need: {namespaces: {matchLabels: {kubernetes.io/metadata.name: "shop"}}, serviceAccounts: ["web"], ipAddresses: ["192.0.2.1"]})',
    );
  });

  test('in a namespace that is called like a top-level domain says why, and what is free', () => {
    const advice = (namespace: string, name: string): string | undefined =>
      deniedNames(asked({ namespace, dnsNames: [name] }), [], 'cluster.local')[0]?.advice;
    expect(advice('shop', 'web.shop')).toMatch(
      /^"shop" is a top-level domain as well, where this may be the name of somebody else; web\.shop\.svc is free; spec\.names would need/,
    );
    expect(advice('orders', 'web.orders')).toBeUndefined();
    for (const name of ['*.shop', 'web.bank', 'a.web.shop']) expect(advice('shop', name)).toMatch(/^spec\.names would/);
  });

  test('a URI too long for any rule is told to be shortened', () => {
    const uri = `https://a.example/${'x'.repeat(600)}`;
    expect(deniedNames(asked({ uris: [uri] }), [], 'cluster.local')[0]?.advice).toContain('shorten');
    expect(isDenied({ uris: [uri] }, rule({ uris: ['https://a.example/*'] }))).toBe(false);
  });

  test('property: the advice is itself a rule that the schema takes and that allows the name', () => {
    const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,6}[a-z0-9])?$/);
    const namespace = fc.oneof(
      fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/),
      fc.constantFrom('123', 'true', 'null', '1e3', 'no'),
    );
    const text = fc.stringMatching(/^[A-Za-z0-9ü"'\\{}:,#&*-]{1,20}$/);
    const names = fc.record({
      namespace,
      serviceAccountName: fc.option(namespace, { nil: undefined }),
      dnsNames: fc.array(
        fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join('.')),
        { maxLength: 2 },
      ),
      ipAddresses: fc.array(fc.oneof(fc.ipV4(), fc.ipV6()), { maxLength: 2 }),
      uris: fc.array(fc.stringMatching(/^https:\/\/[a-z]{1,8}\.example\/[a-z0-9._~!$&'()+,;=:@-]{0,10}x$/), {
        maxLength: 2,
      }),
      emailAddresses: fc.array(fc.stringMatching(/^[a-z0-9!#$%&'*+=?^_`{|}~-]{1,8}@[a-z]{1,8}\.example$/), {
        maxLength: 2,
      }),
      subject: fc.record(
        {
          commonName: text,
          organizations: fc.uniqueArray(text, { minLength: 1, maxLength: 3 }),
          serialNumber: fc.constant('A-7'),
        },
        { requiredKeys: [] },
      ),
    });
    let advised = 0;
    fc.assert(
      fc.property(names, (wanted) => {
        const request = canonical(wanted);
        fc.pre(request !== undefined);
        if (request === undefined) return;
        const namespaceLabels = { 'kubernetes.io/metadata.name': wanted.namespace };
        const all = asked({
          ...request,
          namespace: wanted.namespace,
          namespaceLabels,
          serviceAccountName: wanted.serviceAccountName,
        });
        for (const { advice } of deniedNames(all, [], 'cluster.local')) {
          if (advice.includes('no rule can allow')) continue;
          advised += 1;
          const entry: unknown = parse(advice.split('spec.names would need: ')[1] ?? '');
          const spec = certificateAuthoritySpecSchema.parse({ trustDomain: 'a', selfSigned: {}, names: [entry] });
          const before = deniedNames(all, [], 'cluster.local').length;
          expect(deniedNames(all, spec.names ?? [], 'cluster.local').length, advice).toBeLessThan(before);
        }
        const rules = deniedNames(all, [], 'cluster.local')
          .filter(({ advice }) => advice.startsWith('spec.names'))
          .map(({ advice }): unknown => parse(advice.split('spec.names would need: ')[1] ?? ''));
        const { names: together = [] } = certificateAuthoritySpecSchema.parse({
          trustDomain: 'a',
          selfSigned: {},
          names: rules,
        });
        const left = deniedNames(all, together, 'cluster.local');
        expect(left.filter(({ advice }) => advice.startsWith('spec.names'))).toEqual([]);
      }),
      { numRuns: 300 },
    );
    expect(advised).toBeGreaterThan(100);
  });
});

/** As the X.509 part would have them; undefined where it refuses. */
function canonical(names: Pick<NamesAsked, 'dnsNames' | 'ipAddresses' | 'uris' | 'emailAddresses' | 'subject'>) {
  try {
    return buildLeafProfile({ ...names, usages: ['server auth'], key: { algorithm: 'ECDSA' } }).request;
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}
