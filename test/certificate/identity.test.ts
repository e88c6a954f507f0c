/** Who may have which identity and which names: service accounts by permission, free names of the namespace, and rules that only add. */
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import type { User } from '../cluster/index.ts';
import { goProgram } from '../support/goProgram.ts';
import type { CheckedSecret } from '../support/secret.ts';
import { ask } from './verifiers.ts';
import { certificateBody, condition, inSeconds, World, waitFor } from './world.ts';

let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

async function apply(user: User, body: object, ...flags: readonly string[]): Promise<string> {
  return await world.cluster.kubectl(['create', '-f', '-', ...flags], { as: user, input: JSON.stringify(body) });
}

const answerSchema = z.object({ id: z.string(), error: z.string() });

/** What go-spiffe's x509svid.ParseAndVerify makes of it. */
async function spiffe(secret: CheckedSecret, trustDomain: string): Promise<z.output<typeof answerSchema>> {
  const program = await goProgram(join(import.meta.dirname, 'spiffe'));
  const question = {
    chain: secret.text('tls.crt'),
    key: secret.text('tls.key'),
    roots: secret.text('ca.crt'),
    trustDomain,
    at: new Date().toISOString(),
  };
  let answer: unknown;
  await ask(program, [question], (given) => {
    answer = given;
  });
  return answerSchema.parse(answer);
}

describe('serviceAccountName', () => {
  test('is for whoever may impersonate the service account: the role edit may, a mere creator of certificates may not', async () => {
    const namespace = await world.namespace();
    const creator = { name: 'creator' };
    const editor = { name: 'editor' };
    const rules = [{ apiGroups: ['mtls-operator.io'], resources: ['workloadcertificates'], verbs: ['create', 'get'] }];
    const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
    await world.send('POST', `${rbac}/roles`, { metadata: { name: 'creator' }, rules });
    for (const [user, kind, role] of [
      [creator, 'Role', 'creator'],
      [editor, 'ClusterRole', 'edit'],
    ] as const) {
      await world.send('POST', `${rbac}/rolebindings`, {
        metadata: { name: user.name },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind, name: role },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: user.name }],
      });
    }
    const identity = (name: string) =>
      certificateBody(namespace, name, { secretName: name, serviceAccountName: 'web' });
    const plain = certificateBody(namespace, 'plain', { secretName: 'plain', dnsNames: [`web.${namespace}.svc`] });
    const refused = /creator may not have the identity of the service account web.*needs permission to impersonate/;
    // The policy takes a moment after its creation until it is enforced.
    await waitFor('the policy to be in force', async () => {
      const answer = await apply(creator, identity('stolen'), '--dry-run=server').catch(String);
      return refused.test(answer);
    });
    await expect(apply(creator, identity('stolen'))).rejects.toThrow(refused);
    await apply(creator, plain);
    await world.ready(namespace, 'plain');
    expect(await world.findSecret(namespace, 'stolen')).toBeUndefined();

    await apply(editor, identity('web'));
    await world.ready(namespace, 'web');
    const secret = await world.secret(namespace, 'web');
    expect(secret.leaf.subjectAltName).toBe(`URI:spiffe://cluster.local/ns/${namespace}/sa/web`);
    // The operator's own writes of status are no change of identity: renewals go on.
    await world.annotate(namespace, 'web', { 'mtls-operator.io/renew-at': inSeconds(-1) });
    await world.secretWhen(namespace, 'web', 'to be renewed', ({ revision }) => revision === 2);
  });

  test('gives an X.509-SVID that go-spiffe accepts, for every kind of key and beside other names', async () => {
    const namespace = await world.namespace();
    const dnsNames = [`web.${namespace}.svc`];
    for (const [name, spec] of [
      ['ecdsa', {}],
      ['rsa', { dnsNames, privateKey: { algorithm: 'RSA' } }],
      ['ed25519', { dnsNames, commonName: `web.${namespace}.svc`, privateKey: { algorithm: 'Ed25519' } }],
    ] as const) {
      await world.create(namespace, name, { secretName: name, serviceAccountName: 'web', ...spec });
      await world.ready(namespace, name);
      const secret = await world.secret(namespace, name);
      expect(await spiffe(secret, 'cluster.local')).toEqual({
        id: `spiffe://cluster.local/ns/${namespace}/sa/web`,
        error: '',
      });
      expect(secret.leaf.keyUsage?.slice().sort()).toEqual(['1.3.6.1.5.5.7.3.1', '1.3.6.1.5.5.7.3.2']);
      expect((await spiffe(secret, 'other.example')).error).not.toBe('');
    }
  });

  test('is refused at kubectl apply beside URIs and without both usages', async () => {
    const spec = { secretName: 'x', serviceAccountName: 'web' };
    await expect(world.create('default', 'x', { ...spec, uris: ['https://a.example'] })).rejects.toThrow(
      /the only URI/,
    );
    await expect(world.create('default', 'x', { ...spec, usages: ['server auth'] })).rejects.toThrow(/write both/);
    await expect(
      world.create('default', 'x', { secretName: 'x', uris: ['spiffe://cluster.local/ns/a/sa/b'] }),
    ).rejects.toThrow(/serviceAccountName/);
  });
});

