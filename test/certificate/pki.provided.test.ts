// CAs and keys that somebody brings along, made by openssl in the ways that companies make them: other key identifiers than ours, other signature schemes, missing
// extensions, limits. What we issue below them must verify with OpenSSL and Go, and what cannot must be refused with a reason.

import { execFile } from 'node:child_process';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildLeafProfile,
  chainPem,
  generateKeyPair,
  type IssuingCa,
  issueLeaf,
  keyMatches,
  loadKeyPair,
  type ParsedCertificate,
  PkiError,
  parseCertificate,
  type Usage,
  verifyChain,
} from '../../src/pki/index.ts';
import { ask, buildVerifier, makeWorkspace, opensslVerify, type Workspace } from './verifiers.ts';

const run = promisify(execFile);
const MINUTES = 60_000;

let workspace: Workspace;
let go: string;
const path = (name: string) => join(workspace.directory, name);
const openssl = async (...args: string[]): Promise<string> => (await run('openssl', args)).stdout;

beforeAll(async () => {
  workspace = await makeWorkspace();
  go = await buildVerifier('verifier', workspace);
}, 10 * MINUTES);
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

// ---------------------------------------------------------------- making CAs with openssl

interface Brought {
  readonly name: string;
  readonly certificate: ParsedCertificate;
  readonly keyPem: string;
}

