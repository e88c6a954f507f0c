/** WorkloadCertificate: a key and a certificate in a Secret, kept fresh. */
import * as z from 'zod';
import { consumersField } from './consumers.ts';
import { certificateAuthorityKind, GROUP } from './kinds.ts';
import { setField } from './lists.ts';
import { objectMetaSchema, parseObject } from './metadata.ts';
import {
  countryRules,
  dnsNameRules,
  emailAddressRules,
  ipAddressRules,
  objectNameRules,
  printableRules,
  subjectTextRules,
  uriRules,
} from './names.ts';
import { outputsField, passwordIsElsewhere } from './outputs.ts';
import { renewBeforeIsLess, renewBeforeLeavesTime } from './renewBefore.ts';
import { restartField } from './restart.ts';
import { field, type Rule, textField } from './rules.ts';
import { secretTemplateField } from './secretTemplate.ts';
import {
  conditionsField,
  durationField,
  fingerprintField,
  keyAlgorithmField,
  keySizeField,
  keySizeRule,
  lastFailureTimeField,
  notAfterField,
  notBeforeField,
  observedGenerationField,
  renewalTimeField,
  serialNumberField,
} from './shared.ts';

export const usages = ['server auth', 'client auth', 'digital signature', 'key encipherment'] as const;
export type Usage = (typeof usages)[number];

export const keyEncodings = ['PKCS8', 'PKCS1', 'SEC1'] as const;
export const rotationPolicies = ['Always', 'Never'] as const;
export const deletionPolicies = ['Retain', 'Delete'] as const;

const subjectAttribute = (maximum: number, what: string) =>
  setField(
    textField(maximum, `One ${what}.`, subjectTextRules),
    { max: 8 },
    `The ${what} attributes, at most ${maximum} characters each.`,
  );

export const subjectSchema = z.object({
  organizations: subjectAttribute(64, 'organization (O)').optional(),
  organizationalUnits: subjectAttribute(64, 'organizational unit (OU)').optional(),
  countries: setField(
    textField(2, 'One country code.', countryRules),
    { max: 8 },
    'The country (C) attributes: two capital letters of ISO 3166 each, e.g. DE.',
  ).optional(),
  localities: subjectAttribute(128, 'locality (L), e.g. a city').optional(),
  provinces: subjectAttribute(128, 'state or province (ST)').optional(),
  streetAddresses: subjectAttribute(128, 'street address').optional(),
  postalCodes: subjectAttribute(40, 'postal code').optional(),
  serialNumber: textField(
    64,
    'The serialNumber attribute of the subject, e.g. an inventory number. It is not the serial number of the certificate.',
    printableRules,
  ).optional(),
});

const privateKeySchema = z.object({
  algorithm: keyAlgorithmField.default('ECDSA'),
  size: keySizeField.optional(),
  encoding: field(
    z.enum(keyEncodings),
    `How tls.key is written: PKCS8 ("BEGIN PRIVATE KEY", any algorithm), PKCS1 ("BEGIN RSA PRIVATE KEY", RSA only) or
    SEC1 ("BEGIN EC PRIVATE KEY", ECDSA only).`,
  ).default('PKCS8'),
  rotationPolicy: field(
    z.enum(rotationPolicies),
    `Always makes a new key for every certificate. Never keeps the key in the Secret for as long as it fits algorithm
    and size: use it where the key itself is pinned by peers. A key that leaked then stays in use: delete the Secret
    to get a new one.`,
  ).default('Always'),
});

const encodingRule: Rule<z.output<typeof privateKeySchema>> = {
  cel:
    "self.encoding == 'PKCS8' || (self.encoding == 'PKCS1' && self.algorithm == 'RSA') || " +
    "(self.encoding == 'SEC1' && self.algorithm == 'ECDSA')",
  holds: ({ algorithm, encoding }) =>
    encoding === 'PKCS8' || (encoding === 'PKCS1' ? algorithm === 'RSA' : algorithm === 'ECDSA'),
  message: 'PKCS1 is for RSA keys and SEC1 for ECDSA keys only: write PKCS8, which is for every algorithm',
  property: 'encoding',
};

