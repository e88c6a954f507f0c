/** Who is let in by the configuration server, and what becomes of whoever does not behave. */
import { connect, type Socket } from 'node:net';
import { status } from '@grpc/grpc-js';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { refusedCluster } from '../../src/envoy/index.ts';
import type { ProxyClaim, ProxySource } from '../../src/xds/proxyStream.ts';
import type { Refusal, XdsServer } from '../../src/xds/server.ts';
import { type CorporateCa, type Identity, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { waitFor } from '../support/waitFor.ts';
import { CLUSTER, ENDPOINTS, TestProxy } from './client.ts';
import { serve, World } from './world.ts';

let mesh: CorporateCa;
let web: Identity;
let server: XdsServer;
let admit: (claim: ProxyClaim) => ProxySource | Refusal;
const claims: ProxyClaim[] = [];
const open: TestProxy[] = [];

const identityOf = ({ keyPem, chainPem, rootsPem }: Identity) => ({ key: keyPem, chain: chainPem, roots: rootsPem });

beforeAll(async () => {
  mesh = await makeCorporateCa('Mesh');
  web = await issueIdentity({ ca: mesh, account: 'web' });
  server = await serve({
    identity: identityOf(await issueIdentity({ ca: mesh, account: 'proxy-api' })),
    admit: (claim) => {
      claims.push(claim);
      return admit(claim);
    },
  });
});

afterEach(async () => {
  for (const proxy of open.splice(0)) proxy.close();
  await waitFor('all streams to be forgotten', () => server.streams().size === 0);
  claims.splice(0);
});

afterAll(() => server?.close());

function proxy(identity = web, port = server.port): TestProxy {
  const made = new TestProxy(port, identity);
  open.push(made);
  return made;
}

const worldOf = (...names: readonly string[]): World => new World().everybody(...names.map(refusedCluster));

describe('a proxy', () => {
  test('gets what it is to have, and what changes', async () => {
    const world = worldOf('a', 'b');
    admit = () => world;
    const one = proxy();
    one.begin('uid-1');
    const { nonce, resources } = await one.next();
    expect(resources.map(({ name }) => name)).toEqual(['a', 'b']);
    one.say({ type_url: CLUSTER, response_nonce: nonce });
    world.everybody(refusedCluster('b'), refusedCluster('c'));
    server.changed();
    const { resources: added, removed_resources: removed } = await one.next();
    expect([added.map(({ name }) => name), removed]).toEqual([['c'], ['a']]);
  });

  test('is known by its certificate, its address and its own words', async () => {
    admit = () => worldOf('a');
    const one = proxy();
    one.begin('uid-1', 'shop/web-0');
    await one.next();
    expect(claims).toEqual([
      {
        id: 'uid-1',
        cluster: 'shop/web-0',
        address: '127.0.0.1',
        spiffeId: `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`,
      },
    ]);
  });

  test('that comes back has its older stream ended', async () => {
    admit = () => worldOf('a');
    const [older, newer] = [proxy(), proxy()];
    older.begin('uid-1');
    await older.next();
    newer.begin('uid-1');
    await newer.next();
    expect((await older.end()).code).toBe(status.ABORTED);
    expect(server.streams().size).toBe(1);
  });

  test('hears when it gets nothing any more', async () => {
    const world = worldOf('a');
    admit = () => world;
    const one = proxy();
    one.begin('uid-1');
    await one.next();
    world.ended = 'the pod is gone';
    server.changed();
    expect(await one.end()).toEqual({ code: status.PERMISSION_DENIED, details: 'the pod is gone' });
  });

  test.each([
    ['that may be known soon is told to come again', true, status.UNAVAILABLE],
    ['that lies is told so', false, status.PERMISSION_DENIED],
  ])('%s', async (_, soon, code) => {
    admit = () => ({ refused: 'no such pod', soon });
    const one = proxy();
    one.begin('uid-1');
    expect(await one.end()).toEqual({ code, details: 'no such pod' });
  });

  test('that does not say who it is, is refused', async () => {
    admit = () => worldOf('a');
    const one = proxy();
    one.say({ type_url: CLUSTER });
    expect((await one.end()).code).toBe(status.INVALID_ARGUMENT);
    expect(claims).toEqual([]);
  });

  /** As a pod does that looks for open ports. */
  const askForMany = (one: TestProxy, type: string): void => {
    for (let batch = 0; batch < 6; batch += 1) {
      const names = Array.from({ length: 5_000 }, (_, i) => `dst|${batch}:${i}`);
      one.say({ type_url: type, resource_names_subscribe: names });
    }
  };

  test('that asks for more destinations than any pod has use for is told of the first ones, and goes on', async () => {
    const world = worldOf('a');
    for (const name of ['dst|0:7', 'dst|5:7']) world.onDemand(name, refusedCluster(name));
    admit = () => world;
    const one = proxy();
    one.begin('uid-1');
    const { nonce } = await one.next();
    one.say({ type_url: CLUSTER, response_nonce: nonce });
    askForMany(one, CLUSTER);
    const told = async (): Promise<string[]> => {
      const { nonce: next, resources } = await one.next();
      one.say({ type_url: CLUSTER, response_nonce: next });
      return resources.map(({ name }) => name);
    };
    expect(await told()).toEqual(['dst|0:7']);
    world.everybody(refusedCluster('b'));
    server.changed();
    expect(await told()).toEqual(['b']);
  });

  test('that asks for endpoints without end is ended', async () => {
    admit = () => worldOf('a');
    const one = proxy();
    one.begin('uid-1');
    await one.next();
    askForMany(one, ENDPOINTS);
    expect((await one.end()).code).toBe(status.RESOURCE_EXHAUSTED);
  });

  test('that comes back with nearly as many destinations as it may have is served', async () => {
    admit = () => worldOf('a');
    const one = proxy();
    const names = Array.from(
      { length: 19_900 },
      (_, i) => `dst|[2001:db8:1234:5678:9abc:def0:1234:5678]:${10_000 + i}`,
    );
    one.say({
      node: { id: 'uid-1', cluster: 'shop/web-0' },
      type_url: CLUSTER,
      resource_names_subscribe: ['*', ...names],
      initial_resource_versions: Object.fromEntries(names.map((name) => [name, 'AAAAAAAAAAAAAAAAAAAAAA'])),
    });
    const { removed_resources: removed, resources } = await one.next();
    expect([resources.map(({ name }) => name), removed]).toEqual([['a'], []]);
  });

  test('whose certificate is of a foreign CA, or that shows none, gets no stream', async () => {
    const foreign = await issueIdentity({ ca: await makeCorporateCa('Foreign'), account: 'web' });
    const one = proxy({ ...foreign, rootsPem: web.rootsPem });
    one.begin('uid-1');
    expect((await one.end()).code).toBe(status.UNAVAILABLE);
    expect(claims).toEqual([]);
  });

  test('that comes again as fast as it can, many times at once, costs the others nothing but a moment', async () => {
    const world = worldOf('a');
    admit = () => world;
    const calm = proxy();
    calm.begin('uid-1');
    const { nonce } = await calm.next();
    calm.say({ type_url: CLUSTER, response_nonce: nonce });
    // Some do not even say who they are.
    const silent = Array.from({ length: 300 }, () => connect(server.port, '127.0.0.1').on('error', () => {}));
    let served = 0;
    const storm = Array.from({ length: 8 }, async () => {
      for (let time = 0; time < 25; time++) {
        const one = new TestProxy(server.port, web);
        one.begin('uid-2');
        // Served, or ended by another one of its name.
        await Promise.race([one.next().then(() => (served += 1)), one.end()]);
        one.close();
      }
    });
    const newcomer = proxy();
    newcomer.begin('uid-3');
    await newcomer.next();
    world.everybody(refusedCluster('b'));
    server.changed();
    expect((await calm.next()).resources.map(({ name }) => name)).toEqual(['b']);
    await Promise.all(storm);
    for (const socket of silent) socket.destroy();
    expect(served).toBeGreaterThan(0);
    await waitFor('nothing to be left of it', () => server.streams().size === 2);
  });

  test('that cannot be served through a defect of ours does not stop the others', async () => {
    admit = (claim) => {
      if (claim.id === 'uid-1') throw new Error('a defect');
      return worldOf('a');
    };
    const [one, other] = [proxy(), proxy()];
    one.begin('uid-1');
    expect(await one.end()).toMatchObject({ code: status.INTERNAL });
    other.begin('uid-2');
    await other.next();
  });
});

describe('the server', () => {
  test('takes another certificate without disturbing anyone', async () => {
    admit = () => worldOf('a');
    const before = proxy();
    before.begin('uid-1');
    const { nonce } = await before.next();
    const other = await makeCorporateCa('Other');
    const renewed = await issueIdentity({ ca: other, account: 'proxy-api' });
    // Until everybody has the new root, both are trusted.
    const both = mesh.files['ca.crt'] + other.files['ca.crt'];
    server.replaceIdentity({ ...identityOf(renewed), roots: both });
    const after = proxy({ ...web, rootsPem: other.files['ca.crt'] });
    after.begin('uid-2');
    await after.next();
    before.say({ type_url: CLUSTER, response_nonce: nonce, resource_names_subscribe: ['x'] });
    expect(server.streams().size).toBe(2);
    server.replaceIdentity(identityOf(await issueIdentity({ ca: mesh, account: 'proxy-api' })));
  });

  test('ends connections of age, and lets them come again', async () => {
    admit = () => worldOf('a');
    await using short = await disposable(300);
    const one = proxy(web, short.server.port);
    one.begin('uid-1');
    await one.next();
    expect((await one.end()).code).not.toBe(status.OK);
    const again = proxy(web, short.server.port);
    again.begin('uid-1');
    await again.next();
  });

  test('lives on whatever bytes come to its port', async () => {
    admit = () => worldOf('a');
    const sockets = ['', 'GET / HTTP/1.1\r\n\r\n', '\x16\x03\x01\x00\x05nonsense', '\0'.repeat(10_000)].map((bytes) => {
      const socket: Socket = connect(server.port, '127.0.0.1');
      socket.on('error', () => {});
      socket.write(bytes);
      return socket;
    });
    const one = proxy();
    one.begin('uid-1');
    await one.next();
    for (const socket of sockets) socket.destroy();
  });
});

async function disposable(connectionAgeMs: number) {
  const identity = identityOf(await issueIdentity({ ca: mesh, account: 'proxy-api' }));
  const made = await serve({ identity, admit: (claim) => admit(claim), connectionAgeMs });
  return { server: made, [Symbol.asyncDispose]: () => made.close() };
}
