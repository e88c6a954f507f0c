/** Certificates that the operator makes by itself, on a real API server, with the permissions for sidecars and no others. */
import { createServer, connect as tlsConnect } from 'node:tls';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { labels, parseWorkloadCertificate, workloadCertificateKind } from '../../src/api/index.ts';
import { meshRules } from '../../src/api/rbac.ts';
import { identitySecretName } from '../../src/inject/index.ts';
import { OPERATOR_NAMESPACE, type World, waitFor } from '../certificate/world.ts';
import { endPod, findCertificate, goneFrom, identity, PROXY_API, startMeshWorld, startPod } from './mesh.ts';

let world: World;
let namespace: string;

beforeAll(async () => {
  world = await startMeshWorld(['--sidecar-retention', '2s']);
});

afterAll(() => world?.[Symbol.asyncDispose]());

beforeEach(async () => {
  namespace = await world.namespace('mesh');
});

const WEB = identitySecretName('web');

describe('a pod with a sidecar', () => {
  test('has the Secret that it waits for, with the identity of its account in the form that Envoy reads', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    const secret = await identity(world, namespace, 'web');
    expect(secret.leaf.subjectAltName).toBe(`URI:spiffe://cluster.local/ns/${namespace}/sa/web`);
    for (const key of ['sds-workload.json', 'sds-roots.json']) expect(secret.text(key)).not.toBe('');
    const certificate = await world.ready(namespace, WEB);
    expect(certificate.metadata.labels[labels.managedBy]).toBe('operator');
  });

  test('shares it with the other pods of its account, and with no other account', async () => {
    for (const [pod, account] of [
      ['web-1', 'web'],
      ['web-2', 'web'],
      ['cart-1', 'cart'],
    ] as const)
      await startPod(world, namespace, pod, account);
    await startPod(world, namespace, 'plain', 'plain', { sidecar: false });
    const [web, cart] = [await identity(world, namespace, 'web'), await identity(world, namespace, 'cart')];
    expect(web.leaf.subjectAltName).not.toBe(cart.leaf.subjectAltName);
    const list = await world.cluster.kubectl([
      'get',
      'wcert',
      '-n',
      namespace,
      '-o',
      'name',
      '--sort-by=.metadata.name',
    ]);
    const prefix = 'workloadcertificate.mtls-operator.io/';
    expect(list.trim().split('\n')).toEqual([`${prefix}mtls-proxy-cart`, `${prefix}mtls-proxy-web`]);
  });

  test('of an account with the longest name has one, too', async () => {
    const account = 'a'.repeat(253);
    await startPod(world, namespace, 'long', account);
    await identity(world, namespace, account);
  });

  test('has it although it came while no operator ran', async () => {
    await world.operator.stop();
    await startPod(world, namespace, 'web-1', 'web');
    await world.startOperator();
    await identity(world, namespace, 'web');
  });
});

describe('a certificate in use', () => {
  test('is made again where somebody deletes it', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    await identity(world, namespace, 'web');
    const before = await world.ready(namespace, WEB);
    await world.remove(namespace, WEB);
    const after = await waitFor('another', async () => {
      const found = await findCertificate(world, namespace, WEB);
      return found !== undefined && found.metadata.uid !== before.metadata.uid && found;
    });
    // The garbage collector takes the Secret of the former one; it looks for kinds that are new to it every 30 s only.
    const owned = await world.secretWhen(
      namespace,
      WEB,
      'to be owned by it',
      ({ object }) => object.metadata.ownerReferences.some(({ uid }) => uid === after.metadata.uid),
      { timeoutMs: 75_000 },
    );
    expect(owned.leaf.subjectAltName).toContain(`/ns/${namespace}/sa/web`);
  });

  test('is put right where somebody edits it, whatever they add, and they are told how to have their own', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    const { spec } = await world.ready(namespace, await named(WEB));
    await world.patch(namespace, WEB, {
      metadata: { annotations: { 'team.example/note': 'kept' } },
      spec: {
        secretName: 'elsewhere',
        serviceAccountName: null,
        dnsNames: [`web.${namespace}.svc`],
        deletionPolicy: 'Retain',
      },
    });
    const after = await waitFor('it to be put right', async () => {
      const found = await world.certificate(namespace, WEB);
      return JSON.stringify(found.spec) === JSON.stringify(spec) && found;
    });
    expect(after.metadata.annotations['team.example/note']).toBe('kept');
    const { note, type } = await world.event(namespace, WEB, 'Corrected');
    expect([type, note]).toEqual(['Warning', expect.stringContaining(`take the label ${labels.managedBy} off`)]);
    await world.ready(namespace, WEB);
  });

  test('is the user’s from when they take the label off', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    await world.ready(namespace, await named(WEB));
    await world.patch(namespace, WEB, {
      metadata: { labels: { [labels.managedBy]: null } },
      spec: { duration: '12h' },
    });
    await otherWork();
    expect((await world.certificate(namespace, WEB)).spec.duration).toBe('12h');
    await endPod(world, namespace, 'web-1');
    await reapingOfAnother();
    expect(await findCertificate(world, namespace, WEB)).toBeDefined();
  });
});

