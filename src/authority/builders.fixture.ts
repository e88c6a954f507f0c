/** Real CAs, and the objects around them, for tests. */
import { type CertificateAuthority, parseCertificateAuthority } from '../api/index.ts';
import {
  generateKeyPair,
  type IssuingCa,
  issueCa,
  type KeyPair,
  type KeySpec,
  type ParsedCertificate,
} from '../pki/index.ts';
import type { Generation, Role } from './generation.ts';
import type { SelfSignedSpec } from './lifecycle.ts';
import type { Remembered } from './lost.ts';

export const SECOND = 1000;
export const DAY = 86_400 * SECOND;
/** When the tests play. */
export const NOW = Date.UTC(2030, 0, 1);

/** Ten years of a root, one year of an issuing CA, a month of a leaf. */
export const SPEC: SelfSignedSpec = {
  root: { durationSeconds: 3650 * 86_400, key: { algorithm: 'ECDSA' } },
  issuing: { durationSeconds: 360 * 86_400, key: { algorithm: 'ECDSA' } },
  maxCertificateDurationSeconds: 30 * 86_400,
};

/** What a new authority remembers. */
export const NOTHING: Remembered = { noted: [], rootsInUse: [], issuersInUse: [], acceptedLoss: undefined };

export interface TestCa {
  readonly certificate: ParsedCertificate;
  readonly key: KeyPair;
  readonly issuing: IssuingCa;
}

export interface CaOptions {
  readonly name?: string;
  readonly issuer?: TestCa;
  readonly key?: KeySpec | KeyPair;
  /** ms */
  readonly notBefore?: number;
  readonly notAfter?: number;
  readonly pathLength?: number;
  readonly nameConstraints?: NonNullable<Parameters<typeof issueCa>[0]['nameConstraints']>;
}

export async function makeCa(options: CaOptions = {}): Promise<TestCa> {
  const { name = 'test root', issuer, notBefore = NOW - DAY, notAfter = NOW + 365 * DAY } = options;
  const { pathLength, nameConstraints } = options;
  const key =
    options.key !== undefined && 'spki' in options.key
      ? options.key
      : await generateKeyPair(options.key ?? { algorithm: 'ECDSA' });
  const certificate = issueCa({
    subject: { commonName: name },
    key,
    notBefore: new Date(notBefore),
    notAfter: new Date(notAfter),
    ...(pathLength === undefined ? {} : { pathLength }),
    ...(nameConstraints === undefined ? {} : { nameConstraints }),
    ...(issuer === undefined ? {} : { issuer: issuer.issuing }),
  });
  const chain = [certificate, ...(issuer?.issuing.chain ?? [])];
  return { certificate, key, issuing: { certificate, privateKey: key.privateKey, chain } };
}

export function generationOf(
  role: Role,
  number: number,
  ca: TestCa,
  options: { root?: TestCa; withKey?: boolean; secretName?: string } = {},
): Generation {
  return {
    authority: 'default',
    role,
    number,
    secretName: options.secretName ?? `default-${role.toLowerCase()}-${number}`,
    certificate: ca.certificate,
    privateKey: options.withKey === false ? undefined : ca.key.privateKey,
    roots: [options.root?.certificate ?? ca.certificate],
    phase: 'Active',
  };
}

/** A CertificateAuthority as the API server would give it, defaults included. */
export function authorityObject(
  overrides: { spec?: object; status?: object; metadata?: object } = {},
): CertificateAuthority {
  return parseCertificateAuthority({
    metadata: { name: 'default', uid: 'u-1', resourceVersion: '1', generation: 1, ...overrides.metadata },
    spec: { trustDomain: 'cluster.local', selfSigned: {}, ...overrides.spec },
    status: overrides.status ?? {},
  });
}
