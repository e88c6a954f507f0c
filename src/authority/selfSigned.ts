/** Makes the generations that the plan asks for, and turns a plan into what the rest of the operator sees. */
import type { CertificateAuthority, CertificateAuthoritySpec } from '../api/index.ts';
import { parseDuration } from '../api/index.ts';
import {
  generateKeyPair,
  type IssuingCa,
  issueCa,
  type KeyPair,
  type KeySpec,
  type ParsedCertificate,
} from '../pki/index.ts';
import { backdateSeconds } from './backdate.ts';
import { type Generation, generationSecret, type Role } from './generation.ts';
import type { Plan, SelfSignedSpec, Step } from './lifecycle.ts';
import { bundlePemOf, caIdOf, chainPemOf, type KnownIssuer } from './view.ts';

const SECOND = 1000;

export function selfSignedSpec(spec: CertificateAuthoritySpec): SelfSignedSpec | undefined {
  if (spec.selfSigned === undefined) return undefined;
  const { root, issuing } = spec.selfSigned;
  return {
    root: { durationSeconds: parseDuration(root.duration), key: keySpec(root.privateKey) },
    issuing: { durationSeconds: parseDuration(issuing.duration), key: keySpec(issuing.privateKey) },
    maxCertificateDurationSeconds: parseDuration(spec.maxCertificateDuration),
  };
}

function keySpec({ algorithm, size }: { algorithm: KeySpec['algorithm']; size?: number | undefined }): KeySpec {
  return size === undefined ? { algorithm } : { algorithm, size };
}

/**
 * Key, certificate and Secret of the next generation. Each has a subject of its own (number and key identifier in the common name):
 * verifiers look for issuers by name, and two CAs of one name make some of them try the wrong one only.
 */
export async function makeGeneration(
  authority: CertificateAuthority,
  spec: SelfSignedSpec,
  step: Exclude<Step, { step: 'None' }>,
  operatorNamespace: string,
  now: number,
): Promise<{ secret: Record<string, unknown>; certificate: ParsedCertificate; role: Role }> {
  const role: Role = step.step === 'CreateRoot' ? 'Root' : 'Issuing';
  const wanted = role === 'Root' ? spec.root : spec.issuing;
  const key = await generateKeyPair(wanted.key);
  const issuer = step.step === 'CreateIssuing' ? issuingCaOf(step.root) : undefined;
  const certificate = issueCa({
    subject: subjectOf(authority, role, step.number, key),
    key,
    ...caValidity(wanted.durationSeconds, issuer?.certificate.notAfter.getTime(), now),
    ...(issuer === undefined ? {} : { issuer, pathLength: 0 }),
  });
  const secret = generationSecret({
    namespace: operatorNamespace,
    authority: authority.metadata.name,
    authorityUid: authority.metadata.uid,
    role,
    number: step.number,
    certificate,
    key,
    rootPem: issuer?.certificate.pem ?? certificate.pem,
    now,
  });
  return { secret, certificate, role };
}

function caValidity(durationSeconds: number, issuerNotAfter: number | undefined, now: number) {
  const issued = Math.floor(now / SECOND) * SECOND;
  const notAfter = Math.min(issued + durationSeconds * SECOND, issuerNotAfter ?? Number.POSITIVE_INFINITY);
  return { notBefore: new Date(issued - backdateSeconds(durationSeconds) * SECOND), notAfter: new Date(notAfter) };
}

function subjectOf({ metadata, spec }: CertificateAuthority, role: Role, number: number, key: KeyPair) {
  const id = Buffer.from(key.spki).subarray(-20).toString('hex').slice(0, 8);
  // X.520 allows 64 characters; an authority's name has up to 63.
  return {
    organizations: [spec.trustDomain.slice(0, 64)],
    commonName: `${metadata.name.slice(0, 32)} ${role.toLowerCase()} ${number} ${id}`,
  };
}

const issuingCas = new WeakMap<Generation, IssuingCa>();

/** One object for as long as the generation is the same: what signing derives from a CA is computed once per object. */
export function issuingCaOf(generation: Generation): IssuingCa {
  const known = issuingCas.get(generation);
  if (known !== undefined) return known;
  const { certificate, privateKey, roots } = generation;
  if (privateKey === undefined)
    throw new Error(`the generation in Secret "${generation.secretName}" has no key to sign with`);
  const above = certificate.selfSigned ? [] : roots;
  const ca = { certificate, privateKey, chain: [certificate, ...above] };
  issuingCas.set(generation, ca);
  return ca;
}

export function knownIssuersOf(plan: Plan): ReadonlyMap<string, KnownIssuer> {
  return new Map(
    plan.trustedIssuing.map(({ certificate }) => [
      caIdOf(certificate),
      {
        notAfter: certificate.notAfter.getTime(),
        chainPem: chainPemOf(certificate, []),
        fingerprint: certificate.fingerprint,
      },
    ]),
  );
}

export function bundleOf(plan: Plan): string {
  return bundlePemOf(plan.trustedRoots.map(({ certificate }) => certificate));
}
