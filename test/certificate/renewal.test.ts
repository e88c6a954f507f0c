/** When a certificate is issued anew: in its time, when its spec changes, when somebody asks; and when it is not. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { CheckedSecret } from '../support/secret.ts';
import { condition, inSeconds, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
  const names = [
    {
      namespaces: {},
      ipAddresses: ['192.0.2.0/24'],
      uris: ['https://shop.example.com/*'],
      emailAddresses: ['*@example.com'],
      commonNames: ['replicator'],
      subjects: [{ organizations: ['Example Ltd'] }],
    },
  ];
  await world.patchAuthority('default', { spec: { names } });
});

afterAll(() => world?.[Symbol.asyncDispose]());

const RENEW_AT = 'mtls-operator.io/renew-at';
/** Issued anew every eight seconds or so: a busy machine must not miss one. */
const shortLived = { duration: '1m', renewBefore: '50s' };

/** The Secret once it has this revision. */
const revision = (namespace: string, name: string, number: number): Promise<CheckedSecret> =>
  world.secretWhen(namespace, name, `to have revision ${number}`, (secret) => secret.revision >= number, {
    timeoutMs: 60_000,
  });

describe('renewal', () => {
  test.concurrent('comes in time and again, each with a new key, and status follows', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', shortLived);
    await world.ready(namespace, 'web');
    const first = await world.secret(namespace, 'web');
    const second = await revision(namespace, 'web', 2);
    const third = await revision(namespace, 'web', 3);
    expect(new Set([first, second, third].map(({ serialNumber }) => serialNumber)).size).toBe(3);
    expect(second.key.equals(first.key)).toBe(false);
    expect(third.key.equals(second.key)).toBe(false);
    for (const [older, newer] of [
      [first, second],
      [second, third],
    ] as const) {
      // Never before its time, which is renewBefore less a twentieth of the life.
      expect(newer.leaf.validToDate.getTime() - 60_000).toBeGreaterThanOrEqual(
        older.leaf.validToDate.getTime() - 58_000,
      );
      expect(newer.leaf.validFromDate.getTime()).toBeLessThan(older.leaf.validToDate.getTime());
    }
    const { status } = await world.until(
      namespace,
      'web',
      'to tell of the third',
      ({ status }) => (status.revision ?? 0) >= 3,
    );
    const present = await world.secret(namespace, 'web');
    expect(present.revision).toBeGreaterThanOrEqual(status.revision ?? 0);
    expect((await world.events(namespace, 'web')).map(({ reason }) => reason)).toEqual(['Issued']);
    const issued = await world.issuances(namespace, 3);
    expect(issued.map(({ reason }) => reason).slice(0, 3)).toEqual(['SecretMissing', 'RenewalDue', 'RenewalDue']);
    expect(issued[1]).toMatchObject({
      serialNumber: second.serialNumber,
      dnsNames: [`web.${namespace}.svc`],
      revision: 2,
    });
  });

  test.concurrent('keeps the key with rotationPolicy Never', async () => {
    const namespace = await world.namespace();
    const privateKey = { rotationPolicy: 'Never' };
    await world.createSimple(namespace, 'web', { privateKey });
    await world.ready(namespace, 'web');
    const first = await world.secret(namespace, 'web');
    await world.annotate(namespace, 'web', { [RENEW_AT]: inSeconds(0) });
    const second = await revision(namespace, 'web', 2);
    expect(second.serialNumber).not.toBe(first.serialNumber);
    expect(second.key.equals(first.key)).toBe(true);
    // A key that does not fit the spec any more is not kept.
    await world.patch(namespace, 'web', { spec: { privateKey: { ...privateKey, algorithm: 'ECDSA', size: 384 } } });
    const third = await revision(namespace, 'web', 3);
    expect(third.key.asymmetricKeyDetails?.namedCurve).toBe('secp384r1');
  });

  test.concurrent('mends damage at once, however often it has renewed before', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', shortLived);
    // One more than would be damped.
    const often = await revision(namespace, 'web', 5);
    await world.patch(namespace, 'web', { metadata: { labels: { touched: 'yes' } } });
    await world.patchSecret(namespace, 'web', { data: { 'ca.crt': Buffer.from('nothing').toString('base64') } });
    await world.secretWhen(namespace, 'web', 'to be whole', () => true);
    expect(often.revision).toBeGreaterThanOrEqual(5);
    expect((await world.events(namespace, 'web')).map(({ reason }) => reason)).not.toContain('Damped');
  });
});

