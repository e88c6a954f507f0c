/** Authorities that are brought along: every way in which such a Secret can be wrong, said so that its owner can mend it, and recovery. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { generateKeyPair, type IssuingCa, issueCa, type KeyPair, type KeySpec } from '../../src/pki/index.ts';
import { condition, inSeconds, OPERATOR_NAMESPACE, World } from './world.ts';

let world: World;
let root: Ca;

beforeAll(async () => {
  world = await World.start([]);
  // It outlives whatever it signs below.
  root = await makeCa('Root', undefined, [-7200, 200_000]);
});

afterAll(() => world?.[Symbol.asyncDispose]());

interface Ca extends IssuingCa {
  readonly key: KeyPair;
}

/** @param life begin and end in seconds from now. */
async function makeCa(
  commonName: string,
  issuer?: IssuingCa,
  life: readonly [number, number] = [-60, 86_400],
  spec: KeySpec = { algorithm: 'ECDSA' },
): Promise<Ca> {
  const key = await generateKeyPair(spec);
  const now = Math.floor(Date.now() / 1000) * 1000;
  const certificate = issueCa({
    subject: { commonName },
    key,
    notBefore: new Date(now + life[0] * 1000),
    notAfter: new Date(now + life[1] * 1000),
    ...(issuer === undefined ? {} : { issuer }),
  });
  return { key, certificate, privateKey: key.privateKey, chain: [certificate, ...(issuer?.chain ?? [])] };
}

const pem = (...cas: IssuingCa[]) => cas.map(({ certificate }) => certificate.pem).join('');

async function bring(name: string, stringData: Readonly<Record<string, string>>, type = 'Opaque'): Promise<void> {
  await world.createSecret(OPERATOR_NAMESPACE, { metadata: { name }, type, stringData });
}

async function change(name: string, stringData: Readonly<Record<string, string | null>>): Promise<void> {
  const data = Object.fromEntries(
    Object.entries(stringData).map(([key, value]) => [
      key,
      value === null ? null : Buffer.from(value).toString('base64'),
    ]),
  );
  await world.patchSecret(OPERATOR_NAMESPACE, name, { data });
}

async function createAuthority(name: string): Promise<void> {
  await world.createAuthority(name, {
    trustDomain: 'corp.example',
    provided: { secretName: name },
    maxCertificateDuration: '24h',
  });
}

/** A certificate of this authority, once it is there. */
async function issue(authority: string, more: object = {}) {
  const namespace = await world.namespace();
  await world.createSimple(namespace, 'web', { authorityRef: { name: authority }, ...more });
  await world.ready(namespace, 'web');
  return { namespace, secret: await world.secret(namespace, 'web', { authority }) };
}

