// The proof that what src/pki issues is what was asked for, in the eyes of others: at least 10,000 generated specifications, judged by
// `openssl verify -x509_strict`, Go's crypto/x509 and crypto/tls, go-spiffe, and Node's own parser. OpenSSL and Go each accept what the other refuses.
// The seed is printed; PKI_SEED=<number> repeats a run, PKI_SPECS=<number> changes how many.

import { createPrivateKey, X509Certificate } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildLeafProfile,
  chainPem,
  generateKeyPair,
  type IssuingCa,
  issueCa,
  issueLeaf,
  type KeyPair,
  type KeySpec,
  keySpecText,
  type LeafProfile,
  type NameConstraintsRequest,
  type ParsedCertificate,
  parseCertificates,
  resolveKeySpec,
  verifyChain,
} from '../../src/pki/index.ts';
import { type LeafSpec, leafSpec } from './pkiSpecs.ts';
import { ask, buildVerifier, makeWorkspace, opensslVerify, type Workspace } from './verifiers.ts';

const SPECS = Number(process.env['PKI_SPECS'] ?? 10_000);
const seed = Number(process.env['PKI_SEED'] ?? Date.now() % 1_000_000);
const MINUTES = 60_000;

// ---------------------------------------------------------------- authorities

interface Authority {
  readonly name: string;
  readonly issuer: IssuingCa;
  readonly root: ParsedCertificate;
  readonly constrained: boolean;
  /** When its leaves are verified, and how far around that their validity may reach. */
  readonly at: Date;
  readonly secondsBefore: number;
  readonly secondsAfter: number;
}

const caKeys: KeySpec[] = [
  { algorithm: 'ECDSA', size: 256 },
  { algorithm: 'ECDSA', size: 384 },
  { algorithm: 'RSA', size: 2048 },
  { algorithm: 'RSA', size: 3072 },
  { algorithm: 'Ed25519' },
];
const YEAR = 365 * 24 * 3600;
/** Today, across the change from UTCTime to GeneralizedTime, and the ends of what can be written. */
const times = [
  { at: new Date('2026-06-01T12:00:00Z'), secondsBefore: YEAR, secondsAfter: 10 * YEAR },
  { at: new Date('2050-01-01T00:00:00Z'), secondsBefore: 300, secondsAfter: 300 },
  { at: new Date('2124-02-29T23:59:59Z'), secondsBefore: YEAR, secondsAfter: 100 * YEAR },
  { at: new Date('1970-01-02T00:00:00Z'), secondsBefore: YEAR, secondsAfter: 3600 },
  { at: new Date('9999-12-31T23:59:00Z'), secondsBefore: 3600, secondsAfter: 59 },
];
const always = { notBefore: new Date('1950-01-01T00:00:00Z'), notAfter: new Date('9999-12-31T23:59:59Z') };
const constraints: NameConstraintsRequest = {
  permitted: { dnsDomains: [''], ipRanges: ['0.0.0.0/0', '::/0'] },
  excluded: {
    dnsDomains: ['forbidden.example'],
    ipRanges: ['203.0.113.7/32'],
    uriDomains: ['.forbidden.example'],
    emailAddresses: ['root@forbidden.example'],
  },
};

async function makeRoot(spec: KeySpec, name: string, nameConstraints?: NameConstraintsRequest): Promise<IssuingCa> {
  const key = await generateKeyPair(spec);
  const subject = { commonName: name, organizations: ['Tests & Co'] };
  const certificate = issueCa({
    subject,
    key,
    ...always,
    ...(nameConstraints === undefined ? {} : { nameConstraints }),
  });
  return { certificate, privateKey: key.privateKey, chain: [certificate] };
}

async function makeIntermediate(
  spec: KeySpec,
  name: string,
  issuer: IssuingCa,
  nameConstraints?: NameConstraintsRequest,
): Promise<IssuingCa> {
  const key = await generateKeyPair(spec);
  const order = { subject: { commonName: name }, key, issuer, pathLength: 0, ...always };
  const certificate = issueCa(nameConstraints === undefined ? order : { ...order, nameConstraints });
  return { certificate, privateKey: key.privateKey, chain: [certificate, ...issuer.chain] };
}

