/** Sidecars as users get them: the chart on a real kubelet, a label on a namespace, `kubectl apply` of a policy, and pods that speak with each other all the while. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from '../../src/api/index.ts';
import { makeProbeImage, probeImage } from '../node/index.ts';
import { CommandError } from '../support/command.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';
import { Explainer } from './explained.ts';
import { Installation, MESHED, PLAIN } from './installation.ts';
import { Pods } from './pods.ts';
import { workload } from './workload.ts';

let installation: Installation;
let explainer: Explainer;
const pods = (namespace: string) => new Pods(installation.cluster, namespace);

beforeAll(async () => {
  installation = await Installation.prepare([makeProbeImage]);
  explainer = await Explainer.install(installation.cluster, MESHED);
});

afterAll(async () => {
  await explainer?.[Symbol.asyncDispose]();
  await installation?.[Symbol.asyncDispose]();
});

async function failure(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
  throw new Error('it succeeded');
}

type Visit = (url: string) => Promise<string>;

async function visitor(namespace: string, app: string): Promise<Visit> {
  const [name = ''] = await installation.podNames(namespace, app);
  return (url) => pods(namespace).visit(name, url);
}

/** One in the mesh, and one outside of it. */
async function visitors(): Promise<readonly [cart: Visit, stranger: Visit]> {
  return [await visitor(MESHED, 'cart'), await visitor(PLAIN, 'stranger')];
}

/** Makes them anew, and waits until all are those. */
async function restart(...deployments: readonly string[]): Promise<void> {
  const all = deployments.map((name) => `deployment/${name}`);
  await installation.cluster.kubectl(['rollout', 'restart', ...all, '-n', MESHED]);
  for (const name of all) await installation.rolledOut(MESHED, name);
}

/** @returns what one in the mesh was answered meanwhile that it should not have been. */
async function disturbances(work: () => Promise<void>): Promise<string[]> {
  const cart = await visitor(MESHED, 'cart');
  let done = false;
  const answers: string[] = [];
  const visiting = (async () => {
    while (!done) answers.push(await cart('http://web/constant').catch(String));
  })();
  try {
    await work();
  } finally {
    done = true;
    await visiting;
  }
  expect(answers.length).toBeGreaterThan(5);
  return answers.filter((answer) => !answer.includes('/constant'));
}

/** That who speaks plaintext is treated by the mode. */
async function expectStranger(mode: Mode): Promise<void> {
  const stranger = await visitor(PLAIN, 'stranger');
  const expected = mode === 'Strict' ? 'closed' : expect.stringContaining('/hello');
  expect([mode, await stranger('http://web.shop/hello')]).toEqual([mode, expected]);
}

test('helm install --wait brings the operator and proxy-api, in the order in which they need each other', async () => {
  await installation.install();
});