describe('a provided CA', () => {
  test('that is a root signs directly: tls.crt is the leaf alone, and ca.crt the root', async () => {
    await bring('direct', { 'tls.crt': pem(root), 'tls.key': root.key.pem('PKCS8') }, 'kubernetes.io/tls');
    await createAuthority('direct');
    const { secret } = await issue('direct');
    expect(secret.intermediates).toEqual([]);
    expect(secret.text('ca.crt')).toBe(pem(root));
    const { status } = await world.authority('direct');
    expect(status).toMatchObject({
      phase: 'Ready',
      root: { secretName: 'direct', fingerprint: root.certificate.fingerprint },
    });
  });

  test.each([
    ['others', () => pem(root) + pem(root).replaceAll('\n', '\r\n')],
    ['nothing that can be read', () => 'no certificate'],
    ['nothing', () => ''],
  ])('that is a root signs directly: ca.crt edited to %s is mended around the same certificate', async (what, edit) => {
    const name = `edited-${what.length}`;
    await bring(name, { 'tls.crt': pem(root), 'tls.key': root.key.pem('PKCS8') }, 'kubernetes.io/tls');
    await createAuthority(name);
    const { namespace, secret } = await issue(name);
    const data = { 'ca.crt': Buffer.from(edit()).toString('base64') };
    await world.patchSecret(namespace, 'web', { data }, 'vandal');
    const mended = await world.secretWhen(
      namespace,
      'web',
      'to be mended',
      ({ object }) => object.metadata.resourceVersion !== secret.object.metadata.resourceVersion,
      { authority: name },
    );
    expect(mended.text('ca.crt')).toBe(pem(root));
    expect(mended.text('tls.crt')).toBe(secret.text('tls.crt'));
    expect(mended.text('tls.key')).toBe(secret.text('tls.key'));
  });

  test('that is an intermediate of an intermediate gives the whole chain, and never the root, in tls.crt', async () => {
    const upper = await makeCa('Upper', root, [-60, 100_000]);
    const lower = await makeCa('Lower', upper, [-60, 86_400], { algorithm: 'RSA' });
    await bring('chain', {
      'tls.crt': pem(lower, upper, root),
      'tls.key': lower.key.pem('PKCS1'),
      'ca.crt': pem(root),
    });
    await createAuthority('chain');
    const { secret } = await issue('chain');
    expect(secret.text('tls.crt')).toBe(secret.leaf.toString() + pem(lower, upper));
    expect(secret.text('ca.crt')).toBe(pem(root));
  });

  test('never signs past its own end', async () => {
    const ending = await makeCa('Ending', root, [-60, 3600]);
    await bring('ending', { 'tls.crt': pem(ending), 'tls.key': ending.key.pem('PKCS8'), 'ca.crt': pem(root) });
    await createAuthority('ending');
    const { secret } = await issue('ending');
    expect(secret.leaf.validToDate.getTime()).toBe(ending.certificate.notAfter.getTime());
  });

  test('that is replaced by another has every certificate issued anew, by the new one', async () => {
    const before = await makeCa('Before', root);
    await bring('replaced', { 'tls.crt': pem(before), 'tls.key': before.key.pem('PKCS8'), 'ca.crt': pem(root) });
    await createAuthority('replaced');
    const { namespace, secret } = await issue('replaced');
    const after = await makeCa('After', root);
    await change('replaced', { 'tls.crt': pem(after), 'tls.key': after.key.pem('PKCS8') });
    const reissued = await world.secretWhen(
      namespace,
      'web',
      'to be of the new CA',
      ({ intermediates }) => intermediates[0]?.subject === 'CN=After',
      { authority: 'replaced' },
    );
    expect(reissued.revision).toBe(2);
    expect(reissued.serialNumber).not.toBe(secret.serialNumber);
    const issuances = await world.issuances(namespace, 2);
    expect(issuances.map(({ reason }) => reason)).toEqual(['SecretMissing', 'AuthorityChanged']);
  });

  test('whose roots gain one has it put beside the other, around the same certificates', async () => {
    await bring('roots', { 'tls.crt': pem(root), 'tls.key': root.key.pem('PKCS8'), 'ca.crt': pem(root) });
    await createAuthority('roots');
    const { namespace, secret } = await issue('roots');
    const other = await makeCa('Other root');
    await change('roots', { 'ca.crt': pem(root, other) });
    const both = await world.secretWhen(namespace, 'web', 'to trust both', ({ roots }) => roots.length === 2, {
      authority: 'roots',
    });
    expect(both.serialNumber).toBe(secret.serialNumber);
    expect(both.revision).toBe(1);
  });
});

