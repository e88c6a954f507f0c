import type { BadSample, GoodSample } from './sample.ts';

const base = { secretName: 'web-mtls', dnsNames: ['web.shop.svc'] };
const label63 = 'a'.repeat(63);
const long = (count: number, of = 'a'): string => of.repeat(count);
const many = (count: number, of: (index: number) => string): string[] =>
  Array.from({ length: count }, (_, index) => of(index));

export const goodWorkloadCertificates: readonly GoodSample[] = [
  { title: 'the least that is needed', spec: base },
  { title: 'a service account alone', spec: { secretName: 'web', serviceAccountName: 'web' } },
  { title: 'a common name alone', spec: { secretName: 'web', commonName: 'replicator' } },
  { title: 'an IP address alone', spec: { secretName: 'web', ipAddresses: ['192.0.2.1'] } },
  { title: 'a URI alone', spec: { secretName: 'web', uris: ['urn:example:web'] } },
  { title: 'an e-mail address alone', spec: { secretName: 'web', emailAddresses: ['ops@example.com'] } },
  { title: 'empty lists beside a name', spec: { ...base, ipAddresses: [], uris: [], emailAddresses: [], outputs: [] } },
  {
    title: 'everything at once',
    spec: {
      secretName: 'web.mtls',
      authorityRef: { name: 'corporate' },
      dnsNames: [
        'web.shop.svc',
        '*.web.shop.svc',
        'web',
        'WEB.Example.COM',
        '_sip.example.com',
        'bücher.example',
        'xn--bcher-kva.example',
        `${label63}.example`,
      ],
      ipAddresses: ['192.0.2.1', '2001:db8::1', '::1'],
      uris: [
        'https://shop.example.com/web',
        'https://shop.example.com:8443/a/b?c=d',
        'https://[2001:db8::1]/',
        'urn:example:web',
        "tag:example.com,2030:o'clock%20x",
      ],
      emailAddresses: ['ops@example.com', "o'brien+x@sub.example.com"],
      commonName: 'Müller & Söhne',
      subject: {
        organizations: ['Example Ltd'],
        organizationalUnits: ['Shop'],
        countries: ['DE', 'FR'],
        localities: ['Zürich'],
        provinces: ['ZH'],
        streetAddresses: ['Main Street 1'],
        postalCodes: ['8000'],
        serialNumber: 'INV-0042',
      },
      duration: '1d12h30m15s',
      renewBefore: '8h',
      usages: ['client auth', 'digital signature'],
      privateKey: { algorithm: 'ECDSA', size: 384, encoding: 'SEC1', rotationPolicy: 'Never' },
      outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }],
      secretTemplate: {
        labels: { team: 'shop', 'app.kubernetes.io/name': 'web', 'example.com/empty': '' },
        annotations: { 'example.com/note': 'any text, ünïcode\nand lines' },
      },
      deletionPolicy: 'Delete',
    },
  },
  {
    title: 'both EKUs beside a service account',
    spec: { secretName: 'web', serviceAccountName: 'web', usages: ['client auth', 'server auth', 'digital signature'] },
  },
  { title: 'no URIs beside a service account', spec: { secretName: 'web', serviceAccountName: 'web', uris: [] } },
  {
    title: 'key encipherment for RSA',
    spec: { ...base, usages: ['server auth', 'key encipherment'], privateKey: { algorithm: 'RSA' } },
  },
  {
    title: 'RSA of 3072 bits as PKCS1',
    spec: { ...base, privateKey: { algorithm: 'RSA', size: 3072, encoding: 'PKCS1' } },
  },
  { title: 'Ed25519', spec: { ...base, privateKey: { algorithm: 'Ed25519' } } },
  {
    title: 'a key of which only the rotation policy is given',
    spec: { ...base, privateKey: { rotationPolicy: 'Never' } },
  },
  { title: 'an empty privateKey', spec: { ...base, privateKey: {} } },
  { title: 'an empty authorityRef', spec: { ...base, authorityRef: {} } },
  { title: 'the shortest duration', spec: { ...base, duration: '60s', renewBefore: '59s' } },
  { title: 'the longest duration', spec: { ...base, duration: '825d' } },
  {
    title: 'durations in different units',
    spec: { ...base, duration: '2d', renewBefore: '47h59m59s' },
  },
  { title: 'a common name of 64 characters beyond ASCII', spec: { secretName: 'web', commonName: long(64, '𝔘') } },
  {
    title: 'a DNS name of 253 characters',
    spec: { secretName: 'web', dnsNames: [`${`${label63}.`.repeat(3)}${long(61)}`] },
  },
  { title: 'a hundred DNS names', spec: { secretName: 'web', dnsNames: many(100, (index) => `n${index}.shop.svc`) } },
];

