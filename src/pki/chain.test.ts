import { describe, expect, test } from 'vitest';
import { type ChainResult, verifyChain } from './chain.ts';
import { Certificate, type ParsedCertificate } from './parse.ts';
import { day, testCa, testLeaf } from './testing.ts';

const now = day(15);
const outcome = (result: ChainResult): string =>
  result.ok ? result.chain.map((one) => one.commonName ?? '?').join(' < ') : result.reason;

async function family() {
  const root = await testCa({ subject: { commonName: 'root' } });
  const upper = await testCa({ subject: { commonName: 'upper' }, issuer: root });
  const lower = await testCa({ subject: { commonName: 'lower' }, issuer: upper, pathLength: 0 });
  const leaf = await testLeaf(lower, { subject: { commonName: 'leaf' } });
  return { root, upper, lower, leaf, intermediates: [lower.certificate, upper.certificate], roots: [root.certificate] };
}

describe('a chain is found', () => {
  test('over intermediates in any order, among others that do not belong', async () => {
    const { leaf, intermediates, roots } = await family();
    const other = await family();
    for (const some of [
      intermediates,
      intermediates.toReversed(),
      [...other.intermediates, ...intermediates, ...intermediates],
    ]) {
      expect(outcome(verifyChain({ leaf, intermediates: some, roots: [...other.roots, ...roots], at: now }))).toBe(
        'leaf < lower < upper < root',
      );
    }
  });

  test('right under a root', async () => {
    const root = await testCa({ subject: { commonName: 'root' } });
    const leaf = await testLeaf(root, { subject: { commonName: 'leaf' } });
    expect(outcome(verifyChain({ leaf, intermediates: [], roots: [root.certificate] }))).toBe('leaf < root');
  });

  test('for a CA too, and for a root alone', async () => {
    const { lower, upper, roots } = await family();
    expect(outcome(verifyChain({ leaf: lower.certificate, intermediates: [upper.certificate], roots }))).toBe(
      'lower < upper < root',
    );
    const [root] = roots;
    if (root !== undefined) expect(outcome(verifyChain({ leaf: root, intermediates: [], roots }))).toBe('root');
  });

  test('to an intermediate that is trusted as it is', async () => {
    const { leaf, lower } = await family();
    expect(outcome(verifyChain({ leaf, intermediates: [], roots: [lower.certificate] }))).toBe('leaf < lower');
  });

  test('among several CAs of one name', async () => {
    const [one, two] = [await testCa(), await testCa()];
    const leaf = await testLeaf(two, { subject: { commonName: 'leaf' } });
    const roots = [one.certificate, two.certificate];
    const result = verifyChain({ leaf, intermediates: [], roots, at: now });
    expect(result.ok && result.chain[1] === two.certificate).toBe(true);
  });

  test('by another way when the first has a dead end', async () => {
    // The same intermediate once below a root that is not trusted and once below one that is: cross-signing.
    const [oldRoot, newRoot] = [
      await testCa({ subject: { commonName: 'old' } }),
      await testCa({ subject: { commonName: 'new' } }),
    ];
    const byOld = await testCa({ subject: { commonName: 'ca' }, issuer: oldRoot });
    const byNew = await testCa({ subject: { commonName: 'ca' }, issuer: newRoot, key: byOld.key });
    const leaf = await testLeaf(byOld, { subject: { commonName: 'leaf' } });
    for (const intermediates of [
      [byOld.certificate, byNew.certificate],
      [byNew.certificate, byOld.certificate],
    ]) {
      expect(outcome(verifyChain({ leaf, intermediates, roots: [newRoot.certificate], at: now }))).toBe(
        'leaf < ca < new',
      );
      expect(outcome(verifyChain({ leaf, intermediates, roots: [oldRoot.certificate], at: now }))).toBe(
        'leaf < ca < old',
      );
    }
  });
});

