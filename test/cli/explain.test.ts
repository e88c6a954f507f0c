/** `kubectl mtls explain` as users run it: found by kubectl on PATH, against a real API server. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { mtlsPolicyKind } from '../../src/api/index.ts';
import { OPERATOR_NAMESPACE, World, waitFor } from '../certificate/world.ts';
import type { KubectlOptions } from '../cluster/index.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { Plugin, type PluginRun, userWith } from './plugin.ts';

let world: World;
let plugin: Plugin;
let namespace: string;

beforeAll(async () => {
  world = await World.start();
  plugin = await Plugin.install(world.cluster);
});

afterAll(async () => {
  await plugin?.[Symbol.asyncDispose]();
  await world?.[Symbol.asyncDispose]();
});

beforeEach(async () => {
  namespace = await world.namespace('explained');
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await waitFor('the service account `default`', () => world.find(account));
});

async function explain(args: readonly string[], options: KubectlOptions = {}): Promise<string> {
  const { code, stderr, stdout } = await plugin.run(['explain', '-n', namespace, ...args], options);
  if (code !== 0) throw new Error(stderr);
  return stdout;
}

async function refusal(args: readonly string[], options: KubectlOptions = {}): Promise<PluginRun> {
  const run = await plugin.run(['explain', '-n', namespace, ...args], options);
  if (run.code === 0) throw new Error('it succeeded');
  return run;
}

const template = {
  metadata: { labels: { app: 'web' } },
  spec: {
    containers: [{ name: 'main', image: 'registry.invalid/none', ports: [{ containerPort: 8080, name: 'http' }] }],
  },
};

async function runPod(): Promise<void> {
  await world.send('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { ...template.metadata, name: 'web' },
    spec: template.spec,
  });
}

async function apply(name: string, spec: object, where = namespace): Promise<void> {
  const apiVersion = 'mtls-operator.io/v1alpha1';
  await world.send('POST', mtlsPolicyKind.path(where), { apiVersion, kind: 'MTLSPolicy', metadata: { name }, spec });
}

describe('kubectl mtls explain', () => {
  test('says of a pod which mode its ports have, by which policy, and what became of the others', async () => {
    await runPod();
    await apply('default', { mode: 'Strict' });
    await apply('web', { selector: { matchLabels: { app: 'web' } }, ports: [{ portName: 'http', mode: 'Disabled' }] });
    const text = await explain(['pod/web', '--port', '8080']);
    expect(text).toContain(`pod/web in namespace ${namespace}`);
    expect(text).toMatch(new RegExp(`8080 \\(http\\) +Disabled +${namespace}/web \\(Workload, ports\\[0\\]\\)`));
    expect(text).toMatch(new RegExp(`${namespace}/default +Namespace +${namespace}/web has a narrower scope`));
    expect(text).not.toContain('no operator runs');
  });

  test('says it in JSON, of a Deployment, with the policies for the whole mesh', async () => {
    await world.send('POST', `/apis/apps/v1/namespaces/${namespace}/deployments`, {
      metadata: { name: 'web' },
      spec: { replicas: 0, selector: { matchLabels: { app: 'web' } }, template },
    });
    await apply('mesh', { mode: 'Strict' }, OPERATOR_NAMESPACE);
    const found: unknown = JSON.parse(await explain(['deploy/web', '-o', 'json']));
    expect(found).toMatchObject({
      object: 'deployment/web',
      namespace,
      ports: [
        {
          port: 8080,
          names: ['http'],
          mode: 'Strict',
          decidedBy: { policy: `${OPERATOR_NAMESPACE}/mesh`, scope: 'Mesh' },
        },
        { port: null, mode: 'Strict' },
      ],
    });
    await world.send('DELETE', mtlsPolicyKind.path(OPERATOR_NAMESPACE, 'mesh'));
  });

  test('is of use to somebody who may see no more than the pod and the policies', async () => {
    await runPod();
    const rules = ['--verb=get,list', '--resource=pods,mtlspolicies.mtls-operator.io'];
    const as = await userWith(world.cluster, `viewer-${namespace}`, rules);
    expect(await explain(['pod/web'], { as })).toMatch(/8080 \(http\) +Permissive +no policy says anything/);
  });

  test.each([
    ['there is no such pod', ['pod/none'], 3, /pod explained-\S+\/none is not there/],
    ['the port has another name', ['pod/web', '--port', 'grpc'], 1, /its ports are called http/],
    ['a Service is asked about', ['svc/web'], 1, /"svc" has no ports of its own/],
  ])('says what is wrong where %s', async (_, args, code, message) => {
    await runPod();
    const error = await refusal(args);
    expect(error.stderr).toMatch(message);
    expect(error.code).toBe(code);
  });

  test('says what may not be read', async () => {
    await runPod();
    const error = await refusal(['pod/web'], { as: { name: 'nobody' } });
    expect(error.stderr).toMatch(/may not be read/);
    expect(error.code).toBe(3);
  });

  test('says that the operator is not where it was looked for', async () => {
    await runPod();
    expect(await explain(['pod/web', '--operator-namespace', 'elsewhere'])).toContain(
      'no operator runs in namespace elsewhere',
    );
  });

  test('prints what docs/modes.md shows', async () => {
    const blocks = fencedBlocks(await readFile(join(import.meta.dirname, '..', '..', 'docs', 'modes.md'), 'utf8'));
    const command = blocks
      .find(({ text }) => text.startsWith('kubectl mtls explain'))
      ?.text.trim()
      .split(' ');
    expect(command?.slice(0, 3)).toEqual(['kubectl', 'mtls', 'explain']);
    await runPod();
    const args = command?.slice(2).map((word) => (word === 'shop' ? namespace : word)) ?? [];
    expect((await plugin.run(args)).stdout).toContain('8080 (http)');
  });
});
