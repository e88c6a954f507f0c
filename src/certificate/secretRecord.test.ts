import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { caIdOf } from '../authority/index.ts';
import { type Issued, issuedSecret, makeCa, makeWorld, recordOf, type World } from './builders.fixture.ts';
import { contentOf, inspectSecret, type RawSecret, readSecret, templateKeysOf } from './secretRecord.ts';

let world: World;
let issued: Issued;

beforeAll(async () => {
  world = await makeWorld();
  issued = await issuedSecret(world);
});

const base64 = (text: string) => Buffer.from(text).toString('base64');
const text = (key: string) => Buffer.from(issued.raw.data[key] ?? '', 'base64').toString();
const withData = (changes: Readonly<Record<string, string | undefined>>): RawSecret => {
  const entries = Object.entries({ ...issued.raw.data, ...changes });
  const data = Object.fromEntries(entries.flatMap(([key, value]) => (value === undefined ? [] : [[key, value]])));
  return { ...issued.raw, data };
};
const withAnnotations = (changes: Readonly<Record<string, string>>): RawSecret => ({
  ...issued.raw,
  annotations: { ...issued.raw.annotations, ...changes },
});

/** Every piece of the key's Base64 that is long enough to mean something. */
const keyPieces = (pem: string) => {
  const body = pem.replace(/-----[^-]*-----|\n/g, '');
  return Array.from({ length: body.length - 16 }, (_, i) => body.slice(i, i + 16));
};

describe('what is remembered of a Secret', () => {
  test('is what it holds, and never the key', () => {
    const { secret, key, raw } = issued;
    expect(secret).toMatchObject({
      holder: 'web',
      authority: 'default',
      revision: 1,
      foreign: false,
      ownerUid: '',
      immutable: false,
    });
    expect(secret.content).toMatchObject({
      state: 'sound',
      keyEncoding: 'PKCS8',
      outputs: '',
      roots: world.root.certificate.fingerprint,
      leaf: { issuerId: caIdOf(world.issuing.certificate) },
    });
    const remembered = JSON.stringify(secret);
    for (const piece of keyPieces(key.pem('PKCS8'))) expect(remembered.includes(piece)).toBe(false);
    expect(remembered).not.toContain(raw.data['tls.key'] ?? '?');
  });

  test.each<[string, object]>([
    ['P-256', {}],
    ['SEC1', { privateKey: { algorithm: 'ECDSA', encoding: 'SEC1' } }],
    ['P-384', { privateKey: { algorithm: 'ECDSA', size: 384 } }],
    ['Ed25519', { privateKey: { algorithm: 'Ed25519' } }],
    ['RSA in PKCS#1', { privateKey: { algorithm: 'RSA', encoding: 'PKCS1' } }],
    ['outputs', { outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }, { type: 'Docker' }, { type: 'EnvoySDS' }] }],
    ['a SPIFFE ID', { dnsNames: [], serviceAccountName: 'web' }],
  ])('is known beforehand of what we make: %s', async (_, spec) => {
    const { secret, raw } = await issuedSecret(world, recordOf(spec));
    const { content } = secret;
    if (content.state !== 'sound') throw new Error(content.detail);
    const known = world.authority.knownIssuers.get(content.leaf.issuerId);
    const made = contentOf({
      leaf: content.leaf,
      keyEncoding: content.keyEncoding,
      intermediatesPem: known?.chainPem ?? '',
      caPem: world.authority.bundlePem,
      outputs: content.outputs,
    });
    expect(made).toEqual(inspectSecret(raw).content);
  });

  test('is taken over from an earlier look where the data are the same', () => {
    expect(inspectSecret(issued.raw, issued.secret).content).toBe(issued.secret.content);
    const changed = inspectSecret(withData({ 'ca.crt': '' }), issued.secret);
    expect(changed.content).not.toBe(issued.secret.content);
  });
});

