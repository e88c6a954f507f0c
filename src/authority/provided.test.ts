import { beforeAll, describe, expect, test } from 'vitest';
import { buildLeafProfile, generateKeyPair, issueLeaf, verifyChain } from '../pki/index.ts';
import { DAY, makeCa, NOW, type TestCa } from './builders.fixture.ts';
import { readProvided } from './provided.ts';

let root: TestCa;
let middle: TestCa;
let issuing: TestCa;
let data: Record<string, string>;

beforeAll(async () => {
  root = await makeCa({ name: 'corporate root', notAfter: NOW + 3000 * DAY });
  middle = await makeCa({ name: 'middle', issuer: root, notAfter: NOW + 100 * DAY });
  issuing = await makeCa({ name: 'issuing', issuer: middle, notAfter: NOW + 50 * DAY });
  data = dataOf(issuing, [middle], [root]);
});

function dataOf(ca: TestCa, above: readonly TestCa[], roots: readonly TestCa[]) {
  const pems = (cas: readonly TestCa[]) => cas.map(({ certificate }) => certificate.pem).join('');
  return { 'tls.crt': pems([ca, ...above]), 'tls.key': ca.key.pem('PKCS8'), 'ca.crt': pems(roots) };
}

const read = (given: Readonly<Record<string, string>> | undefined, now = NOW) =>
  readProvided('corporate-ca', given, now);
function good(given: Readonly<Record<string, string>>) {
  const result = read(given);
  if ('problem' in result) throw new Error(result.problem.message);
  return result.ca;
}
const names = (cas: readonly { subject: string }[]) => cas.map(({ subject }) => subject);

describe('a CA that is brought along', () => {
  test('may be an intermediate with its chain', () => {
    const ca = good(data);
    expect(names(ca.issuer.chain)).toEqual(['CN=issuing', 'CN=middle', 'CN=corporate root']);
    expect(names(ca.intermediates)).toEqual(['CN=middle']);
    expect(names(ca.roots)).toEqual(['CN=corporate root']);
    expect(ca.root.subject).toBe('CN=corporate root');
    expect(ca.notAfter).toBe(NOW + 50 * DAY);
  });

  test('may be a root', () => {
    for (const roots of [[root], []]) {
      const ca = good(dataOf(root, [], roots));
      expect([names(ca.intermediates), names(ca.roots)]).toEqual([[], ['CN=corporate root']]);
    }
  });

  test('may end with its root in tls.crt, which then is left out behind leaves', () => {
    const ca = good({ ...dataOf(issuing, [middle, root], []), 'ca.crt': '' });
    expect([names(ca.intermediates), names(ca.roots)]).toEqual([['CN=middle'], ['CN=corporate root']]);
  });

  test('may have its chain in any order, and the one that verifies is used', () => {
    expect(names(good({ ...dataOf(issuing, [root, middle], [root]) }).intermediates)).toEqual(['CN=middle']);
  });

  test('ends no later than the CAs above it', async () => {
    const brief = await makeCa({ name: 'brief root', notAfter: NOW + 10 * DAY });
    const below = await makeCa({ name: 'below', issuer: brief, notAfter: NOW + 10 * DAY });
    expect(good(dataOf(below, [], [brief])).notAfter).toBe(NOW + 10 * DAY);
  });

  test.each([
    { algorithm: 'ECDSA', size: 384 } as const,
    { algorithm: 'RSA', size: 2048 } as const,
    { algorithm: 'Ed25519' } as const,
  ])('may have a key of type $algorithm $size', async (key) => {
    const ca = await makeCa({ name: 'other', key });
    const { issuer, roots } = good(dataOf(ca, [], [ca]));
    const profile = buildLeafProfile({
      subject: {},
      dnsNames: ['a.b'],
      ipAddresses: [],
      uris: [],
      emailAddresses: [],
      usages: ['server auth'],
      key: { algorithm: 'ECDSA' },
    });
    const leaf = issueLeaf({
      profile,
      key: await generateKeyPair({ algorithm: 'ECDSA' }),
      issuer,
      notBefore: new Date(NOW),
      notAfter: new Date(NOW + DAY),
    });
    expect(verifyChain({ leaf, intermediates: [], roots, at: new Date(NOW) }).ok).toBe(true);
  });

  test('brings the name constraints of its root along, also where the root stands in ca.crt alone', async () => {
    const narrow = await makeCa({ name: 'narrow', nameConstraints: { permitted: { dnsDomains: ['shop.svc'] } } });
    const below = await makeCa({ name: 'below', issuer: narrow });
    expect(good(dataOf(below, [], [narrow])).issuer.chain.at(-1)?.nameConstraints).toBeDefined();
  });
});