/** CAs of every algorithm, as root and as intermediate below a root of another algorithm, with and without name constraints. */
async function makeAuthorities(): Promise<Authority[]> {
  const authorities: Authority[] = [];
  for (const [i, spec] of caKeys.entries()) {
    for (const constrained of [false, true]) {
      for (const intermediate of [false, true]) {
        const name = `${keySpecText(resolveKeySpec(spec))} ${intermediate ? 'intermediate' : 'root'}${constrained ? ' with constraints' : ''}`;
        const limits = constrained ? constraints : undefined;
        const upper = intermediate
          ? await makeRoot(caKeys[(i + 1) % caKeys.length] ?? spec, `Root of ${name}`)
          : undefined;
        const issuer =
          upper === undefined ? await makeRoot(spec, name, limits) : await makeIntermediate(spec, name, upper, limits);
        const time = times[authorities.length % times.length] ?? {
          at: always.notBefore,
          secondsBefore: 0,
          secondsAfter: 1,
        };
        authorities.push({ name, issuer, root: upper?.certificate ?? issuer.certificate, constrained, ...time });
      }
    }
  }
  return authorities;
}

// ---------------------------------------------------------------- issuing

interface Issued {
  readonly spec: LeafSpec;
  readonly authority: Authority;
  readonly profile: LeafProfile;
  readonly key: KeyPair;
  readonly leaf: ParsedCertificate;
  readonly notBefore: Date;
  readonly notAfter: Date;
}

/** A few RSA keys for all: making one takes as long as a thousand certificates. */
const rsaKeys = new Map<string, Promise<KeyPair>>();
function keyFor(spec: KeySpec): Promise<KeyPair> {
  if (spec.algorithm !== 'RSA') return generateKeyPair(spec);
  const text = keySpecText(resolveKeySpec(spec));
  const key = rsaKeys.get(text) ?? generateKeyPair(spec);
  rsaKeys.set(text, key);
  return key;
}

async function issue(authority: Authority, spec: LeafSpec): Promise<Issued> {
  const profile = buildLeafProfile(spec.request);
  const key = await keyFor(spec.request.key);
  const notBefore = new Date(authority.at.getTime() - spec.secondsBefore * 1000);
  const notAfter = new Date(authority.at.getTime() + spec.secondsAfter * 1000);
  const leaf = issueLeaf({ profile, key, issuer: authority.issuer, notBefore, notAfter });
  return { spec, authority, profile, key, leaf, notBefore, notAfter };
}

let workspace: Workspace;
let issued: Issued[] = [];

beforeAll(async () => {
  console.log(`${SPECS} generated certificates, PKI_SEED=${seed}`);
  workspace = await makeWorkspace();
  const authorities = await makeAuthorities();
  const each = Math.ceil(SPECS / authorities.length);
  issued = [];
  for (const [i, authority] of authorities.entries()) {
    const arbitrary = leafSpec({ ...authority, underConstraints: authority.constrained });
    for (const spec of fc.sample(arbitrary, { numRuns: each, seed: seed + i }))
      issued.push(await issue(authority, spec));
  }
}, 10 * MINUTES);

afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

/** Fails with the first few differences, each with its specification; never prints a key. */
function expectNone(problems: readonly string[]): void {
  expect(
    problems.length === 0 ? [] : [`${problems.length} problems, PKI_SEED=${seed}`, ...problems.slice(0, 5)],
  ).toEqual([]);
}

/** Compares field by field. @returns one line per difference */
function differences(what: Issued, expected: Record<string, unknown>, actual: Record<string, unknown>): string[] {
  return Object.keys(expected)
    .filter((field) => !isDeepStrictEqual(expected[field], actual[field]))
    .map((field) =>
      describeProblem(
        what,
        `${field}: expected ${JSON.stringify(expected[field])}, got ${JSON.stringify(actual[field])}`,
      ),
    );
}

const describeProblem = ({ authority, spec }: Issued, problem: string): string =>
  `${problem}\n  under ${authority.name}: ${JSON.stringify(spec.request)}`;

const isObject = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null;

const intermediatesPem = ({ issuer }: Authority): string =>
  issuer.chain
    .filter((ca) => !ca.selfSigned)
    .map((ca) => ca.pem)
    .join('');

