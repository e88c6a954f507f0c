/** A proxy that has loaded what it should, as Envoy prints it, for tests that change one thing at a time. */
import { type Inbound, inboundListener } from '../../../envoy/index.ts';
import type { ParsedCertificate } from '../../../pki/index.ts';
import { testCa, testLeaf } from '../../../pki/testing.ts';
import { certificate as issued, NOW } from '../check/builders.fixture.ts';
import { parseIdentity, parseInbound } from './answers.ts';
import type { ProxyFacts } from './facts.ts';

export const SPIFFE_ID = 'spiffe://shop.example/ns/shop/sa/web';
const HOUR = 3_600_000;

export async function makeIdentity(uri = SPIFFE_ID): Promise<{ root: ParsedCertificate; leaf: ParsedCertificate }> {
  const life = { notBefore: new Date(NOW - HOUR), notAfter: new Date(NOW + HOUR) };
  const ca = await testCa({ ...life, subject: { commonName: 'Mesh' } });
  const leaf = await testLeaf(ca, { dnsNames: [], uris: [uri] }, life);
  return { root: ca.certificate, leaf };
}

/** The answer about the listener. @param states beside the one at work */
export function inboundAnswer(inbound: Partial<Inbound>, states: object = {}): string {
  const listener = inboundListener({
    trustDomain: 'shop.example',
    ipv6: false,
    others: 'Strict',
    ports: [],
    ...inbound,
  });
  const active_state = { version_info: 'v1', listener, last_updated: '2031-01-01T00:00:00.123Z' };
  return JSON.stringify({ configs: [{ name: 'inbound', active_state, ...states }] });
}

/** The answer about certificate and roots. */
export function identityAnswer(chain: readonly ParsedCertificate[], roots: readonly ParsedCertificate[]): string {
  const pem = (all: readonly ParsedCertificate[]) => ({
    inline_bytes: Buffer.from(all.map((one) => one.pem).join('')).toString('base64'),
  });
  const configs = [
    { name: 'workload', version_info: 'w1', secret: { tls_certificate: { certificate_chain: pem(chain) } } },
    { name: 'roots', version_info: 'r1', secret: { validation_context: { trusted_ca: pem(roots) } } },
  ];
  return JSON.stringify({ configs });
}

export interface FactsSketch extends Partial<Omit<ProxyFacts, 'asked'>> {
  readonly inbound?: string;
  readonly identity: string;
}

/** A pod of Deployment/web, of whose certificate and authority the API server says nothing. */
export function facts({ identity, inbound = inboundAnswer({}), ...more }: FactsSketch): ProxyFacts {
  const sidecar = {
    namespace: 'shop',
    name: 'web-1',
    account: 'web',
    workload: { kind: 'Deployment', name: 'web' },
    excluded: [],
    obstacle: undefined,
  };
  return {
    sidecar,
    asked: { inbound: parseInbound(inbound), identity: parseIdentity(identity) },
    rollout: { value: undefined },
    certificate: { value: undefined },
    authority: { value: undefined },
    now: NOW,
    ...more,
  };
}

/** The WorkloadCertificate of the sidecar. */
export const issuedAs = (serialNumber: string): ProxyFacts['certificate'] => ({
  value: issued('mtls-proxy-web', 'shop', { account: 'web', serialNumber }),
});