const authorityRefSchema = z.object({
  name: textField(63, 'Name of the authority.', objectNameRules('CertificateAuthority')).default('default'),
  kind: field(z.enum([certificateAuthorityKind.kind]), 'Kind of the authority.').default(certificateAuthorityKind.kind),
  group: field(z.enum([GROUP]), 'API group of the authority.').default(GROUP),
});

const specSchema = z.object({
  secretName: textField(
    253,
    `Name of the Secret in the same namespace that receives key and certificate: tls.key, tls.crt (the certificate,
    then intermediates) and ca.crt (the roots to verify peers with), of type kubernetes.io/tls. Required. Example:
    web-mtls. A Secret of that name that something else made is never overwritten: the condition Ready then says
    SecretConflict. After a change of this field the old Secret stays behind.`,
    objectNameRules('Secret'),
  ),
  authorityRef: field(
    authorityRefSchema,
    'The authority that signs. Default: the CertificateAuthority "default". A change issues a new certificate.',
  ).default({ name: 'default', kind: certificateAuthorityKind.kind, group: GROUP }),
  serviceAccountName: textField(
    253,
    `Name of a service account of the same namespace. If set, the certificate is an X.509-SVID: it carries the SPIFFE
    ID spiffe://<trust domain>/ns/<namespace>/sa/<service account> as its only URI and serves both as server and as
    client. Whoever reads the Secret is that service account to every peer: setting it therefore needs permission to
    impersonate the service account (the role "edit" has it). If left out, the certificate has no SPIFFE ID. Example:
    web.`,
    objectNameRules('ServiceAccount'),
  ).optional(),
  dnsNames: setField(
    textField(253, 'One DNS name.', dnsNameRules),
    { max: 100 },
    `DNS names that the workload answers to, at most 100. Free to every namespace are the names of its own Services
    and pods, as web.shop.svc and pod-0.web.shop.svc.cluster.local in namespace shop, "*" as the first label of
    these, and <service>.<namespace> unless the namespace is called like a top-level domain (as shop is); any other
    name needs a rule in the authority’s spec.names. A "*" stands for exactly one label.
    Internationalised names may be written in Unicode and stand in the certificate as A-labels (xn--…). Example:
    ["web.shop.svc", "*.web.shop.svc"].`,
  ).optional(),
  ipAddresses: setField(
    textField(45, 'One IP address.', ipAddressRules),
    { max: 100 },
    `IP addresses that the workload answers to, in canonical text, at most 100. Each needs a rule in the authority’s
    spec.names. Pod addresses are reused: a certificate with one outlives its pod. Example: ["192.0.2.10",
    "2001:db8::10"].`,
  ).optional(),
  uris: setField(
    textField(2048, 'One URI.', uriRules),
    { max: 20 },
    `Absolute URIs, scheme and host in lower case, at most 20. Each needs a rule in the authority’s spec.names. Not
    together with serviceAccountName, whose SPIFFE ID must be the only URI; and no spiffe:// URIs, which only
    serviceAccountName gives. Example: ["https://shop.example.com/web"].`,
  ).optional(),
  emailAddresses: setField(
    textField(254, 'One e-mail address.', emailAddressRules),
    { max: 20 },
    'E-mail addresses, at most 20. Each needs a rule in the authority’s spec.names. Example: ["ops@example.com"].',
  ).optional(),
  commonName: textField(
    64,
    `Common name (CN) of the subject, at most 64 characters. TLS verifies the names above, not this one, but some
    servers map it to a user (PostgreSQL, MySQL, etcd): unless it is one of dnsNames it needs a rule in the
    authority’s spec.names. Default: none. Example: web.shop.svc.`,
    subjectTextRules,
  ).optional(),
  subject: field(
    subjectSchema,
    `Further attributes of the subject. They need a rule in the authority’s spec.names: the API server of Kubernetes,
    for one, takes organizations for groups.`,
  ).optional(),
  duration: durationField(
    `How long a certificate lives, from issuance to its notAfter, as whole numbers with d, h, m, s: 24h, 90m, 1d12h.
    Default: 24h; at least 1m, at most 825d (Apple’s limit). The authority shortens it to its maxCertificateDuration
    and to the end of its own certificate. The certificate begins up to 5 minutes before issuance, so that peers whose
    clocks run behind accept it at once.`,
    '1m',
    '825d',
  ).default('24h'),
  renewBefore: durationField(
    `How long before notAfter the certificate is renewed, in the notation of duration. Must be less than duration, by
    5m or, where that is less, by a sixth of duration: 24h can have up to 23h55m, 1m up to 50s. Where the authority
    shortens the life so far that less than this is left, the default is used. Default: a third of the certificate’s
    life. Renewal comes up to a twentieth of the life earlier than this says, so that certificates made together are
    not renewed together. Example: 8h.`,
    '1s',
    '825d',
  ).optional(),
  usages: setField(
    field(z.enum(usages), 'One usage.'),
    { min: 1, max: 4 },
    `What the key may be used for: "server auth" and "client auth" (extended key usage), "digital signature" (key
    usage, always set) and "key encipherment" (key usage, for RSA keys only, set for them unless usages names a key
    usage itself; TLS 1.2 with RSA key exchange needs it). Default: server auth, client auth. Without either of these
    two the certificate has no extended key usage, and most TLS libraries then accept it for anything. With
    serviceAccountName both are needed.`,
  ).default(['server auth', 'client auth']),
  privateKey: field(privateKeySchema, 'What key is made. A change issues a new certificate.', [
    keySizeRule,
    encodingRule,
  ]).default({
    algorithm: 'ECDSA',
    encoding: 'PKCS8',
    rotationPolicy: 'Always',
  }),
  outputs: outputsField.optional(),
  secretTemplate: secretTemplateField.optional(),
  restart: restartField.optional(),
  deletionPolicy: field(
    z.enum(deletionPolicies),
    `What becomes of the Secret when this WorkloadCertificate is deleted. Retain: it stays, running workloads keep
    their certificate until it expires, and a WorkloadCertificate that is made again takes it back without a new
    issuance. Delete: Kubernetes’ garbage collector removes it (by an owner reference, which also means that deleting
    the CRD deletes the Secret). Default: Retain.`,
  ).default('Retain'),
});

