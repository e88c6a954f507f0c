import { type BadSample, type GoodSample, repeat, tooLong, unsupported } from './sample.ts';

const base = { trustDomain: 'cluster.local', selfSigned: {} };
const rule = (fields: object): object => ({ ...base, names: [{ namespaces: {}, ...fields }] });
const selected = (namespaces: object): object => ({ ...base, names: [{ namespaces, dnsNames: ['a.example.com'] }] });

export const goodCertificateAuthorities: readonly GoodSample[] = [
  { title: 'a self-signed authority', spec: base },
  {
    title: 'a provided authority',
    spec: { trustDomain: 'prod.example.com', provided: { secretName: 'corporate-ca' } },
  },
  {
    title: 'other keys and durations',
    spec: {
      trustDomain: 'a_b-c.9',
      selfSigned: {
        root: { duration: '36500d', privateKey: { algorithm: 'RSA', size: 4096 } },
        issuing: { duration: '36499d', privateKey: { algorithm: 'Ed25519' } },
      },
      maxCertificateDuration: '825d',
    },
  },
  {
    title: 'only the issuing CA’s duration',
    spec: { trustDomain: 'x', selfSigned: { issuing: { duration: '6h' } }, maxCertificateDuration: '1h' },
  },
  {
    title: 'the shortest authority',
    spec: {
      trustDomain: 'x',
      selfSigned: { root: { duration: '7m' }, issuing: { duration: '6m' } },
      maxCertificateDuration: '1m',
    },
  },
  {
    title: 'a provided authority with long certificates',
    spec: { trustDomain: 'x', provided: { secretName: 'ca' }, maxCertificateDuration: '825d' },
  },
  { title: 'no rules', spec: { ...base, names: [] } },
  {
    title: 'a rule with everything',
    spec: {
      ...base,
      names: [
        {
          namespaces: {
            matchLabels: { team: 'build', 'example.com/tier': '' },
            matchExpressions: [
              { key: 'team', operator: 'In', values: ['a', 'b'] },
              { key: 'example.com/x', operator: 'NotIn', values: ['c'] },
              { key: 'x', operator: 'Exists' },
              { key: 'y', operator: 'DoesNotExist' },
            ],
          },
          serviceAccounts: ['builder'],
          dnsNames: ['*.build.example.com', 'build.example.com'],
          singleLabelNames: ['cache', 'localhost'],
          ipAddresses: ['192.0.2.0/24', '2001:db8::/32', '192.0.2.1', '::1', '0.0.0.0/0'],
          commonNames: ['replicator', 'Build Server'],
          subjects: [{ organizations: ['Example Ltd'], countries: ['DE'] }],
          uris: [
            'https://build.example.com/*',
            'urn:example:*',
            'https://build.example.com/a',
            'https://[2001:db8::1]:8443/*',
          ],
          emailAddresses: ['*@example.com', 'ops@example.com'],
        },
      ],
    },
  },
  {
    title: 'a rule for every namespace, beside an empty list',
    spec: rule({ commonNames: [], dnsNames: ['a.example.com'] }),
  },
  {
    title: '128 rules',
    spec: { ...base, names: Array.from({ length: 128 }, () => ({ namespaces: {}, singleLabelNames: ['cache'] })) },
  },
];

const exactlyOne = { field: 'spec', message: 'write exactly one of selfSigned and provided: "selfSigned: {}"' };
const nothing = { field: 'spec.names[0]', message: 'the rule allows nothing: write at least one of dnsNames' };
const everyNamespace = 'would select every namespace';

