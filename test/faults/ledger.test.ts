import { describe, expect, test } from 'vitest';
import { annotations, labels, purposes } from '../../src/api/index.ts';
import { buildLeafProfile, generateKeyPair, type IssuingCa, issueCa, issueLeaf } from '../../src/pki/index.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';

// A witness that finds nothing proves nothing unless it would have found something.
const start = Date.UTC(2030, 0, 1, 12);
const second = 1_000;

const caKey = await generateKeyPair({ algorithm: 'ECDSA' });
const root = issueCa({
  subject: { commonName: 'root' },
  key: caKey,
  notBefore: new Date(start - 3_600_000),
  notAfter: new Date(start + 30 * 86_400_000),
});
const ca: IssuingCa = { certificate: root, privateKey: caKey.privateKey, chain: [root] };
const strangerKey = await generateKeyPair({ algorithm: 'ECDSA' });
const stranger = issueCa({
  subject: { commonName: 'root' },
  key: strangerKey,
  notBefore: root.notBefore,
  notAfter: root.notAfter,
});
/** Made later than the root, by a clock that ran ahead. */
const lateKey = await generateKeyPair({ algorithm: 'ECDSA' });
const lateIssuer = issuingCa('issuing', lateKey, ca, start + 3_600_000);
const earlyIssuer = issuingCa('issuing', lateKey, ca, start - 1_800_000);
const leafKey = await generateKeyPair({ algorithm: 'ECDSA' });

const base64 = (text: string): string => Buffer.from(text).toString('base64');

function issuingCa(commonName: string, key: typeof caKey, issuer: IssuingCa, notBefore: number): IssuingCa {
  const notAfter = root.notAfter;
  const certificate = issueCa({ subject: { commonName }, key, issuer, notBefore: new Date(notBefore), notAfter });
  return { certificate, privateKey: key.privateKey, chain: [certificate, root] };
}

interface Wanted {
  /** The CA above the root that signs; left out: the root. */
  readonly issuer?: IssuingCa;
  readonly at?: number;
  readonly dnsName?: string;
  readonly issuedAt?: number;
  readonly keyPem?: string;
  readonly caPem?: string;
}

/** A Secret as etcd has it, of a certificate that lasts a minute. */
function secret({
  at = start,
  dnsName = 'web.shop.svc',
  issuedAt = at,
  keyPem,
  caPem,
  issuer = ca,
}: Wanted = {}): object {
  const profile = buildLeafProfile({
    subject: {},
    dnsNames: [dnsName],
    ipAddresses: [],
    uris: [],
    emailAddresses: [],
    usages: ['server auth'],
    key: { algorithm: 'ECDSA' },
  });
  const [notBefore, notAfter] = [new Date(issuedAt - 6 * second), new Date(issuedAt + 60 * second)];
  const leaf = issueLeaf({ profile, key: leafKey, issuer, notBefore, notAfter });
  const chain = issuer === ca ? '' : issuer.certificate.pem;
  return {
    type: 'kubernetes.io/tls',
    metadata: {
      labels: { [labels.purpose]: purposes.workloadCertificate },
      annotations: { [annotations.certificate]: 'web' },
      managedFields: [{ manager: 'mtls-operator', time: new Date(at).toISOString() }],
    },
    data: {
      'tls.crt': base64(leaf.pem + chain),
      'tls.key': base64(keyPem ?? leafKey.pem('PKCS8')),
      'ca.crt': base64(caPem ?? root.pem),
    },
  };
}

function certificate(generation = 1, dnsName = 'web.shop.svc'): object {
  return {
    metadata: { namespace: 'shop', name: 'web', uid: 'u1', generation },
    spec: { secretName: 'web', dnsNames: [dnsName], duration: '1m', renewBefore: '45s' },
  };
}

/** A ledger that has seen these in turn. */
function ledgerOf(objects: readonly (object | 'deleted')[], options: LedgerOptions = {}, now = start): Ledger {
  const ledger = new Ledger({ now: () => now, ...options });
  let revision = 1;
  const certificateKey = '/registry/mtls-operator.io/workloadcertificates/shop/web';
  ledger.take({ key: certificateKey, revision, object: certificate() });
  for (const object of objects) {
    revision += 1;
    const key = object !== 'deleted' && 'spec' in object ? certificateKey : '/registry/secrets/shop/web';
    ledger.take({ key, revision, object: object === 'deleted' ? undefined : object });
  }
  return ledger;
}