describe('names', () => {
  test('of the namespace’s own Services and pods are free', async () => {
    const namespace = await world.namespace();
    const own = [`web.${namespace}.svc`, `web.${namespace}`, `web.${namespace}.svc.cluster.local`];
    const dnsNames = [...own, `pod-0.web.${namespace}.svc`, `*.web.${namespace}.svc`, `*.${namespace}.svc`];
    await world.create(namespace, 'web', { secretName: 'web', dnsNames, commonName: dnsNames[0] });
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).leaf.subjectAltName?.split(', ').sort()).toEqual(
      dnsNames.map((name) => `DNS:${name}`).sort(),
    );
  });

  test('of others are denied, each listed with the rule that would allow it, and a rule lets them through', async () => {
    const namespace = await world.namespace('denied');
    const spec = {
      secretName: 'web',
      dnsNames: [`web.${namespace}.svc`, 'web.other.svc', 'a.example.com', 'cache', 'localhost'],
      ipAddresses: ['192.0.2.1', '2001:db8::1'],
      uris: ['https://shop.example.com/web'],
      emailAddresses: ['ops@example.com'],
      commonName: 'postgres',
      subject: { organizations: ['system:masters'] },
    };
    await world.create(namespace, 'web', spec);
    const { message } = await world.reason(namespace, 'web', 'Ready', 'NamesDenied');
    for (const advice of [
      'dnsNames: ["web.other.svc"]',
      'dnsNames: ["a.example.com"]',
      'singleLabelNames: ["cache"]',
      'singleLabelNames: ["localhost"]',
      'ipAddresses: ["192.0.2.1"]',
      'ipAddresses: ["2001:db8::1"]',
      'uris: ["https://shop.example.com/web"]',
      'emailAddresses: ["ops@example.com"]',
      'commonNames: ["postgres"]',
      'subjects: [{"organizations":["system:masters"]}]',
      `namespaces: {matchLabels: {kubernetes.io/metadata.name: "${namespace}"}}`,
    ]) {
      expect(message).toContain(advice);
    }
    expect(message).not.toContain(`"web.${namespace}.svc"`);
    expect((await world.event(namespace, 'web', 'NamesDenied')).type).toBe('Warning');
    expect(await world.findSecret(namespace, 'web')).toBeUndefined();

    // The advice is YAML that does what it says: all but one of the rules, then all of them.
    const rules = [...message.matchAll(/spec\.names would need: (\{.*?\})\)(?=; |$)/g)].map(([, rule]) =>
      parse(rule ?? ''),
    );
    expect(rules).toHaveLength(10);
    await world.patchAuthority('default', { spec: { names: rules.slice(0, -1) } });
    const rest = await waitFor('only the subject to be denied', async () => {
      const found = condition(await world.certificate(namespace, 'web'), 'Ready');
      return found?.message.includes('singleLabelNames') ? undefined : found;
    });
    expect(rest.message).toContain('system:masters');
    expect(rest.message).not.toContain('192.0.2.1');
    await world.patchAuthority('default', { spec: { names: rules } });
    await world.ready(namespace, 'web');
    expect((await world.secret(namespace, 'web')).leaf.subjectAltName).toContain('IP Address:192.0.2.1');
  });

  test('by the labels of the namespace, which may change', async () => {
    await world.patchAuthority('default', {
      spec: { names: [{ namespaces: { matchLabels: { zone: 'dmz' } }, dnsNames: ['www.example.com'] }] },
    });
    const namespace = await world.namespace();
    await world.create(namespace, 'web', { secretName: 'web', dnsNames: ['www.example.com'] });
    await world.reason(namespace, 'web', 'Ready', 'NamesDenied');
    await world.send('PATCH', `/api/v1/namespaces/${namespace}`, { metadata: { labels: { zone: 'dmz' } } });
    await world.ready(namespace, 'web');
  });

  test('by rules for some service accounts only', async () => {
    await world.patchAuthority('default', {
      spec: { names: [{ namespaces: {}, serviceAccounts: ['builder'], dnsNames: ['ci.example.com'] }] },
    });
    const namespace = await world.namespace();
    const dnsNames = ['ci.example.com'];
    await world.create(namespace, 'web', { secretName: 'web', dnsNames, serviceAccountName: 'web' });
    await world.create(namespace, 'builder', { secretName: 'builder', dnsNames, serviceAccountName: 'builder' });
    await world.ready(namespace, 'builder');
    const { message } = await world.reason(namespace, 'web', 'Ready', 'NamesDenied');
    expect(message).toContain('serviceAccounts: ["web"]');
  });

  test('of the API server are for nobody, whatever a rule says', async () => {
    await world.patchAuthority('default', {
      spec: { names: [{ namespaces: {}, dnsNames: ['*.default.svc', '*.example.com'] }] },
    });
    await world.create('default', 'api', { secretName: 'api', dnsNames: ['kubernetes.default.svc', '*.default.svc'] });
    const { message } = await world.reason('default', 'api', 'Ready', 'NamesDenied');
    expect(message).toContain('no rule can allow it');
  });
});

