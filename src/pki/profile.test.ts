import { describe, expect, test } from 'vitest';
import type { KeySpec } from './keySpec.ts';
import { buildLeafProfile, type LeafRequest, type Usage } from './profile.ts';
import { leafRequest, refusal, testCa, testLeaf } from './testing.ts';

const RSA: KeySpec = { algorithm: 'RSA', size: 2048 };

test('a request becomes canonical and loses its duplicates', () => {
  const { request } = buildLeafProfile(
    leafRequest({
      dnsNames: ['B.example', 'a.example', 'b.example'],
      ipAddresses: ['2001:DB8::1', '192.0.2.1', '2001:db8:0::1'],
      uris: ['HTTPS://A.example/X', 'https://a.example/X'],
      emailAddresses: ['Me@A.example', 'Me@a.example', 'me@a.example'],
      usages: ['client auth', 'server auth', 'client auth'],
    }),
  );
  expect(request).toEqual({
    subject: {},
    dnsNames: ['b.example', 'a.example'],
    ipAddresses: ['2001:db8::1', '192.0.2.1'],
    uris: ['https://a.example/X'],
    emailAddresses: ['Me@a.example', 'me@a.example'],
    usages: ['server auth', 'client auth'],
    key: { algorithm: 'ECDSA', size: 256 },
  });
});

describe('usages', () => {
  test.each<[Usage[], KeySpec, string[], string[]]>([
    [['server auth', 'client auth'], { algorithm: 'ECDSA' }, ['digitalSignature'], ['serverAuth', 'clientAuth']],
    [['server auth'], { algorithm: 'ECDSA' }, ['digitalSignature'], ['serverAuth']],
    [['client auth'], { algorithm: 'Ed25519' }, ['digitalSignature'], ['clientAuth']],
    [['digital signature'], { algorithm: 'ECDSA' }, ['digitalSignature'], []],
    [[], { algorithm: 'ECDSA' }, ['digitalSignature'], []],
    [['server auth'], RSA, ['digitalSignature', 'keyEncipherment'], ['serverAuth']],
    [['server auth', 'digital signature'], RSA, ['digitalSignature'], ['serverAuth']],
    [['server auth', 'key encipherment'], RSA, ['digitalSignature', 'keyEncipherment'], ['serverAuth']],
    [['key encipherment'], RSA, ['digitalSignature', 'keyEncipherment'], []],
  ])('%j with a key of %j: key usage %j, extended %j', async (usages, key, keyUsage, extendedKeyUsage) => {
    const leaf = await testLeaf(await testCa(), { usages, key });
    expect([...leaf.keyUsage]).toEqual(keyUsage);
    expect([...leaf.extendedKeyUsage]).toEqual(extendedKeyUsage);
  });

  test.each<KeySpec>([{ algorithm: 'ECDSA' }, { algorithm: 'Ed25519' }])(
    'key encipherment is refused for %j',
    (key) => {
      const error = refusal(() => buildLeafProfile(leafRequest({ usages: ['key encipherment'], key })));
      expect(error.reason).toBe('UsageNeedsRsa');
    },
  );

  test('an unknown usage is refused, whatever the types say', () => {
    const request: LeafRequest = JSON.parse(JSON.stringify({ ...leafRequest(), usages: ['code signing'] }));
    expect(refusal(() => buildLeafProfile(request)).reason).toBe('InvalidUsage');
  });
});

