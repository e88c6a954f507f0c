/** CertificateAuthority: who signs, for how long, and what a namespace may ask for. */
import * as z from 'zod';
import { durationSecondsCel, isDuration, parseDuration } from './duration.ts';
import { objectMetaSchema, parseObject } from './metadata.ts';
import { nameRulesField } from './nameRules.ts';
import { objectNameRules, trustDomainRules } from './names.ts';
import { field, type Rule, textField } from './rules.ts';
import {
  conditionsField,
  durationField,
  fingerprintField,
  keyAlgorithmField,
  keySizeField,
  keySizeRule,
  notAfterField,
  notBeforeField,
  observedGenerationField,
  renewalTimeField,
  serialNumberField,
  subjectField,
} from './shared.ts';

const caPrivateKeyField = field(
  z.object({ algorithm: keyAlgorithmField.default('ECDSA'), size: keySizeField.optional() }),
  'The CA’s key. A change takes effect with the next generation of the CA.',
  [keySizeRule],
).default({ algorithm: 'ECDSA' });

const ROOT_DURATION = '87600h';
const ISSUING_DURATION = '8760h';
const MAX_CERTIFICATE_DURATION = '720h';

const selfSignedSchema = z.object({
  root: field(
    z.object({
      duration: durationField(
        `How long the root lives. Default: ${ROOT_DURATION} (ten years); at most 36500d. Every trust store has to learn of
        a new root, so make it long.`,
        '1m',
        '36500d',
      ).default(ROOT_DURATION),
      privateKey: caPrivateKeyField,
    }),
    'The self-signed root, which peers trust. It signs issuing CAs only.',
  ).default({ duration: ROOT_DURATION, privateKey: { algorithm: 'ECDSA' } }),
  issuing: field(
    z.object({
      duration: durationField(
        `How long an issuing CA lives. Default: ${ISSUING_DURATION} (a year); shorter than the root. It is renewed in
        time, which touches neither trust stores nor certificates that are in use.`,
        '1m',
        '36500d',
      ).default(ISSUING_DURATION),
      privateKey: caPrivateKeyField,
    }),
    'The intermediate that signs the certificates of workloads.',
  ).default({ duration: ISSUING_DURATION, privateKey: { algorithm: 'ECDSA' } }),
});

const issuingShorterThanRoot: Rule<z.output<typeof selfSignedSchema>> = {
  cel: `${durationSecondsCel('self.issuing.duration')} < ${durationSecondsCel('self.root.duration')}`,
  holds: ({ root, issuing }) =>
    !isDuration(root.duration) ||
    !isDuration(issuing.duration) ||
    parseDuration(issuing.duration) < parseDuration(root.duration),
  message: 'an issuing CA must end before its root: write an issuing.duration that is less than root.duration',
};

const trustDomainImmutable: Rule<string> = {
  cel: 'self == oldSelf',
  // Only the API server sees the object as it was before.
  holds: () => true,
  message:
    'trustDomain cannot be changed, since every identity given so far carries it: make another CertificateAuthority ' +
    'and point authorityRef to it',
};

const specSchema = z.object({
  trustDomain: textField(
    255,
    `The SPIFFE trust domain of every identity that this authority gives:
    spiffe://<trustDomain>/ns/<namespace>/sa/<service account>. Required, and never to be changed. Clusters that share
    a trust domain cannot tell each other’s workloads apart: give each its own. Example: cluster.local.`,
    [...trustDomainRules, trustDomainImmutable],
  ),
  selfSigned: field(
    selfSignedSchema,
    `A root and issuing CA that the operator makes and renews itself, kept as Secrets in its own namespace. Exactly
    one of selfSigned and provided. Example: {}.`,
    [issuingShorterThanRoot],
  ).optional(),
  provided: field(
    z.object({
      secretName: textField(
        253,
        `Name of the Secret in the operator’s namespace: tls.crt (the CA certificate, then its intermediates), tls.key
        (its private key) and ca.crt (the roots; may be left out if tls.crt ends with the root). Required. Example:
        corporate-ca.`,
        objectNameRules('Secret'),
      ),
    }),
    `A CA or intermediate that is brought along. Renewing it is up to whoever brings it. Exactly one of selfSigned and
    provided.`,
  ).optional(),
  maxCertificateDuration: durationField(
    `The longest life of a certificate: a longer duration of a WorkloadCertificate is shortened to it. Default:
    ${MAX_CERTIFICATE_DURATION}; with selfSigned at most a sixth of issuing.duration, so that a certificate never has
    to end early with its CA; at most 825d.`,
    '1m',
    '825d',
  ).default(MAX_CERTIFICATE_DURATION),
  names: nameRulesField.optional(),
});

type Spec = z.output<typeof specSchema>;

