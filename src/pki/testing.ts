// Builders for this folder's tests: a small PKI with sensible defaults, each part of which a test can replace.

import { type CaOrder, type IssuingCa, issueCa, issueLeaf, type LeafOrder } from './certificate.ts';
import { PkiError, type PkiReason } from './errors.ts';
import type { KeyPair } from './keyPair.ts';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair } from './keys.ts';
import type { ParsedCertificate } from './parse.ts';
import { buildLeafProfile, type LeafRequest } from './profile.ts';

export const day = (number: number): Date => new Date(Date.UTC(2026, 0, number));
export const P256: KeySpec = { algorithm: 'ECDSA' };

export interface TestCa extends IssuingCa {
  readonly key: KeyPair;
}

/** A CA that is valid in 2026; self-signed unless an issuer is given. */
export async function testCa(order: Partial<CaOrder> & { readonly spec?: KeySpec } = {}): Promise<TestCa> {
  const { spec = P256, ...rest } = order;
  const key = rest.key ?? (await generateKeyPair(spec));
  const certificate = issueCa({
    subject: { commonName: 'Test CA' },
    notBefore: day(1),
    notAfter: day(365),
    ...rest,
    key,
  });
  return { key, certificate, privateKey: key.privateKey, chain: [certificate, ...(rest.issuer?.chain ?? [])] };
}

export const leafRequest = (request: Partial<LeafRequest> = {}): LeafRequest => ({
  subject: {},
  dnsNames: ['web.shop.svc'],
  ipAddresses: [],
  uris: [],
  emailAddresses: [],
  usages: ['server auth', 'client auth'],
  key: P256,
  ...request,
});

/** A leaf of `issuer`, valid in January 2026. */
export async function testLeaf(
  issuer: IssuingCa,
  request: Partial<LeafRequest> = {},
  order: Partial<LeafOrder> = {},
): Promise<ParsedCertificate> {
  const profile = buildLeafProfile(leafRequest(request));
  const key = await generateKeyPair(profile.request.key);
  return issueLeaf({ profile, key, issuer, notBefore: day(1), notAfter: day(31), ...order });
}

/** What `run` throws, which must be a PkiError. */
export function refusal(run: () => unknown): PkiError {
  try {
    run();
  } catch (error) {
    if (error instanceof PkiError) return error;
    throw error;
  }
  throw new Error('nothing was refused');
}

export const refusalReason = (run: () => unknown): PkiReason => refusal(run).reason;
