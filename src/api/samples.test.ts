import { describe, expect, test } from 'vitest';
import { parseCertificateAuthority } from './certificateAuthority.ts';
import { InvalidObjectError } from './metadata.ts';
import { parseMTLSPolicy } from './mtlsPolicy.ts';
import { parseMTLSRollout } from './mtlsRollout.ts';
import { badWorkloadCertificates } from './samples/badWorkloadCertificates.ts';
import { badCertificateAuthorities, goodCertificateAuthorities } from './samples/certificateAuthorities.ts';
import { goodWorkloadCertificates } from './samples/goodWorkloadCertificates.ts';
import { badMTLSPolicies, goodMTLSPolicies } from './samples/mtlsPolicies.ts';
import { badMTLSRollouts, goodMTLSRollouts } from './samples/mtlsRollouts.ts';
import { parseWorkloadCertificate } from './workloadCertificate.ts';

const kinds = [
  {
    kind: 'WorkloadCertificate',
    parse: parseWorkloadCertificate,
    metadata: { name: 'web', namespace: 'shop' },
    good: goodWorkloadCertificates,
    bad: badWorkloadCertificates,
    twoMistakes: { secretName: 'Web', authorityRef: { name: 'B' } },
  },
  {
    kind: 'CertificateAuthority',
    parse: parseCertificateAuthority,
    metadata: { name: 'default' },
    good: goodCertificateAuthorities,
    bad: badCertificateAuthorities,
    twoMistakes: { trustDomain: 'A', maxCertificateDuration: 'x' },
  },
  {
    kind: 'MTLSPolicy',
    parse: parseMTLSPolicy,
    metadata: { name: 'default', namespace: 'shop' },
    good: goodMTLSPolicies,
    bad: badMTLSPolicies,
    twoMistakes: { mode: 'Off', guard: { window: 'x' } },
  },
  {
    kind: 'MTLSRollout',
    parse: parseMTLSRollout,
    metadata: { name: 'default', namespace: 'shop' },
    good: goodMTLSRollouts,
    bad: badMTLSRollouts,
    twoMistakes: { workloads: [{ ...Object(goodMTLSRollouts[1]?.spec).workloads[0], phase: 'Done', clients: 'All' }] },
  },
];

describe.each(kinds)('the parser of $kind', ({ kind, parse, metadata, good, bad, twoMistakes }) => {
  test.each(good)('takes $title', ({ spec }) => {
    expect(parse({ metadata, spec }).spec).toMatchObject(spec);
  });

  test.each(bad)('refuses $title', ({ spec, field, message, parser }) => {
    const problems = problemsOf(() => parse({ metadata, spec }));
    expect(problems).toContainEqual({
      path: expect.stringContaining(field),
      message: expect.stringContaining(parser ?? message),
    });
  });

  test('names the object and every field that is wrong', () => {
    const spec = { ...good[0]?.spec, ...twoMistakes };
    const problems = problemsOf(() => parse({ metadata, spec }));
    expect(problems).toHaveLength(2);
    expect(() => parse({ metadata, spec })).toThrow(
      `${kind} ${Object.values(metadata).reverse().join('/')} is invalid: spec.`,
    );
  });

  test.each([undefined, null, 7, 'x', [], {}, { metadata: null }, { metadata: { name: '' } }])(
    'refuses %j as an object',
    (object) => {
      expect(problemsOf(() => parse(object)).length).toBeGreaterThan(0);
    },
  );

  test.each([null, 'x', { conditions: 7 }, { revision: 'x' }])(
    'judges an object whatever its status is: %j',
    (status) => {
      expect(parse({ metadata, spec: good[0]?.spec, status }).status).toEqual({});
    },
  );
});

function problemsOf(parse: () => unknown): readonly { path: string; message: string }[] {
  try {
    parse();
  } catch (error) {
    if (error instanceof InvalidObjectError) return error.problems;
    throw error;
  }
  return [];
}
