/** The certificate of an issuing CA, read from a leaf Secret where its own Secret is gone. Pure. */
import { isSignedBy, type ParsedCertificate, PkiError, parseCertificates } from '../pki/index.ts';
import { caIdOf } from './view.ts';

/**
 * @param tlsCrt PEM text of a leaf Secret: anybody may have put anything there.
 * @param issuerId `caIdOf` the CA that is looked for.
 * @returns undefined unless it is the second certificate there, and one of the roots has signed it.
 */
export function issuerBehindLeaf(
  tlsCrt: string,
  issuerId: string,
  roots: readonly ParsedCertificate[],
): ParsedCertificate | undefined {
  try {
    const [, issuer] = parseCertificates(tlsCrt);
    if (issuer === undefined || !issuer.isCa || caIdOf(issuer) !== issuerId) return undefined;
    return roots.some((root) => isSignedBy(issuer, root)) ? issuer : undefined;
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}
