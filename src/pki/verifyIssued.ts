// The last look before a key and its certificate are handed out: does all of it belong together?

import type { IssuingCa } from './certificate.ts';
import { verifyChain } from './chain.ts';
import { PkiError } from './errors.ts';
import type { KeyPair } from './keyPair.ts';
import { type ParsedCertificate, parseCertificates } from './parse.ts';
import type { LeafProfile } from './profile.ts';
import { hasSignature, signatureScheme } from './signature.ts';
import { signedParts } from './signedParts.ts';

export interface IssuedWhole {
  readonly leaf: ParsedCertificate;
  readonly key: KeyPair;
  readonly issuer: IssuingCa;
  /** The intermediates that will stand behind the leaf; '' where a root signs. */
  readonly intermediatesPem: string;
  /** The roots that will be handed out beside it. */
  readonly bundlePem: string;
  readonly profile: LeafProfile;
}

/**
 * Whether key, leaf, intermediates and roots belong together: the leaf holds the key's public half, says what the profile asks for and bears the
 * issuer's signature, and the issuer leads over these intermediates to these roots. It looks at bytes and signatures alone and decodes nothing of the
 * leaf: how its parts are encoded is settled, and was tested, before.
 *
 * @throws PkiError IssuedUnsound: a defect of ours or of the machine; nothing of it may be used
 */
export function verifyIssued(whole: IssuedWhole): void {
  const { leaf, key, issuer, profile } = whole;
  const { tbs, signature } = signedParts(leaf.der) ?? unsound('the certificate is not whole');
  if (!tbs.includes(key.spki)) unsound('the certificate is for another key');
  if (!tbs.includes(profile.subjectDer) || !tbs.includes(profile.extensionsDer))
    unsound('the certificate does not say what was asked for');
  const { publicKey, subject, subjectDer } = issuer.certificate;
  if (!tbs.includes(subjectDer) || !hasSignature(signatureScheme(issuer.privateKey), tbs, publicKey, signature))
    unsound(`the certificate is not signed by ${subject}`);
  assertLeadsToRoots(whole);
}

/** The texts that were found to lead from an issuer to its roots: the same for thousands of leaves. */
const leading = new WeakMap<IssuingCa, { readonly intermediatesPem: string; readonly bundlePem: string }>();

function assertLeadsToRoots({ issuer, intermediatesPem, bundlePem }: IssuedWhole): void {
  const verified = leading.get(issuer);
  if (verified?.intermediatesPem === intermediatesPem && verified.bundlePem === bundlePem) return;
  const [intermediates, roots] = [read(intermediatesPem), read(bundlePem)];
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

function read(pem: string): readonly ParsedCertificate[] {
  try {
    return pem === '' ? [] : parseCertificates(pem);
  } catch {
    return unsound('the chain cannot be read back');
  }
}

function unsound(problem: string): never {
  throw new PkiError('IssuedUnsound', problem);
}