type Spec = z.output<typeof specSchema>;

const specRules: readonly Rule<Spec>[] = [
  {
    cel:
      'has(self.serviceAccountName) || has(self.commonName) || ' +
      ['dnsNames', 'ipAddresses', 'uris', 'emailAddresses']
        .map((list) => `(has(self.${list}) && size(self.${list}) > 0)`)
        .join(' || '),
    holds: (spec) =>
      spec.serviceAccountName !== undefined ||
      spec.commonName !== undefined ||
      [spec.dnsNames, spec.ipAddresses, spec.uris, spec.emailAddresses].some(
        (list) => list !== undefined && list.length > 0,
      ),
    message:
      'there is nothing to certify: write serviceAccountName for a SPIFFE ID, or at least one of dnsNames, ' +
      'ipAddresses, uris, emailAddresses, commonName',
  },
  {
    cel: '!has(self.serviceAccountName) || !has(self.uris) || size(self.uris) == 0',
    holds: ({ serviceAccountName, uris }) =>
      serviceAccountName === undefined || uris === undefined || uris.length === 0,
    message:
      'with serviceAccountName the SPIFFE ID is the only URI (X.509-SVID): leave out uris, or put them into a ' +
      'WorkloadCertificate of their own',
    property: 'uris',
  },
  {
    cel: "!has(self.serviceAccountName) || ('server auth' in self.usages && 'client auth' in self.usages)",
    holds: ({ serviceAccountName, usages }) =>
      serviceAccountName === undefined || (usages.includes('server auth') && usages.includes('client auth')),
    message:
      'with serviceAccountName the certificate is for servers and clients alike (X.509-SVID): write both "server ' +
      'auth" and "client auth", or leave usages out',
    property: 'usages',
  },
  {
    cel: "self.privateKey.algorithm == 'RSA' || !('key encipherment' in self.usages)",
    holds: ({ privateKey, usages }) => privateKey.algorithm === 'RSA' || !usages.includes('key encipherment'),
    message: '"key encipherment" is for RSA keys only: leave it out, or write privateKey.algorithm: RSA',
    property: 'usages',
  },
  renewBeforeIsLess,
  passwordIsElsewhere,
];