describe(`${SPECS} generated certificates`, () => {
  test('there are enough, of every kind of key', () => {
    expect(issued.length).toBeGreaterThanOrEqual(SPECS);
    const kinds = new Set(issued.map(({ spec }) => spec.expected.publicKey));
    expect([...kinds].sort()).toEqual(['ECDSA 256', 'ECDSA 384', 'Ed25519', 'RSA 2048', 'RSA 3072', 'RSA 4096']);
  });

  test('openssl verify -x509_strict accepts each, for the purposes that were asked for', {
    timeout: 10 * MINUTES,
  }, async () => {
    const problems: string[] = [];
    for (const [authority, certificates] of Map.groupBy(issued, (one) => one.authority)) {
      const verify = (some: readonly Issued[], purpose?: 'sslserver' | 'sslclient') =>
        opensslVerify(
          {
            rootPem: authority.root.pem,
            intermediatesPem: intermediatesPem(authority),
            at: authority.at,
            leafPems: some.map(({ leaf }) => leaf.pem),
            ...(purpose === undefined ? {} : { purpose }),
          },
          workspace,
        ).then((said) =>
          said.flatMap((problem, i) =>
            problemsOf(some[i], problem === '' ? [] : [`${purpose ?? 'any purpose'}: ${problem}`]),
          ),
        );
      const withUsage = (usage: string) =>
        certificates.filter(({ spec }) => spec.expected.extendedKeyUsage.includes(usage));
      const neither = certificates.filter(({ spec }) => spec.expected.extendedKeyUsage.length === 0);
      problems.push(...(await verify(neither)));
      problems.push(...(await verify(withUsage('serverAuth'), 'sslserver')));
      problems.push(...(await verify(withUsage('clientAuth'), 'sslclient')));
    }
    expectNone(problems);
  });

  test('Go parses what was asked for, verifies each chain for just the purposes asked for, and loads the key', {
    timeout: 10 * MINUTES,
  }, async () => {
    const binary = await buildVerifier('verifier', workspace);
    const problems: string[] = [];
    await ask(binary, issued.map(goQuestion), (answer, i) => {
      const one = issued[i];
      if (one === undefined || !isObject(answer)) throw new Error('no answer');
      problems.push(...differences(one, goExpectation(one), { ...answer, verified: verifiedPurposes(answer) }));
    });
    expectNone(problems);
  });

  test("Node's parser finds what was asked for, and the key and the issuer belong to it", {
    timeout: 10 * MINUTES,
  }, () => {
    expectNone(issued.flatMap((one) => differences(one, nodeExpectation(one), nodeFindings(one))));
  });

  test('our own parser and chain verification agree', { timeout: 10 * MINUTES }, () => {
    expectNone(issued.flatMap((one) => differences(one, ownExpectation(one), ownFindings(one))));
  });

  test('go-spiffe verifies each certificate with a SPIFFE ID', { timeout: 10 * MINUTES }, async () => {
    const binary = await buildVerifier('spiffe', workspace);
    const svids = issued.filter(({ spec }) => spec.expected.uris[0]?.startsWith('spiffe://'));
    expect(svids.length).toBeGreaterThan(issued.length / 10);
    const problems: string[] = [];
    await ask(binary, svids.map(spiffeQuestion), (answer, i) => {
      const one = svids[i];
      if (one === undefined || !isObject(answer)) throw new Error('no answer');
      const problem =
        answer['error'] === '' && answer['id'] === one.spec.expected.uris[0]
          ? ''
          : `go-spiffe: ${JSON.stringify(answer)}`;
      problems.push(...problemsOf(one, problem === '' ? [] : [problem]));
    });
    expectNone(problems);
  });

  test('every serial number is positive, 16 octets long and unlike any other', () => {
    const serials = issued.map(({ leaf }) => leaf.serialNumber);
    expect(serials.filter((serial) => !/^[4-7][0-9A-F]{31}$/.test(serial))).toEqual([]);
    expect(new Set(serials).size).toBe(serials.length);
  });
});

const problemsOf = (one: Issued | undefined, problems: readonly string[]): string[] =>
  one === undefined ? [...problems] : problems.map((problem) => describeProblem(one, problem));

// ---------------------------------------------------------------- Go

const wholeSeconds = (time: Date): string => time.toISOString().replace(/\.\d+Z$/, 'Z');

