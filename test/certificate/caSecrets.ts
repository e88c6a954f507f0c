/** Secrets of CAs that tests make, lose and bring back behind the operator's back. */
import { generationSecret } from '../../src/authority/generation.ts';
import {
  generateKeyPair,
  issueCa,
  type KeyPair,
  loadKeyPair,
  type ParsedCertificate,
  parseCertificate,
} from '../../src/pki/index.ts';
import type { SecretObject } from '../support/secret.ts';
import { OPERATOR_NAMESPACE, type World } from './world.ts';

/** In seconds, as the lives of CAs are given. */
export const DAY = 86_400;

export interface Ca {
  readonly certificate: ParsedCertificate;
  readonly key: KeyPair;
}

export function caIn({ data }: SecretObject): Ca {
  const text = (key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8');
  return { certificate: parseCertificate(text('tls.crt')), key: loadKeyPair(text('tls.key')) };
}

/**
 * Makes a CA of an authority elsewhere than in the operator: a root, or an issuing CA below `root`. Some of its life may have passed already, as
 * when a restore brings it: nobody can wait for two thirds of a CA's life.
 * @param life begin and end of the certificate, in seconds from now.
 */
export async function postCa(
  world: World,
  authority: string,
  number: number,
  life: readonly [number, number],
  root?: Ca,
): Promise<Ca> {
  const role = root === undefined ? 'Root' : 'Issuing';
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const now = Math.floor(Date.now() / 1000) * 1000;
  const above = root && {
    issuer: { certificate: root.certificate, privateKey: root.key.privateKey, chain: [root.certificate] },
    pathLength: 0,
  };
  const certificate = issueCa({
    subject: { commonName: `${authority} ${role.toLowerCase()} ${number} 00000000` },
    key,
    notBefore: new Date(now + life[0] * 1000),
    notAfter: new Date(now + life[1] * 1000),
    ...above,
  });
  const rootPem = root?.certificate.pem ?? certificate.pem;
  const made = { authority, authorityUid: '', role, number, certificate, key, rootPem, now } as const;
  const path = `/api/v1/namespaces/${OPERATOR_NAMESPACE}/secrets`;
  await world.send('POST', path, generationSecret({ namespace: OPERATOR_NAMESPACE, ...made }));
  return { certificate, key };
}

/** From a backup, which has the object as it was but for what the API server gives. */
export async function restore(world: World, ...secrets: readonly SecretObject[]): Promise<void> {
  for (const { metadata, type, immutable, data } of secrets) {
    const { name, namespace, labels, annotations } = metadata;
    await world.createSecret(namespace, { metadata: { name, labels, annotations }, type, immutable, data });
  }
}
