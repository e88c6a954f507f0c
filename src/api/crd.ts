/** The CustomResourceDefinitions of our kinds. */
import type * as z from 'zod';
import { certificateAuthoritySpecSchema, certificateAuthorityStatusSchema } from './certificateAuthority.ts';
import {
  certificateAuthorityKind,
  GROUP,
  type Kind,
  mtlsPolicyKind,
  mtlsRolloutKind,
  VERSION,
  workloadCertificateKind,
} from './kinds.ts';
import { mtlsPolicySpecSchema, mtlsPolicyStatusSchema } from './mtlsPolicy.ts';
import { mtlsRolloutSpecSchema, mtlsRolloutStatusSchema } from './mtlsRollout.ts';
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

const condition = (type: string, property: 'status' | 'reason'): string =>
  `.status.conditions[?(@.type=="${type}")].${property}`;
const ready = (property: 'status' | 'reason'): string => condition('Ready', property);
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

const mtlsPolicyColumns: readonly PrinterColumn[] = [
  {
    name: 'Accepted',
    type: 'string',
    description: 'Whether the policy is taken into account.',
    jsonPath: condition('Accepted', 'status'),
  },
  { name: 'Mode', type: 'string', description: 'The mode that it asks for.', jsonPath: '.spec.mode' },
  {
    name: 'Effective',
    type: 'string',
    description: 'The mode that it comes to, with what it inherits.',
    jsonPath: '.status.effective.mode',
  },
  {
    name: 'Enforced',
    type: 'string',
    description: 'Whether sidecars do what it says.',
    jsonPath: condition('Enforced', 'status'),
  },
  age,
  {
    name: 'Scope',
    type: 'string',
    description: 'Mesh, Namespace or Workload.',
    jsonPath: '.status.effective.scope',
    priority: 1,
  },
  {
    name: 'Pods',
    type: 'integer',
    description: 'Pods for which it decides the mode of some port.',
    jsonPath: '.status.effective.pods',
    priority: 1,
  },
  {
    name: 'Minimum',
    type: 'string',
    description: 'The mode that no namespace can go under.',
    jsonPath: '.spec.minimum',
    priority: 1,
  },
  {
    name: 'Next Change',
    type: 'string',
    description: 'When the next of its entries ends.',
    jsonPath: '.status.effective.nextChange',
    priority: 1,
  },
  {
    name: 'Reason',
    type: 'string',
    description: 'Why it is enforced or not.',
    jsonPath: condition('Enforced', 'reason'),
    priority: 1,
  },
];

const mtlsRolloutColumns: readonly PrinterColumn[] = [
  {
    name: 'Settled',
    type: 'string',
    description: 'Whether every port is in the mode that policies ask for.',
    jsonPath: condition('Settled', 'status'),
  },
  age,
  {
    name: 'Reason',
    type: 'string',
    description: 'Why it is settled or not.',
    jsonPath: condition('Settled', 'reason'),
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
  define(
    mtlsPolicyKind,
    'An MTLSPolicy says which ports take mutual TLS, plaintext or both: of some pods by their labels, of its namespace, or, in the ' +
      'operator’s namespace and without a selector, of the whole mesh. Sidecars do what it says; its status tells what it ' +
      'comes to, and how far they are.',
    mtlsPolicySpecSchema,
    mtlsPolicyStatusSchema,
    mtlsPolicyColumns,
  ),
  define(
    mtlsRolloutKind,
    'An MTLSRollout is the operator’s own record, one for each namespace, of how far each workload and port is switched to the mode that ' +
      'policies ask for. Sidecars are configured from it. It is there to be read.',
    mtlsRolloutSpecSchema,
    mtlsRolloutStatusSchema,
    mtlsRolloutColumns,
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
