// Hostile input: real certificates and keys, mutated. Whatever comes, only a PkiError may come out, and nothing may be left behind that breaks the next
// good call (OpenSSL keeps a queue of errors). FUZZ_RUNS=<number> for more; a failure prints seed and path for fast-check.

import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { verifyChain } from './chain.ts';
import { checkNameConstraints } from './constraints.ts';
import { PkiError } from './errors.ts';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair, keyMatches } from './keys.ts';
import { loadKeyPair } from './loadKey.ts';
import { type ParsedCertificate, parseCertificate, parseCertificates } from './parse.ts';
import { encodePem } from './pem.ts';
import { type TestCa, testCa, testLeaf } from './testing.ts';

const runs = Number(process.env['FUZZ_RUNS'] ?? 800);
const specs: KeySpec[] = [
  { algorithm: 'ECDSA' },
  { algorithm: 'ECDSA', size: 384 },
  { algorithm: 'Ed25519' },
  { algorithm: 'RSA' },
];

let root: TestCa;
const certificates: Buffer[] = [];
const keys: { readonly label: string; readonly der: Buffer }[] = [];

beforeAll(async () => {
  root = await testCa({
    nameConstraints: { permitted: { dnsDomains: ['svc'], ipRanges: ['0.0.0.0/0', '::/0'], emailAddresses: ['.x'] } },
  });
  certificates.push(root.certificate.der);
  for (const spec of specs) {
    const pair = await generateKeyPair(spec);
    keys.push({ label: 'PRIVATE KEY', der: pair.der('PKCS8') });
    if (spec.algorithm === 'ECDSA') keys.push({ label: 'EC PRIVATE KEY', der: pair.der('SEC1') });
    if (spec.algorithm === 'RSA') keys.push({ label: 'RSA PRIVATE KEY', der: pair.der('PKCS1') });
    const ca = await testCa({
      spec,
      subject: { commonName: `ca ${spec.algorithm}`, countries: ['DE'] },
      pathLength: 3,
    });
    certificates.push(ca.certificate.der);
    const names = {
      dnsNames: ['a.svc', '*.b.svc'],
      ipAddresses: ['192.0.2.1', '::1'],
      uris: ['spiffe://a/b'],
      emailAddresses: ['a@b.x'],
    };
    certificates.push((await testLeaf(ca, { ...names, key: spec, subject: { commonName: 'wéb' } }, { key: pair })).der);
  }
});

// ---------------------------------------------------------------- mutations

type Mutation = (input: Buffer) => Buffer;
const position = fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true });
const at = (input: Buffer, where: number) => Math.floor(where * input.length);
const octet = fc.oneof(
  fc.nat(255),
  fc.constantFrom(0, 0x1f, 0x24, 0x30, 0x31, 0x7f, 0x80, 0x81, 0x82, 0x84, 0x9e, 0xa0, 0xbf, 0xff),
);

const mutation: fc.Arbitrary<Mutation> = fc.oneof(
  fc.tuple(position, octet).map(
    ([where, by]): Mutation =>
      (input) =>
        Buffer.from(input.with(at(input, where), by)),
  ),
  fc.tuple(position, fc.nat(7)).map(
    ([where, bit]): Mutation =>
      (input) => {
        const i = at(input, where);
        return Buffer.from(input.with(i, (input[i] ?? 0) ^ (1 << bit)));
      },
  ),
  position.map(
    (where): Mutation =>
      (input) =>
        input.subarray(0, at(input, where)),
  ),
  fc.tuple(position, fc.uint8Array({ maxLength: 40 })).map(
    ([where, more]): Mutation =>
      (input) =>
        Buffer.concat([input.subarray(0, at(input, where)), more, input.subarray(at(input, where))]),
  ),
  fc.tuple(position, position).map(
    ([from, to]): Mutation =>
      (input) =>
        Buffer.concat([
          input.subarray(0, at(input, Math.min(from, to))),
          input.subarray(at(input, Math.max(from, to))),
        ]),
  ),
  fc.tuple(position, position, position).map(
    ([from, to, into]): Mutation =>
      (input) => {
        const part = input.subarray(at(input, Math.min(from, to)), at(input, Math.max(from, to)));
        return Buffer.concat([input.subarray(0, at(input, into)), part, input.subarray(at(input, into))]);
      },
  ),
);
const mutations = fc.array(mutation, { minLength: 1, maxLength: 4 });
const mutate = (input: Buffer, by: readonly Mutation[]): Buffer =>
  by.reduce((current, change) => (current.length === 0 ? current : change(current)), input);