const SPEC_DESCRIPTION =
  'Which certificate is wanted, and where it goes. Every change that concerns the certificate issues a new one.';

export const workloadCertificateSpecSchema = field(specSchema, SPEC_DESCRIPTION, [...specRules, renewBeforeLeavesTime]);

export const workloadCertificateStatusSchema = z.object({
  conditions: conditionsField(
    `Ready: the Secret holds a valid certificate that is what the spec asks for. Issuing: a new certificate is wanted
    and not yet there; its reason says why it is wanted or what stands in the way. Restarted, where spec.restart is set:
    every workload named there has been restarted since the certificate was issued, or did not need it.`,
  ).optional(),
  observedGeneration: observedGenerationField.optional(),
  notBefore: notBeforeField.optional(),
  notAfter: notAfterField.optional(),
  renewalTime: renewalTimeField.optional(),
  serialNumber: serialNumberField.optional(),
  revision: field(z.int().min(0), 'Counts the certificates that were issued for this object.', [], {
    format: 'int64',
  }).optional(),
  authorityFingerprint: field(
    fingerprintField,
    'SHA-256 of the CA certificate that signed (DER), in lower-case hexadecimal.',
    [],
    {
      maxLength: 64,
    },
  ).optional(),
  secretName: textField(253, 'The Secret that was last written.').optional(),
  failedAttempts: field(z.int32().min(0), 'Failed attempts since the last success or change of spec.').optional(),
  lastFailureTime: lastFailureTimeField.optional(),
  restartedSerialNumber: textField(
    64,
    'Serial number of the last certificate for which every workload of spec.restart was restarted, or did not need it.',
  ).optional(),
  consumers: consumersField.optional(),
});

export type WorkloadCertificateSpec = z.output<typeof workloadCertificateSpecSchema>;
export type WorkloadCertificateStatus = z.output<typeof workloadCertificateStatusSchema>;

export const workloadCertificateSchema = z.object({
  metadata: objectMetaSchema.extend({ namespace: z.string().min(1) }),
  spec: workloadCertificateSpecSchema,
  // A status is ours to write anew: whatever stands there must not keep the object from being judged.
  status: workloadCertificateStatusSchema.catch({}).default({}),
});

export type WorkloadCertificate = z.output<typeof workloadCertificateSchema>;

/** As it may be written. @throws InvalidObjectError naming each field that is wrong, and what to write. */
export function parseWorkloadCertificate(object: unknown): WorkloadCertificate {
  return parseObject('WorkloadCertificate', workloadCertificateSchema, object);
}

const storedSchema = workloadCertificateSchema.extend({ spec: field(specSchema, SPEC_DESCRIPTION, specRules) });

/** As it may have been written under an older CRD and is still served. @throws InvalidObjectError */
export function parseStoredWorkloadCertificate(object: unknown): WorkloadCertificate {
  return parseObject('WorkloadCertificate', storedSchema, object);
}
