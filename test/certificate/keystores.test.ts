/** Outputs PKCS12 and JKS as openssl and Java's keytool read them, their passwords, and what becomes of them when somebody edits something. */
import { createPrivateKey, createPublicKey, X509Certificate } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { run } from '../support/command.ts';
import { listKeystore } from '../support/java.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { certificatesIn, readSecretObject, type SecretObject } from '../support/secret.ts';
import { condition, inSeconds, items, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const stores = ['keystore.p12', 'truststore.p12', 'keystore.jks', 'truststore.jks'];
const b64 = (text: string) => Buffer.from(text).toString('base64');
const storesOf = ({ data }: SecretObject) => Object.fromEntries(stores.map((key) => [key, data[key]]));
const text = ({ data }: SecretObject, key: string) => Buffer.from(data[key] ?? '', 'base64').toString('utf8');

let files = 0;
async function fileOf(content: Buffer): Promise<string> {
  const file = join(world.workspace.directory, `keystore-${files++}`);
  await writeFile(file, content, { mode: 0o600 });
  return file;
}

/** Key and certificates of a PKCS#12 file in PEM, as openssl sees them. */
async function openedByOpenssl(object: SecretObject, key: string, password: string) {
  const file = await fileOf(Buffer.from(object.data[key] ?? '', 'base64'));
  const out = `${file}.pem`;
  await run('openssl', ['pkcs12', '-in', file, '-passin', `pass:${password}`, '-nodes', '-out', out]);
  const pem = await readFile(out, 'utf8');
  const certificates = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
  const [keyPem] = pem.match(/-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----\n/) ?? [];
  return { pem, certificates: certificates.map((block) => new X509Certificate(block)), keyPem };
}

/** Asserts that every store asked for opens with the password and holds what the Secret holds. */
async function expectStores(object: SecretObject, password: string, alias = 'certificate'): Promise<void> {
  const chain = certificatesIn(text(object, 'tls.crt')).map(({ fingerprint256 }) => fingerprint256);
  const roots = certificatesIn(text(object, 'ca.crt')).map(({ fingerprint256 }) => fingerprint256);
  for (const type of ['p12', 'jks']) {
    if (object.data[`keystore.${type}`] === undefined) continue;
    const read = async (name: string) =>
      await listKeystore(await fileOf(Buffer.from(object.data[name] ?? '', 'base64')), password);
    expect(await read(`keystore.${type}`)).toEqual([{ alias, type: 'PrivateKeyEntry', fingerprints: chain }]);
    expect(await read(`truststore.${type}`)).toEqual(
      roots.map((root, i) => ({ alias: `root-${i + 1}`, type: 'trustedCertEntry', fingerprints: [root] })),
    );
  }
  if (object.data['keystore.p12'] === undefined) return;
  const { certificates, keyPem, pem } = await openedByOpenssl(object, 'keystore.p12', password);
  expect(certificates.map(({ fingerprint256 }) => fingerprint256).sort()).toEqual([...chain].sort());
  expect(pem).toContain(`friendlyName: ${alias}`);
  // Never compared as texts: a failure would print the key.
  const isSameKey = createPublicKey(createPrivateKey(keyPem ?? '')).equals(
    createPublicKey(createPrivateKey(text(object, 'tls.key'))),
  );
  expect(isSameKey).toBe(true);
}

const both = (more: object = {}) => ({
  outputs: [
    { type: 'PKCS12', ...more },
    { type: 'JKS', ...more },
  ],
});
const fromSecret = both({ passwordSecretRef: { name: 'web-keystore', key: 'pw' } });

async function passwordSecret(namespace: string, value: string | undefined): Promise<void> {
  const data = value === undefined ? {} : { pw: b64(value) };
  await world.createSecret(namespace, { metadata: { name: 'web-keystore' }, data });
}

/** By itself the operator reads a password every five minutes; any look at the certificate reads it, too. */
async function lookAgain(namespace: string): Promise<void> {
  await world.annotate(namespace, 'web', { 'example.com/looked-at': new Date().toISOString() });
}

describe('a password that is generated', () => {
  test.concurrent('stands in the Secret, opens every store, and is kept over renewals and restarts', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', both());
    await world.ready(namespace, 'web');
    const first = await world.secret(namespace, 'web');
    const password = first.text('keystore-password');
    expect(password).toMatch(/^[-\w]{32}$/);
    await expectStores(first.object, password);
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(0) });
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    expect(renewed.text('keystore-password') === password).toBe(true);
    await expectStores(renewed.object, password);
  });

  test.concurrent('that somebody has replaced is the password from then on; one that is none is replaced', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', both());
    await world.ready(namespace, 'web');
    // Before the password: the operator may be faster than the next request.
    const before = storesOf(await world.secretObject(namespace, 'web'));
    await world.patchSecret(namespace, 'web', { data: { 'keystore-password': b64('their own choice') } });
    const mended = await world.secretWhen(
      namespace,
      'web',
      'to be written again',
      ({ object }) => object.data['keystore.p12'] !== before['keystore.p12'],
    );
    expect(mended.text('keystore-password')).toBe('their own choice');
    await expectStores(mended.object, 'their own choice');
    await world.patchSecret(namespace, 'web', { data: { 'keystore-password': b64('short') } });
    const again = await world.secretWhen(
      namespace,
      'web',
      'to have another password',
      (secret) => secret.text('keystore-password') !== 'short',
    );
    await expectStores(again.object, again.text('keystore-password'));
    expect(again.revision).toBe(1);
  });

  test.concurrent('is not in the Secret any more when there is one of the user’s', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', both());
    await world.ready(namespace, 'web');
    await passwordSecret(namespace, 'from a Secret');
    await world.patch(namespace, 'web', { spec: fromSecret });
    const after = await world.secretWhen(
      namespace,
      'web',
      'to lose the password',
      ({ object }) => object.data['keystore-password'] === undefined,
    );
    expect(after.revision).toBe(1);
    await expectStores(after.object, 'from a Secret');
  });
});

