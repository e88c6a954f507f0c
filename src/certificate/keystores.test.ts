import { beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ApiError, type ApiRequest, systemClock, type Transport } from '../kube/index.ts';
import { type Issued, issuedSecret, makeWorld, recordOf, specOf, storedSecret } from './builders.fixture.ts';
import { Keystores, keystoresRecheckAt, type PasswordLook } from './keystores.ts';
import { renderSecret } from './render.ts';
import { inspectSecret, type RawSecret } from './secretRecord.ts';

const MINUTE = 60_000;
const NOW = Date.UTC(2030, 0, 1);
const { signal } = new AbortController();
const record = recordOf();
const given = specOf({ outputs: [{ type: 'PKCS12', passwordSecretRef: { name: 'pw' } }, { type: 'JKS' }] });
const generated = specOf({ outputs: [{ type: 'PKCS12' }] });

let issued: Issued;
let keystores: Keystores;
/** The API server's Secrets by name, as they are read. */
let stock: Map<string, object>;
let reads: string[];

beforeAll(async () => {
  issued = await issuedSecret(await makeWorld());
});

beforeEach(() => {
  stock = new Map();
  reads = [];
  const request = async ({ path }: ApiRequest): Promise<unknown> => {
    const name = path.split('/').at(-1) ?? '';
    reads.push(name);
    const found = stock.get(name);
    if (found === undefined) throw new ApiError({ status: 404, reason: 'NotFound', message: `no ${name}` });
    return found;
  };
  const transport: Transport = {
    request,
    watch: () => {
      throw new Error('keystores watch nothing');
    },
    close: () => Promise.resolve(),
  };
  keystores = new Keystores({ transport, clock: { ...systemClock, now: () => NOW } });
});

function password(text: string, key = 'password'): object {
  const metadata = { namespace: 'shop', name: 'pw', uid: 'u-pw', resourceVersion: '1' };
  return { metadata, type: 'Opaque', data: { [key]: Buffer.from(text).toString('base64') } };
}

const look = (spec = given) => keystores.passwords('shop/web', record, spec, signal);

/** The Secret of a certificate whose keystores were made under these passwords. */
async function written(spec: typeof given, passwords: PasswordLook): Promise<RawSecret> {
  const made = await keystores.make(spec, issued.material, passwords, undefined);
  const material = { ...issued.material, keystores: made };
  const raw = storedSecret(renderSecret(spec, record, material, { revision: 1, renewedAt: undefined }));
  const { namespace, name, uid, resourceVersion, labels, annotations, type, data } = raw;
  stock.set('web-mtls', { metadata: { namespace, name, uid, resourceVersion, labels, annotations }, type, data });
  return raw;
}

describe('the passwords', () => {
  test('are read again within five minutes, each certificate in its own rhythm', async () => {
    stock.set('pw', password('good enough'));
    const times = await Promise.all(
      ['a', 'b', 'c', 'd'].map(async (key) => (await keystores.passwords(key, record, given, signal)).recheckAt ?? 0),
    );
    expect(new Set(times).size).toBe(4);
    for (const at of times) {
      expect(at).toBeGreaterThan(NOW + 4 * MINUTE - 1);
      expect(at).toBeLessThanOrEqual(NOW + 5 * MINUTE);
    }
  });

  test('are read again within half a minute while one cannot be used', async () => {
    const { refusal, recheckAt } = await look();
    expect(refusal?.reason).toBe('PasswordNotFound');
    expect(recheckAt).toBe(NOW + MINUTE / 2);
  });

  test('of two keystores that stand in one Secret are read once', async () => {
    stock.set('pw', password('good enough'));
    const outputs = [
      { type: 'PKCS12', passwordSecretRef: { name: 'pw', key: 'password' } },
      { type: 'JKS', passwordSecretRef: { name: 'pw', key: 'password' } },
    ] as const;
    const { given: found } = await look({ ...given, outputs: [...outputs] });
    expect([...found.keys()]).toEqual(['PKCS12', 'JKS']);
    expect(reads).toHaveLength(1);
  });

  test('are never read where they are generated', async () => {
    expect((await look(generated)).recheckAt).toBeUndefined();
    expect(reads).toEqual([]);
  });

  test.each([
    ['pwd', 'PasswordInvalid', 'under key "password" in Secret "pw" cannot be used: the password is too short'],
    ['pässword', 'PasswordInvalid', 'printable ASCII'],
    ['changeit\n', 'PasswordInvalid', 'ends with a line break'],
  ])('that cannot be used are refused without a word of them: %j', async (text, reason, message) => {
    stock.set('pw', password(text));
    const { refusal } = await look();
    expect(refusal).toMatchObject({ reason, message: expect.stringContaining(message) });
    expect(refusal?.message.replaceAll('"pw"', '')).not.toContain(text.trim());
  });

  test('that stand under another key are not there', async () => {
    stock.set('pw', password('good enough', 'pw'));
    expect((await look()).refusal).toEqual({
      reason: 'PasswordNotFound',
      message:
        'the password for PKCS12 is not there: there is no key "password" in Secret "pw": ' +
        'add that key, or correct passwordSecretRef.key',
    });
  });

  test('leave no trace in what is kept of them', async () => {
    stock.set('pw', password('good enough'));
    const first = await look();
    expect(JSON.stringify({ ...first, given: [...first.given] })).not.toContain('good enough');
    expect((await look()).stamp).toBe(first.stamp);
    stock.set('pw', password('another one'));
    expect((await look()).stamp).not.toBe(first.stamp);
  });
});

