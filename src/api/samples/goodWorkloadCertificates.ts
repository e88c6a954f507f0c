import { type GoodSample, many, repeat } from './sample.ts';

const base = { secretName: 'web-mtls', dnsNames: ['web.shop.svc'] };
const label63 = repeat(63);

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
  {
    title: 'every output',
    spec: {
      ...base,
      outputs: [
        { type: 'CombinedPEM' },
        { type: 'DER' },
        { type: 'Docker' },
        { type: 'EnvoySDS' },
        { type: 'PKCS12', passwordSecretRef: { name: 'web-keystore', key: 'pass.word_1' }, alias: 'web-1.shop_x' },
        { type: 'JKS', alias: repeat(64) },
      ],
    },
  },
  {
    title: 'a password of which only the Secret is named',
    spec: { ...base, outputs: [{ type: 'JKS', passwordSecretRef: { name: 'web' } }] },
  },
  { title: 'the shortest duration', spec: { ...base, duration: '60s', renewBefore: '50s' } },
  { title: 'the longest duration', spec: { ...base, duration: '825d' } },
  {
    title: 'durations in different units',
    spec: { ...base, duration: '2d', renewBefore: '47h55m' },
  },
  { title: 'a common name of 64 characters beyond ASCII', spec: { secretName: 'web', commonName: repeat(64, '𝔘') } },
  {
    title: 'a DNS name of 253 characters',
    spec: { secretName: 'web', dnsNames: [`${`${label63}.`.repeat(3)}${repeat(61)}`] },
  },
  { title: 'a hundred DNS names', spec: { secretName: 'web', dnsNames: many(100, (index) => `n${index}.shop.svc`) } },
  {
    title: 'workloads to restart, of all kinds and with one name',
    spec: {
      ...base,
      restart: [
        { kind: 'Deployment', name: 'web' },
        { kind: 'StatefulSet', name: 'web' },
        { kind: 'DaemonSet', name: 'web.agent' },
      ],
    },
  },
];