describe('a password of the user’s', () => {
  test.concurrent.each([
    { algorithm: 'ECDSA', size: 256 },
    { algorithm: 'ECDSA', size: 384, encoding: 'SEC1' },
    { algorithm: 'RSA', encoding: 'PKCS1' },
    { algorithm: 'Ed25519' },
  ])('opens the stores of a key %j', async (privateKey) => {
    const namespace = await world.namespace();
    const password = ` ~"$'\\ é`.replace('é', '#;&|<>`%^ ');
    await passwordSecret(namespace, password);
    const outputs = fromSecret.outputs.map((output) => ({ ...output, alias: 'web.shop_1-x' }));
    await world.createSimple(namespace, 'web', { privateKey, outputs });
    await world.ready(namespace, 'web');
    const { object } = await world.secret(namespace, 'web');
    expect(Object.keys(object.data)).not.toContain('keystore-password');
    await expectStores(object, password, 'web.shop_1-x');
  });

  test.concurrent('that changes is followed, around the same certificate', async () => {
    const namespace = await world.namespace();
    await passwordSecret(namespace, 'the first one');
    await world.createSimple(namespace, 'web', fromSecret);
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    await world.patchSecret(namespace, 'web-keystore', { data: { pw: b64('the second one') } });
    await lookAgain(namespace);
    const after = await world.secretWhen(
      namespace,
      'web',
      'to be written again',
      ({ object }) => object.data['keystore.jks'] !== before.object.data['keystore.jks'],
    );
    expect([after.serialNumber, after.revision]).toEqual([before.serialNumber, 1]);
    await expectStores(after.object, 'the second one');
  });

  test.concurrent.each([
    ['its Secret is not there', undefined, 'PasswordNotFound', 'there is no Secret "web-keystore": create it'],
    ['its key is not there', {}, 'PasswordNotFound', 'there is no key "pw" in Secret "web-keystore": add that key'],
    ['it is empty', { pw: '' }, 'PasswordInvalid', 'the password is empty'],
    ['it is too short', { pw: b64('12345') }, 'PasswordInvalid', 'the password is too short'],
    ['it is too long', { pw: b64('x'.repeat(129)) }, 'PasswordInvalid', 'the password is too long'],
    ['it ends with a line break', { pw: b64('changeit\n') }, 'PasswordInvalid', 'the password ends with a line break'],
    ['it is not ASCII', { pw: b64('pässword') }, 'PasswordInvalid', 'other than printable ASCII characters'],
    ['it is not text', { pw: Buffer.alloc(32, 0xff).toString('base64') }, 'PasswordInvalid', 'other than printable'],
  ])('stops nothing but its own certificate and says so where %s', async (_, data, reason, message) => {
    const namespace = await world.namespace();
    if (data !== undefined) await world.createSecret(namespace, { metadata: { name: 'web-keystore' }, data });
    await world.createSimple(namespace, 'web', fromSecret);
    await world.createSimple(namespace, 'other');
    await world.ready(namespace, 'other');
    const { message: told } = await world.reason(namespace, 'web', 'Ready', reason);
    expect(told).toContain(message);
    expect((await world.event(namespace, 'web', reason)).note).toContain(message);
    expect(await world.findSecret(namespace, 'web')).toBeUndefined();
    // Without a Secret it is left to the operator to find out, within half a minute by itself.
    if (data === undefined) {
      await passwordSecret(namespace, 'good enough');
    } else {
      await world.patchSecret(namespace, 'web-keystore', { data: { pw: b64('good enough') } });
      await lookAgain(namespace);
    }
    await world.ready(namespace, 'web', { timeoutMs: 60_000 });
    await expectStores(await world.secretObject(namespace, 'web'), 'good enough');
  });

  test.concurrent('that is lost leaves the last good Secret in place, and is told of before it expires', async () => {
    const namespace = await world.namespace();
    await passwordSecret(namespace, 'good enough');
    await world.createSimple(namespace, 'web', fromSecret);
    await world.ready(namespace, 'web');
    const before = await world.secretObject(namespace, 'web');
    await world.removeSecret(namespace, 'web-keystore');
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(0) });
    const { message } = await world.reason(namespace, 'web', 'Issuing', 'PasswordNotFound');
    expect(message).toContain('there is no Secret "web-keystore"');
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    expect((await world.secretObject(namespace, 'web')).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    await passwordSecret(namespace, 'good enough again');
    await lookAgain(namespace);
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    await expectStores(renewed.object, 'good enough again');
  });

  test.concurrent('that is not there keeps the Secret from getting keystores, and nothing else from working', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const before = await world.secretObject(namespace, 'web');
    await world.patch(namespace, 'web', { spec: fromSecret });
    await world.reason(namespace, 'web', 'Ready', 'PasswordNotFound');
    expect((await world.secretObject(namespace, 'web')).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
    await world.patch(namespace, 'web', { spec: { outputs: null } });
    await world.ready(namespace, 'web');
    expect((await world.secretObject(namespace, 'web')).metadata.resourceVersion).toBe(before.metadata.resourceVersion);
  });
});

