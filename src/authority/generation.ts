/**
 * A generation: one root or issuing CA of a self-signed authority, kept in an immutable Secret of its own in the operator's
 * namespace. These Secrets are the authority's whole memory; status only mirrors them.
 */
import type { KeyObject } from 'node:crypto';
import { annotations, labels, purposes } from '../api/index.ts';
import {
  type KeyPair,
  keyMatches,
  loadKeyPair,
  type ParsedCertificate,
  parseCertificate,
  parseCertificates,
} from '../pki/index.ts';
import { readPart, UnreadablePart } from './parts.ts';

export type Role = 'Root' | 'Issuing';

export interface Generation {
  readonly authority: string;
  readonly role: Role;
  /** Counts from 1 within its role. */
  readonly number: number;
  readonly secretName: string;
  readonly certificate: ParsedCertificate;
  /** Absent: the Secret has no key. It can still be trusted, but signs nothing. */
  readonly privateKey: KeyObject | undefined;
  /** ca.crt of its Secret: the root above an issuing CA, known even where the root's own Secret is lost. */
  readonly roots: readonly ParsedCertificate[];
  readonly phase: string;
}

/** A generation's Secret that cannot be used, and why. */
export interface BrokenGeneration {
  readonly authority: string;
  readonly secretName: string;
  readonly problem: string;
}

/** What is read of a Secret in the operator's namespace. Values are text, not base64. */
export interface CaSecret {
  readonly name: string;
  readonly uid: string;
  readonly resourceVersion: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  readonly data: Readonly<Record<string, string>>;
}

/** Room for suffix and number behind an authority's name of at most 63 characters. */
export function generationSecretName(authority: string, role: Role, number: number): string {
  return `${authority}-${role.toLowerCase()}-${number}`;
}

/** Whether the Secret says that it is a generation, and of which authority. */
export function generationOwner(secret: CaSecret): string | undefined {
  return secret.labels[labels.purpose] === purposes.authority ? secret.labels[labels.authority] : undefined;
}

/** Reads a generation from its Secret; whatever is wrong with it is named, never thrown. */
export function readGeneration(secret: CaSecret): Generation | BrokenGeneration {
  const authority = generationOwner(secret) ?? '';
  const broken = (problem: string): BrokenGeneration => ({ authority, secretName: secret.name, problem });
  const role = secret.annotations[annotations.role];
  if (role !== 'Root' && role !== 'Issuing')
    return broken(`annotation ${annotations.role} is neither Root nor Issuing`);
  const number = Number(secret.annotations[annotations.generation]);
  if (!Number.isSafeInteger(number) || number < 1)
    return broken(`annotation ${annotations.generation} is not a number from 1 on`);
  try {
    const certificate = readPart('tls.crt', () => parseCertificate(secret.data['tls.crt'] ?? ''));
    if (!certificate.isCa) return broken('tls.crt is not a CA certificate');
    const keyPem = secret.data['tls.key'] ?? '';
    const key = keyPem === '' ? undefined : readPart('tls.key', () => loadKeyPair(keyPem));
    if (key !== undefined && !keyMatches(key, certificate)) return broken('tls.key does not belong to tls.crt');
    if (role === 'Root' && !certificate.selfSigned) return broken('tls.crt is not self-signed, as a root is');
    const roots = readPart('ca.crt', () => parseCertificates(secret.data['ca.crt'] ?? ''));
    const phase = secret.annotations[annotations.phase] ?? 'Active';
    return { authority, role, number, secretName: secret.name, certificate, privateKey: key?.privateKey, roots, phase };
  } catch (error) {
    if (!(error instanceof UnreadablePart)) throw error;
    return broken(error.message);
  }
}

/** The Secret of a new generation, ready to be POSTed: immutable, without owner reference, so that nothing collects it. */
export function generationSecret(made: {
  namespace: string;
  authority: string;
  authorityUid: string;
  role: Role;
  number: number;
  certificate: ParsedCertificate;
  key: KeyPair;
  rootPem: string;
  now: number;
}): Record<string, unknown> {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: {
      namespace: made.namespace,
      name: generationSecretName(made.authority, made.role, made.number),
      labels: { [labels.purpose]: purposes.authority, [labels.authority]: made.authority },
      annotations: {
        [annotations.authorityUid]: made.authorityUid,
        [annotations.role]: made.role,
        [annotations.generation]: String(made.number),
        [annotations.phase]: 'Active',
        [annotations.fingerprint]: made.certificate.fingerprint,
        [annotations.createdAt]: new Date(made.now).toISOString(),
        [annotations.notBefore]: made.certificate.notBefore.toISOString(),
        [annotations.notAfter]: made.certificate.notAfter.toISOString(),
      },
    },
    type: 'kubernetes.io/tls',
    immutable: true,
    data: {
      'tls.crt': base64(made.certificate.pem),
      'tls.key': base64(made.key.pem('PKCS8')),
      'ca.crt': base64(made.rootPem),
    },
  };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
