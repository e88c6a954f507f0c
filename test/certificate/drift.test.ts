/** What somebody else does to a live Secret: damage is mended, what is theirs stays, and who does not stop is damped and named. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type CheckedSecret, certificatesIn } from '../support/secret.ts';
import { condition, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

const b64 = (text: string) => Buffer.from(text).toString('base64');

interface Case {
  readonly name: string;
  /** What is done to the Secret, as a merge patch; undefined deletes it. */
  readonly edit: (secret: CheckedSecret, other: CheckedSecret) => object | undefined;
  /** Whether the certificate itself is lost by it. */
  readonly reissued: boolean;
}

const certificate = 'mtls-operator.io/';

const cases: readonly Case[] = [
  {
    name: 'a key of another certificate',
    edit: (_, other) => ({ data: { 'tls.key': b64(other.text('tls.key')) } }),
    reissued: true,
  },
  { name: 'no key', edit: () => ({ data: { 'tls.key': '' } }), reissued: true },
  {
    name: 'a key that is none',
    edit: () => ({ data: { 'tls.key': b64('-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n') } }),
    reissued: true,
  },
  { name: 'no certificate', edit: () => ({ data: { 'tls.crt': '' } }), reissued: true },
  { name: 'text for a certificate', edit: () => ({ data: { 'tls.crt': b64('x') } }), reissued: true },
  {
    name: 'another certificate with its key',
    edit: (_, other) => ({ data: { 'tls.crt': b64(other.text('tls.crt')), 'tls.key': b64(other.text('tls.key')) } }),
    reissued: true,
  },
  {
    name: 'roots of others in ca.crt',
    edit: (secret) => ({ data: { 'ca.crt': b64(secret.text('ca.crt') + secret.intermediates.map(String).join('')) } }),
    reissued: false,
  },
  { name: 'no ca.crt', edit: () => ({ data: { 'ca.crt': null } }), reissued: false },
  {
    name: 'the root behind the intermediate',
    edit: (secret) => ({ data: { 'tls.crt': b64(secret.text('tls.crt') + secret.text('ca.crt')) } }),
    reissued: false,
  },
  {
    name: 'no label of ours',
    edit: () => ({ metadata: { labels: { [`${certificate}purpose`]: null } } }),
    reissued: false,
  },
  {
    name: 'a label of the template changed',
    edit: () => ({ metadata: { labels: { team: 'theirs' } } }),
    reissued: false,
  },
  { name: 'a label of the template removed', edit: () => ({ metadata: { labels: { team: null } } }), reissued: false },
  {
    name: 'an annotation of the template removed',
    edit: () => ({ metadata: { annotations: { 'example.com/note': null } } }),
    reissued: false,
  },
  {
    name: 'no annotation of the authority',
    edit: () => ({ metadata: { annotations: { [`${certificate}authority`]: null } } }),
    reissued: false,
  },
  {
    name: 'no memory of the template',
    edit: () => ({ metadata: { annotations: { [`${certificate}template`]: 'nonsense' } } }),
    reissued: false,
  },
  { name: 'a broken CombinedPEM', edit: () => ({ data: { 'tls-combined.pem': b64('x') } }), reissued: false },
  { name: 'a broken DER', edit: () => ({ data: { 'key.der': b64('x') } }), reissued: false },
  { name: 'nothing left of it', edit: () => undefined, reissued: true },
];

const spec = {
  secretTemplate: { labels: { team: 'shop' }, annotations: { 'example.com/note': 'ours' } },
  outputs: [{ type: 'CombinedPEM' }, { type: 'DER' }],
};

function isWhole(secret: CheckedSecret): boolean {
  const { labels, annotations } = secret.object.metadata;
  return (
    labels['team'] === 'shop' &&
    annotations['example.com/note'] === 'ours' &&
    annotations[`${certificate}template`]?.includes('team') === true &&
    secret.intermediates.length === 1 &&
    secret.roots.length === 1 &&
    secret.text('tls-combined.pem') === secret.text('tls.key') + secret.text('tls.crt') &&
    secret.object.data['key.der'] !== b64('x')
  );
}

describe('a Secret with', () => {
  test.concurrent.each(cases)('$name is mended', async ({ edit, reissued }) => {
    const namespace = await world.namespace();
    for (const name of ['web', 'other']) await world.createSimple(namespace, name, spec);
    for (const name of ['web', 'other']) await world.ready(namespace, name);
    const before = await world.secret(namespace, 'web');
    expect(isWhole(before)).toBe(true);
    const patch = edit(before, await world.secret(namespace, 'other'));
    const edited = patch && (await world.patchSecret(namespace, 'web', patch));
    if (edited === undefined) await world.removeSecret(namespace, 'web');
    const after = await world.secretWhen(
      namespace,
      'web',
      'to be mended',
      (secret) => isWhole(secret) && secret.object.metadata.resourceVersion !== edited?.metadata.resourceVersion,
    );
    const { status } = await world.until(
      namespace,
      'web',
      'to tell of it',
      ({ status }) => status.serialNumber === after.serialNumber,
    );
    await world.ready(namespace, 'web');
    expect(after.serialNumber !== before.serialNumber).toBe(reissued);
    expect(after.leaf.subjectAltName).toBe(`DNS:web.${namespace}.svc`);
    expect(status.revision).toBe(reissued ? 2 : 1);
  });

  test.concurrent('no owner annotation is nobody’s until it is handed over', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const before = await world.secret(namespace, 'web');
    const annotations = { [`${certificate}certificate`]: null };
    await world.patchSecret(namespace, 'web', { metadata: { annotations } });
    expect((await world.reason(namespace, 'web', 'Ready', 'SecretConflict')).message).toContain(
      'mtls-operator.io/adopt=web',
    );
    await world.patchSecret(namespace, 'web', { metadata: { annotations: { [`${certificate}adopt`]: 'web' } } });
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).serialNumber).toBe(before.serialNumber);
  });
});