/** What `run` returns; undefined if it refuses as it may. Anything else that it throws fails the test. */
function allowed<T>(run: () => T): T | undefined {
  try {
    return run();
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    expect(error.message).toMatch(/^[ -~]{1,2000}$/);
    return undefined;
  }
}

/** Everything that the rest of the operator does with a certificate. */
function use(certificate: ParsedCertificate): void {
  const { subject, issuer, fingerprint, profileDigest, pem, selfSigned, serialNumber } = certificate;
  expect(`${subject}${issuer}`).not.toMatch(/[\n\0]/);
  expect([fingerprint.length, profileDigest.length, pem.length > 0, typeof selfSigned]).toEqual([
    64,
    22,
    true,
    'boolean',
  ]);
  expect(serialNumber).toMatch(/^([0-9A-F]{2})+$/);
  verifyChain({
    leaf: certificate,
    intermediates: [certificate, root.certificate],
    roots: [root.certificate],
    at: new Date(),
  });
  verifyChain({ leaf: root.certificate, intermediates: [certificate], roots: [certificate] });
  checkNameConstraints(certificate, [certificate, root.certificate]);
  keyMatches(root.key, certificate);
  keyMatches(root.privateKey, certificate);
  allowed(() => certificate.publicKey);
}

const pick = (list: readonly Buffer[], n: number): Buffer => list[n % list.length] ?? Buffer.alloc(0);

describe('only PkiErrors come out of', { timeout: 3_600_000 }, () => {
  test('mutated certificates, and what can be read can be used', () => {
    let readable = 0;
    fc.assert(
      fc.property(fc.nat(), mutations, (n, by) => {
        const certificate = allowed(() => parseCertificate(mutate(pick(certificates, n), by)));
        if (certificate === undefined) return;
        readable++;
        use(certificate);
      }),
      { numRuns: runs },
    );
    expect(readable).toBeGreaterThan(runs / 100);
  });

  test('mutated PEM texts', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(), { minLength: 1, maxLength: 3 }), mutations, (ns, by) => {
        const text = ns.map((n) => encodePem('CERTIFICATE', pick(certificates, n))).join('');
        const input = mutate(Buffer.from(text), by);
        for (const form of [input, input.toString('utf8'), input.toString('latin1')]) {
          for (const certificate of allowed(() => parseCertificates(form)) ?? []) use(certificate);
        }
      }),
      { numRuns: Math.ceil(runs / 5) },
    );
  });

  test('mutated private keys, under their own label and others', () => {
    fc.assert(
      fc.property(
        fc.nat(),
        fc.constantFrom('', 'PRIVATE KEY', 'EC PRIVATE KEY', 'RSA PRIVATE KEY'),
        mutations,
        (n, label, by) => {
          const key = keys[n % keys.length];
          if (key === undefined) return;
          const pair = allowed(() => loadKeyPair(encodePem(label === '' ? key.label : label, mutate(key.der, by))));
          if (pair === undefined) return;
          // What was let in can be signed with and written.
          expect(keyMatches(pair.privateKey, { spki: pair.spki, publicKey: pair.privateKey })).toBe(true);
          expect(pair.pem('PKCS8').length).toBeGreaterThan(100);
        },
      ),
      { numRuns: runs },
    );
  });

  test('mutated PEM texts of keys', () => {
    fc.assert(
      fc.property(fc.nat(), mutations, (n, by) => {
        const key = keys[n % keys.length];
        if (key !== undefined) allowed(() => loadKeyPair(mutate(Buffer.from(encodePem(key.label, key.der)), by)));
      }),
      { numRuns: Math.ceil(runs / 3) },
    );
  });

  test('bytes and texts of any kind', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.string({ unit: 'binary', maxLength: 200 }), (bytes, text) => {
        allowed(() => parseCertificate(Buffer.from(bytes)));
        allowed(() => parseCertificate(Buffer.from([0x30, 0x82, ...bytes])));
        allowed(() => parseCertificates(text));
        allowed(() => loadKeyPair(text));
        allowed(() =>
          loadKeyPair(
            `-----BEGIN PRIVATE KEY-----\n${Buffer.from(bytes).toString('base64')}\n-----END PRIVATE KEY-----`,
          ),
        );
      }),
      { numRuns: Math.ceil(runs / 3) },
    );
  });
});

test('after all of that, good input is read as ever', async () => {
  for (const der of certificates) expect(parseCertificate(der).der.equals(der)).toBe(true);
  for (const { label, der } of keys) expect(loadKeyPair(encodePem(label, der)).privateKey.type).toBe('private');
  const leaf = await testLeaf(root, { dnsNames: ['a.svc'] });
  expect(verifyChain({ leaf, intermediates: [], roots: [root.certificate] }).ok).toBe(true);
});
