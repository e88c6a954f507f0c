/** Certificates of workloads, of this mesh and of others, as the operator would write them into Secrets. */
import { plainOutput } from '../../src/certificate/outputs.ts';
import { buildLeafProfile, chainPem, generateKeyPair, issueLeaf, spiffeId } from '../../src/pki/index.ts';
import { type CorporateCa, makeCorporateCa } from '../support/corporateCa.ts';

export const TRUST_DOMAIN = 'cluster.local';

export interface Identity {
  readonly keyPem: string;
  readonly chainPem: string;
  readonly rootsPem: string;
  /** Contents by the name of the file. */
  readonly sds: Readonly<Record<string, string>>;
}

export interface IdentityOrder {
  readonly ca: CorporateCa;
  readonly trustDomain?: string;
  readonly namespace?: string;
  readonly account: string;
  /** ms from now; default: an hour. */
  readonly endsIn?: number;
}

const hour = 3_600_000;

export async function issueIdentity(order: IdentityOrder): Promise<Identity> {
  const { ca, trustDomain = TRUST_DOMAIN, namespace = 'shop', account, endsIn = hour } = order;
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const profile = buildLeafProfile({
    subject: {},
    dnsNames: [`${account}.${namespace}.svc`],
    ipAddresses: [],
    uris: [spiffeId({ trustDomain, namespace, serviceAccountName: account })],
    emailAddresses: [],
    usages: ['server auth', 'client auth'],
    key: { algorithm: 'ECDSA' },
  });
  const now = Date.now();
  const leaf = issueLeaf({
    profile,
    key,
    issuer: ca.issuer,
    notBefore: new Date(now - hour),
    notAfter: new Date(now + endsIn),
  });
  const files = {
    keyPem: key.pem('PKCS8'),
    keyDer: key.privateKey.export({ format: 'der', type: 'pkcs8' }),
    chainPem: chainPem(leaf, ca.issuer),
    bundlePem: ca.files['ca.crt'],
  };
  const sds = Object.fromEntries(
    Object.entries(plainOutput('EnvoySDS', files)).map(([name, base64]) => [
      name,
      Buffer.from(base64, 'base64').toString('utf8'),
    ]),
  );
  return { keyPem: files.keyPem, chainPem: files.chainPem, rootsPem: files.bundlePem, sds };
}

export { type CorporateCa, makeCorporateCa };
