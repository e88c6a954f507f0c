// Name constraints against OpenSSL and Go: what checkNameConstraints lets pass must pass with both, and what it refuses must fail with at least one. The names and
// the subtrees are drawn from a tiny world, so that they meet often. PKI_SEED=<number> repeats a run.

import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  buildLeafProfile,
  checkNameConstraints,
  generateKeyPair,
  issueCa,
  issueLeaf,
  type NameConstraintsRequest,
  type ParsedCertificate,
  verifyChain,
} from '../../src/pki/index.ts';
import { ask, buildVerifier, makeWorkspace, opensslVerify, type Workspace } from './verifiers.ts';

const SETS = 60;
const LEAVES_PER_SET = 30;
const seed = Number(process.env['PKI_SEED'] ?? Date.now() % 1_000_000);
const MINUTES = 60_000;
const at = new Date('2026-06-01T00:00:00Z');
const validity = { notBefore: new Date('2026-01-01T00:00:00Z'), notAfter: new Date('2027-01-01T00:00:00Z') };

let workspace: Workspace;
beforeAll(async () => {
  workspace = await makeWorkspace();
});
afterAll(async () => {
  await workspace[Symbol.asyncDispose]();
});

// ---------------------------------------------------------------- a tiny world

const domain = fc
  .array(fc.constantFrom('a', 'b'), { minLength: 0, maxLength: 3 })
  .map((labels) => [...labels, 'x'].join('.'));
const oddCase = (text: fc.Arbitrary<string>) =>
  fc.tuple(text, fc.nat(4)).map(([t, n]) => (n === 0 ? t.toUpperCase() : t));
const dotted = (text: fc.Arbitrary<string>) => fc.tuple(text, fc.nat(2)).map(([t, n]) => (n === 0 ? `.${t}` : t));
const local = fc.constantFrom('u', 'v');
const address = fc.oneof(
  fc
    .tuple(fc.constantFrom(9, 10), fc.constantFrom(0, 1), fc.constantFrom(0, 255))
    .map(([a, b, c]) => `${a}.${b}.0.${c}`),
  fc.tuple(fc.constantFrom('2001:db8', '2001:db9'), fc.constantFrom('0', '1')).map(([a, b]) => `${a}::${b}`),
);

const subtrees = fc.record({
  dnsDomains: fc.array(
    fc.oneof({ weight: 12, arbitrary: oddCase(dotted(domain)) }, { weight: 1, arbitrary: fc.constant('') }),
    { maxLength: 2 },
  ),
  ipRanges: fc.array(
    fc.constantFrom('10.0.0.0/8', '10.1.0.0/16', '9.0.0.0/32', '0.0.0.0/0', '2001:db8::/32', '2001:db8::1/128', '::/0'),
    { maxLength: 2 },
  ),
  uriDomains: fc.array(oddCase(dotted(domain)), { maxLength: 1 }),
  emailAddresses: fc.array(
    fc.oneof(
      oddCase(dotted(domain)),
      fc.tuple(local, domain).map(([user, host]) => `${user}@${host}`),
    ),
    { maxLength: 1 },
  ),
});
const isEmpty = (part: Record<string, readonly string[]>) => Object.values(part).every((list) => list.length === 0);
const constraints: fc.Arbitrary<NameConstraintsRequest> = fc
  .record({ permitted: subtrees, excluded: subtrees })
  .filter(({ permitted, excluded }) => !isEmpty(permitted) || !isEmpty(excluded));

const wildcard = domain.filter((name) => name.includes('.')).map((name) => `*.${name}`);
const uri = fc.oneof(
  {
    weight: 4,
    arbitrary: fc
      .tuple(domain, fc.constantFrom('', '/p', ':1/p', '?q', '/p:q'))
      .map(([host, rest]) => `s://${host}${rest}`),
  },
  { weight: 1, arbitrary: fc.constantFrom('urn:u:1', 's://10.0.0.0/', 's://u@a.x/', 's://[2001:db8::1]/') },
);
const names = fc
  .record({
    commonName: fc.option(fc.oneof(domain, fc.constant('Some Body')), { nil: undefined, freq: 4 }),
    dnsNames: fc.array(fc.oneof(domain, wildcard), { maxLength: 2 }),
    ipAddresses: fc.array(address, { maxLength: 1 }),
    uris: fc.array(uri, { maxLength: 1 }),
    emailAddresses: fc.array(
      fc.tuple(local, domain).map(([user, host]) => `${user}@${host}`),
      { maxLength: 1 },
    ),
  })
  .filter((some) => [...some.dnsNames, ...some.ipAddresses, ...some.uris, ...some.emailAddresses].length > 0);

