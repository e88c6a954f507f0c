/** What a user with a PKI of their own brings along: an intermediate, its key and the root. */
import { generateKeyPair, type IssuingCa, issueCa } from '../../src/pki/index.ts';

export interface CorporateCa {
  readonly issuer: IssuingCa;
  /** tls.crt, tls.key and ca.crt of the Secret that `spec.provided` of a CertificateAuthority names. */
  readonly files: Readonly<Record<'tls.crt' | 'tls.key' | 'ca.crt', string>>;
}

const day = 86_400_000;

/** @param name goes into the subjects. */
export async function makeCorporateCa(name: string): Promise<CorporateCa> {
  const now = Date.now();
  const notBefore = new Date(now - day);
  const [rootKey, key] = await Promise.all([
    generateKeyPair({ algorithm: 'ECDSA' }),
    generateKeyPair({ algorithm: 'ECDSA' }),
  ]);
  const root = issueCa({
    subject: { commonName: `${name} root` },
    key: rootKey,
    notBefore,
    notAfter: new Date(now + 3650 * day),
  });
  const certificate = issueCa({
    subject: { commonName: `${name} intermediate` },
    key,
    notBefore,
    notAfter: new Date(now + 365 * day),
    pathLength: 0,
    issuer: { certificate: root, privateKey: rootKey.privateKey, chain: [root] },
  });
  return {
    issuer: { certificate, privateKey: key.privateKey, chain: [certificate, root] },
    files: { 'tls.crt': certificate.pem, 'tls.key': key.pem('PKCS8'), 'ca.crt': root.pem },
  };
}