describe('an authority', () => {
  test('whose CA ends soon renews nothing for nothing', async () => {
    const ending = await makeCa('Soon over', root, [-60, 15]);
    await bring('soon-over', { 'tls.crt': pem(ending), 'tls.key': ending.key.pem('PKCS8'), 'ca.crt': pem(root) });
    await createAuthority('soon-over');
    const { namespace, secret } = await issue('soon-over', { duration: '1m', renewBefore: '50s' });
    expect(secret.leaf.validToDate.getTime()).toBe(ending.certificate.notAfter.getTime());
    await world.reason(namespace, 'web', 'Ready', 'AuthorityNotReady');
    const issuances = await world.issuances(namespace, 1);
    expect(issuances).toHaveLength(1);
  });

  test('that changes from selfSigned to provided and back has certificates issued by whoever is its CA', async () => {
    await bring('swap', { 'tls.crt': pem(root), 'tls.key': root.key.pem('PKCS8') });
    const common = { trustDomain: 'swap.example', maxCertificateDuration: '24h' };
    await world.createAuthority('swap', { ...common, selfSigned: {} });
    const { namespace, secret } = await issue('swap');
    await world.patchAuthority('swap', { spec: { selfSigned: null, provided: { secretName: 'swap' } } });
    const provided = await world.secretWhen(
      namespace,
      'web',
      'to be of the root',
      ({ roots }) => roots[0]?.subject === 'CN=Root',
      { authority: 'swap' },
    );
    expect(provided.revision).toBe(2);
    await world.patchAuthority('swap', { spec: { selfSigned: {}, provided: null } });
    const back = await world.secretWhen(
      namespace,
      'web',
      'to be of its own CA again',
      ({ text }) => text('ca.crt') === secret.text('ca.crt'),
      { authority: 'swap' },
    );
    expect(back.revision).toBe(3);
    expect(back.intermediates.map(String)).toEqual(secret.intermediates.map(String));
    expect((await world.generations('swap')).map(({ metadata }) => metadata.name).sort()).toEqual([
      'swap-issuing-1',
      'swap-root-1',
    ]);
  });
});