describe('a rule that is withdrawn', () => {
  test('leaves the certificate in use, says early that its renewal will be refused, and refuses it', async () => {
    const rule = { namespaces: {}, dnsNames: ['*.example.org'] };
    await world.patchAuthority('default', { spec: { names: [rule] } });
    const namespace = await world.namespace();
    await world.create(namespace, 'long', { secretName: 'long', dnsNames: ['long.example.org'] });
    await world.create(namespace, 'short', {
      secretName: 'short',
      dnsNames: ['short.example.org'],
      duration: '1m',
      renewBefore: '50s',
    });
    for (const name of ['long', 'short']) await world.ready(namespace, name);
    await world.patchAuthority('default', { spec: { names: [] } });
    for (const name of ['long', 'short']) {
      const issuing = await world.reason(namespace, name, 'Issuing', 'NamesDenied');
      expect(issuing.message).toContain(`${name}.example.org`);
      expect((await world.event(namespace, name, 'NamesDenied')).type).toBe('Warning');
    }
    const early = await world.certificate(namespace, 'long');
    expect(condition(early, 'Issuing')).toMatchObject({ status: 'False' });
    expect(condition(early, 'Issuing')?.message).toContain(`the next renewal at ${early.status.renewalTime}`);
    expect(condition(early, 'Ready')).toMatchObject({ status: 'True', reason: 'Ready' });

    const before = await world.secret(namespace, 'short');
    const due = await world.until(
      namespace,
      'short',
      'to be due and refused',
      (found) => condition(found, 'Issuing')?.status === 'True',
    );
    expect(condition(due, 'Ready')?.status).toBe('True');
    expect(await world.secretObject(namespace, 'short')).toEqual(before.object);
    expect((await world.events(namespace, 'short')).filter(({ reason }) => reason === 'NamesDenied')).toHaveLength(1);

    await world.patchAuthority('default', { spec: { names: [rule] } });
    await world.secretWhen(
      namespace,
      'short',
      'to be renewed again',
      ({ serialNumber }) => serialNumber !== before.serialNumber,
    );
    const after = await world.ready(namespace, 'long');
    expect(after.status.revision).toBe(1);
  });
});