const specRules: readonly Rule<Spec>[] = [
  {
    cel: 'has(self.selfSigned) != has(self.provided)',
    holds: ({ selfSigned, provided }) => (selfSigned === undefined) !== (provided === undefined),
    message:
      'write exactly one of selfSigned and provided: "selfSigned: {}" for a CA that the operator makes, or ' +
      '"provided: {secretName: …}" for one that you bring',
  },
  {
    cel:
      `!has(self.selfSigned) || ${durationSecondsCel('self.maxCertificateDuration')} * 6 <= ` +
      durationSecondsCel('self.selfSigned.issuing.duration'),
    holds: ({ selfSigned, maxCertificateDuration }) =>
      selfSigned === undefined ||
      !isDuration(maxCertificateDuration) ||
      !isDuration(selfSigned.issuing.duration) ||
      parseDuration(maxCertificateDuration) * 6 <= parseDuration(selfSigned.issuing.duration),
    message: 'maxCertificateDuration must be at most a sixth of selfSigned.issuing.duration',
    property: 'maxCertificateDuration',
    detailed: {
      cel:
        "'maxCertificateDuration (%s) must be at most a sixth of selfSigned.issuing.duration (%s): write %ds or less'.format([" +
        `self.maxCertificateDuration, self.selfSigned.issuing.duration, ${durationSecondsCel('self.selfSigned.issuing.duration')} / 6])`,
      text: ({ selfSigned, maxCertificateDuration }) => {
        const issuing = selfSigned?.issuing.duration ?? '';
        const most = isDuration(issuing) ? Math.floor(parseDuration(issuing) / 6) : 0;
        return (
          `maxCertificateDuration (${maxCertificateDuration}) must be at most a sixth of ` +
          `selfSigned.issuing.duration (${issuing}): write ${most}s or less`
        );
      },
    },
  },
];

export const certificateAuthoritySpecSchema = field(specSchema, 'How the authority signs, and for whom.', specRules);

export const authorityPhases = ['Pending', 'Ready', 'Unavailable', 'Deleting'] as const;
export const generationRoles = ['Root', 'Issuing'] as const;
export const generationPhases = ['Prepared', 'Active', 'Retired'] as const;

const certificateFields = {
  fingerprint: fingerprintField.optional(),
  subject: subjectField.optional(),
  notBefore: notBeforeField.optional(),
  notAfter: notAfterField.optional(),
  secretName: textField(253, 'The Secret in the operator’s namespace that holds the key.').optional(),
};

export const certificateAuthorityStatusSchema = z.object({
  conditions: conditionsField(
    `Ready: the authority signs certificates; otherwise the reason says what stands in the way. Expiring: only there
    while the root, or the CA that was brought along, nears its end.`,
  ).optional(),
  observedGeneration: observedGenerationField.optional(),
  phase: field(
    z.enum(authorityPhases),
    `Pending: the CA is not there yet. Ready: it signs. Unavailable: it cannot sign, the condition Ready says why.
    Deleting: it waits for the WorkloadCertificates that still ask for it.`,
  ).optional(),
  root: field(z.object(certificateFields), 'The root that peers trust.').optional(),
  issuing: field(
    z.object({
      ...certificateFields,
      serialNumber: serialNumberField.optional(),
      renewalTime: renewalTimeField.optional(),
    }),
    'The CA that signs certificates at present.',
  ).optional(),
  generations: field(
    z
      .array(
        z.object({
          ...certificateFields,
          fingerprint: fingerprintField,
          role: field(z.enum(generationRoles), 'Root or Issuing.'),
          phase: field(
            z.enum(generationPhases),
            `Prepared: made and not yet signing. Active: signs. Retired: signs no more, but certificates that it
            signed are still in use.`,
          ).optional(),
        }),
      )
      .max(64),
    'Every root and issuing CA whose certificates may still be in use, the newest first.',
    [],
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['fingerprint'] },
  ).optional(),
  trust: field(
    z.object({
      roots: field(
        z
          .array(
            z.object({
              fingerprint: fingerprintField,
              subject: subjectField.optional(),
              notAfter: notAfterField.optional(),
            }),
          )
          .max(64),
        'The roots in ca.crt of every Secret that this authority serves.',
        [],
        { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['fingerprint'] },
      ).optional(),
    }),
    'What peers are told to trust.',
  ).optional(),
});

export type CertificateAuthoritySpec = z.output<typeof certificateAuthoritySpecSchema>;
export type CertificateAuthorityStatus = z.output<typeof certificateAuthorityStatusSchema>;

export const certificateAuthoritySchema = z.object({
  metadata: objectMetaSchema,
  spec: certificateAuthoritySpecSchema,
  status: certificateAuthorityStatusSchema.catch({}).default({}),
});

export type CertificateAuthority = z.output<typeof certificateAuthoritySchema>;

/** @throws InvalidObjectError naming each field that is wrong, and what to write. */
export function parseCertificateAuthority(object: unknown): CertificateAuthority {
  return parseObject('CertificateAuthority', certificateAuthoritySchema, object);
}