const dns = (name: string): object => ({ secretName: 'web', dnsNames: [name] });
const ip = (address: string): object => ({ secretName: 'web', ipAddresses: [address] });
const uri = (text: string): object => ({ secretName: 'web', uris: [text] });
const email = (text: string): object => ({ secretName: 'web', emailAddresses: [text] });
const key = (privateKey: object): object => ({ ...base, privateKey });

const notDns = { field: 'spec.dnsNames[0]', message: 'not a DNS name: write labels of letters' };
const isAddress = { field: 'spec.dnsNames[0]', message: 'write addresses under ipAddresses' };
const wildcard = { field: 'spec.dnsNames[0]', message: '"*" may only be the whole first label' };
const notIp = { field: 'spec.ipAddresses[0]', message: 'not an IP address: write IPv4 as in "192.0.2.1"' };
const notUri = { field: 'spec.uris[0]', message: 'not an absolute URI: write scheme and host in lower case' };
const notEmail = { field: 'spec.emailAddresses[0]', message: 'not an e-mail address: write ASCII' };
const notDuration = {
  field: 'spec.duration',
  message: 'not a duration: write whole numbers with d, h, m, s in this order',
};
const durationRange = { field: 'spec.duration', message: 'out of range: write a duration from 1m to 825d' };
const keySize = { field: 'spec.privateKey.size', message: 'write 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA' };
const encoding = { field: 'spec.privateKey.encoding', message: 'write PKCS8, which is for every algorithm' };
const tooLong = { message: 'Too long', parser: 'must have at most' };
const tooMany = { message: 'Too many', parser: 'Too big' };
const duplicate = { message: 'Duplicate value', parser: 'Duplicate value: write each only once' };
const unsupported = { message: 'Unsupported value', parser: 'Invalid ' };
const required = { message: 'Required value', parser: 'received undefined' };
const objectName = 'write lower-case letters, digits, "-" and "."';
const unprintable = { message: 'write printable characters only' };