describe('renew-at', () => {
  test.concurrent('in the past issues one certificate; the same value again none, also after a restart', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const text = inSeconds(-3600);
    await world.annotate(namespace, 'web', { [RENEW_AT]: text });
    const second = await revision(namespace, 'web', 2);
    expect(second.object.metadata.annotations['mtls-operator.io/renewed-at']).toBe(text);
    await world.annotate(namespace, 'web', { [RENEW_AT]: null });
    await world.annotate(namespace, 'web', { [RENEW_AT]: text });
    // What comes after it is honoured, and is the very next revision.
    const later = inSeconds(-60);
    await world.annotate(namespace, 'web', { [RENEW_AT]: later });
    await waitFor(
      'the later request',
      async () =>
        (await world.secret(namespace, 'web')).object.metadata.annotations['mtls-operator.io/renewed-at'] === later,
    );
    expect((await world.secret(namespace, 'web')).revision).toBe(3);
  });

  test.concurrent('in the future issues at that time, not before', async () => {
    const namespace = await world.namespace();
    const at = inSeconds(12); // time to be issued and looked at before
    await world.create(
      namespace,
      'web',
      { secretName: 'web', dnsNames: [`web.${namespace}.svc`] },
      { annotations: { [RENEW_AT]: at } },
    );
    expect((await world.ready(namespace, 'web')).status.renewalTime).toBe(at);
    expect((await world.secret(namespace, 'web')).revision).toBe(1);
    const second = await revision(namespace, 'web', 2);
    const after = await world.until(namespace, 'web', 'to tell of it', ({ status }) => status.revision === 2);
    expect(Date.parse(after.status.renewalTime ?? '')).toBeGreaterThan(Date.parse(at) + 3_600_000);
    expect(second.leaf.validToDate.getTime() - 24 * 3_600_000).toBeGreaterThanOrEqual(Date.parse(at));
  });

  test.concurrent('that is no time is named in the condition and an event, and nothing else happens', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await world.annotate(namespace, 'web', { [RENEW_AT]: 'tomorrow' });
    expect((await world.event(namespace, 'web', 'RenewAtInvalid')).note).toMatch(/"tomorrow": write an RFC 3339 time/);
    const issuing = await world.reason(namespace, 'web', 'Issuing', 'RenewAtInvalid');
    expect(issuing).toMatchObject({ status: 'False' });
    expect(issuing.message).toMatch(/"tomorrow": write an RFC 3339 time/);
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    await world.annotate(namespace, 'web', { [RENEW_AT]: null });
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).revision).toBe(1);
  });
});

