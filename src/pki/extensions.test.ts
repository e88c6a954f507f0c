import { expect, test } from 'vitest';
import {
  authorityKeyIdentifierExtension,
  basicConstraintsExtension,
  extendedKeyUsageExtension,
  type KeyUsage,
  keyUsageExtension,
  subjectAltNameExtension,
  subjectKeyIdentifierExtension,
} from './extensions.ts';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair } from './keys.ts';
import { oid } from './oids.ts';
import { signatureScheme } from './signature.ts';

// Byte for byte: verifiers forgive much that DER and RFC 5280 forbid, and the digest of a profile depends on it.

const hex = (text: string) => text.replaceAll(' ', '');

test.each<[KeyUsage[], string]>([
  [['digitalSignature'], '0302 0780'],
  [['digitalSignature', 'keyEncipherment'], '0302 05a0'],
  [['keyCertSign', 'cRLSign'], '0302 0106'],
  [['digitalSignature', 'decipherOnly'], '0303 078080'],
])('key usage %j is critical and has no trailing zero bits', (usages, bits) => {
  const value = hex(bits);
  const length = value.length / 2;
  expect(keyUsageExtension(usages).toString('hex')).toBe(
    `30${(10 + length).toString(16).padStart(2, '0')}0603551d0f0101ff04${length.toString(16).padStart(2, '0')}${value}`,
  );
});

test('basic constraints are critical and leave defaults out', () => {
  expect(basicConstraintsExtension(false).toString('hex')).toBe(hex('300c 0603551d13 0101ff 0402 3000'));
  expect(basicConstraintsExtension(true).toString('hex')).toBe(hex('300f 0603551d13 0101ff 0405 30030101ff'));
  expect(basicConstraintsExtension(true, 0).toString('hex')).toBe(hex('3012 0603551d13 0101ff 0408 30060101ff020100'));
});

test('extended key usage and key identifiers are not critical', () => {
  expect(extendedKeyUsageExtension([oid.serverAuth, oid.clientAuth]).toString('hex')).toBe(
    hex('301d 0603551d25 0416 3014 06082b06010505070301 06082b06010505070302'),
  );
  expect(subjectKeyIdentifierExtension(Buffer.from('0102', 'hex')).toString('hex')).toBe(
    hex('300b 0603551d0e 0404 04020102'),
  );
  expect(authorityKeyIdentifierExtension(Buffer.from('0102', 'hex')).toString('hex')).toBe(
    hex('300d 0603551d23 0406 30048002 0102'),
  );
});

test('alternative names are IA5 text and raw octets', () => {
  const names = { dnsNames: ['a.b'], ipAddresses: ['192.0.2.1', '::1'], uris: ['x:y'], emailAddresses: ['a@b'] };
  expect(subjectAltNameExtension(names, false).toString('hex')).toBe(
    hex(
      '3030 0603551d11 0429 3027 8203612e62 8704c0000201 8710 00000000000000000000000000000001 8603783a79 8103614062',
    ),
  );
  expect(
    subjectAltNameExtension({ ...names, ipAddresses: [], uris: [], emailAddresses: [] }, true).toString('hex'),
  ).toBe(hex('3011 0603551d11 0101ff 0407 3005 8203612e62'));
});

test.each<[KeySpec, string, string | null]>([
  [{ algorithm: 'ECDSA' }, '300a 06082a8648ce3d040302', 'sha256'],
  [{ algorithm: 'ECDSA', size: 384 }, '300a 06082a8648ce3d040303', 'sha384'],
  [{ algorithm: 'RSA' }, '300d 06092a864886f70d01010b 0500', 'sha256'],
  [{ algorithm: 'Ed25519' }, '3005 06032b6570', null],
])('a CA with a key of %j signs as its RFC says, parameters included', async (spec, algorithm, digest) => {
  const scheme = signatureScheme((await generateKeyPair(spec)).privateKey);
  expect(scheme.algorithmDer.toString('hex')).toBe(hex(algorithm));
  expect(scheme.digest).toBe(digest);
});
