/** What an authority's own object remembers of its CAs, in its status and, since a restore loses that, in an annotation. Pure. */
import { annotations, type CertificateAuthority, type CertificateAuthorityStatus } from '../api/index.ts';
import type { ParsedCertificate } from '../pki/index.ts';
import { generationSecretName, type Role } from './generation.ts';
import type { LostCa, Remembered, RootInUse } from './lost.ts';

/**
 * @param rootsInUse the roots in ca.crt of the leaf Secrets that name the authority.
 * @param issuersInUse certificates of the issuing CAs, known to no Secret of their own, that leaves of the authority hang on.
 */
export function rememberedOf(
  { metadata, status }: CertificateAuthority,
  rootsInUse: readonly RootInUse[],
  issuersInUse: readonly ParsedCertificate[],
): Remembered {
  const { generations = [], trust } = status;
  const broughtAlong = new Set(generations.length > 0 ? [] : trust?.roots?.map(({ fingerprint }) => fingerprint));
  const listed = generations.map(({ role, fingerprint, secretName, notAfter }) => ({
    role,
    fingerprint,
    secretName,
    notAfter: notAfter === undefined ? undefined : Date.parse(notAfter),
  }));
  const noted = [...readNote(metadata.annotations[annotations.generations] ?? '', metadata.name), ...listed];
  // One that was brought along earlier is none of ours to miss.
  const ours = noted.filter(({ role, secretName }) => secretName?.startsWith(prefixOf(metadata.name, role)));
  return {
    noted: [...new Map(ours.map((ca) => [ca.fingerprint, ca])).values()],
    rootsInUse: rootsInUse.filter(({ fingerprint }) => !broughtAlong.has(fingerprint)),
    issuersInUse,
    acceptedLoss: metadata.annotations[annotations.replaceMissing],
  };
}

function prefixOf(authority: string, role: Role): string {
  return generationSecretName(authority, role, 1).slice(0, -1);
}

/** The annotation for what status lists; '' for nothing. */
export function generationsNote(generations: CertificateAuthorityStatus['generations']): string {
  return (generations ?? [])
    .flatMap(({ secretName, fingerprint, notAfter }) =>
      secretName === undefined || notAfter === undefined ? [] : [`${secretName}=${fingerprint}/${notAfter}`],
    )
    .join(',');
}

const ENTRY = /^([a-z0-9.-]{1,253})=([0-9a-f]{64})\/(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)$/;
const MOST_ENTRIES = 64;

/** People can edit annotations: what is no entry is passed over. */
function readNote(text: string, authority: string): LostCa[] {
  return text.split(',', MOST_ENTRIES).flatMap((entry) => {
    const [, secretName = '', fingerprint = '', notAfter = ''] = ENTRY.exec(entry.trim()) ?? [];
    const role = secretName.startsWith(prefixOf(authority, 'Root')) ? 'Root' : 'Issuing';
    const at = Date.parse(notAfter);
    return Number.isNaN(at) ? [] : [{ role, fingerprint, secretName, notAfter: at } as const];
  });
}
