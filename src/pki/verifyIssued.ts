// The last look before a key and its certificate are handed out: what is about to be written is read back as its users will read it.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import type { IssuingCa } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { PkiError } from './errors.ts';
import { type ParsedCertificate, parseCertificates } from './parse.ts';
import type { LeafProfile } from './profile.ts';

export interface IssuedWhole {
  readonly leaf: ParsedCertificate;
  /** As it will be handed out. */
  readonly keyPem: string;
  readonly issuer: IssuingCa;
  /** The intermediates that will stand behind the leaf; '' where a root signs. */
  readonly intermediatesPem: string;
  /** The roots that will be handed out beside it. */
  readonly bundlePem: string;
  readonly profile: LeafProfile;
  readonly notAfter: Date;
}

/**
 * Whether key, leaf, intermediates and roots belong together: the key is the leaf's, the leaf says what the profile asks for and is signed by the
 * issuer, and the issuer leads over these intermediates to these roots. Read by OpenSSL, not by the code that has encoded it.
 *
 * @returns the serial number, upper-case hexadecimal
 * @throws PkiError IssuedUnsound: a defect of ours or of the machine; nothing of it may be used
 */
export function verifyIssued(whole: IssuedWhole): { readonly serialNumber: string } {
  const { leaf, keyPem, issuer, profile, notAfter } = whole;
  const certificate = readable('the certificate', () => new X509Certificate(leaf.der));
  const key = readable('the private key', () => createPrivateKey(keyPem));
  if (!certificate.checkPrivateKey(key)) unsound('the private key is not the one of the certificate');
  if (!leaf.der.includes(profile.subjectDer) || !leaf.der.includes(profile.extensionsDer))
    unsound('the certificate does not say what was asked for');
  if (certificate.validToDate.getTime() !== Math.floor(notAfter.getTime() / 1000) * 1000)
    unsound(`the certificate ends at ${certificate.validTo}`);
  if (!certificate.checkIssued(openssl(issuer.certificate)) || !certificate.verify(issuer.certificate.publicKey))
    unsound(`the certificate is not signed by ${issuer.certificate.subject}`);
  assertLeadsToRoots(whole);
  return { serialNumber: certificate.serialNumber };
}

const known = new WeakMap<ParsedCertificate, X509Certificate>();

function openssl(certificate: ParsedCertificate): X509Certificate {
  const parsed = known.get(certificate) ?? new X509Certificate(certificate.der);
  known.set(certificate, parsed);
  return parsed;
}

/** The texts that were found to lead from an issuer to its roots: the same for thousands of leaves. */
const leading = new WeakMap<IssuingCa, { readonly intermediatesPem: string; readonly bundlePem: string }>();

function assertLeadsToRoots({ issuer, intermediatesPem, bundlePem }: IssuedWhole): void {
  const verified = leading.get(issuer);
  if (verified?.intermediatesPem === intermediatesPem && verified.bundlePem === bundlePem) return;
  const read = (pem: string): ParsedCertificate[] => (pem === '' ? [] : parseCertificates(pem));
  const [intermediates, roots] = readable('the chain', () => [read(intermediatesPem), read(bundlePem)]);
  // Not by fingerprint: a CA's renewed certificate may stand in for the one that it signs with.
  const { spki, subjectDer, subject } = issuer.certificate;
  const signer = (intermediates.length === 0 ? roots : intermediates.slice(0, 1)).find(
    (ca) => ca.spki.equals(spki) && ca.subjectDer.equals(subjectDer),
  );
  if (signer === undefined) unsound(`${subject} does not stand where peers look for it`);
  const verdict = verifyChain({ leaf: signer, intermediates, roots });
  if (!verdict.ok) unsound(`the chain does not lead to the roots beside it (${verdict.message})`);
  leading.set(issuer, { intermediatesPem, bundlePem });
}

/** OpenSSL's own words are left out: they may quote what they could not read. */
function readable<T>(what: string, read: () => T): T {
  try {
    return read();
  } catch {
    return unsound(`${what} cannot be read back`);
  }
}

function unsound(problem: string): never {
  throw new PkiError('IssuedUnsound', problem);
}