describe('a keystore that somebody has edited', () => {
  const flipped = (base64: string | undefined) => {
    const octets = Buffer.from(base64 ?? '', 'base64');
    const last = octets.length - 1;
    octets[last] = (octets[last] ?? 0) ^ 1;
    return octets.toString('base64');
  };

  test.concurrent.each<[string, (own: SecretObject, other: SecretObject) => object]>([
    ['has one bit turned', ({ data }) => ({ 'keystore.p12': flipped(data['keystore.p12']) })],
    ['is empty', () => ({ 'keystore.jks': '' })],
    ['is gone', () => ({ 'truststore.p12': null })],
    ['is another certificate’s', (_, { data }) => ({ 'keystore.jks': data['keystore.jks'] })],
    ['trusts others', ({ data }) => ({ 'truststore.jks': data['keystore.jks'] })],
    ['is text, like all others', () => Object.fromEntries(stores.map((key) => [key, b64('x')]))],
  ])('is mended where it %s', async (_, edit) => {
    const namespace = await world.namespace();
    await passwordSecret(namespace, 'good enough');
    for (const name of ['web', 'other']) await world.createSimple(namespace, name, fromSecret);
    for (const name of ['web', 'other']) await world.ready(namespace, name);
    const before = await world.secretObject(namespace, 'web');
    const edited = await world.patchSecret(namespace, 'web', {
      data: edit(before, await world.secretObject(namespace, 'other')),
    });
    const mended = await waitFor('the Secret to be mended', async () => {
      const now = await world.secretObject(namespace, 'web');
      return now.metadata.resourceVersion === edited.metadata.resourceVersion ? undefined : now;
    });
    // The same content under the same password is the same file.
    expect(storesOf(mended)).toEqual(storesOf(before));
    await world.ready(namespace, 'web');
  });
});

