import { badNames } from './badNames.ts';
import { type BadSample, duplicate, many, repeat, required, tooLong, tooMany, unsupported } from './sample.ts';

const base = { secretName: 'web-mtls', dnsNames: ['web.shop.svc'] };

const key = (privateKey: object): object => ({ ...base, privateKey });
const notDuration = {
  field: 'spec.duration',
  message: 'not a duration: write whole numbers with d, h, m, s in this order',
};
const durationRange = { field: 'spec.duration', message: 'out of range: write a duration from 1m to 825d' };
const keySize = { field: 'spec.privateKey.size', message: 'write 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA' };
const encoding = { field: 'spec.privateKey.encoding', message: 'write PKCS8, which is for every algorithm' };
const objectName = 'write lower-case letters, digits, "-" and "."';
const unprintable = { message: 'write printable characters only' };

export const badWorkloadCertificates: readonly BadSample[] = [
  ...badNames,

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
    spec: { ...base, secretName: repeat(254) },
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

  // Subject
  {
    title: 'a common name of 65 characters',
    spec: { ...base, commonName: repeat(65) },
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
    spec: { ...base, subject: { organizations: [repeat(65)] } },
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
  ...[
    ['1m', '51s'],
    ['10m', '9m59s'],
    ['10m', '8m21s'],
    ['30m', '25m1s'],
    ['24h', '23h59m59s'],
    ['825d', '824d23h55m1s'],
  ].map(([duration, renewBefore]) => ({
    title: `a renewal shortly after each issuance: ${renewBefore} before the end of ${duration}`,
    spec: { ...base, duration, renewBefore },
    field: 'spec.renewBefore',
    message: 'must be less than duration by 5m, or by a sixth of duration where that is less',
  })),
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
    title: 'an output that is none of ours',
    spec: { ...base, outputs: [{ type: 'BCFKS' }] },
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
    title: 'a password for an output without one',
    spec: { ...base, outputs: [{ type: 'DER', passwordSecretRef: { name: 'web-keystore' } }] },
    field: 'spec.outputs[0].passwordSecretRef',
    message: 'passwordSecretRef is for PKCS12 and JKS only: leave it out here',
  },
  {
    title: 'an alias for an output without one',
    spec: { ...base, outputs: [{ type: 'JKS' }, { type: 'EnvoySDS', alias: 'web' }] },
    field: 'spec.outputs[1].alias',
    message: 'alias is for PKCS12 and JKS only: leave it out here',
  },
  {
    title: 'an alias in capitals, which Java would not find',
    spec: { ...base, outputs: [{ type: 'JKS', alias: 'Web' }] },
    field: 'spec.outputs[0].alias',
    message: 'not an alias: write lower-case letters',
  },
  {
    title: 'an empty alias',
    spec: { ...base, outputs: [{ type: 'JKS', alias: '' }] },
    field: 'spec.outputs[0].alias',
    message: 'not an alias',
  },
  {
    title: 'an alias of 65 characters',
    spec: { ...base, outputs: [{ type: 'PKCS12', alias: repeat(65) }] },
    field: 'spec.outputs[0].alias',
    ...tooLong,
  },
  {
    title: 'a password in the Secret that is written',
    spec: { ...base, outputs: [{ type: 'PKCS12', passwordSecretRef: { name: 'web-mtls', key: 'tls.key' } }] },
    field: 'spec.outputs',
    message: 'a password stands in a Secret of its own, not in the one that is written',
  },
  {
    title: 'a password without the name of its Secret',
    spec: { ...base, outputs: [{ type: 'PKCS12', passwordSecretRef: { key: 'password' } }] },
    field: 'spec.outputs[0].passwordSecretRef.name',
    ...required,
  },
  {
    title: 'a password in a Secret of another namespace',
    spec: { ...base, outputs: [{ type: 'PKCS12', passwordSecretRef: { name: 'other/web-keystore' } }] },
    field: 'spec.outputs[0].passwordSecretRef.name',
    message: 'not a name of a Secret',
  },
  {
    title: 'a path for the key of a password',
    spec: { ...base, outputs: [{ type: 'PKCS12', passwordSecretRef: { name: 'web-keystore', key: 'a/b' } }] },
    field: 'spec.outputs[0].passwordSecretRef.key',
    message: 'not a key of a Secret: write letters, digits',
  },
  {
    title: 'two dots for the key of a password',
    spec: { ...base, outputs: [{ type: 'PKCS12', passwordSecretRef: { name: 'web-keystore', key: '..' } }] },
    field: 'spec.outputs[0].passwordSecretRef.key',
    message: 'a key of a Secret is neither "." nor begins with ".."',
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
    spec: { ...base, secretTemplate: { labels: { [repeat(64)]: 'x' } } },
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
    spec: { ...base, secretTemplate: { labels: { note: repeat(64) } } },
    field: 'spec.secretTemplate.labels.note',
    ...tooLong,
  },
  {
    title: 'an annotation of 4097 characters',
    spec: { ...base, secretTemplate: { annotations: { note: repeat(4097) } } },
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
    spec: { ...base, authorityRef: { name: repeat(64) } },
    field: 'spec.authorityRef.name',
    ...tooLong,
  },

  // Workloads to restart
  {
    title: 'a workload twice',
    spec: { ...base, restart: many(2, () => 'web').map((name) => ({ kind: 'Deployment', name })) },
    field: 'spec.restart[1]',
    ...duplicate,
  },
  {
    title: 'a ReplicaSet to restart',
    spec: { ...base, restart: [{ kind: 'ReplicaSet', name: 'web' }] },
    field: 'spec.restart[0].kind',
    ...unsupported,
  },
  {
    title: 'a workload without a kind',
    spec: { ...base, restart: [{ name: 'web' }] },
    field: 'spec.restart[0].kind',
    message: 'Required value',
    parser: 'Invalid option',
  },
  {
    title: 'a workload without a name',
    spec: { ...base, restart: [{ kind: 'Deployment' }] },
    field: 'spec.restart[0].name',
    ...required,
  },
  {
    title: 'a path as the name of a workload',
    spec: { ...base, restart: [{ kind: 'Deployment', name: '../web' }] },
    field: 'spec.restart[0].name',
    message: 'not a name of a workload',
  },
  {
    title: 'nine workloads to restart',
    spec: { ...base, restart: many(9, (index) => `web-${index}`).map((name) => ({ kind: 'Deployment', name })) },
    field: 'spec.restart',
    ...tooMany,
  },
];