describe('a name that somebody else has taken', () => {
  test('is left to them, and they are told what to do; when it is free the operator makes its own', async () => {
    const theirs = await world.createSimple(namespace, WEB);
    await startPod(world, namespace, 'web-1', 'web');
    const { note } = await world.event(namespace, WEB, 'NameTaken');
    expect(note).toContain('its serviceAccountName is not "web". Delete it, or give it another name');
    await world.logged('NameTaken');
    expect((await world.certificate(namespace, WEB)).spec).toEqual(theirs.spec);
    await world.remove(namespace, WEB);
    await world.secretWhen(namespace, WEB, 'to have the identity', ({ leaf }) =>
      (leaf.subjectAltName ?? '').includes('/sa/web'),
    );
  });

  test('is no obstacle where theirs does what sidecars need', async () => {
    await world.create(namespace, WEB, {
      secretName: WEB,
      serviceAccountName: 'web',
      duration: '12h',
      outputs: [{ type: 'EnvoySDS' }, { type: 'CombinedPEM' }],
    });
    await startPod(world, namespace, 'web-1', 'web');
    await otherWork();
    expect((await world.certificate(namespace, WEB)).spec.duration).toBe('12h');
    expect((await world.events(namespace, WEB)).map(({ reason }) => reason)).not.toContain('NameTaken');
  });
});

describe('a certificate that no pod needs any more', () => {
  test('goes with its Secret, and not that of an account which has a pod', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    await startPod(world, namespace, 'cart-1', 'cart');
    for (const account of ['web', 'cart']) await identity(world, namespace, account);
    await endPod(world, namespace, 'web-1');
    await goneFrom(world, namespace, WEB);
    await waitFor('its Secret to be gone', async () => (await world.findSecret(namespace, WEB)) === undefined, {
      timeoutMs: 75_000,
    });
    expect(await findCertificate(world, namespace, identitySecretName('cart'))).toBeDefined();
    await startPod(world, namespace, 'web-2', 'web');
    await identity(world, namespace, 'web');
  });

  test('goes, too, where the pod ended while no operator ran', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    await identity(world, namespace, 'web');
    await world.operator.stop();
    await endPod(world, namespace, 'web-1');
    await world.startOperator();
    await goneFrom(world, namespace, WEB);
  });

  test('stays where somebody has changed it since', async () => {
    await startPod(world, namespace, 'web-1', 'web');
    await identity(world, namespace, 'web');
    await world.operator.stop();
    await endPod(world, namespace, 'web-1');
    await world.patch(namespace, WEB, { spec: { duration: '12h' } });
    await world.startOperator();
    await reapingOfAnother();
    expect((await world.certificate(namespace, WEB)).spec.duration).toBe('12h');
  });
});

describe('a namespace that is being removed', () => {
  test('brings no storm of refused requests, though its pods outlive its certificates', async () => {
    const accounts = ['a', 'b', 'c', 'd'];
    for (const account of accounts) {
      const metadata = { finalizers: ['test.example/hold'] };
      await startPod(world, namespace, account, account, { metadata });
      await identity(world, namespace, account);
    }
    const mark = await world.auditMark();
    await world.send('DELETE', `/api/v1/namespaces/${namespace}`);
    await waitFor('it to be on its way out', async () => {
      const found = await world.find(`/api/v1/namespaces/${namespace}`);
      return JSON.stringify(found?.['status']).includes('Terminating');
    });
    // Newer API servers remove pods first: these hold up the rest. Certificates are needed still, and cannot be made.
    for (const account of accounts) await world.remove(namespace, identitySecretName(account));
    await otherWork();
    const here = (await world.requestsSince(mark)).filter((request) => request.namespace === namespace);
    expect(here.filter(({ verb }) => verb === 'create').length).toBeLessThanOrEqual(accounts.length);
    const errors = world.operator.log.filter(
      ({ controller, key }) => controller === 'identity' && String(key).startsWith(`${namespace}/`),
    );
    expect(errors).toEqual([]);
    for (const account of accounts) {
      const pod = `/api/v1/namespaces/${namespace}/pods/${account}`;
      await world.send('PATCH', pod, { metadata: { finalizers: null } });
    }
    await waitFor('the namespace to be gone', async () => {
      return (await world.find(`/api/v1/namespaces/${namespace}`)) === undefined;
    });
  });
});