describe('keystores in a Secret', () => {
  test('are known to be right when we have made them, without a look', async () => {
    stock.set('pw', password('good enough'));
    const passwords = await look();
    const raw = await written(given, passwords);
    keystores.made('shop/web', raw.data, passwords);
    expect(keystores.areRight('shop/web', inspectSecret(raw), passwords)).toBe(true);
    expect(reads).toEqual(['pw']);
  });

  test('are judged once by making them again, and then known for as long as nothing changes', async () => {
    stock.set('pw', password('good enough'));
    const passwords = await look();
    const secret = inspectSecret(await written(given, passwords));
    expect(keystores.areRight('shop/web', secret, passwords)).toBeUndefined();
    for (let i = 0; i < 3; i++) {
      const found = await keystores.judge('shop/web', record, given, secret, passwords, signal);
      expect(found).toEqual(secret);
      expect(keystores.areRight('shop/web', secret, await look())).toBe(true);
    }
    expect(reads.filter((name) => name === 'web-mtls')).toHaveLength(1);
    keystores.forget('shop/web');
    expect(keystores.areRight('shop/web', secret, passwords)).toBeUndefined();
  });

  test.each<[string, (raw: RawSecret) => Readonly<Record<string, string>>]>([
    ['edited', ({ data }) => ({ 'keystore.p12': `${data['keystore.p12']?.slice(0, -8)}AAAAAAA=` })],
    ['swapped', ({ data }) => ({ 'keystore.p12': data['truststore.p12'] ?? '' })],
    [
      'under another generated password',
      () => ({ 'keystore-password': Buffer.from('another one').toString('base64') }),
    ],
    ['under no password that is one', () => ({ 'keystore-password': '' })],
    ['beside a key that is none', () => ({ 'tls.key': '' })],
    ['beside roots that are none', () => ({ 'ca.crt': '' })],
  ])('are wrong when they are %s', async (_, edit) => {
    const passwords = await look(generated);
    const raw = await written(generated, passwords);
    const secret = inspectSecret(raw);
    const data = { ...raw.data, ...edit(raw) };
    stock.set('web-mtls', { metadata: raw.metadata, type: raw.type, data });
    const found = await keystores.judge('shop/web', record, generated, secret, passwords, signal);
    if (found === undefined) throw new Error('the Secret was not found');
    expect(keystores.areRight('shop/web', found, passwords)).toBe(false);
  });

  test.each<[string, object]>([
    ['another alias', { outputs: [{ type: 'PKCS12', alias: 'web' }] }],
    ['another kind', { outputs: [{ type: 'JKS' }] }],
    ['both kinds', { outputs: [{ type: 'PKCS12' }, { type: 'JKS' }] }],
  ])('are wrong when %s is asked for', async (_, spec) => {
    const secret = inspectSecret(await written(generated, await look(generated)));
    const passwords = await look(specOf(spec));
    await keystores.judge('shop/web', record, specOf(spec), secret, passwords, signal);
    expect(keystores.areRight('shop/web', secret, passwords)).toBe(false);
  });

  test('that went away meanwhile are found to be gone', async () => {
    const passwords = await look(generated);
    const secret = inspectSecret(await written(generated, passwords));
    stock.delete('web-mtls');
    expect(await keystores.judge('shop/web', record, generated, secret, passwords, signal)).toBeUndefined();
  });

  test('are not judged while a password cannot be used', async () => {
    stock.set('pw', password('good enough'));
    const secret = inspectSecret(await written(given, await look()));
    stock.delete('pw');
    const passwords = await look();
    expect(await keystores.judge('shop/web', record, given, secret, passwords, signal)).toBe(secret);
    expect(keystores.areRight('shop/web', secret, passwords)).toBeUndefined();
    expect(keystoresRecheckAt(passwords, undefined, NOW)).toBe(NOW + MINUTE / 2);
  });

  test('that were changed while they were written are looked at a moment later', async () => {
    expect(keystoresRecheckAt(await look(generated), undefined, NOW)).toBe(NOW + 1000);
    expect(keystoresRecheckAt(await look(generated), true, NOW)).toBeUndefined();
    expect(keystoresRecheckAt(undefined, undefined, NOW)).toBeUndefined();
  });
});

describe('a generated password', () => {
  test('is kept as long as it is one', async () => {
    const passwords = await look(generated);
    const raw = await written(generated, passwords);
    const again = await keystores.make(generated, issued.material, passwords, raw);
    expect(again['keystore-password']).toBe(raw.data['keystore-password']);
    const broken = { ...raw, data: { ...raw.data, 'keystore-password': 'AA==' } };
    const mended = await keystores.make(generated, issued.material, passwords, broken);
    expect(Buffer.from(mended['keystore-password'] ?? '', 'base64').toString()).toMatch(/^[-\w]{32}$/);
  });

  test('is not made where each keystore has one of the user’s', async () => {
    stock.set('pw', password('good enough'));
    const spec = specOf({ outputs: [{ type: 'JKS', passwordSecretRef: { name: 'pw' } }] });
    const made = await keystores.make(spec, issued.material, await look(spec), undefined);
    expect(Object.keys(made).sort()).toEqual(['keystore.jks', 'truststore.jks']);
  });
});
