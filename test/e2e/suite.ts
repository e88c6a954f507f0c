// What a user does with the operator from install to reinstall, on a cluster with a real kubelet. The scenarios stand on each other: each begins with what the one
// before has left, and all the time a server and a client talk to each other, from a new connection every 100 ms.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { operatorImage } from '../image/operatorImage.ts';
import {
  type GreetingsLine,
  greetingsImage,
  greetingsPod,
  lastLine,
  makeGreetingsImage,
  mounted,
} from '../node/greetings.ts';
import { makeProbeImage } from '../node/index.ts';
import { mounting, probePod, programThatCannotReload } from '../node/pods.ts';
import { chartDirectory } from '../support/helm.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import type { Target } from './target.ts';

const examples = join(import.meta.dirname, '..', '..', 'examples');
const SYSTEM = 'mtls-system';
const values = ['--set', 'restart.enabled=true'];

/** Each look starts a kubectl: not too often, on a machine that the cluster shares. */
const patience = { timeoutMs: 120_000, intervalMs: 300 };

export function testEndToEnd(start: () => Promise<Target>): void {
  let target: Target;

  beforeAll(async () => {
    target = await start();
    await target.load((await operatorImage(printProgress)).archive);
    // examples/pod.yaml stands as it is: this is the image that it names.
    await target.load(await makeGreetingsImage('registry.example.com/shop/web:1.0'));
    await target.load(await makeGreetingsImage(greetingsImage));
    await target.load(await makeProbeImage());
    const labels = { 'pod-security.kubernetes.io/enforce': 'restricted' };
    await apply({ apiVersion: 'v1', kind: 'Namespace', metadata: { name: SYSTEM, labels } });
  });

  afterAll(() => target?.[Symbol.asyncDispose]());

  const kubectl = (...args: readonly string[]): Promise<string> => target.kubectl(args);

  async function apply(...objects: readonly object[]): Promise<void> {
    const input = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
    await target.kubectl(['apply', '-f', '-'], { input });
  }

  /** The namespace of pods has its service account `default` a moment after it has come to be. */
  async function run(namespace: string, ...objects: readonly object[]): Promise<void> {
    await waitFor('the service account of pods', () => kubectl('get', 'serviceaccount', 'default', '-n', namespace));
    await apply(...objects.map((object) => inNamespace(namespace, object)));
  }

  const applyExample = async (file: string): Promise<void> => {
    await target.kubectl(['apply', '-f', '-'], { input: readFileSync(join(examples, file), 'utf8') });
  };

  async function certificate(name: string, spec: object = {}): Promise<void> {
    await apply({
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name, namespace: 'shop' },
      spec: { secretName: `${name}-mtls`, dnsNames: [`${name}.shop.svc`], ...spec },
    });
    await kubectl('wait', '--for=condition=Ready', 'wcert', name, '-n', 'shop', '--timeout=90s');
  }

  const log = (namespace: string, pod: string): Promise<string> => kubectl('logs', pod, '-n', namespace);

  const last = async (namespace: string, pod: string, msg: string): Promise<GreetingsLine | undefined> =>
    lastLine(await log(namespace, pod), msg);

  async function counted(namespace: string, pod: string): Promise<{ handshakes: number; failures: number }> {
    return z
      .object({ handshakes: z.number(), failures: z.number() })
      .parse(await waitFor(`${pod} to count`, () => last(namespace, pod, 'count'), patience));
  }

  /** Waits for a pod to end by itself. @returns what it said */
  async function outcome(namespace: string, pod: object & { readonly metadata: { readonly name: string } }) {
    const { name } = pod.metadata;
    await run(namespace, pod);
    const phase = () => kubectl('get', 'pod', name, '-n', namespace, '-o', 'jsonpath={.status.phase}');
    await waitFor(`pod ${name} to end`, async () => ['Succeeded', 'Failed'].includes(await phase()), patience);
    return await log(namespace, name);
  }

  async function replicas(): Promise<z.output<typeof podsSchema>['items']> {
    const component = 'app.kubernetes.io/component=controller';
    return podsSchema.parse(JSON.parse(await kubectl('get', 'pods', '-n', SYSTEM, '-l', component, '-o', 'json')))
      .items;
  }

  /** Name of the pod that leads. */
  async function leader(): Promise<string> {
    const field = 'jsonpath={.spec.holderIdentity}';
    return (await kubectl('get', 'lease', 'mtls-operator', '-n', SYSTEM, '-o', field)).split('_')[0] ?? '';
  }

  /** A server that has greeted, and a client that greets it from now on. */
  async function talk(namespace: string, client: object): Promise<void> {
    // Not before kube-proxy can know where the server is: a client that is early counts failures of the network.
    const address = 'jsonpath={.items[*].endpoints[?(@.conditions.ready==true)].addresses}';
    const slices = ['get', 'endpointslice', '-n', namespace, '-o', address];
    await waitFor('the server to be known', async () => (await kubectl(...slices)) !== '', patience);
    await run(namespace, client);
    await waitFor(
      'the client to be greeted',
      async () => {
        return Number((await last(namespace, 'visitor', 'count'))?.['handshakes']) > 5;
      },
      patience,
    );
  }

  /** Handshakes go on, and none has failed since `before`. */
  async function unbroken(namespace: string, before: { readonly handshakes: number; readonly failures: number }) {
    await waitFor(
      'more handshakes',
      async () => {
        return (await counted(namespace, 'visitor')).handshakes > before.handshakes;
      },
      patience,
    );
    expect((await counted(namespace, 'visitor')).failures).toBe(before.failures);
  }

  describe('install', () => {
    test('helm install --wait: two replicas are ready, and one of them leads', async () => {
      await target.helm('install', 'mtls-operator', chartDirectory, '-n', SYSTEM, '--wait', '--timeout=3m', ...values);
      const running = await replicas();
      const fresh = [{ ready: true, restartCount: 0 }];
      expect(running.map(({ status }) => status.containerStatuses)).toMatchObject([fresh, fresh]);
      const leading = await waitFor('a leader', async () => (await leader()) || undefined, patience);
      expect(running.map(({ metadata }) => metadata.name)).toContain(leading);
    });

    test('helm test passes', async () => {
      expect(await target.helm('test', 'mtls-operator', '-n', SYSTEM)).toMatch(/Phase:\s+Succeeded/);
    });
  });

  describe('a server and a client in pods', () => {
    test('come up with what the examples say, and know each other by their certificates', async () => {
      await applyExample('first-certificate.yaml');
      await applyExample('pod.yaml');
      await certificate('visitor', { usages: ['client auth'] });
      await kubectl('wait', '--for=condition=Ready', 'pod/web', '-n', 'shop', '--timeout=120s');
      const command = ['/client', '-connect', 'web.shop.svc:8443'];
      await talk('shop', greetingsPod({ name: 'visitor', namespace: 'shop', command, files: mounted('visitor-mtls') }));
      expect(await last('shop', 'visitor', 'peer')).toMatchObject({ name: 'spiffe://cluster.local/ns/shop/sa/web' });
      expect(await last('shop', 'web', 'peer')).toMatchObject({ name: 'visitor.shop.svc' });
    });

    test('refused is a client without a certificate', async () => {
      const args = ['anonymous', 'web.shop.svc:8443', '/mnt'];
      const { spec, container } = mounting('visitor-mtls');
      const pod = probePod('anonymous', args, { spec: { restartPolicy: 'Never', ...spec }, container });
      expect(await outcome('shop', named(pod))).toContain('certificate required');
      await waitFor('the server to tell', async () =>
        String((await last('shop', 'web', 'failed'))?.['error']).includes("client didn't provide a certificate"),
      );
    });

    test('refused is a client of another authority, even one that trusts the server', async () => {
      await apply({
        apiVersion: 'mtls-operator.io/v1alpha1',
        kind: 'CertificateAuthority',
        metadata: { name: 'foreign' },
        spec: { trustDomain: 'foreign.example.com', selfSigned: {} },
      });
      await certificate('stranger', { authorityRef: { name: 'foreign' }, usages: ['client auth'] });
      const visit = (name: string, files: object) => {
        const command = ['/client', '-connect', 'web.shop.svc:8443', '-times', '1'];
        return outcome('shop', named(greetingsPod({ name, namespace: 'shop', command, files, once: true })));
      };
      // It refuses the server in its turn; and with the server's roots it is refused.
      expect(await visit('stranger', mounted('stranger-mtls'))).toContain('certificate signed by unknown authority');
      const part = (name: string, ...keys: readonly string[]) => ({
        secret: { name, items: keys.map((key) => ({ key, path: key })) },
      });
      const sources = [part('stranger-mtls', 'tls.crt', 'tls.key'), part('visitor-mtls', 'ca.crt')];
      const files = { projected: { defaultMode: 0o440, sources } };
      expect(await visit('trusting-stranger', files)).toContain('unknown certificate authority');
      expect(await last('shop', 'web', 'peer')).toMatchObject({ name: 'visitor.shop.svc' });
    });
  });

  test('renewals reach both sides while they run, and no handshake fails', async () => {
    await applyExample('server-and-client.yaml');
    const pod = (name: string, account: string, command: readonly string[]) =>
      greetingsPod({
        name,
        namespace: 'demo',
        serviceAccountName: account,
        command,
        files: mounted(`${account}-mtls`),
      });
    const service = { selector: { app: 'server' }, ports: [{ port: 8443 }] };
    await run(
      'demo',
      { apiVersion: 'v1', kind: 'Service', metadata: { name: 'server' }, spec: service },
      pod('server', 'server', ['/server']),
    );
    await kubectl('wait', '--for=condition=Ready', 'pod/server', '-n', 'demo', '--timeout=120s');
    await talk('demo', pod('visitor', 'client', ['/client', '-connect', 'server.demo.svc:8443']));
    const before = await counted('demo', 'visitor');
    const refused = (await counted('demo', 'server')).failures;
    const serials = async (name: string) =>
      new Set(
        (await log('demo', name))
          .split('\n')
          .filter((line) => line.includes('"msg":"peer"'))
          .map((line) => z.object({ serial: z.string() }).parse(JSON.parse(line)).serial),
      );
    // A renewal every 12 to 15 seconds.
    for (const name of ['visitor', 'server'])
      await waitFor(`three certificates of the peer of ${name}`, async () => (await serials(name)).size >= 3, patience);
    await unbroken('demo', before);
    expect((await counted('demo', 'server')).failures).toBe(refused);
  });

  test('spec.restart rolls a Deployment that cannot reload, once the new certificate is in its Secret', async () => {
    await certificate('legacy', { restart: [{ kind: 'Deployment', name: 'legacy' }] });
    await run('shop', ...programThatCannotReload('legacy', 'legacy-mtls'));
    await kubectl('rollout', 'status', 'deployment/legacy', '-n', 'shop', '--timeout=120s');
    await run('shop', probePod('onlooker', ['serial', 'legacy.shop.svc:8443', '/mnt'], mounting('legacy-mtls')));
    const status = (field: string) =>
      kubectl('get', 'wcert', 'legacy', '-n', 'shop', '-o', `jsonpath={.status.${field}}`);
    const first = await status('serialNumber');
    const served = async () => (await log('shop', 'onlooker')).trim().split('\n').at(-1);
    await waitFor('the first certificate to be served', async () => (await served()) === first, patience);
    const at = `mtls-operator.io/renew-at=${new Date(Date.now() - 1_000).toISOString()}`;
    await kubectl('annotate', 'wcert', 'legacy', '-n', 'shop', at);
    await waitFor('the renewal', async () => (await status('serialNumber')) !== first, patience);
    const second = await status('serialNumber');
    await waitFor('the restart', async () => (await status('restartedSerialNumber')) === second, patience);
    await waitFor('the second certificate to be served', async () => (await served()) === second, patience);
    await kubectl('rollout', 'status', 'deployment/legacy', '-n', 'shop', '--timeout=120s');
    const replicaSets = await kubectl('get', 'replicasets', '-n', 'shop', '-l', 'app=legacy', '-o', 'name');
    expect(replicaSets.trim().split('\n')).toHaveLength(2);
  });

  test('the leader is killed, and the other replica takes over', async () => {
    const [steady, renewed] = [await counted('shop', 'visitor'), await counted('demo', 'visitor')];
    const before = await leader();
    const container = async () => {
      return (await replicas()).find(({ metadata }) => metadata.name === before)?.status.containerStatuses[0];
    };
    const kill = async () => {
      const { containerID } = (await container()) ?? fail('the leader has no container');
      await target.kill(containerID.replace('containerd://', ''));
    };
    await kill();
    const after = await waitFor(
      'another leader',
      async () => {
        const now = await leader();
        if (now !== '' && now !== before) return now;
        // Its kubelet starts it again within a second: it must not be the one that takes over.
        if ((await container())?.ready === true) await kill();
        return undefined;
      },
      patience,
    );
    expect((await replicas()).map(({ metadata }) => metadata.name)).toContain(after);
    await certificate('after-takeover');
    await waitFor('the killed one to be there again', async () => (await container())?.ready === true, patience);
    expect((await container())?.restartCount).toBeGreaterThan(0);
    await unbroken('shop', steady);
    await unbroken('demo', renewed);
  });

  describe('the release', () => {
    /** Version of each Secret in use, which every write changes. */
    async function secrets(): Promise<Record<string, string>> {
      const field = 'jsonpath={range .items[*]}{.metadata.name}={.metadata.resourceVersion}{"\\n"}{end}';
      const lines = (await kubectl('get', 'secrets', '-n', 'shop', '-o', field)).trim().split('\n');
      return Object.fromEntries(lines.map((line) => line.split('=')));
    }

    const root = () => kubectl('get', 'mca', 'default', '-o', 'jsonpath={.status.root.fingerprint}');

    test('helm upgrade replaces both replicas, and workloads notice nothing', async () => {
      const [steady, renewed, owned] = [
        await counted('shop', 'visitor'),
        await counted('demo', 'visitor'),
        await secrets(),
      ];
      const old = (await replicas()).map(({ metadata }) => metadata.name);
      const flags = ['-n', SYSTEM, '--wait', '--timeout=3m', '--reuse-values', '--set', 'workers=8'];
      await target.helm('upgrade', 'mtls-operator', chartDirectory, ...flags);
      await waitFor('the old replicas to be gone', async () => (await replicas()).length === 2, patience);
      expect((await replicas()).filter(({ metadata }) => old.includes(metadata.name))).toEqual([]);
      await certificate('after-upgrade');
      expect(await secrets()).toMatchObject(owned);
      await unbroken('shop', steady);
      await unbroken('demo', renewed);
    });

    test('helm uninstall takes the operator away; workloads, Secrets and authorities stay', async () => {
      const [steady, owned, authority] = [await counted('shop', 'visitor'), await secrets(), await root()];
      expect(authority).not.toBe('');
      await kubectl('delete', 'namespace', 'demo', '--wait=false'); // nobody renews its certificates, which live for a minute
      await target.helm('uninstall', 'mtls-operator', '-n', SYSTEM, '--wait');
      await waitFor('the operator to be gone', async () => (await replicas()).length === 0, patience);
      expect(await secrets()).toEqual(owned);
      expect(await root()).toBe(authority);
      await unbroken('shop', steady);
    });

    test('helm install again takes everything back, and issues nothing that is there', async () => {
      const [steady, owned, authority] = [await counted('shop', 'visitor'), await secrets(), await root()];
      await target.helm('install', 'mtls-operator', chartDirectory, '-n', SYSTEM, '--wait', '--timeout=3m', ...values);
      await certificate('after-reinstall');
      const { 'after-reinstall-mtls': added, ...others } = await secrets();
      expect(added).toBeDefined();
      expect(others).toEqual(owned);
      expect(await root()).toBe(authority);
      await unbroken('shop', steady);
      const web = await last('shop', 'web', 'peer');
      expect(web).toMatchObject({ name: 'visitor.shop.svc' });
    });
  });
}

const podsSchema = z.object({
  items: z.array(
    z.object({
      metadata: z.object({ name: z.string() }),
      status: z.object({
        containerStatuses: z
          .array(z.object({ containerID: z.string().default(''), restartCount: z.number(), ready: z.boolean() }))
          .default([]),
      }),
    }),
  ),
});

function fail(why: string): never {
  throw new Error(why);
}

const namedSchema = z.looseObject({ metadata: z.looseObject({ name: z.string() }) });
type Named = z.output<typeof namedSchema>;

const named = (object: object): Named => namedSchema.parse(object);

function inNamespace(namespace: string, object: object): Named {
  const { metadata, ...rest } = named(object);
  return { ...rest, metadata: { ...metadata, namespace } };
}