describe('proxy-api', () => {
  test('is verified by the API server under the name of its Service, and by sidecars under its SPIFFE ID', async () => {
    const secret = await world.secretWhen(OPERATOR_NAMESPACE, PROXY_API, 'to be there', () => true);
    expect(secret.leaf.subjectAltName).toContain(`URI:spiffe://cluster.local/ns/${OPERATOR_NAMESPACE}/sa/${PROXY_API}`);
    const server = createServer({ key: secret.text('tls.key'), cert: secret.text('tls.crt') });
    server.listen(0, '127.0.0.1');
    await new Promise((resolve) => server.once('listening', resolve));
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      const dialled = [
        `${PROXY_API}.${OPERATOR_NAMESPACE}.svc`,
        `${PROXY_API}.${OPERATOR_NAMESPACE}.svc.cluster.local`,
      ];
      for (const servername of dialled) {
        const socket = tlsConnect({ port, host: '127.0.0.1', servername, ca: secret.text('ca.crt') });
        await new Promise((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
        expect(socket.authorized).toBe(true);
        socket.destroy();
      }
    } finally {
      server.close();
    }
  });

  test('keeps its certificate, which is made again where somebody deletes it, around the same key', async () => {
    const before = await world.ready(OPERATOR_NAMESPACE, PROXY_API);
    await world.remove(OPERATOR_NAMESPACE, PROXY_API);
    const after = await waitFor('another', async () => {
      const found = await findCertificate(world, OPERATOR_NAMESPACE, PROXY_API);
      return found !== undefined && found.metadata.uid !== before.metadata.uid && found;
    });
    await reapingOfAnother();
    const { metadata, status } = await world.ready(OPERATOR_NAMESPACE, PROXY_API);
    expect([metadata.uid, status.serialNumber]).toEqual([after.metadata.uid, before.status.serialNumber]);
  });
});

describe('permissions', () => {
  test('the operator is refused nothing, and what it may do with certificates it has done', async () => {
    const requests = await world.requestsSince(0);
    // Apart from what a namespace on its way out refuses, and owners of Secrets of which the certificate was deleted: others test these.
    const refused = requests.filter(
      ({ code, resource }) => code === 403 && resource !== 'secrets' && resource !== 'events',
    );
    const unexpected = refused.filter(({ resource, verb }) => resource !== 'workloadcertificates' || verb !== 'create');
    expect(unexpected).toEqual([]);
    const used = new Set(requests.flatMap(({ resource, verb }) => (resource === 'workloadcertificates' ? verb : [])));
    const granted = meshRules.flatMap(({ rule }) => rule.verbs);
    expect(granted).toContain('create');
    expect(granted.filter((verb) => !used.has(verb))).toEqual([]);
  });
});

/** Waits until it is there. */
async function named(name: string): Promise<string> {
  await waitFor(`WorkloadCertificate ${name}`, () => findCertificate(world, namespace, name));
  return name;
}

/** Resolves when the operator has seen, and dealt with, what came after everything before this. */
async function otherWork(): Promise<void> {
  const elsewhere = await world.namespace('other');
  await startPod(world, elsewhere, 'later', 'later');
  await identity(world, elsewhere, 'later');
}

/** Resolves when a certificate has been removed that has been unused for less long than whatever was before this. */
async function reapingOfAnother(): Promise<void> {
  const elsewhere = await world.namespace('other');
  await startPod(world, elsewhere, 'short', 'short');
  await identity(world, elsewhere, 'short');
  await endPod(world, elsewhere, 'short');
  await goneFrom(world, elsewhere, identitySecretName('short'));
}

test('an operator for named namespaces makes proxy-api’s certificate in its own', async () => {
  const served = await world.namespace('served');
  const elsewhere = await world.namespace('elsewhere');
  await world.operator.stop();
  const path = workloadCertificateKind.path(OPERATOR_NAMESPACE, PROXY_API);
  await world.send('DELETE', path);
  await world.removeSecret(OPERATOR_NAMESPACE, PROXY_API);
  await world.startOperator(['--watch-namespaces', served]);
  await startPod(world, elsewhere, 'web-1', 'web');
  await startPod(world, served, 'web-1', 'web');
  await identity(world, served, 'web');
  await world.secretWhen(OPERATOR_NAMESPACE, PROXY_API, 'to be there', () => true);
  expect(parseWorkloadCertificate(await world.find(path)).spec.dnsNames).toContain(
    `${PROXY_API}.${OPERATOR_NAMESPACE}.svc`,
  );
  expect(await findCertificate(world, elsewhere, WEB)).toBeUndefined();
});