describe('what can be wrong with it', () => {
  interface Case {
    readonly name: string;
    readonly reason: string;
    readonly message: RegExp;
    /** Makes the data; undefined: no Secret at all. */
    readonly data: (intermediate: Ca) => Promise<Record<string, string>> | Record<string, string> | undefined;
  }
  const good = (ca: Ca) => ({ 'tls.crt': pem(ca), 'tls.key': ca.key.pem('PKCS8'), 'ca.crt': pem(root) });
  const cases: readonly Case[] = [
    {
      name: 'missing',
      reason: 'SecretNotFound',
      message: /does not exist: create it with tls\.crt, tls\.key and ca\.crt/,
      data: () => undefined,
    },
    {
      name: 'keyless',
      reason: 'SecretIncomplete',
      message: /lacks tls\.key: put the certificate of your CA and its key there/,
      data: (ca) => ({ ...good(ca), 'tls.key': '' }),
    },
    {
      name: 'certless',
      reason: 'SecretIncomplete',
      message: /lacks tls\.crt/,
      data: (ca) => ({ 'tls.key': ca.key.pem('PKCS8') }),
    },
    {
      name: 'mismatch',
      reason: 'KeyMismatch',
      message: /does not belong to the first certificate in tls\.crt: put the certificate of the CA that signs first/,
      data: (ca) => ({ ...good(ca), 'tls.key': root.key.pem('PKCS8') }),
    },
    {
      name: 'unreadable',
      reason: 'SecretUnreadable',
      message: /cannot be read: tls\.crt: .*Put PEM there/,
      data: (ca) => ({ ...good(ca), 'tls.crt': 'hello' }),
    },
    {
      name: 'rootless',
      reason: 'ChainBroken',
      message: /put the root certificate into ca\.crt/,
      data: (ca) => ({ 'tls.crt': pem(ca), 'tls.key': ca.key.pem('PKCS8') }),
    },
    {
      name: 'strange-root',
      reason: 'ChainBroken',
      message: /does not chain to ca\.crt: .*Put every certificate between your CA and its root into tls\.crt/,
      data: async (ca) => ({ ...good(ca), 'ca.crt': pem(await makeCa('Stranger')) }),
    },
    {
      name: 'gap',
      reason: 'ChainBroken',
      message: /does not chain to ca\.crt/,
      data: async () => {
        const lower = await makeCa('Below a gap', await makeCa('Gap', root, [-60, 100_000]));
        return { ...good(lower) };
      },
    },
    {
      name: 'expired',
      reason: 'Expired',
      message: /expired at \d{4}-.*put its renewed certificate in its place/,
      data: async () => good(await makeCa('Expired', root, [-7200, -3600])),
    },
    {
      name: 'no-ca',
      reason: 'NotACa',
      message:
        /may not sign: put the certificate of a CA first, one with CA:TRUE and, if it has a key usage, keyCertSign in it/,
      data: async () => {
        const { secret } = await issue('direct');
        return { 'tls.crt': secret.text('tls.crt'), 'tls.key': secret.text('tls.key'), 'ca.crt': pem(root) };
      },
    },
  ];

  test.concurrent.each(cases)(
    '$name is said, with what to do, and mended once it is right',
    async ({ name, reason, message, data }) => {
      const ca = await makeCa(`Good ${name}`, root);
      const bad = await data(ca);
      if (bad !== undefined) await bring(name, bad);
      await createAuthority(name);
      const namespace = await world.namespace();
      await world.createSimple(namespace, 'web', { authorityRef: { name } });
      const ready = await world.authorityReason(name, reason);
      expect(ready.status).toBe('False');
      expect(ready.message).toContain(`Secret "${name}"`);
      expect(ready.message).toMatch(message);
      expect((await world.event('default', name, reason)).type).toBe('Warning');
      const waiting = await world.reason(namespace, 'web', 'Ready', 'AuthorityNotReady');
      expect(waiting.message).toContain(reason);
      if (bad === undefined) await bring(name, good(ca));
      else await change(name, good(ca));
      await world.authorityReason(name, 'Ready');
      await world.ready(namespace, 'web');
      await world.secret(namespace, 'web', { authority: name });
    },
  );

  test('that comes later leaves certificates in use as they are, and says so', async () => {
    const ca = await makeCa('Lost', root);
    await bring('lost', good(ca));
    await createAuthority('lost');
    const { namespace, secret } = await issue('lost');
    await world.removeSecret(OPERATOR_NAMESPACE, 'lost');
    await world.authorityReason('lost', 'SecretNotFound');
    const issuing = await world.reason(namespace, 'web', 'Issuing', 'AuthorityNotReady');
    expect(issuing).toMatchObject({ status: 'False' });
    expect(condition(await world.certificate(namespace, 'web'), 'Ready')?.status).toBe('True');
    expect(await world.secretObject(namespace, 'web')).toEqual(secret.object);
    await bring('lost', good(ca));
    await world.ready(namespace, 'web');
    expect(await world.secretObject(namespace, 'web')).toEqual(secret.object);
  });

  test('that comes by time is noticed when it comes', async () => {
    await bring('by-time', good(await makeCa('By time', root, [-60, 6])));
    await createAuthority('by-time');
    await world.authorityReason('by-time', 'Expired');
  });
});

describe('name constraints of a provided CA', () => {
  test('are looked at before signing, and named', async () => {
    const key = await generateKeyPair({ algorithm: 'ECDSA' });
    const certificate = issueCa({
      subject: { commonName: 'Constrained' },
      key,
      notBefore: new Date(Date.now() - 60_000),
      notAfter: new Date(Date.parse(inSeconds(86_400))),
      nameConstraints: { permitted: { dnsDomains: ['allowed.svc'] } },
    });
    await bring('constrained', { 'tls.crt': certificate.pem, 'tls.key': key.pem('PKCS8') });
    await createAuthority('constrained');
    const namespace = await world.namespace();
    await world.createSimple(namespace, 'web', { authorityRef: { name: 'constrained' } });
    const { message } = await world.reason(namespace, 'web', 'Ready', 'NamesDenied');
    expect(message).toContain(`web.${namespace}.svc`);
    await world.send('POST', '/api/v1/namespaces', { metadata: { name: 'allowed' } });
    await world.createSimple('allowed', 'web', { authorityRef: { name: 'constrained' } });
    await world.ready('allowed', 'web');
    await world.secret('allowed', 'web', { authority: 'constrained' });
  });
});
