/** Whether a Secret's key and certificates hold together, judged by Node's own X.509 code and not by the operator's. */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import { stringMap } from '../../src/kube/index.ts';

const day = 86_400_000;
/** A write is dated in whole seconds. */
export const secondMs = 1_000;

/** @throws Error where a part is missing or cannot be read. */
export function readMaterial(secret: Readonly<Record<string, unknown>>) {
  const data = stringMap(secret['data']);
  const missing = ['tls.crt', 'tls.key', 'ca.crt'].filter((name) => (data[name] ?? '') === '');
  if (missing.length > 0) throw new Error(`no ${missing.join(', no ')}`);
  const [first, ...others] = blocks(decode(data['tls.crt']));
  if (first === undefined) throw new Error('no certificate in tls.crt');
  const certificates = (texts: readonly string[]) => texts.map((text) => new X509Certificate(text));
  return {
    leaf: new X509Certificate(first),
    text: first,
    chain: certificates(others),
    roots: certificates(blocks(decode(data['ca.crt']))),
  };
}

/**
 * What is wrong with it, if anything.
 * @param times what the operator's clock may have shown when it was written (ms).
 */
export function problemOf(
  leaf: X509Certificate,
  chain: readonly X509Certificate[],
  roots: readonly X509Certificate[],
  secret: Readonly<Record<string, unknown>>,
  times: readonly number[],
): string | undefined {
  const data = stringMap(secret['data']);
  if (secret['type'] !== 'kubernetes.io/tls') return `its type is ${String(secret['type'])}`;
  const key = decode(data['tls.key']);
  if (!leaf.checkPrivateKey(createPrivateKey(key))) return 'the key does not match the certificate';
  const combined = data['tls-combined.pem'];
  if (combined !== undefined && decode(combined) !== key + decode(data['tls.crt']))
    return 'tls-combined.pem is not key and chain';
  const der = data['key.der'];
  if (
    der !== undefined &&
    !leaf.checkPrivateKey(createPrivateKey({ key: Buffer.from(der, 'base64'), format: 'der', type: 'pkcs8' }))
  )
    return 'key.der is another key';
  const keystore = data['keystore.p12'];
  if (keystore !== undefined && !opens(keystore, decode(data['keystore-password'])))
    return 'keystore.p12 does not open with its password, or its key is not that of its certificate';
  let below = leaf;
  for (const above of [...chain, undefined]) {
    const signers = above === undefined ? roots : [above];
    if (!signers.some((signer) => signer.ca && below.checkIssued(signer) && below.verify(signer.publicKey)))
      return `the chain does not verify: nobody signed ${below.subject}`;
    if (above !== undefined) below = above;
  }
  const begun = ({ validFromDate }: X509Certificate) =>
    times.some((time) => validFromDate.getTime() <= time + secondMs);
  const valid = (certificate: X509Certificate) =>
    begun(certificate) && times.some((time) => time < certificate.validToDate.getTime());
  // By a clock that was set back to before the roots were made no CA can be valid, and there is none better to sign with.
  const tooEarlyForAny = !roots.some(begun);
  const wrong = (certificate: X509Certificate) =>
    certificate !== leaf && tooEarlyForAny ? begun(certificate) : !valid(certificate);
  const outside = [leaf, ...chain].find(wrong);
  if (outside !== undefined) {
    const found = `${outside === leaf ? 'the leaf' : outside.subject.replaceAll('\n', ', ')}: ${outside.validFrom} to ${outside.validTo}`;
    return `a certificate is not valid when it is written (${found}; ${times.map((time) => iso(time)).join(' or ')})`;
  }
  if (leaf.ca) return 'the certificate is a CA';
  return undefined;
}

function opens(base64: string, passphrase: string): boolean {
  try {
    createSecureContext({ pfx: Buffer.from(base64, 'base64'), passphrase });
    return true;
  } catch {
    return false;
  }
}

function blocks(pem: string): string[] {
  return pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n?/g) ?? [];
}

export function decode(base64: string | undefined): string {
  return Buffer.from(base64 ?? '', 'base64').toString('utf8');
}

export function iso(time: number | undefined): string {
  return time === undefined || Math.abs(time) > 100_000 * day ? 'an unknown time' : new Date(time).toISOString();
}
