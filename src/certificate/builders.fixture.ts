/** Objects around one certificate, with real keys and certificates, for tests. */
import { parseWorkloadCertificate, type WorkloadCertificate, type WorkloadCertificateSpec } from '../api/index.ts';
import { DAY, makeCa, NOW, SECOND, type TestCa } from '../authority/builders.fixture.ts';
import { type AuthorityView, caIdOf } from '../authority/index.ts';
import { generateKeyPair, issueLeaf, type KeyPair, type KeySpec } from '../pki/index.ts';
import { type CertificateRecord, decodeCertificate, readCertificate } from './certificateRecord.ts';
import { type Material, renderSecret } from './render.ts';
import { requestFor } from './request.ts';
import { inspectSecret, type RawSecret, readSecret, type SecretRecord } from './secretRecord.ts';
import { validityAt } from './validity.ts';

export { DAY, makeCa, NOW, SECOND, type TestCa };
export const HOUR = 3600 * SECOND;

export interface World {
  readonly root: TestCa;
  readonly issuing: TestCa;
  readonly authority: AuthorityView;
}

export async function makeWorld(spec: Partial<AuthorityView['spec']> = {}): Promise<World> {
  const root = await makeCa({ name: 'root', notAfter: NOW + 3000 * DAY });
  const issuing = await makeCa({ name: 'issuing', issuer: root, notAfter: NOW + 300 * DAY });
  return { root, issuing, authority: authorityView(issuing, [root], spec) };
}

export function authorityView(
  ca: TestCa,
  roots: readonly TestCa[],
  spec: Partial<AuthorityView['spec']> = {},
): AuthorityView {
  const { certificate } = ca;
  const known = {
    notAfter: certificate.notAfter.getTime(),
    chainPem: certificate.selfSigned ? '' : certificate.pem,
    fingerprint: certificate.fingerprint,
  };
  return {
    name: 'default',
    spec: { trustDomain: 'cluster.local', maxCertificateDuration: '720h', ...spec },
    maxDurationSeconds: 720 * 3600,
    issuer: ca.issuing,
    notReady: undefined,
    knownIssuers: new Map([[caIdOf(certificate), known]]),
    bundlePem: roots.map((root) => root.certificate.pem).join(''),
    certificates: [],
    renewalTime: undefined,
    digest: certificate.fingerprint,
  };
}

export function recordOf(spec: object = {}, rest: { metadata?: object; status?: object } = {}): CertificateRecord {
  return decodeCertificate({
    metadata: {
      namespace: 'shop',
      name: 'web',
      uid: 'u-web',
      resourceVersion: '7',
      generation: 1,
      creationTimestamp: '2029-12-31T00:00:00Z',
      ...rest.metadata,
    },
    spec: { secretName: 'web-mtls', dnsNames: ['web.shop.svc'], ...spec },
    status: rest.status,
  }).value;
}

export function certificateOf(record: CertificateRecord): WorkloadCertificate {
  const read = readCertificate(record);
  if ('problem' in read) throw new Error(read.problem);
  return read;
}

export function specOf(spec: object = {}): WorkloadCertificateSpec {
  return parseWorkloadCertificate({
    metadata: { namespace: 'shop', name: 'web' },
    spec: { secretName: 'web-mtls', dnsNames: ['web.shop.svc'], ...spec },
  }).spec;
}

export interface Issued {
  readonly key: KeyPair;
  readonly material: Material;
  readonly raw: RawSecret;
  readonly secret: SecretRecord;
}

/** The Secret of a certificate that was issued at `at`, as the API server gives it back. */
export async function issuedSecret(
  { authority }: World,
  record: CertificateRecord = recordOf(),
  options: { at?: number; book?: { revision: number; renewedAt: string | undefined } } = {},
): Promise<Issued> {
  const { at = NOW, book = { revision: 1, renewedAt: undefined } } = options;
  const { spec } = certificateOf(record);
  const context = {
    now: at,
    namespace: 'shop',
    namespaceLabels: {},
    clusterDomain: 'cluster.local',
    authorityName: 'default',
    authority,
  };
  const { profile } = requestFor(spec, context);
  const { issuer } = authority;
  if (profile === undefined || issuer === undefined) throw new Error('nothing to issue');
  const known = authority.knownIssuers.get(caIdOf(issuer.certificate));
  if (known === undefined) throw new Error('unknown issuer');
  const wanted: KeySpec = profile.request.key;
  const key = await generateKeyPair(wanted);
  const limits = { maxDurationSeconds: authority.maxDurationSeconds, issuerNotAfter: known.notAfter };
  const { notBefore, notAfter } = validityAt(at, 86_400, limits);
  const leaf = issueLeaf({ profile, key, issuer, notBefore: new Date(notBefore), notAfter: new Date(notAfter) });
  const material = {
    keyPem: key.pem(spec.privateKey.encoding),
    keyDer: key.der('PKCS8'),
    chainPem: leaf.pem + known.chainPem,
    bundlePem: authority.bundlePem,
  };
  const raw = storedSecret(renderSecret(spec, record, material, book));
  return { key, material, raw, secret: inspectSecret(raw) };
}

/** As the API server stores what it is sent. */
export function storedSecret(body: ReturnType<typeof renderSecret>, metadata: object = {}): RawSecret {
  return readSecret({ ...body, metadata: { uid: 'u-secret', resourceVersion: '9', ...body.metadata, ...metadata } });
}