// ---------------------------------------------------------------- the check

test('what passes our check passes with OpenSSL and Go, and what we refuse one of them refuses too', {
  timeout: 10 * MINUTES,
}, async () => {
  console.log(`${SETS * LEAVES_PER_SET} certificates below name-constrained CAs, PKI_SEED=${seed}`);
  const go = await buildVerifier('verifier', workspace);
  const rootKey = await generateKeyPair({ algorithm: 'ECDSA' });
  const caKey = await generateKeyPair({ algorithm: 'ECDSA' });
  const leafKey = await generateKeyPair({ algorithm: 'ECDSA' });
  const root = issueCa({ subject: { commonName: 'Root' }, key: rootKey, ...validity });
  const rootIssuer = { certificate: root, privateKey: rootKey.privateKey, chain: [root] };
  const makeCa = (nameConstraints?: NameConstraintsRequest) =>
    issueCa({
      subject: { commonName: 'CA' },
      key: caKey,
      issuer: rootIssuer,
      ...validity,
      ...(nameConstraints === undefined ? {} : { nameConstraints }),
    });
  // issueLeaf would refuse; a CA of the same name and key without constraints signs what the constrained one must not.
  const twin = makeCa();
  const issuer = { certificate: twin, privateKey: caKey.privateKey, chain: [twin, root] };

  const verdicts = { passed: 0, refused: 0 };
  const problems: string[] = [];
  const sets = fc.sample(
    fc.tuple(constraints, fc.array(names, { minLength: LEAVES_PER_SET, maxLength: LEAVES_PER_SET })),
    { numRuns: SETS, seed },
  );
  for (const [nameConstraints, requests] of sets) {
    const ca = makeCa(nameConstraints);
    const leaves = requests.map(({ commonName, ...alternative }) => {
      const profile = buildLeafProfile({
        subject: { commonName },
        ...alternative,
        usages: [],
        key: { algorithm: 'ECDSA' },
      });
      return issueLeaf({ profile, key: leafKey, issuer, ...validity });
    });
    const ours = leaves.map((leaf) => checkNameConstraints(leaf, [ca]).map((violation) => violation.message));
    const openssl = await opensslVerify(
      { rootPem: root.pem, intermediatesPem: ca.pem, at, leafPems: leaves.map((leaf) => leaf.pem) },
      workspace,
    );
    await ask(
      go,
      leaves.map((leaf) => goQuestion(leaf, ca, root)),
      (answer, i) => {
        const goSays = verifyError(answer);
        const opensslSays = openssl[i] ?? '';
        const weSay = ours[i] ?? [];
        const fine = weSay.length === 0 ? goSays === '' && opensslSays === '' : goSays !== '' || opensslSays !== '';
        const leaf = leaves[i];
        const chain = leaf === undefined ? undefined : verifyChain({ leaf, intermediates: [ca], roots: [root], at });
        if (!fine || chain?.ok !== (weSay.length === 0)) {
          problems.push(
            JSON.stringify({ nameConstraints, names: requests[i], weSay, goSays, opensslSays, chain: chain?.ok }),
          );
        }
        verdicts[weSay.length === 0 ? 'passed' : 'refused']++;
      },
    );
  }
  expect(
    problems.length === 0 ? [] : [`${problems.length} problems, PKI_SEED=${seed}`, ...problems.slice(0, 5)],
  ).toEqual([]);
  // Both verdicts occur often enough to mean something.
  expect(Math.min(verdicts.passed, verdicts.refused)).toBeGreaterThan((SETS * LEAVES_PER_SET) / 20);
});

const goQuestion = (leaf: ParsedCertificate, ca: ParsedCertificate, root: ParsedCertificate) => ({
  chain: leaf.pem + ca.pem,
  roots: root.pem,
  key: '',
  at: '2026-06-01T00:00:00Z',
  hosts: [],
});

function verifyError(answer: unknown): string {
  if (typeof answer !== 'object' || answer === null || !('parseError' in answer) || !('verifyErrors' in answer))
    return 'no answer';
  if (answer.parseError !== '') return String(answer.parseError);
  const { verifyErrors } = answer;
  return typeof verifyErrors === 'object' && verifyErrors !== null && 'any' in verifyErrors
    ? String(verifyErrors.any)
    : '';
}