describe('a change of spec', () => {
  const dns = (namespace: string) => `web.${namespace}.svc`;
  const changes: readonly [string, (namespace: string) => object][] = [
    ['dnsNames', (namespace) => ({ dnsNames: [dns(namespace), `more.${namespace}.svc`] })],
    ['ipAddresses', () => ({ ipAddresses: ['192.0.2.1'] })],
    ['uris', () => ({ uris: ['https://shop.example.com/a'] })],
    ['emailAddresses', () => ({ emailAddresses: ['ops@example.com'] })],
    ['commonName', () => ({ commonName: 'replicator' })],
    ['subject', () => ({ subject: { organizations: ['Example Ltd'] } })],
    ['usages', () => ({ usages: ['server auth'] })],
    ['duration', () => ({ duration: '23h' })],
    ['privateKey.algorithm', () => ({ privateKey: { algorithm: 'Ed25519' } })],
    ['privateKey.encoding', () => ({ privateKey: { algorithm: 'ECDSA', encoding: 'SEC1' } })],
    ['privateKey.size', () => ({ privateKey: { algorithm: 'ECDSA', encoding: 'SEC1', size: 384 } })],
    ['authorityRef', () => ({ authorityRef: { name: 'other' } })],
    ['serviceAccountName', () => ({ uris: null, usages: null, serviceAccountName: 'web' })],
  ];

  test.concurrent('issues exactly one certificate, whatever field it is', async () => {
    await world.createAuthority('other', {
      trustDomain: 'other.example',
      selfSigned: {},
      names: (await world.authority('default')).spec.names ?? [],
    });
    await world.authorityReason('other', 'Ready');
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const mark = await world.auditMark();
    let before = await world.secret(namespace, 'web');
    for (const [field, change] of changes) {
      await world.patch(namespace, 'web', { spec: change(namespace) });
      const { status, spec } = await world.ready(namespace, 'web');
      const after = await world.secret(namespace, 'web', { authority: spec.authorityRef.name });
      expect(after.revision, field).toBe(before.revision + 1);
      expect(after.serialNumber, field).not.toBe(before.serialNumber);
      expect(status.serialNumber, field).toBe(after.serialNumber);
      before = after;
    }
    const writes = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
    expect(writes.filter(({ resource }) => resource === 'secrets')).toHaveLength(changes.length);
    expect(writes.filter(({ resource }) => resource === 'workloadcertificates/status')).toHaveLength(changes.length);
    expect(writes.filter(({ code }) => code >= 300)).toEqual([]);
  });

  test.concurrent('of renewBefore only moves the time of renewal', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    const { status } = await world.ready(namespace, 'web');
    await world.patch(namespace, 'web', { spec: { renewBefore: '1h' } });
    const after = await world.ready(namespace, 'web');
    expect(Date.parse(after.status.renewalTime ?? '')).toBeGreaterThan(Date.parse(status.renewalTime ?? ''));
    expect(after.status.serialNumber).toBe(status.serialNumber);
  });

  test.concurrent('of template and outputs writes the Secret again around the same certificate', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', {
      secretTemplate: { labels: { a: '1' }, annotations: { 'example.com/b': '2' } },
    });
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    const mark = await world.auditMark();
    await world.patch(namespace, 'web', {
      spec: { secretTemplate: { labels: { a: null, c: '3' }, annotations: null } },
    });
    await world.ready(namespace, 'web');
    const relabelled = await world.secret(namespace, 'web');
    expect(relabelled.object.metadata.labels).toEqual({ c: '3', 'mtls-operator.io/purpose': 'workload-certificate' });
    expect(Object.keys(relabelled.object.metadata.annotations)).not.toContain('example.com/b');
    await world.patch(namespace, 'web', { spec: { outputs: [{ type: 'CombinedPEM' }] } });
    await world.ready(namespace, 'web');
    const combined = await world.secret(namespace, 'web');
    expect(combined.text('tls-combined.pem') === combined.text('tls.key') + combined.text('tls.crt')).toBe(true);
    await world.patch(namespace, 'web', { spec: { outputs: null } });
    await world.ready(namespace, 'web');
    const plain = await world.secret(namespace, 'web');
    expect(Object.keys(plain.object.data)).not.toContain('tls-combined.pem');
    for (const after of [relabelled, combined, plain]) {
      expect(after.serialNumber).toBe(before.serialNumber);
      expect(after.key.equals(before.key)).toBe(true);
      expect(after.revision).toBe(1);
    }
    const writes = (await world.writesSince(mark)).filter(
      (write) => write.namespace === namespace && write.resource === 'secrets',
    );
    expect(writes).toHaveLength(3);
  });

  test.concurrent('of secretName makes the new Secret and leaves the old one behind', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await world.patch(namespace, 'web', { spec: { secretName: 'moved' } });
    const { status } = await world.ready(namespace, 'web');
    const moved = await world.secret(namespace, 'moved', { holder: 'web' });
    expect(status).toMatchObject({ secretName: 'moved', serialNumber: moved.serialNumber });
    expect((await world.secret(namespace, 'web')).serialNumber).not.toBe(moved.serialNumber);
  });
});

describe('a restart of the operator', () => {
  test('honours no renew-at twice and issues nothing', async () => {
    const namespace = await world.namespace();
    await world.create(
      namespace,
      'web',
      { secretName: 'web', dnsNames: [`web.${namespace}.svc`] },
      { annotations: { [RENEW_AT]: inSeconds(-5) } },
    );
    await world.ready(namespace, 'web');
    const before = await world.secretWhen(
      namespace,
      'web',
      'to have honoured it',
      (secret) => secret.object.metadata.annotations['mtls-operator.io/renewed-at'] !== undefined,
    );
    await world.ready(namespace, 'web');
    // Events are written in their own time.
    await world.event(namespace, 'web', 'Issued');
    const mark = await world.auditMark();
    await world.restartOperator();
    const after = await world.secret(namespace, 'web');
    expect(after.serialNumber).toBe(before.serialNumber);
    expect((await world.writesSince(mark)).filter((write) => write.namespace === namespace)).toEqual([]);
  });
});