describe('what is wrong with the data is named', () => {
  test.each<[string, () => RawSecret, string, RegExp]>([
    ['no certificate', () => withData({ 'tls.crt': undefined }), 'SecretIncomplete', /^no tls.crt$/],
    ['an empty key', () => withData({ 'tls.key': '' }), 'SecretIncomplete', /^no tls.key$/],
    ['nothing', () => withData({ 'tls.crt': '', 'tls.key': '' }), 'SecretIncomplete', /^no tls.crt, no tls.key$/],
    ['rubbish for a certificate', () => withData({ 'tls.crt': base64('rubbish') }), 'SecretUnreadable', /^tls.crt: /],
    ['rubbish for a key', () => withData({ 'tls.key': base64('rubbish') }), 'SecretUnreadable', /^tls.key: /],
    ['the key of another', () => withData({ 'tls.key': base64(world.root.key.pem('PKCS8')) }), 'KeyMismatch', /^$/],
    [
      'no intermediate',
      () => withData({ 'tls.crt': base64(text('tls.crt').slice(0, text('tls.crt').indexOf('-----END') + 26)) }),
      'ChainBroken',
      /^$/,
    ],
    [
      'rubbish behind the certificate',
      () =>
        withData({ 'tls.crt': base64(`${text('tls.crt').slice(0, text('tls.crt').indexOf('-----END') + 26)}rubbish`) }),
      'ChainBroken',
      /chain/,
    ],
  ])('%s', (_, raw, reason, detail) => {
    expect(inspectSecret(raw()).content).toMatchObject({
      state: 'broken',
      reason,
      detail: expect.stringMatching(detail),
    });
  });

  test('a certificate of somebody else’s CA under our CA’s name is not believed to be ours', async () => {
    const impostor = await makeCa({ name: 'issuing', issuer: world.root });
    const forged = await issuedSecret({
      ...world,
      authority: {
        ...world.authority,
        issuer: impostor.issuing,
        knownIssuers: new Map([
          [caIdOf(impostor.certificate), { notAfter: 4e12, chainPem: impostor.certificate.pem, fingerprint: '' }],
        ]),
      },
    });
    expect(forged.secret.content).toMatchObject({ state: 'sound' });
    if (forged.secret.content.state === 'sound')
      expect(world.authority.knownIssuers.has(forged.secret.content.leaf.issuerId)).toBe(false);
  });

  test('an edited ca.crt is no broken chain, but other roots', () => {
    for (const ca of ['', base64('rubbish'), base64(world.issuing.certificate.pem)]) {
      const { content } = inspectSecret(withData({ 'ca.crt': ca }));
      expect(content.state).toBe('sound');
      if (content.state === 'sound' && issued.secret.content.state === 'sound')
        expect(content.caDigest).not.toBe(issued.secret.content.caDigest);
    }
  });

  test('outputs that are there and wrong', async () => {
    const { raw } = await issuedSecret(world, recordOf({ outputs: [{ type: 'DER' }, { type: 'CombinedPEM' }] }));
    const outputs = (changes: object) => {
      const { content } = inspectSecret({ ...raw, data: { ...raw.data, ...changes } });
      return content.state === 'sound' ? content.outputs : content;
    };
    expect(outputs({})).toBe('CombinedPEM,DER');
    expect(outputs({ 'key.der': base64('x') })).toBe('CombinedPEM,DER!');
    expect(outputs({ 'tls-combined.pem': '' })).toBe('CombinedPEM!,DER');
  });
});

describe('whose labels, annotations, data and owners there are', () => {
  test.each<[string, () => RawSecret]>([
    ['a label', () => ({ ...issued.raw, labels: { ...issued.raw.labels, team: 'a' } })],
    ['an annotation', () => withAnnotations({ 'example.com/x': '' })],
    ['an entry of data', () => withData({ 'notes.txt': '' })],
    [
      'an entry of data called __proto__',
      () =>
        readSecret(
          JSON.parse(JSON.stringify({ metadata: issued.raw.metadata, data: { x: '' } }).replace('"x"', '"__proto__"')),
        ),
    ],
    ['a finalizer', () => ({ ...issued.raw, metadata: { ...issued.raw.metadata, finalizers: ['a/b'] } })],
    ['an owner', () => ({ ...issued.raw, ownerReferences: [{ apiVersion: 'v1', kind: 'Pod', uid: 'u' }] })],
    [
      'an owner of another group by our kind’s name',
      () => ({
        ...issued.raw,
        ownerReferences: [{ apiVersion: 'example.com/v1', kind: 'WorkloadCertificate', uid: 'u' }],
      }),
    ],
  ])('%s of others is noticed', (_, raw) => {
    expect(inspectSecret(raw()).foreign).toBe(true);
    expect(inspectSecret(raw()).ownerUid).toBe('');
  });

  test('adoption, revision and honoured renew-at are neither drift nor foreign', () => {
    const { foreign, metadataDigest } = inspectSecret(
      withAnnotations({
        'mtls-operator.io/adopt': 'x',
        'mtls-operator.io/revision': '9',
        'mtls-operator.io/renewed-at': 't',
      }),
    );
    expect([foreign, metadataDigest]).toEqual([false, issued.secret.metadataDigest]);
  });

  test('a label that is lost or changed is drift', () => {
    for (const labels of [{}, { 'mtls-operator.io/purpose': 'x' }])
      expect(inspectSecret({ ...issued.raw, labels }).metadataDigest).not.toBe(issued.secret.metadataDigest);
  });

  test.each<[string, string]>([
    ['no JSON', 'x{'],
    ['no object', '[]'],
    ['null', 'null'],
    ['no lists', '{"labels":{"a":1},"annotations":7}'],
    ['no texts in lists', '{"labels":[1,null],"annotations":[{}]}'],
  ])('a memory of template keys that is %s counts as none', (_, remembered) => {
    expect(templateKeysOf(remembered)).toEqual(templateKeysOf(undefined));
    expect(inspectSecret(withAnnotations({ 'mtls-operator.io/template': remembered })).metadataDigest).not.toBe(
      issued.secret.metadataDigest,
    );
  });
});

