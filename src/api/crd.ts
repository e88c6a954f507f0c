/** The CustomResourceDefinitions of our kinds. */
import type * as z from 'zod';
import { certificateAuthoritySpecSchema, certificateAuthorityStatusSchema } from './certificateAuthority.ts';
import { certificateAuthorityKind, GROUP, type Kind, VERSION, workloadCertificateKind } from './kinds.ts';
import { field } from './rules.ts';
import { type StructuralSchema, structuralSchema, type ValidationRule } from './schema.ts';
import { workloadCertificateSpecSchema, workloadCertificateStatusSchema } from './workloadCertificate.ts';

/** A column of `kubectl get`. Priority 1 shows with `-o wide` only. */
interface PrinterColumn {
  readonly name: string;
  readonly type: 'string' | 'date' | 'integer';
  readonly description: string;
  readonly jsonPath: string;
  readonly priority?: 1;
}

export interface KindDefinition {
  readonly kind: Kind;
  readonly description: string;
  readonly schema: StructuralSchema;
  readonly columns: readonly PrinterColumn[];
}

const ready = (property: 'status' | 'reason'): string => `.status.conditions[?(@.type=="Ready")].${property}`;
const age: PrinterColumn = {
  name: 'Age',
  type: 'date',
  description: 'Time since the object was made.',
  jsonPath: '.metadata.creationTimestamp',
};

// Expiry and renewal are text, not of type date: kubectl writes a date as the time since then, and "<invalid>" for one in the future.
const workloadCertificateColumns: readonly PrinterColumn[] = [
  {
    name: 'Ready',
    type: 'string',
    description: 'Whether the Secret holds what the spec asks for.',
    jsonPath: ready('status'),
  },
  { name: 'Secret', type: 'string', description: 'The Secret with key and certificate.', jsonPath: '.spec.secretName' },
  { name: 'Expires', type: 'string', description: 'When the certificate expires.', jsonPath: '.status.notAfter' },
  age,
  { name: 'Reason', type: 'string', description: 'Why it is ready or not.', jsonPath: ready('reason'), priority: 1 },
  {
    name: 'Renewal',
    type: 'string',
    description: 'When the certificate is renewed.',
    jsonPath: '.status.renewalTime',
    priority: 1,
  },
  {
    name: 'Serial',
    type: 'string',
    description: 'Serial number of the certificate.',
    jsonPath: '.status.serialNumber',
    priority: 1,
  },
];

const certificateAuthorityColumns: readonly PrinterColumn[] = [
  { name: 'Ready', type: 'string', description: 'Whether it signs.', jsonPath: ready('status') },
  { name: 'Trust Domain', type: 'string', description: 'The SPIFFE trust domain.', jsonPath: '.spec.trustDomain' },
  {
    name: 'Issuing Expires',
    type: 'string',
    description: 'When the CA that signs expires.',
    jsonPath: '.status.issuing.notAfter',
  },
  age,
  { name: 'Reason', type: 'string', description: 'Why it is ready or not.', jsonPath: ready('reason'), priority: 1 },
  {
    name: 'Phase',
    type: 'string',
    description: 'Pending, Ready, Unavailable or Deleting.',
    jsonPath: '.status.phase',
    priority: 1,
  },
  {
    name: 'Renewal',
    type: 'string',
    description: 'When the issuing CA is renewed.',
    jsonPath: '.status.issuing.renewalTime',
    priority: 1,
  },
  {
    name: 'Root Expires',
    type: 'string',
    description: 'When the root expires.',
    jsonPath: '.status.root.notAfter',
    priority: 1,
  },
  {
    name: 'Longest',
    type: 'string',
    description: 'The longest life of a certificate.',
    jsonPath: '.spec.maxCertificateDuration',
    priority: 1,
  },
];

/** Names of authorities become values of labels. */
const authorityNameRule: ValidationRule = {
  rule: 'size(self.metadata.name) <= 63',
  message: 'metadata.name of a CertificateAuthority has at most 63 characters: choose a shorter one',
};

const statusDescription = 'What the operator observed and did. Written by the operator only.';

function define(
  kind: Kind,
  description: string,
  spec: z.ZodType,
  status: z.ZodType,
  columns: readonly PrinterColumn[],
  rules?: readonly ValidationRule[],
): KindDefinition {
  const schema: StructuralSchema = {
    description,
    type: 'object',
    required: ['spec'],
    'x-kubernetes-validations': rules,
    properties: {
      apiVersion: { description: `Group and version of the kind: ${GROUP}/${VERSION}.`, type: 'string' },
      kind: { description: `The kind: ${kind.kind}.`, type: 'string' },
      metadata: { type: 'object' },
      spec: structuralSchema(spec),
      status: structuralSchema(field(status, statusDescription)),
    },
  };
  return { kind, description, schema, columns };
}

export const kindDefinitions: readonly KindDefinition[] = [
  define(
    workloadCertificateKind,
    'A WorkloadCertificate asks for a key and a certificate in a Secret of its namespace, renewed before it expires' +
      ' for as long as the object exists.',
    workloadCertificateSpecSchema,
    workloadCertificateStatusSchema,
    workloadCertificateColumns,
  ),
  define(
    certificateAuthorityKind,
    'A CertificateAuthority signs the certificates of WorkloadCertificates in every namespace, and says who may ' +
      'have which names.',
    certificateAuthoritySpecSchema,
    certificateAuthorityStatusSchema,
    certificateAuthorityColumns,
    [authorityNameRule],
  ),
];

/** The object for `kubectl apply`. */
export function customResourceDefinition({ kind, schema, columns }: KindDefinition): object {
  const { plural, singular, shortNames, categories, listKind, scope } = kind;
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: kind.crdName, labels: { 'app.kubernetes.io/name': 'mtls-operator' } },
    spec: {
      group: GROUP,
      scope,
      names: { kind: kind.kind, listKind, plural, singular, shortNames, categories },
      versions: [
        {
          name: VERSION,
          served: true,
          storage: true,
          subresources: { status: {} },
          additionalPrinterColumns: columns,
          schema: { openAPIV3Schema: schema },
        },
      ],
    },
  };
}