describe('what others have added', () => {
  test.concurrent('survives a rewrite, a renewal and a restart', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', spec);
    await world.ready(namespace, 'web');
    await world.patchSecret(namespace, 'web', {
      metadata: {
        labels: { theirs: 'yes' },
        annotations: { 'example.com/theirs': 'yes' },
        finalizers: ['example.com/hold'],
      },
      data: { 'more.txt': b64('theirs') },
    });
    const theirs = ({ object, text }: CheckedSecret) => [
      object.metadata.labels['theirs'],
      object.metadata.annotations['example.com/theirs'],
      text('more.txt'),
    ];
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    const renewed = await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    expect(theirs(renewed)).toEqual(['yes', 'yes', 'theirs']);
    await world.patch(namespace, 'web', { spec: { secretTemplate: { labels: { team: 'shop', new: 'label' } } } });
    const rewritten = await world.secretWhen(
      namespace,
      'web',
      'to have the label',
      ({ object }) => object.metadata.labels['new'] === 'label',
    );
    expect(theirs(rewritten)).toEqual(['yes', 'yes', 'theirs']);
    const raw = await world.find(`/api/v1/namespaces/${namespace}/secrets/web`);
    expect(raw?.['metadata']).toMatchObject({ finalizers: ['example.com/hold'] });
    // An edit of what is theirs is no drift: what comes after it is the next write.
    await world.patchSecret(namespace, 'web', { data: { 'more.txt': b64('again') }, metadata: { finalizers: null } });
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).text('more.txt')).toBe('again');
  });
});

describe('a writer that does not stop', () => {
  test.concurrent('is mended a few times at once, then at intervals, and named; when it stops all is well', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    const mark = await world.auditMark();
    const fight = new AbortController();
    const edits = (async () => {
      let count = 0;
      while (!fight.signal.aborted) {
        count += 1;
        await world.patchSecret(namespace, 'web', { data: { 'ca.crt': b64(`edit ${count}`) } }, 'vandal');
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      return count;
    })();
    const damped = await world.reason(namespace, 'web', 'Issuing', 'Damped');
    expect(damped.message).toMatch(/vandal.*, next at \d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ: /);
    expect((await world.event(namespace, 'web', 'Damped')).note).toContain('vandal');
    const ours = (await world.writesSince(mark)).filter(
      (write) => write.namespace === namespace && write.resource === 'secrets' && write.code < 300,
    );
    expect(ours.length).toBeLessThanOrEqual(4);
    fight.abort();
    // Of the writes that are free, the first was its issuance.
    expect(await edits).toBeGreaterThanOrEqual(3);
    // Mended when the interval is over; the quarrel is forgotten by the condition at once.
    await world.secretWhen(namespace, 'web', 'to be mended at last', () => true, { timeoutMs: 60_000 });
    const { status } = await world.ready(namespace, 'web');
    expect(status.revision).toBe(1);
  });

  test.concurrent('is forgiven when the spec changes', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await waitFor('enough edits', async () => {
      await world.patchSecret(namespace, 'web', { data: { 'ca.crt': b64(`edit at ${Date.now()}`) } }, 'vandal');
      return condition(await world.certificate(namespace, 'web'), 'Issuing')?.reason === 'Damped';
    });
    const mark = await world.auditMark();
    await world.patch(namespace, 'web', { spec: { dnsNames: [`new.${namespace}.svc`] } });
    await world.ready(namespace, 'web');
    // Were it still damped, its status would have said so in between.
    const writes = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
    expect(writes.map(({ resource }) => resource).filter((resource) => resource !== 'events')).toEqual([
      'secrets',
      'workloadcertificates/status',
    ]);
    const secret = await world.secret(namespace, 'web');
    expect(secret.leaf.subjectAltName).toBe(`DNS:new.${namespace}.svc`);
    expect(certificatesIn(secret.text('ca.crt'))).toHaveLength(1);
  });

  test.concurrent('does not keep a renewal that is asked for, as the message says', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await waitFor('enough edits', async () => {
      await world.patchSecret(namespace, 'web', { data: { 'ca.crt': b64(`edit at ${Date.now()}`) } }, 'vandal');
      return condition(await world.certificate(namespace, 'web'), 'Issuing')?.reason === 'Damped';
    });
    expect((await world.reason(namespace, 'web', 'Issuing', 'Damped')).message).toContain('mtls-operator.io/renew-at');
    const mark = await world.auditMark();
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': '2026-01-01T00:00:00Z' });
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
    await world.ready(namespace, 'web');
    // Were it mended only when the interval is over, it would have been by a rewrite of the old certificate.
    const writes = (await world.writesSince(mark)).filter((write) => write.namespace === namespace);
    expect(writes.filter(({ resource }) => resource === 'secrets')).toHaveLength(1);
  });

  test.concurrent('that deletes the Secret again and again is damped too, and the advice is where to look for it', async () => {
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web');
    await world.ready(namespace, 'web');
    await waitFor('enough deletions', async () => {
      if ((await world.findSecret(namespace, 'web')) !== undefined) await world.removeSecret(namespace, 'web');
      return condition(await world.certificate(namespace, 'web'), 'Issuing')?.reason === 'Damped';
    });
    const { message } = await world.reason(namespace, 'web', 'Issuing', 'Damped');
    expect(message).toMatch(/deletes the Secret.*audit log/);
    await world.ready(namespace, 'web', { timeoutMs: 60_000 });
    await world.secret(namespace, 'web');
  });
});
