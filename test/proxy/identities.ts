/** Certificates of workloads, of this mesh and of others, as the operator would write them into Secrets. */
import { createPrivateKey } from 'node:crypto';
import { keystoreFiles } from '../../src/certificate/keystoreFiles.ts';
import { plainOutput } from '../../src/certificate/outputs.ts';
import {
  buildLeafProfile,
  chainPem,
  generateKeyPair,
  issueLeaf,
  KeystorePassword,
  spiffeId,
} from '../../src/pki/index.ts';
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
  /** Default: those of a Service with the account's name. Certificates of sidecars have none. */
  readonly dnsNames?: readonly string[];
  /** In place of the account's SPIFFE ID. */
  readonly uris?: readonly string[];
  /** ms from now; default: an hour. */
  readonly endsIn?: number;
}

const hour = 3_600_000;

export async function issueIdentity(order: IdentityOrder): Promise<Identity> {
  const { ca, trustDomain = TRUST_DOMAIN, namespace = 'shop', account, endsIn = hour } = order;
  const { dnsNames = [`${account}.${namespace}.svc`], uris } = order;
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const profile = buildLeafProfile({
    subject: {},
    dnsNames,
    ipAddresses: [],
    uris: uris ?? [spiffeId({ trustDomain, namespace, serviceAccountName: account })],
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

/**
 * The files of the Secret of a WorkloadCertificate with the output PKCS12, for programs that mount it.
 * @param rootsPem whom the program is to trust; default: its own authority
 */
export async function secretFiles(
  { keyPem, chainPem, rootsPem: own }: Identity,
  rootsPem: string = own,
): Promise<ReadonlyMap<string, Buffer>> {
  const keyDer = createPrivateKey(keyPem).export({ format: 'der', type: 'pkcs8' });
  const passwords = { given: new Map<string, KeystorePassword>(), generated: KeystorePassword.generate() };
  const stores = await keystoreFiles(
    [{ type: 'PKCS12' }],
    { keyPem, keyDer, chainPem, bundlePem: rootsPem },
    passwords,
  );
  return new Map([
    ['tls.crt', Buffer.from(chainPem)],
    ['tls.key', Buffer.from(keyPem)],
    ['ca.crt', Buffer.from(rootsPem)],
    ...Object.entries(stores).map(([name, base64]) => [name, Buffer.from(base64, 'base64')] as const),
  ]);
}

export { type CorporateCa, makeCorporateCa };
