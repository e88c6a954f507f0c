import { beforeAll, describe, expect, test } from 'vitest';
import { makeCa, type TestCa } from './builders.fixture.ts';
import { issuerBehindLeaf } from './recovered.ts';
import { caIdOf } from './view.ts';

let root: TestCa;
let otherRoot: TestCa;
let issuing: TestCa;
let leaf: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root' });
  otherRoot = await makeCa({ name: 'other root' });
  issuing = await makeCa({ name: 'issuing 1', issuer: root });
  leaf = await makeCa({ name: 'leaf', issuer: issuing });
});

const pem = (...cas: TestCa[]) => cas.map(({ certificate }) => certificate.pem).join('');
const behind = (tlsCrt: string, roots = [root]) =>
  issuerBehindLeaf(
    tlsCrt,
    caIdOf(issuing.certificate),
    roots.map(({ certificate }) => certificate),
  )?.fingerprint;

describe('the issuing CA behind a leaf', () => {
  test('is read where a root of the authority has signed it', () => {
    expect(behind(pem(leaf, issuing))).toBe(issuing.certificate.fingerprint);
    expect(behind(pem(leaf, issuing), [otherRoot, root])).toBe(issuing.certificate.fingerprint);
  });

  test('is not believed where none has, though it has name and key of one', async () => {
    const forged = await makeCa({ name: 'issuing 1', key: issuing.key, issuer: otherRoot });
    expect(behind(pem(leaf, forged))).toBeUndefined();
    expect(behind(pem(leaf, issuing), [otherRoot])).toBeUndefined();
  });

  test.each([
    ['nothing', () => ''],
    ['no PEM', () => 'hello'],
    ['a broken certificate', () => pem(leaf) + pem(issuing).replaceAll('M', 'N')],
    ['the leaf alone', () => pem(leaf)],
    ['another CA first', () => pem(leaf, root, issuing)],
  ])('is not found in %s', (_, text) => {
    expect(behind(text())).toBeUndefined();
  });
});
