// Keystores of generated contents under generated passwords, in the eyes of Java's KeyStore and of openssl.
// The seed is printed by a failure; KEYSTORE_RUNS=<number> changes how many there are.

import { X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  generateKeyPair,
  jks,
  type KeySpec,
  type KeystoreEntry,
  KeystorePassword,
  pkcs12,
  saltSource,
} from '../../src/pki/index.ts';
import { day, type TestCa, testCa, testLeaf } from '../../src/pki/testing.ts';
import { run } from '../support/command.ts';
import { needJava } from '../support/java.ts';
import { makeWorkspace, type Workspace } from './verifiers.ts';

const runs = Number(process.env['KEYSTORE_RUNS'] ?? 150);

type KeyEntry = Extract<KeystoreEntry, { kind: 'key' }>;

let workspace: Workspace;
/** Below each other, the root first: deep enough for chains that are longer than real ones. */
const cas: TestCa[] = [];
const keyEntries: KeyEntry[] = [];

beforeAll(async () => {
  await needJava();
  workspace = await makeWorkspace();
  const specs: KeySpec[] = [
    { algorithm: 'ECDSA', size: 256 },
    { algorithm: 'ECDSA', size: 384 },
    { algorithm: 'RSA', size: 2048 },
    { algorithm: 'RSA', size: 4096 },
    { algorithm: 'Ed25519' },
  ];
  for (let depth = 0; depth < 12; depth++) {
    const issuer = cas.at(-1);
    const subject = { commonName: `CA ${depth}` };
    cas.push(await testCa(issuer === undefined ? { subject } : { subject, issuer }));
  }
  for (const [i, spec] of specs.entries()) {
    // Under CAs of different depths: chains of 1 to 12 certificates.
    const issuer = cas[[0, 1, 2, 5, 11][i] ?? 0];
    if (issuer === undefined) throw new Error('no such CA');
    const key = await generateKeyPair(spec);
    const leaf = await testLeaf(issuer, { key: spec, dnsNames: [`web-${i}.shop.svc`] }, { key });
    const above = issuer.chain.filter(({ selfSigned }) => !selfSigned).map(({ der }) => der);
    keyEntries.push({ kind: 'key', alias: '', keyDer: key.der('PKCS8'), chain: [leaf.der, ...above], date: day(1) });
  }
});

afterAll(() => workspace?.[Symbol.asyncDispose]());

const alias = fc.stringMatching(/^[a-z0-9]([a-z0-9._-]{0,62}[a-z0-9])?$/);
const password = fc.oneof(
  fc.array(fc.integer({ min: 0x20, max: 0x7e }), { minLength: 6, maxLength: 128 }).map((codes) => Buffer.from(codes)),
  fc
    .constantFrom('      ', '"\'\\$`!%', '\\u0041bc', 'x'.repeat(128), 'a'.repeat(32), '-nodes')
    .map((text) => Buffer.from(text)),
);

/** A key, or certificates to trust under aliases that differ: Java would complete the chain of a key with whatever stands beside it. */
const entries: fc.Arbitrary<readonly KeystoreEntry[]> = fc.oneof(
  fc.record({ entry: fc.nat({ max: 4 }), alias }).map(({ entry: number, alias }) => {
    const entry = keyEntries[number];
    return entry === undefined ? [] : [{ ...entry, alias }];
  }),
  fc
    .uniqueArray(fc.record({ alias, ca: fc.nat({ max: 11 }) }), { maxLength: 5, selector: (entry) => entry.alias })
    .map((trusted) =>
      trusted.map(({ alias, ca }): KeystoreEntry => {
        const der = cas[ca]?.certificate.der ?? Buffer.alloc(0);
        return { kind: 'trusted', alias, der, date: day(1) };
      }),
    ),
);

const fingerprint = (der: Buffer): string => new X509Certificate(der).fingerprint256.replaceAll(':', '').toLowerCase();

/** As KeystoreReader says it. */
const expected = (kind: string, content: readonly KeystoreEntry[]): string => {
  const sorted = [...content].sort((a, b) => (a.alias < b.alias ? -1 : 1));
  const lines = sorted.map((entry) =>
    entry.kind === 'key'
      ? `${entry.alias} key ${entry.chain.map(fingerprint).join(',')}`
      : `${entry.alias} trusted ${fingerprint(entry.der)}`,
  );
  return [kind, ...lines].join('\t');
};

interface Made {
  readonly file: string;
  readonly kind: 'PKCS12' | 'JKS';
  readonly password: Buffer;
  readonly content: readonly KeystoreEntry[];
}

async function make(): Promise<Made[]> {
  const made: Made[] = [];
  await fc.assert(
    fc.asyncProperty(entries, password, async (content, octets) => {
      const secret = KeystorePassword.read(octets);
      const salts = saltSource(Buffer.from('a private key'), content);
      for (const kind of ['PKCS12', 'JKS'] as const) {
        const file = join(workspace.directory, `${made.length}`);
        await writeFile(file, kind === 'JKS' ? jks(content, secret, salts) : await pkcs12(content, secret, salts));
        made.push({ file, kind, password: octets, content });
      }
    }),
    { numRuns: runs },
  );
  return made;
}

test('what is put into a keystore is what Java finds in it, with its password and with no other', async () => {
  const made = await make();
  const wrong = (octets: Buffer) => Buffer.concat([octets.subarray(0, -1), Buffer.from([(octets.at(-1) ?? 0) ^ 1])]);
  const questions = made.flatMap(({ file, password }) => [
    `${file}\t${password.toString('base64')}`,
    `${file}\t${wrong(password).toString('base64')}`,
  ]);
  const list = join(workspace.directory, 'questions');
  await writeFile(list, `${questions.join('\n')}\n`);
  const program = join(import.meta.dirname, 'keystores', 'KeystoreReader.java');
  const answers = (await run('sh', ['-c', 'exec java "$0" <"$1"', program, list])).stdout.trimEnd().split('\n');
  expect(answers).toHaveLength(questions.length);
  for (const [i, { kind, content, password }] of made.entries()) {
    const context = `${kind} number ${i}, password ${JSON.stringify(password.toString())}`;
    expect(answers[2 * i], context).toBe(expected(kind, content));
    expect(answers[2 * i + 1], context).toMatch(/^refused\t/);
  }
});

test('and what openssl finds in a PKCS#12 file', async () => {
  const made = (await make()).filter(({ kind }) => kind === 'PKCS12').slice(0, 60);
  for (const { file, password, content } of made) {
    await writeFile(`${file}.password`, password);
    const from = ['pkcs12', '-in', file, '-passin', `file:${file}.password`];
    await run('openssl', [...from, '-nodes', '-out', `${file}.pem`]);
    const pem = await readFile(`${file}.pem`, 'utf8');
    const found = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
    const put = content.flatMap((entry) => (entry.kind === 'key' ? entry.chain : [entry.der]));
    expect(found.map((block) => new X509Certificate(block).raw.toString('hex')).sort()).toEqual(
      put.map((der) => der.toString('hex')).sort(),
    );
    const names = [...pem.matchAll(/^ {4}friendlyName: (.*)$/gm)].map(([, name]) => name);
    expect(new Set(names)).toEqual(new Set(content.map((entry) => entry.alias)));
    expect(pem.includes('PRIVATE KEY')).toBe(content.some((entry) => entry.kind === 'key'));
  }
});
