/** Tests of what an API server makes of the objects in src/api/samples. */
import { describe, expect, test } from 'vitest';
import { parseCertificateAuthority } from '../../src/api/certificateAuthority.ts';
import {
  certificateAuthorityKind,
  mtlsPolicyKind,
  mtlsRolloutKind,
  workloadCertificateKind,
} from '../../src/api/kinds.ts';
import { parseMTLSPolicy } from '../../src/api/mtlsPolicy.ts';
import { parseMTLSRollout } from '../../src/api/mtlsRollout.ts';
import { badWorkloadCertificates } from '../../src/api/samples/badWorkloadCertificates.ts';
import { badCertificateAuthorities, goodCertificateAuthorities } from '../../src/api/samples/certificateAuthorities.ts';
import { goodWorkloadCertificates } from '../../src/api/samples/goodWorkloadCertificates.ts';
import { badMTLSPolicies, goodMTLSPolicies } from '../../src/api/samples/mtlsPolicies.ts';
import { badMTLSRollouts, goodMTLSRollouts } from '../../src/api/samples/mtlsRollouts.ts';
import { parseWorkloadCertificate } from '../../src/api/workloadCertificate.ts';
import type { Cluster } from '../cluster/index.ts';
import { causes, send } from './control.ts';

const kinds = [
  {
    kind: workloadCertificateKind,
    namespace: 'shop',
    parse: parseWorkloadCertificate,
    good: goodWorkloadCertificates,
    bad: badWorkloadCertificates,
  },
  {
    kind: certificateAuthorityKind,
    namespace: undefined,
    parse: parseCertificateAuthority,
    good: goodCertificateAuthorities,
    bad: badCertificateAuthorities,
  },
  {
    kind: mtlsPolicyKind,
    namespace: 'shop',
    parse: parseMTLSPolicy,
    good: goodMTLSPolicies,
    bad: badMTLSPolicies,
  },
  {
    kind: mtlsRolloutKind,
    namespace: 'shop',
    parse: parseMTLSRollout,
    good: goodMTLSRollouts,
    bad: badMTLSRollouts,
  },
];

/** @param cluster has the kinds, and a namespace shop. */
export function testSamples(cluster: () => Cluster): void {
  describe.each(kinds)('$kind.kind', ({ kind, namespace, parse, good, bad }) => {
    const collection = `${kind.path(namespace)}?dryRun=All&fieldValidation=Strict`;
    const object = (spec: object, name = 'web'): object => ({
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: kind.kind,
      metadata: { name, ...(namespace === undefined ? {} : { namespace }) },
      spec,
    });

    test.each(good)('accepts $title, with the defaults that the parser fills', async ({ spec }) => {
      const answer = await send(cluster(), 'POST', collection, object(spec));
      expect(causes(answer)).toEqual([]);
      expect(answer.body['spec']).toEqual(parse(object(spec)).spec);
    });

    test.each(bad)('refuses $title, naming the field and what to write', async ({ spec, field, message }) => {
      const answer = await send(cluster(), 'POST', collection, object(spec));
      expect(answer.status).toBe(422);
      expect(causes(answer)).toContainEqual({ field, message: expect.stringContaining(message) });
    });

    test('refuses a field that does not exist', async () => {
      const answer = await send(cluster(), 'POST', collection, object({ ...good[0]?.spec, dnsName: 'web' }));
      expect(answer.status).toBe(400);
      expect(answer.body['message']).toContain('unknown field "spec.dnsName"');
    });
  });
}