const goQuestion = ({ spec, leaf, authority, key }: Issued) => ({
  chain: chainPem(leaf, authority.issuer),
  roots: authority.root.pem,
  key: key.pem(spec.encoding),
  at: wholeSeconds(authority.at),
  hosts: [
    ...spec.expected.dnsNames.map((name) => name.replace(/^\*/, 'any')),
    ...spec.expected.ipAddresses.map(addressText),
  ],
});

/** In full, never shortened. */
const addressText = (octets: string): string =>
  octets.length === 8 ? Buffer.from(octets, 'hex').join('.') : octets.replace(/(.{4})(?=.)/g, '$1:');

const signatureAlgorithms: Readonly<Record<string, string>> = {
  'ECDSA 256': 'ECDSA-SHA256',
  'ECDSA 384': 'ECDSA-SHA384',
  'RSA 2048': 'SHA256-RSA',
  'RSA 3072': 'SHA256-RSA',
  Ed25519: 'Ed25519',
};

function goExpectation({ spec, authority, notBefore, notAfter, leaf }: Issued): Record<string, unknown> {
  const { expected } = spec;
  const listOrNull = (values: readonly unknown[]) => (values.length === 0 ? null : values);
  const hasNames = [expected.dnsNames, expected.ipAddresses, expected.uris, expected.emailAddresses].some(
    (names) => names.length > 0,
  );
  const critical = ['2.5.29.15', '2.5.29.19'];
  if (hasNames && expected.subject.length === 0) critical.push('2.5.29.17');
  const issuerKeyId = authority.issuer.certificate.subjectKeyId?.toString('hex');
  return {
    parseError: '',
    keyError: '',
    hostErrors: null,
    chainLength: authority.issuer.chain.length + 1,
    version: 3,
    serialNumber: leaf.serialNumber,
    subject: listOrNull(expected.subject),
    notBefore: wholeSeconds(notBefore),
    notAfter: wholeSeconds(notAfter),
    dnsNames: listOrNull(expected.dnsNames),
    ipAddresses: listOrNull(expected.ipAddresses),
    uris: listOrNull(expected.uris),
    emailAddresses: listOrNull(expected.emailAddresses),
    criticalExtensions: critical,
    keyUsage: expected.keyUsage.includes('keyEncipherment') ? 0b101 : 0b001,
    extKeyUsage: listOrNull(expected.extendedKeyUsage),
    basicConstraints: true,
    isCa: false,
    authorityKeyId: issuerKeyId,
    issuerKeyId,
    publicKey: expected.publicKey,
    signatureAlgorithm:
      signatureAlgorithms[
        authority.name
          .split(' ')
          .slice(0, authority.name.startsWith('Ed') ? 1 : 2)
          .join(' ')
      ],
    verified: [
      'any',
      ...(expected.extendedKeyUsage.length === 0 ? ['clientAuth', 'serverAuth'] : expected.extendedKeyUsage.toSorted()),
    ],
  };
}

function verifiedPurposes(answer: Record<string, unknown>): unknown {
  const errors = answer['verifyErrors'];
  return isObject(errors) ? ['any', 'clientAuth', 'serverAuth'].filter((purpose) => !(purpose in errors)) : errors;
}

// ---------------------------------------------------------------- go-spiffe

const spiffeQuestion = ({ spec, leaf, authority, key }: Issued) => ({
  chain: chainPem(leaf, authority.issuer),
  key: key.pem('PKCS8'),
  roots: authority.root.pem,
  trustDomain: spec.expected.uris[0]?.split('/')[2] ?? '',
  at: wholeSeconds(authority.at),
});

// ---------------------------------------------------------------- Node

const nodeAttributes: Readonly<Record<string, string>> = {
  '2.5.4.6': 'C',
  '2.5.4.8': 'ST',
  '2.5.4.7': 'L',
  '2.5.4.9': 'street',
  '2.5.4.17': 'postalCode',
  '2.5.4.10': 'O',
  '2.5.4.11': 'OU',
  '2.5.4.3': 'CN',
  '2.5.4.5': 'serialNumber',
};
const purposeOids: Readonly<Record<string, string>> = {
  serverAuth: '1.3.6.1.5.5.7.3.1',
  clientAuth: '1.3.6.1.5.5.7.3.2',
};