describe('what is wrong with it is named', () => {
  test.each<[string, () => Readonly<Record<string, string>> | undefined, string, string]>([
    ['no Secret', () => undefined, 'SecretNotFound', 'does not exist'],
    [
      'nothing in it',
      () => ({}),
      'SecretIncomplete',
      'lacks tls.crt and tls.key: put the certificate of your CA and its key there',
    ],
    ['no key', () => ({ ...data, 'tls.key': '' }), 'SecretIncomplete', 'lacks tls.key'],
    ['no certificate', () => ({ ...data, 'tls.crt': '' }), 'SecretIncomplete', 'lacks tls.crt'],
    ['rubbish for a certificate', () => ({ ...data, 'tls.crt': 'rubbish' }), 'SecretUnreadable', 'tls.crt: '],
    [
      'rubbish for a key',
      () => ({ ...data, 'tls.key': 'rubbish' }),
      'SecretUnreadable',
      'Put PEM there, as openssl writes it',
    ],
    ['rubbish for roots', () => ({ ...data, 'ca.crt': 'rubbish' }), 'SecretUnreadable', 'ca.crt: '],
    [
      'a key of another',
      () => ({ ...data, 'tls.key': root.key.pem('PKCS8') }),
      'KeyMismatch',
      'put the certificate of the CA that signs first',
    ],
    ['an intermediate without root', () => ({ ...data, 'ca.crt': '' }), 'ChainBroken', 'no root'],
    [
      'a gap in the chain',
      () => dataOf(issuing, [], [root]),
      'ChainBroken',
      'Put every certificate between your CA and its root into tls.crt',
    ],
  ])('%s', (_, given, reason, text) => {
    const result = read(given());
    expect(result).toMatchObject({ problem: { reason, message: expect.stringContaining(text) } });
    expect(result).toMatchObject({ problem: { message: expect.stringContaining('"corporate-ca"') } });
  });

  test('a root of somebody else under the same name', async () => {
    const impostor = await makeCa({ name: 'corporate root' });
    expect(read({ ...data, 'ca.crt': impostor.certificate.pem })).toMatchObject({ problem: { reason: 'ChainBroken' } });
  });

  test('a certificate that is no CA', async () => {
    const key = await generateKeyPair({ algorithm: 'ECDSA' });
    const profile = buildLeafProfile({
      subject: { commonName: 'x' },
      dnsNames: [],
      ipAddresses: [],
      uris: [],
      emailAddresses: [],
      usages: ['server auth'],
      key: { algorithm: 'ECDSA' },
    });
    const leaf = issueLeaf({
      profile,
      key,
      issuer: issuing.issuing,
      notBefore: new Date(NOW),
      notAfter: new Date(NOW + DAY),
    });
    const given = { ...data, 'tls.crt': leaf.pem + data['tls.crt'], 'tls.key': key.pem('PKCS8') };
    expect(read(given)).toMatchObject({
      problem: { reason: 'NotACa', message: expect.stringMatching(/CN=x.*put the certificate of a CA first/) },
    });
  });

  test('one that has expired, or has not begun', () => {
    expect(read(data, NOW + 50 * DAY)).toMatchObject({
      problem: {
        reason: 'Expired',
        message: expect.stringMatching(/CN=issuing.*put its renewed certificate in its place/),
      },
    });
    expect(read(data, NOW - 2 * DAY)).toMatchObject({
      problem: { reason: 'ChainBroken', message: expect.stringContaining('valid from') },
    });
    expect(read(dataOf(root, [], [root]), NOW - 2 * DAY)).toMatchObject({ problem: { reason: 'ChainBroken' } });
  });

  test('never with anything of the key', () => {
    const body = (data['tls.key'] ?? '').split('\n')[1] ?? '';
    expect(body.length).toBeGreaterThan(40);
    for (const damaged of [
      body,
      `-----BEGIN ${body}-----`,
      (data['tls.key'] ?? '').replace('END', 'FIN'),
      `${data['tls.key']}${data['tls.key']}`,
    ])
      expect(JSON.stringify(read({ ...data, 'tls.key': damaged }))).not.toContain(body.slice(0, 16));
  });
});