describe('hostile Secrets', () => {
  test.each([
    ['-1', 0],
    ['1e9', 0],
    ['9'.repeat(400), 0],
    ['Infinity', 0],
    ['', 0],
    ['0x10', 0],
    ['7', 7],
    ['999999999999', 999_999_999_999],
  ])('the revision %s is read as %i, which status can hold', (written, revision) => {
    expect(inspectSecret(withAnnotations({ 'mtls-operator.io/revision': written })).revision).toBe(revision);
  });

  test('huge annotations are not kept', () => {
    const huge = 'x'.repeat(200_000);
    const keys = ['certificate', 'adopt', 'authority', 'renewed-at', 'revision'];
    const raw = withAnnotations(Object.fromEntries(keys.map((key) => [`mtls-operator.io/${key}`, huge])));
    const owners = [{ apiVersion: 'mtls-operator.io/v1alpha1', kind: 'WorkloadCertificate', uid: huge }];
    expect(JSON.stringify(inspectSecret({ ...raw, type: huge, ownerReferences: owners })).length).toBeLessThan(4000);
  });

  const mutation = fc.oneof(
    fc.tuple(fc.constant('cut' as const), fc.double({ min: 0, max: 1, noNaN: true }), fc.string()),
    fc.tuple(fc.constant('flip' as const), fc.double({ min: 0, max: 1, noNaN: true }), fc.string()),
    fc.tuple(fc.constant('insert' as const), fc.double({ min: 0, max: 1, noNaN: true }), fc.string()),
    fc.tuple(fc.constant('double' as const), fc.constant(0), fc.string()),
    fc.tuple(fc.constant('replace' as const), fc.constant(0), fc.string()),
  );

  function mutate(given: string, [kind, where, extra]: readonly [string, number, string]): string {
    const at = Math.floor(where * given.length);
    switch (kind) {
      case 'cut':
        return given.slice(0, at);
      case 'flip':
        return `${given.slice(0, at)}${String.fromCharCode((given.charCodeAt(at) || 65) ^ 1)}${given.slice(at + 1)}`;
      case 'insert':
        return given.slice(0, at) + extra + given.slice(at);
      case 'double':
        return given + given;
      default:
        return extra;
    }
  }

  test('property: whatever was done to the data, a look never throws, and tells nothing of the key', () => {
    const pieces = keyPieces(issued.key.pem('PKCS8'));
    const keys = fc.constantFrom('tls.crt', 'tls.key', 'ca.crt', 'key.der', 'tls-combined.pem');
    fc.assert(
      fc.property(fc.array(fc.tuple(keys, mutation, fc.boolean()), { minLength: 1, maxLength: 3 }), (changes) => {
        const data: Record<string, string> = { ...issued.raw.data };
        for (const [key, change, raw] of changes) {
          const before = data[key] ?? '';
          data[key] = raw ? mutate(before, change) : base64(mutate(Buffer.from(before, 'base64').toString(), change));
        }
        const found = JSON.stringify(inspectSecret({ ...issued.raw, data }));
        expect(pieces.filter((piece) => found.includes(piece))).toEqual([]);
      }),
      { numRuns: 500 },
    );
  });

  test('property: whatever object there is, it is read as a Secret or refused with an Error', () => {
    const metadata = fc.record(
      {
        name: fc.string(),
        namespace: fc.string(),
        uid: fc.string(),
        resourceVersion: fc.string(),
        labels: fc.anything(),
        annotations: fc.anything(),
        ownerReferences: fc.anything(),
      },
      { requiredKeys: [] },
    );
    fc.assert(
      fc.property(
        fc.record(
          { metadata, type: fc.anything(), immutable: fc.anything(), data: fc.anything() },
          { requiredKeys: [] },
        ),
        (object) => {
          let raw: RawSecret;
          try {
            raw = readSecret(object);
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
            return;
          }
          expect(inspectSecret(raw).content.state).toBe('broken');
        },
      ),
      { numRuns: 300 },
    );
  });
});