describe('names', () => {
  test.each<[string, Partial<LeafRequest>]>([
    ['a DNS name', { dnsNames: ['a.example'] }],
    ['an address', { dnsNames: [], ipAddresses: ['192.0.2.1'] }],
    ['a URI', { dnsNames: [], uris: ['urn:x:y'] }],
    ['an e-mail address', { dnsNames: [], emailAddresses: ['a@b.example'] }],
    ['a common name', { dnsNames: [], subject: { commonName: 'someone' } }],
  ])('%s is enough', (_, request) => {
    expect(() => buildLeafProfile(leafRequest(request))).not.toThrow();
  });

  test('an organisation alone names nobody', () => {
    const error = refusal(() => buildLeafProfile(leafRequest({ dnsNames: [], subject: { organizations: ['Shop'] } })));
    expect(error.reason).toBe('NoNames');
  });

  test('a SPIFFE ID stands alone among the URIs', () => {
    const spiffe = 'spiffe://cluster.local/ns/shop/sa/web';
    expect(() => buildLeafProfile(leafRequest({ uris: [spiffe, spiffe] }))).not.toThrow();
    for (const uris of [
      [spiffe, 'urn:x:y'],
      ['urn:x:y', spiffe],
      [spiffe, `${spiffe}2`],
    ]) {
      expect(refusal(() => buildLeafProfile(leafRequest({ uris }))).reason).toBe('SpiffeIdNotAlone');
    }
  });

  test('more names than fit a TLS handshake are refused', () => {
    const dnsNames = Array.from({ length: 1000 }, (_, i) => `host-number-${i}.example.com`);
    expect(refusal(() => buildLeafProfile(leafRequest({ dnsNames }))).reason).toBe('TooManyNames');
  });

  test('each kind of name is refused with its own reason', () => {
    const reason = (request: Partial<LeafRequest>) => refusal(() => buildLeafProfile(leafRequest(request))).reason;
    expect(reason({ dnsNames: ['192.0.2.1'] })).toBe('DnsNameIsIpAddress');
    expect(reason({ dnsNames: ['a b'] })).toBe('InvalidDnsName');
    expect(reason({ ipAddresses: ['::ffff:192.0.2.1'] })).toBe('Ipv4MappedAddress');
    expect(reason({ ipAddresses: ['web'] })).toBe('InvalidIpAddress');
    expect(reason({ uris: ['/x'] })).toBe('InvalidUri');
    expect(reason({ uris: ['spiffe://u@x/y'] })).toBe('InvalidSpiffeId');
    expect(reason({ emailAddresses: ['x'] })).toBe('InvalidEmailAddress');
    expect(reason({ subject: { commonName: 'x\0' } })).toBe('InvalidSubject');
    expect(reason({ key: { algorithm: 'RSA', size: 1024 } })).toBe('InvalidKeySpec');
  });
});

describe('the digest', () => {
  const digest = (request: Partial<LeafRequest> = {}) => buildLeafProfile(leafRequest(request)).digest;

  test('is short and the same for the same request, however it is written', () => {
    expect(digest()).toMatch(/^[A-Za-z0-9_-]{22}$/);
    expect(digest({ dnsNames: ['WEB.shop.svc', 'web.shop.svc'], usages: ['client auth', 'server auth'] })).toBe(
      digest(),
    );
    expect(digest({ key: { algorithm: 'ECDSA', size: 256 } })).toBe(digest());
    expect(digest({ subject: { organizations: [] } })).toBe(digest());
    expect(digest({ usages: ['server auth', 'client auth', 'digital signature'] })).toBe(digest());
  });

  test.each<Partial<LeafRequest>>([
    { subject: { commonName: 'web' } },
    { subject: { organizations: ['web'] } },
    { dnsNames: ['web.shop.svc', 'b.example'] },
    { dnsNames: ['web.shop.svd'] },
    { ipAddresses: ['192.0.2.1'] },
    { uris: ['urn:x:y'] },
    { emailAddresses: ['a@b.example'] },
    { usages: ['server auth'] },
    { usages: [] },
    { key: { algorithm: 'ECDSA', size: 384 } },
    { key: { algorithm: 'Ed25519' } },
    { key: { algorithm: 'RSA', size: 2048 } },
    { key: { algorithm: 'RSA', size: 3072 } },
    { key: { algorithm: 'RSA', size: 4096 } },
  ])('changes with %j', (change) => {
    expect(digest(change)).not.toBe(digest());
  });

  test('of an RSA key changes with its size', () => {
    expect(digest({ key: RSA })).not.toBe(digest({ key: { algorithm: 'RSA', size: 3072 } }));
  });

  test.each<KeySpec>([
    { algorithm: 'ECDSA' },
    { algorithm: 'ECDSA', size: 384 },
    { algorithm: 'Ed25519' },
    RSA,
    { algorithm: 'RSA', size: 2056 },
  ])('is found again in a certificate with a key of %j', async (key) => {
    const ca = await testCa();
    for (const request of [
      { key },
      { key, subject: { commonName: 'a&b', countries: ['DE'] }, uris: ['urn:x:y'] },
      { key, usages: [], dnsNames: [], ipAddresses: ['::1'] },
    ]) {
      expect((await testLeaf(ca, request)).profileDigest).toBe(digest(request));
    }
  });
});
