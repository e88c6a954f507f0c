import { createSecureContext } from 'node:tls';
import { beforeAll, describe, expect, test } from 'vitest';
import { readDer } from './der.ts';
import { jks } from './jks.ts';
import type { KeySpec } from './keySpec.ts';
import { generateKeyPair } from './keys.ts';
import { type KeystoreEntry, saltSource } from './keystore.ts';
import { KeystorePassword } from './keystorePassword.ts';
import { pkcs12 } from './pkcs12.ts';
import { day, P256, type TestCa, testCa, testLeaf } from './testing.ts';

let root: TestCa;
let issuing: TestCa;

beforeAll(async () => {
  root = await testCa({ subject: { commonName: 'Root' } });
  issuing = await testCa({ subject: { commonName: 'Issuing' }, issuer: root });
});

const password = (text = 'changeit') => KeystorePassword.read(Buffer.from(text));

async function keyEntry(alias = 'web', spec: KeySpec = P256): Promise<Extract<KeystoreEntry, { kind: 'key' }>> {
  const key = await generateKeyPair(spec);
  const leaf = await testLeaf(issuing, { key: spec }, { key });
  const chain = [leaf.der, issuing.certificate.der];
  return { kind: 'key', alias, keyDer: key.der('PKCS8'), chain, date: day(1) };
}

const trusted = (): KeystoreEntry => ({ kind: 'trusted', alias: 'root-1', der: root.certificate.der, date: day(1) });

interface Kind {
  readonly name: string;
  readonly make: (entries: readonly KeystoreEntry[], text?: string, secret?: Buffer) => Promise<Buffer>;
}

const kinds: readonly Kind[] = [
  { name: 'PKCS#12', make: (entries, text, secret) => pkcs12(entries, password(text), salts(entries, secret)) },
  { name: 'JKS', make: async (entries, text, secret) => jks(entries, password(text), salts(entries, secret)) },
];
const salts = (entries: readonly KeystoreEntry[], secret: Buffer = Buffer.from('a private key')) =>
  saltSource(secret, entries);

describe.each(kinds)('a $name file', ({ make }) => {
  test('is the same for the same content under the same password', async () => {
    const entries = [await keyEntry(), trusted()];
    expect((await make(entries)).equals(await make(entries))).toBe(true);
  });

  test('is another one for any other content, password or private key', async () => {
    const entry = await keyEntry();
    const files = await Promise.all([
      make([entry]),
      make([entry], 'changeit2'),
      make([entry], 'changeit', Buffer.from('another private key')),
      make([{ ...entry, alias: 'web2' }]),
      make([{ ...entry, chain: entry.chain.slice(0, 1) }]),
      make([{ ...entry, keyDer: (await keyEntry()).keyDer }]),
      make([entry, trusted()]),
      make([trusted()]),
    ]);
    expect(new Set(files.map((file) => file.toString('base64'))).size).toBe(files.length);
  });

  test('shows nothing of the key or the password', async () => {
    const entry = await keyEntry();
    const file = (await make([entry], 'a long password')).toString('latin1');
    for (let at = 30; at + 8 < entry.keyDer.length - 70; at++)
      expect(file.includes(entry.keyDer.toString('latin1', at, at + 8))).toBe(false);
    expect(file.includes('long password')).toBe(false);
    expect(file.includes(Buffer.from('long password', 'utf16le').toString('latin1'))).toBe(false);
  });

  test('holds nothing as well as a hundred roots', async () => {
    expect((await make([])).length).toBeGreaterThan(20);
    const many = Array.from({ length: 100 }, (_, i) => ({ ...trusted(), alias: `root-${i + 1}` }));
    expect((await make(many)).length).toBeGreaterThan(100 * root.certificate.der.length);
  });
});

describe('a PKCS#12 file', () => {
  test.each<KeySpec>([P256, { algorithm: 'ECDSA', size: 384 }, { algorithm: 'RSA' }, { algorithm: 'Ed25519' }])(
    'with a key %j is opened by OpenSSL in Node with its password, and with no other',
    async (spec) => {
      const entry = await keyEntry('web', spec);
      const pfx = await pkcs12([entry], password('changeit'), salts([entry]));
      expect(() => createSecureContext({ pfx, passphrase: 'changeit' })).not.toThrow();
      expect(() => createSecureContext({ pfx, passphrase: 'changeit ' })).toThrow();
      const broken = Buffer.from(pfx);
      broken[pfx.length >> 1] = (broken[pfx.length >> 1] ?? 0) ^ 1;
      expect(() => createSecureContext({ pfx: broken, passphrase: 'changeit' })).toThrow();
    },
  );

  test('is strict DER', async () => {
    expect(readDer(await pkcs12([await keyEntry(), trusted()], password(), salts([]))).children()).toHaveLength(3);
  });
});

describe('salts', () => {
  test('do not follow from the password, so that nobody can try passwords against them', async () => {
    const entry = await keyEntry();
    const saltsIn = async (text: string) => {
      const file = (await pkcs12([entry], password(text), salts([entry]))).toString('latin1');
      return ['certificates: salt', 'key 0: salt', 'MAC: salt'].map((purpose) =>
        file.indexOf(salts([entry])(purpose, 16).toString('latin1')),
      );
    };
    expect((await saltsIn('password one')).every((at) => at > 0)).toBe(true);
    expect((await saltsIn('password two')).every((at) => at > 0)).toBe(true);
  });

  test('differ for each purpose', () => {
    const source = salts([trusted()]);
    const purposes = ['key 0: salt', 'key 1: salt', 'certificates: salt', 'MAC: salt', 'key 0: initialisation vector'];
    expect(new Set(purposes.map((purpose) => source(purpose, 16).toString('hex'))).size).toBe(purposes.length);
  });
});
