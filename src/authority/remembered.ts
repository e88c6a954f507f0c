/** What status remembers of the CAs of a self-signed authority: pure. */
import { annotations, type CertificateAuthority } from '../api/index.ts';
import type { ParsedCertificate } from '../pki/index.ts';
import { generationSecretName } from './generation.ts';
import type { Remembered } from './lost.ts';

/**
 * @param rootsInUse fingerprints of the roots in ca.crt of the leaf Secrets that name the authority.
 * @param issuersInUse certificates of the issuing CAs, known to no Secret of their own, that leaves of the authority hang on.
 */
export function rememberedOf(
  { metadata, status }: CertificateAuthority,
  rootsInUse: readonly string[],
  issuersInUse: readonly ParsedCertificate[],
): Remembered {
  const { generations = [], trust } = status;
  // One that was brought along earlier is none of ours to miss.
  const ours = generations.filter(({ role, secretName }) =>
    secretName?.startsWith(generationSecretName(metadata.name, role, 1).slice(0, -1)),
  );
  const broughtAlong = new Set(generations.length > 0 ? [] : trust?.roots?.map(({ fingerprint }) => fingerprint));
  return {
    noted: ours.map(({ role, fingerprint, secretName, notAfter }) => ({
      role,
      fingerprint,
      secretName,
      notAfter: notAfter === undefined ? undefined : Date.parse(notAfter),
    })),
    rootsInUse: rootsInUse.filter((fingerprint) => !broughtAlong.has(fingerprint)),
    issuersInUse,
    acceptedLoss: metadata.annotations[annotations.replaceMissing],
  };
}