function nodeExpectation({ spec, notBefore, notAfter, leaf }: Issued): Record<string, unknown> {
  const { expected } = spec;
  return {
    subject: Object.fromEntries(
      [...Map.groupBy(expected.subject, ([id]) => nodeAttributes[id] ?? id)].map(([name, values]) => [
        name,
        values.map(([, value]) => value),
      ]),
    ),
    names: [
      ...expected.dnsNames.map((name) => `DNS:${name}`),
      ...expected.ipAddresses.map((address) => `IP Address:${address}`),
      ...expected.uris.map((uri) => `URI:${uri}`),
      ...expected.emailAddresses.map((address) => `email:${address}`),
    ],
    serialNumber: leaf.serialNumber,
    validFrom: wholeSeconds(notBefore),
    validTo: wholeSeconds(notAfter),
    purposes: expected.extendedKeyUsage.map((purpose) => purposeOids[purpose]),
    isCa: false,
    keyBelongs: true,
    issuerBelongs: true,
    signatureVerifies: true,
  };
}

function nodeFindings({ spec, leaf, key, authority }: Issued): Record<string, unknown> {
  const x509 = new X509Certificate(leaf.pem);
  const issuer = new X509Certificate(authority.issuer.certificate.pem);
  const subject: Record<string, unknown> = { ...x509.toLegacyObject().subject };
  return {
    subject: Object.fromEntries(Object.entries(subject).map(([name, value]) => [name, [value].flat()])),
    names: nodeNames(x509.subjectAltName ?? ''),
    serialNumber: x509.serialNumber,
    validFrom: wholeSeconds(x509.validFromDate),
    validTo: wholeSeconds(x509.validToDate),
    purposes: x509.keyUsage ?? [],
    isCa: x509.ca,
    keyBelongs: x509.checkPrivateKey(createPrivateKey(key.pem(spec.encoding))),
    issuerBelongs: x509.checkIssued(issuer),
    signatureVerifies: x509.verify(issuer.publicKey),
  };
}

/** Node joins the names with commas and writes doubtful ones as JSON strings; addresses come out in full. */
function nodeNames(text: string): string[] {
  return [...text.matchAll(/(DNS|IP Address|URI|email):("(?:[^"\\]|\\.)*"|[^,]*)(?:, |$)/g)].map(
    ([, kind = '', value = '']) => {
      const plain: unknown = value.startsWith('"') ? JSON.parse(value) : value;
      return `${kind}:${kind === 'IP Address' ? addressOctets(value) : String(plain)}`;
    },
  );
}

const addressOctets = (text: string): string =>
  text.includes('.')
    ? Buffer.from(text.split('.').map(Number)).toString('hex')
    : text
        .split(':')
        .map((part) => part.padStart(4, '0').toLowerCase())
        .join('');

// ---------------------------------------------------------------- our own

function ownExpectation({ spec, profile, notBefore, notAfter, authority }: Issued): Record<string, unknown> {
  const { expected } = spec;
  return {
    dnsNames: expected.dnsNames,
    ipAddresses: profile.request.ipAddresses,
    uris: expected.uris,
    emailAddresses: expected.emailAddresses,
    keyUsage: expected.keyUsage,
    extendedKeyUsage: expected.extendedKeyUsage,
    notBefore: wholeSeconds(notBefore),
    notAfter: wholeSeconds(notAfter),
    profileDigest: profile.digest,
    chain: authority.issuer.chain.length + 1,
  };
}

function ownFindings({ leaf, authority }: Issued): Record<string, unknown> {
  const [parsed, ...intermediates] = parseCertificates(chainPem(leaf, authority.issuer));
  if (parsed === undefined) return {};
  const chain = verifyChain({ leaf: parsed, intermediates, roots: [authority.root], at: authority.at });
  return {
    dnsNames: parsed.dnsNames,
    ipAddresses: parsed.ipAddresses,
    uris: parsed.uris,
    emailAddresses: parsed.emailAddresses,
    keyUsage: [...parsed.keyUsage],
    extendedKeyUsage: [...parsed.extendedKeyUsage],
    notBefore: wholeSeconds(parsed.notBefore),
    notAfter: wholeSeconds(parsed.notAfter),
    profileDigest: parsed.profileDigest,
    chain: chain.ok ? chain.chain.length : chain,
  };
}