test('a restart with nothing to do writes nothing, whosever the passwords are', async () => {
  const namespace = await world.namespace();
  await passwordSecret(namespace, 'good enough');
  await world.createSimple(namespace, 'given', fromSecret);
  await world.createSimple(namespace, 'generated', both());
  for (const name of ['given', 'generated']) {
    await world.ready(namespace, name);
    // Events are written in their own time.
    await world.event(namespace, name, 'Issued');
  }
  const mark = await world.auditMark();
  await world.restartOperator();
  const logged = () => world.operator.lines.some((line) => line.includes('judged every certificate'));
  await waitFor('every certificate to be judged', logged);
  // What comes after it in the queue is done: so is all that was judged.
  await world.createSimple(namespace, 'later');
  await world.ready(namespace, 'later');
  const writes = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
  expect(writes.filter(({ name }) => ['given', 'generated'].some((own) => name.startsWith(own)))).toEqual([]);
  // An edit during the outage of an operator is found all the same.
  await world.operator.stop();
  const before = await world.secretObject(namespace, 'given');
  await world.patchSecret(namespace, 'given', { data: { 'truststore.jks': before.data['keystore.jks'] } });
  await world.startOperator();
  await world.secretWhen(
    namespace,
    'given',
    'to be mended',
    ({ object }) => object.data['truststore.jks'] === before.data['truststore.jks'],
  );
});

test('what docs/clients.md shows of Java is what happens', async () => {
  const document = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'clients.md'), 'utf8');
  const [yaml] = fencedBlocks(document).filter(({ language }) => language === 'yaml');
  await world.cluster.kubectl(['create', 'namespace', 'shop']);
  await world.cluster.kubectl(['apply', '-f', '-'], { input: yaml?.text ?? '' });
  await world.ready('shop', 'web');
  const { object } = await world.secret('shop', 'web-mtls', { holder: 'web' });
  await expectStores(object, text(object, 'keystore-password'));
  for (const key of ['keystore.p12', 'truststore.p12', 'keystore-password']) {
    expect(document).toContain(`| \`${key}\` |`);
    expect(object.data[key]).toBeDefined();
  }
});

test('no password stands in logs, events, conditions or annotations', async () => {
  const everything = [
    ...world.operators.flatMap(({ lines }) => lines),
    await world.cluster.kubectl(['get', 'events', '-A', '-o', 'json']),
    await world.cluster.kubectl(['get', 'wcert', '-A', '-o', 'json']),
    await world.cluster.kubectl(['get', 'secrets', '-A', '-o', 'jsonpath={.items[*].metadata}']),
  ].join('\n');
  const secrets = items(await world.send('GET', '/api/v1/secrets')).map(readSecretObject);
  const passwords = secrets.flatMap(({ data }) =>
    [data['pw'], data['keystore-password']].flatMap((value) =>
      value === undefined || value.length < 12 ? [] : [Buffer.from(value, 'base64').toString('utf8')],
    ),
  );
  expect(passwords.length).toBeGreaterThan(10);
  expect(passwords.filter((password) => everything.includes(password))).toEqual([]);
});