describe('a chain is refused', () => {
  test('when an issuer is missing', async () => {
    const { leaf, lower, roots } = await family();
    const result = verifyChain({ leaf, intermediates: [lower.certificate], roots });
    expect(result).toEqual({
      ok: false,
      reason: 'IssuerUnknown',
      message: 'no certificate for the issuer CN=upper of CN=lower',
    });
  });

  test('when the issuer has the name but not the key', async () => {
    const { leaf, intermediates } = await family();
    const impostor = await testCa({ subject: { commonName: 'root' } });
    expect(outcome(verifyChain({ leaf, intermediates, roots: [impostor.certificate] }))).toBe('SignatureInvalid');
  });

  test('when a single bit of the leaf was changed', async () => {
    const { leaf, intermediates, roots } = await family();
    const der = Buffer.from(leaf.der);
    der[der.length - 1] = (der.at(-1) ?? 0) ^ 1;
    expect(outcome(verifyChain({ leaf: new Certificate(der), intermediates, roots }))).toBe('SignatureInvalid');
  });

  test('when the issuer is no CA', async () => {
    const root = await testCa({ subject: { commonName: 'root' } });
    const ca = await testCa({ subject: { commonName: 'ca' }, issuer: root });
    const leaf = await testLeaf(ca, { subject: { commonName: 'leaf' } });
    // The same name and key, but a certificate for a server.
    const server = await testLeaf(root, { subject: { commonName: 'ca' } }, { key: ca.key });
    expect(outcome(verifyChain({ leaf, intermediates: [server], roots: [root.certificate] }))).toBe('NotCa');
  });

  test('when there are more CAs than one allows below', async () => {
    const root = await testCa({ subject: { commonName: 'root' } });
    const key = (await testCa()).key;
    // Issued while the root still allowed it: the same key and name without and with the constraint.
    const free = await testCa({ subject: { commonName: 'ca' }, issuer: root, key });
    const bound = await testCa({ subject: { commonName: 'ca' }, issuer: root, key, pathLength: 0 });
    const below = await testCa({ subject: { commonName: 'below' }, issuer: free });
    const leaf = await testLeaf(below, { subject: { commonName: 'leaf' } });
    const roots = [root.certificate];
    expect(outcome(verifyChain({ leaf, intermediates: [below.certificate, free.certificate], roots }))).toBe(
      'leaf < below < ca < root',
    );
    expect(outcome(verifyChain({ leaf, intermediates: [below.certificate, bound.certificate], roots }))).toBe(
      'PathTooLong',
    );
  });

  test('when it is longer than any real one', async () => {
    let ca = await testCa({ subject: { commonName: 'root' } });
    const root = ca;
    for (let i = 0; i < 9; i++) ca = await testCa({ subject: { commonName: `ca ${i}` }, issuer: ca });
    const leaf = await testLeaf(ca, { subject: { commonName: 'leaf' } });
    expect(outcome(verifyChain({ leaf, intermediates: ca.chain, roots: [root.certificate] }))).toBe('PathTooLong');
  });

  test.each([
    [day(1), 'leaf < ca < root'],
    [day(31), 'leaf < ca < root'],
    [new Date(day(1).getTime() - 1), 'NotYetValid'],
    [new Date(day(31).getTime() + 1000), 'Expired'],
  ])('at %s: %s, by the validity of the leaf', async (at, expected) => {
    const root = await testCa({ subject: { commonName: 'root' } });
    const ca = await testCa({ subject: { commonName: 'ca' }, issuer: root });
    const leaf = await testLeaf(ca, { subject: { commonName: 'leaf' } });
    expect(outcome(verifyChain({ leaf, intermediates: [ca.certificate], roots: [root.certificate], at }))).toBe(
      expected,
    );
  });

  test('when a CA or the root is not valid yet, though the leaf is', async () => {
    const root = await testCa({ subject: { commonName: 'root' }, notBefore: day(20) });
    const ca = await testCa({ subject: { commonName: 'ca' }, issuer: root, notBefore: day(10) });
    const leaf = await testLeaf(ca, { subject: { commonName: 'leaf' } });
    const at = (time: Date) => {
      const result = verifyChain({ leaf, intermediates: [ca.certificate], roots: [root.certificate], at: time });
      return result.ok ? 'ok' : result.message;
    };
    expect(at(day(5))).toContain('CN=ca is valid from');
    expect(at(day(15))).toContain('CN=root is valid from');
    expect(at(day(25))).toBe('ok');
  });

  test('when a name is outside of the constraints of a CA above', async () => {
    const root = await testCa({ subject: { commonName: 'root' } });
    const key = (await testCa()).key;
    const free = await testCa({ subject: { commonName: 'ca' }, issuer: root, key });
    const bound = await testCa({
      subject: { commonName: 'ca' },
      issuer: root,
      key,
      nameConstraints: { permitted: { dnsDomains: ['example.org'] } },
    });
    const leaf = await testLeaf(free);
    expect(verifyChain({ leaf, intermediates: [bound.certificate], roots: [root.certificate] })).toMatchObject({
      reason: 'NameNotPermitted',
      message: '"web.shop.svc" is not permitted by the name constraints of the CA CN=ca',
    });
  });
});

test('the failure that is reported is the one on the way that led furthest', async () => {
  const { leaf, intermediates, upper } = await family();
  const strangers = await Promise.all([1, 2].map(() => testCa({ subject: { commonName: 'lower' } })));
  const result = verifyChain({
    leaf,
    intermediates: [...strangers.map((one) => one.certificate), ...intermediates],
    roots: [(await testCa({ subject: { commonName: 'elsewhere' } })).certificate],
  });
  expect(result).toMatchObject({
    reason: 'IssuerUnknown',
    message: expect.stringContaining(upper.certificate.subject),
  });
});

test('many CAs of one name are not tried for ever', async () => {
  const key = (await testCa()).key;
  const leaf = await testLeaf(await testCa());
  const roots: ParsedCertificate[] = [];
  for (let i = 0; i < 200; i++) roots.push((await testCa({ key, notAfter: day(40 + i) })).certificate);
  expect(outcome(verifyChain({ leaf, intermediates: [], roots }))).toMatch(/SignatureInvalid|TooComplex/);
});