const caExtensions = [
  'basicConstraints=critical,CA:TRUE',
  'keyUsage=critical,keyCertSign,cRLSign',
  'subjectKeyIdentifier=hash',
];
const keyArguments = {
  RSA: ['-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:2048'],
  EC: ['-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  Ed25519: ['-algorithm', 'ED25519'],
} as const;

interface Order {
  readonly key?: keyof typeof keyArguments;
  readonly issuer?: Brought;
  /** Lines of an openssl extension section; `[section]` lines may follow. */
  readonly extensions?: readonly string[];
  readonly subject?: string;
  readonly signing?: readonly string[];
}

/** A CA made by openssl, self-signed unless it has an issuer; valid for a year from now. */
async function bring(name: string, order: Order = {}): Promise<Brought> {
  const { key = 'EC', issuer, extensions = caExtensions, subject = `/O=Company Ltd/CN=${name}`, signing = [] } = order;
  await openssl('genpkey', ...keyArguments[key], '-out', path(`${name}.key`));
  await openssl('req', '-new', '-utf8', '-key', path(`${name}.key`), '-subj', subject, '-out', path(`${name}.csr`));
  await writeFile(path(`${name}.ext`), `[default]\n${extensions.join('\n')}\n`);
  const signer =
    issuer === undefined
      ? ['-signkey', path(`${name}.key`)]
      : ['-CA', path(`${issuer.name}.pem`), '-CAkey', path(`${issuer.name}.key`), '-CAcreateserial'];
  const withExtensions = extensions.length === 0 ? [] : ['-extfile', path(`${name}.ext`), '-extensions', 'default'];
  await openssl(
    'x509',
    '-req',
    '-in',
    path(`${name}.csr`),
    '-days',
    '365',
    ...signer,
    ...withExtensions,
    ...signing,
    '-out',
    path(`${name}.pem`),
  );
  return {
    name,
    certificate: parseCertificate(await readFile(path(`${name}.pem`))),
    keyPem: await readFile(path(`${name}.key`), 'utf8'),
  };
}

const issuing = (ca: Brought, ...upper: Brought[]): IssuingCa => ({
  certificate: ca.certificate,
  privateKey: loadKeyPair(ca.keyPem).privateKey,
  chain: [ca, ...upper].map((one) => one.certificate),
});

async function issue(
  issuer: IssuingCa,
  usages: readonly Usage[] = ['server auth', 'client auth'],
): Promise<ParsedCertificate> {
  const subject = { commonName: 'web.shop.svc', organizations: ['Company Ltd'] };
  const names = { dnsNames: ['web.shop.svc'], ipAddresses: [], uris: [], emailAddresses: [] };
  const profile = buildLeafProfile({ subject, ...names, usages, key: { algorithm: 'ECDSA' } });
  const now = Date.now();
  const times = { notBefore: new Date(now - 60_000), notAfter: new Date(now + 3_600_000) };
  return issueLeaf({ profile, key: await generateKeyPair({ algorithm: 'ECDSA' }), issuer, ...times });
}

/** What OpenSSL and Go say of a leaf; '' if they accept it. */
async function verdicts(leaf: ParsedCertificate, issuer: IssuingCa): Promise<{ openssl: string; go: string }> {
  const root = issuer.chain.at(-1) ?? issuer.certificate;
  const intermediates = issuer.chain.slice(0, -1).map((ca) => ca.pem);
  const at = new Date();
  const [opensslSays = ''] = await opensslVerify(
    { rootPem: root.pem, intermediatesPem: intermediates.join(''), at, leafPems: [leaf.pem] },
    workspace,
  );
  let goSays = 'no answer';
  const question = { chain: chainPem(leaf, issuer), roots: root.pem, key: '', at: at.toISOString(), hosts: [] };
  await ask(go, [question], (answer) => {
    if (typeof answer !== 'object' || answer === null || !('verifyErrors' in answer)) return;
    const { verifyErrors } = answer;
    goSays =
      typeof verifyErrors === 'object' && verifyErrors !== null
        ? Object.values(verifyErrors).join('; ')
        : 'not verified';
  });
  return { openssl: opensslSays, go: goSays };
}

const ours = (leaf: ParsedCertificate, { chain }: IssuingCa): string => {
  const result = verifyChain({ leaf, intermediates: chain.slice(0, -1), roots: chain.slice(-1), at: new Date() });
  return result.ok ? 'ok' : result.reason;
};

const refusalOf = async (work: Promise<unknown>): Promise<string> => {
  try {
    await work;
    return 'nothing';
  } catch (error) {
    if (error instanceof PkiError) return error.reason;
    throw error;
  }
};

// ---------------------------------------------------------------- CAs that work

describe('a leaf below', { timeout: 5 * MINUTES }, () => {
  test.each(['RSA', 'EC', 'Ed25519'] as const)(
    'a root with a key of %s, whose key identifier is made in another way, verifies',
    async (key) => {
      const issuer = issuing(await bring(`root-${key}`, { key }));
      const leaf = await issue(issuer);
      expect(leaf.authorityKeyId).toEqual(issuer.certificate.subjectKeyId);
      expect(await verdicts(leaf, issuer)).toEqual({ openssl: '', go: '' });
      expect(ours(leaf, issuer)).toBe('ok');
    },
  );

  test('an intermediate of a company root, with limits and an identifier of its own, verifies', async () => {
    const root = await bring('company-root', { key: 'RSA' });
    const extensions = [
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      'keyUsage=critical,digitalSignature,keyCertSign,cRLSign',
      'subjectKeyIdentifier=01020304',
      'authorityKeyIdentifier=keyid,issuer',
      'extendedKeyUsage=serverAuth,clientAuth',
      'certificatePolicies=1.2.3.4',
      'nameConstraints=critical,permitted;DNS:svc,permitted;dirName:company',
      '[company]',
      'O=Company Ltd',
    ];
    const issuer = issuing(await bring('company-issuing', { issuer: root, extensions }), root);
    const leaf = await issue(issuer);
    expect(leaf.authorityKeyId?.toString('hex')).toBe('01020304');
    const { openssl: opensslSays, go: goSays } = await verdicts(leaf, issuer);
    expect(opensslSays).toBe('');
    // Go knows no constraints on directory names, and says so.
    expect(goSays).toContain('unhandled critical extension');
    expect(ours(leaf, issuer)).toBe('ok');
  });

  test('an intermediate that was signed with RSA-PSS verifies', async () => {
    const root = await bring('pss-root', { key: 'RSA' });
    const signing = ['-sha256', '-sigopt', 'rsa_padding_mode:pss', '-sigopt', 'rsa_pss_saltlen:32'];
    const extensions = [...caExtensions, 'authorityKeyIdentifier=keyid'];
    const issuer = issuing(await bring('pss-issuing', { issuer: root, signing, extensions }), root);
    const leaf = await issue(issuer);
    expect(await verdicts(leaf, issuer)).toEqual({ openssl: '', go: '' });
    expect(ours(leaf, issuer)).toBe('ok');
  });

  test('a CA without any key identifier gets one and verifies with Go', async () => {
    const issuer = issuing(
      await bring('no-identifier', { extensions: [...caExtensions.slice(0, 2), 'subjectKeyIdentifier=none'] }),
    );
    expect(issuer.certificate.subjectKeyId).toBeUndefined();
    const leaf = await issue(issuer);
    expect(leaf.authorityKeyId).toHaveLength(20);
    expect((await verdicts(leaf, issuer)).go).toBe('');
  });
});

// ---------------------------------------------------------------- CAs that do not

describe('it is refused, before signing or on verifying,', { timeout: 5 * MINUTES }, () => {
  test('to issue what the extended key usage of the CA leaves out', async () => {
    const root = await bring('eku-root');
    const extensions = [...caExtensions, 'authorityKeyIdentifier=keyid', 'extendedKeyUsage=serverAuth'];
    const issuer = issuing(await bring('eku-issuing', { issuer: root, extensions }), root);
    expect(await refusalOf(issue(issuer))).toBe('IssuerUsageForbidden');
    const leaf = await issue(issuer, ['server auth']);
    expect(ours(leaf, issuer)).toBe('ok');
    expect((await verdicts(leaf, issuer)).openssl).toBe('');
  });

  test('to use a version 1 certificate, or one that may not sign, as a CA', async () => {
    const old = await bring('version-1', { extensions: [] });
    expect(old.certificate.isCa).toBe(false);
    expect(await refusalOf(issue(issuing(old)))).toBe('IssuerNotCa');
    const signer = await bring('no-cert-sign', {
      extensions: ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,digitalSignature'],
    });
    expect(await refusalOf(issue(issuing(signer)))).toBe('IssuerNotCa');
  });

  test('to rely on a SHA-1 signature, as Go refuses', async () => {
    const root = await bring('sha1-root', { key: 'RSA' });
    const extensions = [...caExtensions, 'authorityKeyIdentifier=keyid'];
    const issuer = issuing(await bring('sha1-issuing', { issuer: root, signing: ['-sha1'], extensions }), root);
    const leaf = await issue(issuer);
    expect(ours(leaf, issuer)).toBe('SignatureWeak');
    expect((await verdicts(leaf, issuer)).go).not.toBe('');
  });

  test('to rely on a CA with a critical extension that nobody knows', async () => {
    const root = await bring('strange-root');
    const extensions = [...caExtensions, 'authorityKeyIdentifier=keyid', '1.3.6.1.4.1.99999.1=critical,ASN1:NULL'];
    const issuer = issuing(await bring('strange-issuing', { issuer: root, extensions }), root);
    const leaf = await issue(issuer);
    expect(ours(leaf, issuer)).toBe('CriticalExtensionUnknown');
    const { openssl: opensslSays, go: goSays } = await verdicts(leaf, issuer);
    expect(opensslSays).not.toBe('');
    expect(goSays).not.toBe('');
  });

  test('to issue names outside of a directory name constraint', async () => {
    const extensions = [
      ...caExtensions,
      'nameConstraints=critical,permitted;dirName:other',
      '[other]',
      'O=Somebody Else',
    ];
    expect(await refusalOf(issue(issuing(await bring('directory', { extensions }))))).toBe('NameNotPermitted');
  });
});

// ---------------------------------------------------------------- keys and names as openssl writes them

describe('keys as openssl writes them', { timeout: 5 * MINUTES }, () => {
  const files: [string, [string, ...string[]]][] = [
    ['genpkey EC', ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-384']],
    ['genpkey ED25519', ['genpkey', '-algorithm', 'ED25519']],
    ['genpkey RSA', ['genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:3072']],
    ['genrsa -traditional', ['genrsa', '-traditional', '2048']],
    ['ecparam -genkey', ['ecparam', '-name', 'prime256v1', '-genkey']],
    [
      'ecparam -genkey, compressed',
      ['ecparam', '-name', 'prime256v1', '-genkey', '-conv_form', 'compressed', '-noout'],
    ],
  ];
  test.each(files)('%s is loaded and is the key of its certificate', async (name, [command, ...args]) => {
    const file = path(`${name.replaceAll(' ', '-')}.pem`);
    await openssl(command, '-out', file, ...args);
    await openssl('req', '-x509', '-key', file, '-subj', '/CN=x', '-out', `${file}.crt`);
    expect(keyMatches(loadKeyPair(await readFile(file)), parseCertificate(await readFile(`${file}.crt`)))).toBe(true);
  });

  test.each([
    [
      'PKCS#8',
      ['genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-aes256', '-pass', 'pass:secret'],
    ],
    ['traditional', ['genrsa', '-traditional', '-aes128', '-passout', 'pass:secret', '2048']],
  ])('an encrypted one (%s) is refused with advice', async (name, [command = '', ...args]) => {
    const file = path(`encrypted-${name.replace('#', '')}.pem`);
    await openssl(command, '-out', file, ...args);
    const pem = await readFile(file);
    expect(await refusalOf(Promise.resolve().then(() => loadKeyPair(pem)))).toBe('EncryptedPrivateKey');
  });
});

test('subjects are shown as openssl shows them by RFC 2253', async () => {
  const subject = '/C=DE/O=Größe \\/ Söhne, "Ltd" + Co/OU=#1; <x>/CN=a\\\\b=c/emailAddress=a@b.example';
  const { certificate, name } = await bring('subject', { subject });
  const shown = await openssl(
    'x509',
    '-in',
    path(`${name}.pem`),
    '-noout',
    '-subject',
    '-nameopt',
    'RFC2253,-esc_msb,utf8',
  );
  expect(`subject=${certificate.subject}\n`).toBe(shown);
});