export const badWorkloadCertificates: readonly BadSample[] = [
  // What is asked for
  { title: 'no secretName', spec: { dnsNames: ['web.shop.svc'] }, field: 'spec.secretName', ...required },
  {
    title: 'nothing to certify',
    spec: { secretName: 'web' },
    field: 'spec',
    message: 'there is nothing to certify: write serviceAccountName',
  },
  {
    title: 'nothing but empty lists',
    spec: { secretName: 'web', dnsNames: [], uris: [] },
    field: 'spec',
    message: 'there is nothing to certify',
  },
  {
    title: 'nothing but a subject',
    spec: { secretName: 'web', subject: { organizations: ['x'] } },
    field: 'spec',
    message: 'there is nothing to certify',
  },
  {
    title: 'a secretName in capitals',
    spec: { ...base, secretName: 'Web' },
    field: 'spec.secretName',
    message: `not a name of a Secret: ${objectName}`,
  },
  {
    title: 'an empty secretName',
    spec: { ...base, secretName: '' },
    field: 'spec.secretName',
    message: 'not a name of a Secret',
  },
  {
    title: 'a path as secretName',
    spec: { ...base, secretName: '../kube-system/x' },
    field: 'spec.secretName',
    message: 'not a name of a Secret',
  },
  {
    title: 'a secretName of 254 characters',
    spec: { ...base, secretName: long(254) },
    field: 'spec.secretName',
    ...tooLong,
  },
  {
    title: 'a number as secretName',
    spec: { ...base, secretName: 7 },
    field: 'spec.secretName',
    message: 'must be of type string',
    parser: 'expected string',
  },
  {
    title: 'a namespace in serviceAccountName',
    spec: { secretName: 'web', serviceAccountName: 'shop/web' },
    field: 'spec.serviceAccountName',
    message: `not a name of a ServiceAccount: ${objectName}`,
  },
  {
    title: 'an empty serviceAccountName',
    spec: { secretName: 'web', serviceAccountName: '' },
    field: 'spec.serviceAccountName',
    message: 'not a name of a ServiceAccount',
  },
  {
    title: 'URIs beside a service account',
    spec: { secretName: 'web', serviceAccountName: 'web', uris: ['urn:x:y'] },
    field: 'spec.uris',
    message: 'the SPIFFE ID is the only URI (X.509-SVID): leave out uris',
  },
  {
    title: 'one EKU beside a service account',
    spec: { secretName: 'web', serviceAccountName: 'web', usages: ['server auth'] },
    field: 'spec.usages',
    message: 'write both "server auth" and "client auth"',
  },

  // DNS names
  { title: 'an empty DNS name', spec: dns(''), ...notDns },
  { title: 'a DNS name with a space', spec: dns('web shop.svc'), ...notDns },
  { title: 'a DNS name with NUL', spec: dns('web.shop.svc\u0000.evil.example'), ...notDns },
  { title: 'a DNS name with a line break', spec: dns('web.shop.svc\n'), ...notDns },
  { title: 'a DNS name with CR', spec: dns('web\r.shop.svc'), ...notDns },
  { title: 'a URL as DNS name', spec: dns('https://web.shop.svc'), ...notDns },
  { title: 'a port in a DNS name', spec: dns('web.shop.svc:443'), ...notDns },
  { title: 'an empty label', spec: dns('web..svc'), ...notDns },
  { title: 'a dot at the beginning', spec: dns('.shop.svc'), ...notDns },
  { title: 'a dash at the end of a label', spec: dns('web-.shop.svc'), ...notDns },
  { title: 'a label of 64 characters', spec: dns(`${label63}a.shop.svc`), ...notDns },
  { title: 'an invisible character in a DNS name', spec: dns('we\u200bb.shop.svc'), ...notDns },
  {
    title: 'a DNS name of 254 characters',
    spec: dns(`${`${label63}.`.repeat(3)}${long(62)}`),
    field: 'spec.dnsNames[0]',
    ...tooLong,
  },
  {
    title: 'a dot at the end',
    spec: dns('web.shop.svc.'),
    field: 'spec.dnsNames[0]',
    message: 'write the name without the dot at its end',
  },
  { title: 'an IPv4 address as DNS name', spec: dns('192.0.2.1'), ...isAddress },
  { title: 'an IPv6 address as DNS name', spec: dns('2001:db8::1'), ...isAddress },
  { title: 'a DNS name that ends in a number', spec: dns('web.0x7f'), ...isAddress },
  { title: 'an old notation of an address', spec: dns('127.1'), ...isAddress },
  { title: 'a wildcard in the middle', spec: dns('web.*.svc'), ...wildcard },
  { title: 'a wildcard within a label', spec: dns('w*.shop.svc'), ...wildcard },
  { title: 'two wildcards', spec: dns('*.*.svc'), ...wildcard },
  { title: 'a wildcard alone', spec: dns('*'), ...wildcard },
  { title: 'a wildcard for a top-level domain', spec: dns('*.com'), ...wildcard },
  {
    title: 'a DNS name twice',
    spec: { secretName: 'web', dnsNames: ['a.b', 'a.b'] },
    field: 'spec.dnsNames[1]',
    ...duplicate,
  },
  {
    title: '101 DNS names',
    spec: { secretName: 'web', dnsNames: many(101, (index) => `n${index}.svc`) },
    field: 'spec.dnsNames',
    ...tooMany,
  },
  {
    title: 'a text for a list',
    spec: { secretName: 'web', dnsNames: 'web.shop.svc' },
    field: 'spec.dnsNames',
    message: 'must be of type array',
    parser: 'expected array',
  },

  // IP addresses
  { title: 'a name as IP address', spec: ip('web.shop.svc'), ...notIp },
  { title: 'leading zeros', spec: ip('192.0.02.1'), ...notIp },
  { title: 'a prefix length', spec: ip('192.0.2.1/32'), ...notIp },
  { title: 'a zone', spec: ip('fe80::1%eth0'), ...notIp },
  { title: 'brackets', spec: ip('[2001:db8::1]'), ...notIp },
  { title: 'IPv4 as IPv6', spec: ip('::ffff:192.0.2.1'), ...notIp },
  { title: 'IPv4 as IPv6 in hexadecimal', spec: ip('::ffff:c000:201'), ...notIp },
  {
    title: 'an IPv6 address in capitals',
    spec: ip('2001:DB8::1'),
    field: 'spec.ipAddresses[0]',
    message: 'write "2001:db8::1"',
  },
  {
    title: 'an IPv6 address in full',
    spec: ip('2001:0db8:0:0:0:0:0:1'),
    field: 'spec.ipAddresses[0]',
    message: 'write "2001:db8::1"',
  },
  {
    title: 'the unspecified address',
    spec: ip('0.0.0.0'),
    field: 'spec.ipAddresses[0]',
    message: 'the unspecified address identifies nobody',
  },
  {
    title: 'an IP address twice',
    spec: { secretName: 'web', ipAddresses: ['::1', '::1'] },
    field: 'spec.ipAddresses[1]',
    ...duplicate,
  },

  // URIs
  {
    title: 'a SPIFFE ID',
    spec: uri('spiffe://cluster.local/ns/shop/sa/web'),
    field: 'spec.uris[0]',
    message: 'leave it out and set spec.serviceAccountName',
  },
  {
    title: 'a SPIFFE ID in capitals',
    spec: uri('SPIFFE://cluster.local/ns/shop/sa/web'),
    field: 'spec.uris[0]',
    message: 'SPIFFE IDs are given by the operator',
  },
  { title: 'a relative URI', spec: uri('/web'), ...notUri },
  { title: 'a host alone', spec: uri('shop.example.com'), ...notUri },
  { title: 'a URI without host', spec: uri('https:///web'), ...notUri },
  { title: 'a URI in capitals', spec: uri('https://Shop.example.com/'), ...notUri },
  { title: 'a URI beyond ASCII', spec: uri('https://bücher.example/'), ...notUri },
  { title: 'a URI with a space', spec: uri('https://shop.example.com/a b'), ...notUri },
  { title: 'a URI with a line break', spec: uri('https://shop.example.com/\n'), ...notUri },
  { title: 'a port that is no number', spec: uri('https://shop.example.com:http/'), ...notUri },
  { title: 'a wildcard in a URI', spec: uri('https://shop.example.com/*'), ...notUri },
  {
    title: 'a broken percent-encoding',
    spec: uri('https://shop.example.com/%zz'),
    field: 'spec.uris[0]',
    message: '"%" must be followed by two hexadecimal digits',
  },
  {
    title: 'a percent sign at the end',
    spec: uri('https://shop.example.com/%4'),
    field: 'spec.uris[0]',
    message: '"%" must be followed by two hexadecimal digits',
  },
  {
    title: 'a user in a URI',
    spec: uri('https://user:pw@shop.example.com/'),
    field: 'spec.uris[0]',
    message: 'carries no user or password',
  },
  { title: 'a fragment', spec: uri('https://shop.example.com/#top'), field: 'spec.uris[0]', message: 'leave out "#"' },
  {
    title: 'a path segment ..',
    spec: uri('https://shop.example.com/a/../b'),
    field: 'spec.uris[0]',
    message: 'write the path without them',
  },
  {
    title: 'an encoded path segment ..',
    spec: uri('https://shop.example.com/a/%2e%2E'),
    field: 'spec.uris[0]',
    message: 'write the path without them',
  },
  { title: 'a URI of 2049 characters', spec: uri(`urn:x:${long(2043)}`), field: 'spec.uris[0]', ...tooLong },

  // E-mail addresses
  { title: 'an address without domain', spec: email('ops'), ...notEmail },
  { title: 'a display name', spec: email('Ops <ops@example.com>'), ...notEmail },
  { title: 'a domain without dot', spec: email('ops@localhost'), ...notEmail },
  { title: 'two @', spec: email('a@b@example.com'), ...notEmail },
  { title: 'a dot at the end of the local part', spec: email('ops.@example.com'), ...notEmail },
  {
    title: 'a local part of 65 characters',
    spec: email(`${long(65)}@example.com`),
    field: 'spec.emailAddresses[0]',
    message: 'more than 64 characters stand before the "@"',
  },
  {
    title: 'a wildcard for e-mail addresses',
    spec: email('*@example.com'),
    field: 'spec.emailAddresses[0]',
    message: 'write each of them',
  },
  { title: 'an e-mail address beyond ASCII', spec: email('öps@example.com'), ...notEmail },
  { title: 'an e-mail address with a line break', spec: email('ops@example.com\r\nBcc: x'), ...notEmail },

  // Subject
  {
    title: 'a common name of 65 characters',
    spec: { ...base, commonName: long(65) },
    field: 'spec.commonName',
    ...tooLong,
  },
  {
    title: 'a common name with NUL',
    spec: { ...base, commonName: 'admin\u0000x' },
    field: 'spec.commonName',
    ...unprintable,
  },
  {
    title: 'a common name with a line break',
    spec: { ...base, commonName: 'a\nb' },
    field: 'spec.commonName',
    ...unprintable,
  },
  {
    title: 'a common name that ends in a space',
    spec: { ...base, commonName: 'admin ' },
    field: 'spec.commonName',
    ...unprintable,
  },
  {
    title: 'a common name read from right to left',
    spec: { ...base, commonName: 'a\u202eb' },
    field: 'spec.commonName',
    ...unprintable,
  },
  {
    title: 'a country in three letters',
    spec: { ...base, subject: { countries: ['DEU'] } },
    field: 'spec.subject.countries[0]',
    ...tooLong,
  },
  {
    title: 'a country in small letters',
    spec: { ...base, subject: { countries: ['de'] } },
    field: 'spec.subject.countries[0]',
    message: 'write the two capital letters',
  },
  {
    title: 'an organization of 65 characters',
    spec: { ...base, subject: { organizations: [long(65)] } },
    field: 'spec.subject.organizations[0]',
    ...tooLong,
  },
  {
    title: 'a serial number beyond PrintableString',
    spec: { ...base, subject: { serialNumber: 'a_b' } },
    field: 'spec.subject.serialNumber',
    message: 'write letters, digits, space',
  },

  // Times
  { title: 'an empty duration', spec: { ...base, duration: '' }, ...notDuration },
  { title: 'a bare number', spec: { ...base, duration: '24' }, ...notDuration },
  { title: 'ISO 8601', spec: { ...base, duration: 'P1D' }, ...notDuration },
  { title: 'a negative duration', spec: { ...base, duration: '-5m' }, ...notDuration },
  { title: 'a fraction', spec: { ...base, duration: '1.5h' }, ...notDuration },
  { title: 'units in the wrong order', spec: { ...base, duration: '30m1h' }, ...notDuration },
  { title: 'a unit twice', spec: { ...base, duration: '1h1h' }, ...notDuration },
  { title: 'a space in a duration', spec: { ...base, duration: '1d 12h' }, ...notDuration },
  {
    title: 'a number as duration',
    spec: { ...base, duration: 24 },
    field: 'spec.duration',
    message: 'must be of type string',
    parser: 'expected string',
  },
  { title: 'less than a minute', spec: { ...base, duration: '59s' }, ...durationRange },
  { title: 'zero', spec: { ...base, duration: '0d' }, ...durationRange },
  { title: 'more than 825 days', spec: { ...base, duration: '825d1s' }, ...durationRange },
  {
    title: 'renewBefore as long as duration',
    spec: { ...base, duration: '1d', renewBefore: '24h' },
    field: 'spec.renewBefore',
    message: 'renewBefore must be less than duration (1d)',
  },
  {
    title: 'renewBefore longer than the default duration',
    spec: { ...base, renewBefore: '2d' },
    field: 'spec.renewBefore',
    message: 'renewBefore must be less than duration (24h)',
  },
  {
    title: 'a renewBefore of nothing',
    spec: { ...base, renewBefore: '0s' },
    field: 'spec.renewBefore',
    message: 'out of range: write a duration from 1s',
  },

  // Usages and key
  {
    title: 'no usages',
    spec: { ...base, usages: [] },
    field: 'spec.usages',
    message: 'should have at least 1 items',
    parser: 'Too small',
  },
  { title: 'an unknown usage', spec: { ...base, usages: ['cert sign'] }, field: 'spec.usages[0]', ...unsupported },
  {
    title: 'a usage twice',
    spec: { ...base, usages: ['server auth', 'server auth'] },
    field: 'spec.usages[1]',
    ...duplicate,
  },
  {
    title: 'key encipherment for ECDSA',
    spec: { ...base, usages: ['server auth', 'key encipherment'] },
    field: 'spec.usages',
    message: '"key encipherment" is for RSA keys only',
  },
  {
    title: 'an unknown algorithm',
    spec: key({ algorithm: 'DSA' }),
    field: 'spec.privateKey.algorithm',
    ...unsupported,
  },
  { title: 'ECDSA of 521 bits', spec: key({ size: 521 }), ...keySize },
  { title: 'ECDSA of 2048 bits', spec: key({ algorithm: 'ECDSA', size: 2048 }), ...keySize },
  { title: 'RSA of 1024 bits', spec: key({ algorithm: 'RSA', size: 1024 }), ...keySize },
  { title: 'RSA of 256 bits', spec: key({ algorithm: 'RSA', size: 256 }), ...keySize },
  { title: 'RSA of 8192 bits', spec: key({ algorithm: 'RSA', size: 8192 }), ...keySize },
  { title: 'Ed25519 with a size', spec: key({ algorithm: 'Ed25519', size: 256 }), ...keySize },
  {
    title: 'a size as text',
    spec: key({ size: '256' }),
    field: 'spec.privateKey.size',
    message: 'must be of type integer',
    parser: 'expected number',
  },
  { title: 'PKCS1 for ECDSA', spec: key({ encoding: 'PKCS1' }), ...encoding },
  { title: 'SEC1 for RSA', spec: key({ algorithm: 'RSA', encoding: 'SEC1' }), ...encoding },
  { title: 'SEC1 for Ed25519', spec: key({ algorithm: 'Ed25519', encoding: 'SEC1' }), ...encoding },
  {
    title: 'an unknown rotation policy',
    spec: key({ rotationPolicy: 'Sometimes' }),
    field: 'spec.privateKey.rotationPolicy',
    ...unsupported,
  },

  // The Secret
  {
    title: 'an output that is not there yet',
    spec: { ...base, outputs: [{ type: 'PKCS12' }] },
    field: 'spec.outputs[0].type',
    ...unsupported,
  },
  {
    title: 'an output twice',
    spec: { ...base, outputs: [{ type: 'DER' }, { type: 'DER' }] },
    field: 'spec.outputs[1]',
    ...duplicate,
  },
  {
    title: 'an output without type',
    spec: { ...base, outputs: [{}] },
    field: 'spec.outputs[0].type',
    message: 'Required value',
    parser: 'Invalid option',
  },
  {
    title: 'an unknown deletion policy',
    spec: { ...base, deletionPolicy: 'Keep' },
    field: 'spec.deletionPolicy',
    ...unsupported,
  },
  {
    title: 'a label of ours',
    spec: { ...base, secretTemplate: { labels: { 'mtls-operator.io/purpose': 'x' } } },
    field: 'spec.secretTemplate.labels',
    message: 'are reserved: use a prefix of your own',
  },
  {
    title: 'an annotation of ours',
    spec: { ...base, secretTemplate: { annotations: { 'mtls-operator.io/certificate': 'x' } } },
    field: 'spec.secretTemplate.annotations',
    message: 'are reserved: use a prefix of your own',
  },
  {
    title: 'an annotation under a subdomain of ours',
    spec: { ...base, secretTemplate: { annotations: { 'x.mtls-operator.io/y': '' } } },
    field: 'spec.secretTemplate.annotations',
    message: 'are reserved',
  },
  {
    title: 'kubectl’s annotation',
    spec: { ...base, secretTemplate: { annotations: { 'kubectl.kubernetes.io/last-applied-configuration': '{}' } } },
    field: 'spec.secretTemplate.annotations',
    message: 'are reserved',
  },
  {
    title: 'an annotation of the token controller',
    spec: { ...base, secretTemplate: { annotations: { 'kubernetes.io/service-account.name': 'x' } } },
    field: 'spec.secretTemplate.annotations',
    message: 'are reserved',
  },
  {
    title: 'a label with a space',
    spec: { ...base, secretTemplate: { labels: { 'my label': 'x' } } },
    field: 'spec.secretTemplate.labels',
    message: 'not the key of a label or annotation',
  },
  {
    title: 'a label without a name',
    spec: { ...base, secretTemplate: { labels: { 'example.com/': 'x' } } },
    field: 'spec.secretTemplate.labels',
    message: 'not the key of a label or annotation',
  },
  {
    title: 'a label with a name of 64 characters',
    spec: { ...base, secretTemplate: { labels: { [long(64)]: 'x' } } },
    field: 'spec.secretTemplate.labels',
    message: 'write a name of 1 to 63',
  },
  {
    title: 'a value of a label that is none',
    spec: { ...base, secretTemplate: { labels: { note: 'two words' } } },
    field: 'spec.secretTemplate.labels',
    message: 'not the value of a label',
  },
  {
    title: 'a value of a label of 64 characters',
    spec: { ...base, secretTemplate: { labels: { note: long(64) } } },
    field: 'spec.secretTemplate.labels.note',
    ...tooLong,
  },
  {
    title: 'an annotation of 4097 characters',
    spec: { ...base, secretTemplate: { annotations: { note: long(4097) } } },
    field: 'spec.secretTemplate.annotations.note',
    ...tooLong,
  },
  {
    title: '33 labels',
    spec: {
      ...base,
      secretTemplate: { labels: Object.fromEntries(many(33, (index) => `l${index}`).map((name) => [name, 'x'])) },
    },
    field: 'spec.secretTemplate.labels',
    message: 'Too many',
    parser: 'at most 32',
  },

  // The authority
  {
    title: 'an authority of another kind',
    spec: { ...base, authorityRef: { kind: 'ClusterIssuer' } },
    field: 'spec.authorityRef.kind',
    ...unsupported,
  },
  {
    title: 'an authority of another group',
    spec: { ...base, authorityRef: { group: 'cert-manager.io' } },
    field: 'spec.authorityRef.group',
    ...unsupported,
  },
  {
    title: 'an authority’s name that is none',
    spec: { ...base, authorityRef: { name: 'Default' } },
    field: 'spec.authorityRef.name',
    message: 'not a name of a CertificateAuthority',
  },
  {
    title: 'an authority’s name of 64 characters',
    spec: { ...base, authorityRef: { name: long(64) } },
    field: 'spec.authorityRef.name',
    ...tooLong,
  },
];