describe('pods of a labelled namespace', () => {
  beforeAll(async () => {
    const all = [
      [MESHED, 'web', 2],
      [MESHED, 'cart', 1],
      [PLAIN, 'stranger', 1],
    ] as const;
    await installation.apply(...all.flatMap(([namespace, name, replicas]) => workload(namespace, name, replicas)));
    for (const [namespace, name] of all) await installation.rolledOut(namespace, `deployment/${name}`);
  });

  test('have a sidecar, with an identity that nobody had to ask for', async () => {
    const [web = ''] = await installation.podNames(MESHED, 'web');
    expect((await pods(MESHED).get(web)).of('mtls-proxy')).toMatchObject({ started: true, ready: true });
    const [stranger = ''] = await installation.podNames(PLAIN, 'stranger');
    expect((await pods(PLAIN).get(stranger)).of('mtls-proxy')).toBeUndefined();
    const certificates = await pods(MESHED).kubectl('get', 'wcert', '-o', 'name');
    expect(certificates.trim().split('\n').sort()).toEqual(
      ['cart', 'web'].map((name) => `workloadcertificate.mtls-operator.io/mtls-proxy-${name}`),
    );
  });

  test('speak with each other, and others with them, before anybody asks for a mode', async () => {
    const [cart, stranger] = await visitors();
    expect(await cart('http://web/hello')).toContain('/hello');
    expect(await cart('http://web.shop.svc.cluster.local/hello')).toContain('/hello');
    expect(await stranger('http://web.shop/hello')).toContain('/hello');
    expect(await cart('http://stranger.outside/hello')).toContain('/hello');
  });

  test('that become Strict refuse plaintext and go on with each other; and back', async () => {
    const disturbed = await disturbances(async () => {
      for (const mode of ['Strict', 'Permissive', 'Disabled', 'Strict'] as const) {
        await installation.turn(mode);
        await expectStranger(mode);
        const accepts = mode === 'Strict' ? 'MutualTLS' : 'MutualTLSAndPlaintext';
        for (const pod of await installation.podNames(MESHED, 'web'))
          expect((await explainer.explain(pod, 8080)).ports).toMatchObject([
            { mode, loaded: { accepts, agrees: true } },
          ]);
      }
    });
    expect(disturbed).toEqual([]);
  });

  test('say themselves which certificate they have loaded: after a renewal the new one, as peers see it', async () => {
    const [web = ''] = await installation.podNames(MESHED, 'web');
    const before = await explainer.explain(web, 8080);
    expect(before.proxy).toMatchObject({
      unread: null,
      certificate: { state: 'Current', spiffeId: 'spiffe://cluster.local/ns/shop/sa/web' },
      roots: [{ subject: expect.stringContaining('CN=') }],
    });
    expect(before.notes).toEqual([]);
    const serial = before.proxy.certificate?.serialNumber;
    expect(await explainer.serialShownTo('cart', web, 9000)).toBe(serial);
    await installation.cluster.kubectl(['delete', 'secret', 'mtls-proxy-web', '-n', 'shop']);
    let now = before;
    await waitFor('the proxy to have the new one', async () => {
      now = await explainer.explain(web, 8080);
      const { serialNumber, state } = now.proxy.certificate ?? {};
      return state === 'Current' && serialNumber !== serial;
    });
    expect(await explainer.serialShownTo('cart', web, 9000)).toBe(now.proxy.certificate?.serialNumber);
    expect(now.notes).toEqual([]);
  });

  test('say it to those who may forward ports to them, by the role that is documented, and to nobody else', async () => {
    const [web = ''] = await installation.podNames(MESHED, 'web');
    const viewer = await explainer.viewer();
    expect((await explainer.explain(web, 8080, viewer)).proxy).toMatchObject({ unread: null });
    await installation.cluster.kubectl([
      'patch',
      'clusterrole',
      'mtls-viewer',
      '--type=json',
      '-p',
      '[{"op":"remove","path":"/rules/2"}]',
    ]);
    await waitFor('the permission to be gone', async () => {
      const { ports, proxy } = await explainer.explain(web, 8080, viewer);
      // Everything else is told all the same.
      expect(ports).toMatchObject([{ port: 8080, mode: 'Strict' }]);
      return proxy.unread === 'you lack the permission to get and create pods/portforward in namespace shop';
    });
  });

  test('go on when the leader, or a replica of proxy-api, is killed in the middle of a switch', async () => {
    const disturbed = await disturbances(async () => {
      for (const [mode, victim] of [
        ['Permissive', 'controller'],
        ['Strict', 'proxy-api'],
      ] as const) {
        await installation.ask(mode);
        const selector = `app.kubernetes.io/component=${victim}`;
        const atOnce = ['--force', '--grace-period=0', '--wait=false'];
        await installation.cluster.kubectl(['delete', 'pods', '-n', OPERATOR_NAMESPACE, '-l', selector, ...atOnce]);
        await installation.enforced(mode);
        await expectStranger(mode);
      }
    });
    expect(disturbed).toEqual([]);
  });

  test('keep their mode while the operator and proxy-api are away', async () => {
    await installation.scale(0, 'controller', 'proxy-api');
    const [cart] = await visitors();
    expect(await cart('http://web/hello')).toContain('/hello');
    await expectStranger('Strict');
    // Nobody would redirect and protect a new one: it is not made.
    const late = {
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name: 'late', namespace: MESHED },
      spec: { containers: [{ name: 'main', image: probeImage }] },
    };
    await expect(installation.apply(late)).rejects.toThrow(/namespace.injection.mtls-operator.io/);
    await installation.scale(2, 'controller', 'proxy-api');
    await installation.turn('Permissive');
    await expectStranger('Permissive');
  });

  test('go through a rolling update in Strict without a failed request', async () => {
    await installation.turn('Strict');
    expect(await disturbances(() => restart('web'))).toEqual([]);
  });
});

describe('helm uninstall', () => {
  test('is refused while pods have a sidecar, and helm itself says which and what to do', async () => {
    const said = await failure(installation.uninstall());
    expect(said).toContain('3 pods have a sidecar');
    expect(said).toContain('shop: 3');
    expect(said).toContain('helm uninstall mtls-operator -n mtls-system --no-hooks');
    for (const name of ['controller', 'proxy-api'])
      await installation.rolledOut(OPERATOR_NAMESPACE, `deployment/mtls-operator-${name}`);
    const [cart] = await visitors();
    expect(await cart('http://web/hello')).toContain('/hello');
  });

  test('where it is forced, leaves sidecars as they are, and new pods without one, which Strict ones refuse', async () => {
    await installation.uninstall('--no-hooks');
    const [cart] = await visitors();
    expect(await cart('http://web/hello')).toContain('/hello');
    await expectStranger('Strict');
    await installation.apply(...workload(MESHED, 'late', 1));
    await installation.rolledOut(MESHED, 'deployment/late');
    const [late = ''] = await installation.podNames(MESHED, 'late');
    expect((await pods(MESHED).get(late)).of('mtls-proxy')).toBeUndefined();
    expect(await pods(MESHED).visit(late, 'http://web/hello')).toBe('closed');
  });

  test('can be taken back: an operator that is installed again goes on with the same sidecars', async () => {
    await installation.install();
    // It was made while nobody gave it a sidecar.
    await restart('late');
    await installation.turn('Permissive');
    const late = await visitor(MESHED, 'late');
    expect(await late('http://web/hello')).toContain('/hello');
  });

  test('goes through when no pod has a sidecar any more', async () => {
    const { cluster } = installation;
    await cluster.kubectl(['label', 'namespace', MESHED, 'mtls-operator.io/injection=disabled', '--overwrite']);
    await restart('web', 'cart', 'late');
    await installation.uninstall();
    const [cart] = await visitors();
    expect(await cart('http://web/hello')).toContain('/hello');
  });
});