export const badCertificateAuthorities: readonly BadSample[] = [
  {
    title: 'no trust domain',
    spec: { selfSigned: {} },
    field: 'spec.trustDomain',
    message: 'Required value',
    parser: 'received undefined',
  },
  {
    title: 'a trust domain with scheme',
    spec: { ...base, trustDomain: 'spiffe://cluster.local' },
    field: 'spec.trustDomain',
    message: 'without "spiffe://" and path',
  },
  {
    title: 'a trust domain with port',
    spec: { ...base, trustDomain: 'cluster.local:8443' },
    field: 'spec.trustDomain',
    message: 'write the trust domain alone',
  },
  {
    title: 'a trust domain in capitals',
    spec: { ...base, trustDomain: 'Cluster.local' },
    field: 'spec.trustDomain',
    message: 'write lower-case letters, digits',
  },
  {
    title: 'a trust domain of 256 characters',
    spec: { ...base, trustDomain: repeat(256) },
    field: 'spec.trustDomain',
    ...tooLong,
  },
  { title: 'neither kind of CA', spec: { trustDomain: 'x' }, ...exactlyOne },
  { title: 'both kinds of CA', spec: { ...base, provided: { secretName: 'ca' } }, ...exactlyOne },
  {
    title: 'a provided CA without Secret',
    spec: { trustDomain: 'x', provided: {} },
    field: 'spec.provided.secretName',
    message: 'Required value',
    parser: 'received undefined',
  },
  {
    title: 'a namespace in the Secret’s name',
    spec: { trustDomain: 'x', provided: { secretName: 'ns/ca' } },
    field: 'spec.provided.secretName',
    message: 'not a name of a Secret',
  },
  {
    title: 'an issuing CA as long as its root',
    spec: {
      trustDomain: 'x',
      selfSigned: { root: { duration: '1d' }, issuing: { duration: '24h' } },
      maxCertificateDuration: '1h',
    },
    field: 'spec.selfSigned',
    message: 'write an issuing.duration that is less than root.duration',
  },
  {
    title: 'certificates longer than a sixth of the issuing CA',
    spec: { trustDomain: 'x', selfSigned: { issuing: { duration: '24h' } }, maxCertificateDuration: '5h' },
    field: 'spec.maxCertificateDuration',
    message:
      'maxCertificateDuration (5h) must be at most a sixth of selfSigned.issuing.duration (24h): write 14400s or less',
  },
  {
    title: 'the default of certificates with a short issuing CA',
    spec: { trustDomain: 'x', selfSigned: { issuing: { duration: '60d' } } },
    field: 'spec.maxCertificateDuration',
    message: '(720h) must be at most a sixth of selfSigned.issuing.duration (60d): write 864000s or less',
  },
  {
    title: 'certificates of less than a minute',
    spec: { ...base, maxCertificateDuration: '30s' },
    field: 'spec.maxCertificateDuration',
    message: 'out of range: write a duration from 1m to 825d',
  },
  {
    title: 'a root of more than a century',
    spec: { trustDomain: 'x', selfSigned: { root: { duration: '36501d' } } },
    field: 'spec.selfSigned.root.duration',
    message: 'out of range: write a duration from 1m to 36500d',
  },
  {
    title: 'a root’s key that is too short',
    spec: { trustDomain: 'x', selfSigned: { root: { privateKey: { algorithm: 'RSA', size: 1024 } } } },
    field: 'spec.selfSigned.root.privateKey.size',
    message: '2048, 3072 or 4096 for RSA',
  },
  {
    title: 'an unknown algorithm of the issuing CA',
    spec: { trustDomain: 'x', selfSigned: { issuing: { privateKey: { algorithm: 'EC' } } } },
    field: 'spec.selfSigned.issuing.privateKey.algorithm',
    ...unsupported,
  },

  {
    title: 'a rule without namespaces',
    spec: { ...base, names: [{ dnsNames: ['a.example.com'] }] },
    field: 'spec.names[0].namespaces',
    message: 'write {matchLabels: {…}}, or {} for every namespace',
    parser: 'received undefined',
  },
  { title: 'a rule that allows nothing', spec: rule({}), ...nothing },
  { title: 'a rule of empty lists', spec: rule({ dnsNames: [], commonNames: [] }), ...nothing },
  {
    title: 'empty matchLabels',
    spec: selected({ matchLabels: {} }),
    field: 'spec.names[0].namespaces.matchLabels',
    message: everyNamespace,
  },
  {
    title: 'empty matchExpressions',
    spec: selected({ matchExpressions: [] }),
    field: 'spec.names[0].namespaces.matchExpressions',
    message: everyNamespace,
  },
  {
    title: 'a label that is none',
    spec: selected({ matchLabels: { 'a b': 'x' } }),
    field: 'spec.names[0].namespaces.matchLabels',
    message: 'not the key of a label',
  },
  {
    title: 'a value that is none',
    spec: selected({ matchLabels: { a: 'x y' } }),
    field: 'spec.names[0].namespaces.matchLabels',
    message: 'not the value of a label',
  },
  {
    title: 'an unknown operator',
    spec: selected({ matchExpressions: [{ key: 'a', operator: 'Equals' }] }),
    field: 'spec.names[0].namespaces.matchExpressions[0].operator',
    ...unsupported,
  },
  {
    title: 'In without values',
    spec: selected({ matchExpressions: [{ key: 'a', operator: 'In' }] }),
    field: 'spec.names[0].namespaces.matchExpressions[0]',
    message: 'In and NotIn need values',
  },
  {
    title: 'Exists with values',
    spec: selected({ matchExpressions: [{ key: 'a', operator: 'Exists', values: ['x'] }] }),
    field: 'spec.names[0].namespaces.matchExpressions[0]',
    message: 'Exists and DoesNotExist have none',
  },
  {
    title: 'no service accounts',
    spec: rule({ dnsNames: ['a.b'], serviceAccounts: [] }),
    field: 'spec.names[0].serviceAccounts',
    message: 'should have at least 1 items',
    parser: 'Too small',
  },
  {
    title: 'a wildcard in the middle',
    spec: rule({ dnsNames: ['a.*.example.com'] }),
    field: 'spec.names[0].dnsNames[0]',
    message: '"*" may only be the whole first label',
  },
  {
    title: 'every DNS name',
    spec: rule({ dnsNames: ['*'] }),
    field: 'spec.names[0].dnsNames[0]',
    message: '"*" may only be the whole first label',
  },
  {
    title: 'a dot in a single label',
    spec: rule({ singleLabelNames: ['a.b'] }),
    field: 'spec.names[0].singleLabelNames[0]',
    message: 'names with dots go under dnsNames',
  },
  {
    title: 'a number as single label',
    spec: rule({ singleLabelNames: ['127'] }),
    field: 'spec.names[0].singleLabelNames[0]',
    message: 'taken for an IP address',
  },
  {
    title: 'a CIDR with host bits',
    spec: rule({ ipAddresses: ['192.0.2.1/24'] }),
    field: 'spec.names[0].ipAddresses[0]',
    message: 'write "192.0.2.0/24"',
  },
  {
    title: 'an IPv6 CIDR that is not canonical',
    spec: rule({ ipAddresses: ['2001:DB8::1/32'] }),
    field: 'spec.names[0].ipAddresses[0]',
    message: 'write "2001:db8::/32"',
  },
  {
    title: 'a prefix that is too long',
    spec: rule({ ipAddresses: ['192.0.2.0/33'] }),
    field: 'spec.names[0].ipAddresses[0]',
    message: 'neither a CIDR nor an IP address',
  },
  {
    title: 'a prefix with leading zero',
    spec: rule({ ipAddresses: ['192.0.2.0/024'] }),
    field: 'spec.names[0].ipAddresses[0]',
    message: 'neither a CIDR nor an IP address',
  },
  {
    title: 'a range of addresses',
    spec: rule({ ipAddresses: ['192.0.2.1-192.0.2.9'] }),
    field: 'spec.names[0].ipAddresses[0]',
    message: 'neither a CIDR nor an IP address',
  },
  {
    title: 'SPIFFE IDs',
    spec: rule({ uris: ['spiffe://cluster.local/*'] }),
    field: 'spec.names[0].uris[0]',
    message: 'SPIFFE IDs are given by the operator',
  },
  {
    title: 'a wildcard host',
    spec: rule({ uris: ['https://*'] }),
    field: 'spec.names[0].uris[0]',
    message: '"*" stands for the rest of a URI, after the host',
  },
  {
    title: 'a wildcard within a host',
    spec: rule({ uris: ['https://*.example.com/'] }),
    field: 'spec.names[0].uris[0]',
    message: '"*" stands for the rest',
  },
  {
    title: 'a wildcard right after the scheme',
    spec: rule({ uris: ['https:*'] }),
    field: 'spec.names[0].uris[0]',
    message: '"*" stands for the rest',
  },
  {
    title: 'a wildcard within a segment',
    spec: rule({ uris: ['https://example.com/a*'] }),
    field: 'spec.names[0].uris[0]',
    message: 'write it last and behind a "/" or ":"',
  },
  {
    title: 'a wildcard in the middle of a URI',
    spec: rule({ uris: ['https://example.com/*/b'] }),
    field: 'spec.names[0].uris[0]',
    message: '"*" stands for the rest',
  },
  {
    title: 'a wildcard for every domain',
    spec: rule({ emailAddresses: ['*@*'] }),
    field: 'spec.names[0].emailAddresses[0]',
    message: 'not an e-mail address',
  },
  {
    title: 'a subject that allows nothing',
    spec: rule({ subjects: [{ organizations: [] }] }),
    field: 'spec.names[0].subjects[0]',
    message: 'the subject allows nothing: write the values of at least one of organizations',
  },
  {
    title: 'an empty subject attribute',
    spec: rule({ subjects: [{ organizations: [''] }] }),
    field: 'spec.names[0].subjects[0].organizations[0]',
    message: 'write printable characters only',
  },
  {
    title: '129 rules',
    spec: { ...base, names: Array.from({ length: 129 }, () => ({ namespaces: {}, singleLabelNames: ['cache'] })) },
    field: 'spec.names',
    message: 'Too many',
    parser: 'Too big',
  },
];
