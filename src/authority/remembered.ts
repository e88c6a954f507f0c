/** What status remembers of the roots of a self-signed authority: pure. */
import { annotations, type CertificateAuthority } from '../api/index.ts';
import { generationSecretName } from './generation.ts';
import type { Remembered } from './lifecycle.ts';

/** @param rootsInUse fingerprints of the roots in ca.crt of the leaf Secrets that name the authority. */
export function rememberedOf({ metadata, status }: CertificateAuthority, rootsInUse: readonly string[]): Remembered {
  const { generations = [], trust } = status;
  const ownPrefix = generationSecretName(metadata.name, 'Root', 1).slice(0, -1);
  // A root that was brought along earlier is none of ours to miss.
  const roots = generations.filter(({ role, secretName }) => role === 'Root' && secretName?.startsWith(ownPrefix));
  const broughtAlong = new Set(generations.length > 0 ? [] : trust?.roots?.map(({ fingerprint }) => fingerprint));
  return {
    roots: roots.map(({ fingerprint, secretName }) => ({ fingerprint, secretName })),
    rootsInUse: rootsInUse.filter((fingerprint) => !broughtAlong.has(fingerprint)),
    acceptedLoss: metadata.annotations[annotations.replaceMissingRoot],
  };
}