describe('what the ledger finds', () => {
  test('nothing in a certificate that is made and renewed when it is due', () => {
    const { violations, issuances } = ledgerOf(
      [secret(), secret({ at: start + 15 * second })],
      {},
      start + 20 * second,
    ).close();
    expect(violations).toEqual([]);
    expect(issuances).toEqual({ first: 1, spec: 0, due: 1, clock: 0, superfluous: 0 });
  });

  test.each<[string, Wanted, RegExp]>([
    ['a key of another certificate', { keyPem: strangerKey.pem('PKCS8') }, /key does not match/],
    ['a chain that does not end in ca.crt', { caPem: stranger.pem }, /chain does not verify/],
    ['a missing ca.crt', { caPem: '' }, /no ca.crt/],
    [
      'a certificate that had expired when it was written',
      { issuedAt: start - 120 * second },
      /not valid when it is written/,
    ],
    ['a certificate that begins in the future', { issuedAt: start + 120 * second }, /not valid when it is written/],
    [
      'an issuing CA that begins in the future, below a root that has begun',
      { issuer: lateIssuer },
      /not valid when it is written \(CN=issuing/,
    ],
    ['a name that the spec does not ask for', { dnsName: 'other.shop.svc' }, /DNS names are \[other\.shop\.svc\]/],
  ])('%s', (_title, wanted, message) => {
    expect(
      ledgerOf([secret(wanted)])
        .close()
        .violations.join(),
    ).toMatch(message);
  });

  test('nothing in a chain that begins with its root in the future: by a clock that was set back no CA can be valid', () => {
    const before = start - 7_200_000;
    const { violations } = ledgerOf([secret({ at: before, issuer: earlyIssuer })], {}, before).close();
    expect(violations).toEqual([]);
  });

  test('a certificate that is replaced long before it is due', () => {
    const summary = ledgerOf([secret(), secret({ at: start + 5 * second })]).close();
    expect(summary.issuances.superfluous).toBe(1);
    expect(summary.superfluous).toHaveLength(1);
  });

  test('no superfluous one where the spec has changed', () => {
    const changed = secret({ at: start + 5 * second, dnsName: 'new.shop.svc' });
    const { issuances, violations } = ledgerOf([secret(), certificate(2, 'new.shop.svc'), changed]).close();
    expect(violations).toEqual([]);
    expect(issuances).toMatchObject({ first: 1, spec: 1, superfluous: 0 });
  });

  test('a certificate that goes back to an older spec', () => {
    const changed = secret({ dnsName: 'new.shop.svc' });
    const { violations } = ledgerOf([certificate(2, 'new.shop.svc'), changed, secret()]).close();
    expect(violations.join()).toMatch(/goes back from spec generation 2 to 1/);
  });

  test('a certificate that expires before it is renewed, and one that has expired at the end', () => {
    const late = [secret(), secret({ at: start + 65 * second })];
    expect(
      ledgerOf(late, {}, start + 70 * second)
        .close()
        .violations.join(),
    ).toMatch(/expired at .* until it was renewed/);
    expect(
      ledgerOf([secret()], {}, start + 61 * second)
        .close()
        .violations.join(),
    ).toMatch(/expired at .* still/);
  });

  test('no expiry in a span in which nothing could be written', () => {
    const outages = [[start + 20 * second, start + 66 * second]] as const;
    const late = [secret(), secret({ at: start + 68 * second })];
    const options = { outages, graceMs: 5 * second };
    expect(ledgerOf(late, options, start + 70 * second).close().violations).toEqual([]);
  });

  test('a write around the same certificate', () => {
    const one = secret();
    expect(ledgerOf([one, one]).close().rewrites).toBe(1);
  });

  test('what is not at rest', () => {
    expect(ledgerOf([]).unsettled()).toEqual(['shop/web: there is no Secret']);
    expect(ledgerOf([secret()]).unsettled().join()).toMatch(/Ready is undefined/);
    expect(ledgerOf([secret()], {}, start + 30 * second).overdue(10 * second)).toEqual(['shop/web']);
  });

  test('a CA that is made twice', () => {
    const generation = (signer: typeof root, key: typeof caKey): object => ({
      metadata: {
        labels: { [labels.purpose]: purposes.authority, [labels.authority]: 'default' },
        annotations: { [annotations.role]: 'Root', [annotations.generation]: '1' },
      },
      data: { 'tls.crt': base64(signer.pem), 'tls.key': base64(key.pem('PKCS8')) },
    });
    const ledger = new Ledger();
    ledger.take({ key: '/registry/secrets/mtls-system/a', revision: 1, object: generation(root, caKey) });
    expect(ledger.close().violations).toEqual([]);
    ledger.take({ key: '/registry/secrets/mtls-system/b', revision: 2, object: generation(stranger, strangerKey) });
    expect(ledger.close().violations.join()).toMatch(/was made twice/);
  });
});
