// What the chart renders for sidecars, and what it refuses there. All of it stands in golden/mesh.yaml, too.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { webhookConfiguration } from '../../src/inject/webhookConfiguration.ts';
import { parseProxyApiFlags } from '../../src/proxyApi/flags.ts';
import { version } from '../../src/version.ts';
import { CommandError } from '../support/command.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { containerSchema, NAMESPACE, objectsIn, type RenderedObject, render } from './chart.ts';

let home: string;
let helm: Helm;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home);
});

afterAll(() => rm(home, { recursive: true, force: true }));

const range = (...texts: readonly string[]) => ['--set-json', `mesh.ranges=${JSON.stringify(texts)}`];
const enabled = ['--set', 'crds.enabled=false,mesh.enabled=true', ...range('10.244.0.0/16', '10.96.0.0/12')];

async function rendered(...args: readonly string[]): Promise<RenderedObject[]> {
  return objectsIn(await render(helm, ...enabled, ...args));
}

function find(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

describe('the webhooks', () => {
  const shape = z.looseObject({
    webhooks: z.array(z.looseObject({ clientConfig: z.looseObject({ caBundle: z.string().optional() }) })),
  });

  /** As the leader finds it: without the roots, which are its own to write. */
  function bare(configuration: object): object {
    const { apiVersion, kind, webhooks } = z
      .looseObject({ apiVersion: z.string(), kind: z.string() })
      .and(shape)
      .parse(configuration);
    return {
      apiVersion,
      kind,
      webhooks: webhooks.map(({ clientConfig: { caBundle: _, ...clientConfig }, ...rest }) => ({
        ...rest,
        clientConfig,
      })),
    };
  }

  test.each([false, true])('are those that injection is tested with (everyNamespace: %s)', async (everyNamespace) => {
    const args = ['--set', `mesh.everyNamespace=${everyNamespace}`];
    const found = find(await rendered(...args), 'MutatingWebhookConfiguration', 'mtls-operator');
    const service = { namespace: NAMESPACE, name: 'mtls-operator-proxy-api', path: '/inject', port: 443 };
    const clientConfig = { caBundle: '', service };
    const options = { name: 'mtls-operator', operatorNamespace: NAMESPACE, everyNamespace, clientConfig };
    expect(bare(found)).toEqual(bare(webhookConfiguration(options)));
    expect(JSON.stringify(found)).not.toContain('caBundle');
  });
});

describe('proxy-api', () => {
  const deploymentSchema = z.looseObject({
    spec: z.looseObject({
      template: z.looseObject({ spec: z.looseObject({ containers: z.tuple([containerSchema]) }) }),
    }),
  });

  async function flags(...args: readonly string[]) {
    const deployment = find(await rendered(...args), 'Deployment', 'mtls-operator-proxy-api');
    const [command, ...rest] = deploymentSchema.parse(deployment).spec.template.spec.containers[0].args;
    expect(command).toBe('proxy-api');
    const parsed = parseProxyApiFlags(rest, { POD_NAMESPACE: NAMESPACE });
    if (parsed === 'help') throw new Error('it would print its help');
    return parsed;
  }

  test('understands the flags that it is given by default', async () => {
    expect(await flags()).toMatchObject({
      namespace: NAMESPACE,
      leaderAccount: 'mtls-operator',
      host: `mtls-operator-proxy-api.${NAMESPACE}.svc.cluster.local`,
      ranges: [
        { address: '10.244.0.0', length: 16 },
        { address: '10.96.0.0', length: 12 },
      ],
      everyNamespace: false,
      initImage: `localhost/mtls-operator-init:${version}`,
      drainSeconds: 15,
      resources: { requests: { cpu: '20m', memory: '96Mi' }, limits: { memory: '512Mi' } },
      sourceAddresses: true,
    });
  });

  test('understands the flags that it is given with everything different', async () => {
    const values = join(import.meta.dirname, 'values', 'mesh.yaml');
    expect(await flags('--values', values)).toMatchObject({
      host: `mtls-operator-proxy-api.${NAMESPACE}.svc.example.internal`,
      everyNamespace: true,
      initImage: 'registry.example.com/redirection:2',
      drainSeconds: 45,
      resources: { requests: { cpu: '10m', memory: '64Mi' }, limits: { cpu: '2', memory: '1Gi' } },
      sourceAddresses: false,
    });
  });

  test.each([
    ['image.repository=registry.example.com/mtls', `registry.example.com/mtls-init:${version}`],
    ['image.tag=2.0', 'localhost/mtls-operator-init:2.0'],
    [`image.digest=sha256:${'0'.repeat(64)}`, `localhost/mtls-operator-init:${version}`],
    ['mesh.initImage=registry.example.com/nft:1', 'registry.example.com/nft:1'],
  ])('has its init image from where the operator has its own (%s)', async (value, image) => {
    expect((await flags('--set', value)).initImage).toBe(image);
  });

  test('may read no Secret, and write nothing', async () => {
    const role = find(await rendered(), 'ClusterRole', 'mtls-operator-proxy-api');
    const { rules } = z
      .object({ rules: z.array(z.object({ resources: z.array(z.string()), verbs: z.array(z.string()) })) })
      .parse(role);
    expect(rules.flatMap(({ resources }) => resources)).not.toContain('secrets');
    expect([...new Set(rules.flatMap(({ verbs }) => verbs))].sort()).toEqual(['get', 'list', 'watch']);
  });
});

test('without mesh.enabled nothing is rendered for sidecars, whatever else is set', async () => {
  const objects = objectsIn(await render(helm, '--set', 'crds.enabled=false,mesh.ranges={10.0.0.0/8}'));
  expect(objects.filter(({ metadata }) => metadata.name.includes('proxy-api'))).toEqual([]);
  expect(objects.map(({ kind }) => kind)).not.toContain('MutatingWebhookConfiguration');
  expect(JSON.stringify(objects)).not.toContain('--mesh');
});

test.each([
  ['which namespaces get sidecars', [], 'kubectl label namespace shop mtls-operator.io/injection=enabled'],
  ['that all do', ['--set', 'mesh.everyNamespace=true'], 'in every namespace that does not say otherwise'],
  ['which image nodes need besides', [], `Nor can localhost/mtls-operator-init:${version}`],
])('the notes say %s', async (_, args, text) => {
  const words = ['install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--dry-run=client', ...enabled, ...args];
  expect((await helm(...words)).split('NOTES:')[1]).toContain(text);
});

test('with a network policy the controller still reaches proxy-api, which tells it of sidecars', async () => {
  const policy = find(
    await rendered('--set', 'networkPolicy.enabled=true'),
    'NetworkPolicy',
    'mtls-operator-controller',
  );
  const { spec } = z.looseObject({ spec: z.looseObject({ egress: z.array(z.unknown()) }) }).parse(policy);
  expect(spec.egress).toContainEqual({
    to: [
      {
        podSelector: {
          matchLabels: {
            'app.kubernetes.io/name': 'mtls-operator',
            'app.kubernetes.io/instance': 'mtls-operator',
            'app.kubernetes.io/component': 'proxy-api',
          },
        },
      },
    ],
    ports: [{ port: 'xds' }],
  });
});

describe('values that are wrong are refused', () => {
  test.each([
    ['no ranges', range(), 'mesh.ranges has to be set where mesh.enabled is true'],
    ['some namespaces only', ['--set', 'namespaces={shop}'], 'mesh.enabled needs all namespaces to be served'],
    ['one range that is no list', ['--set-string', 'mesh.ranges=10.0.0.0/8'], "at '/mesh/ranges': got string"],
    ['an address without length', range('10.244.0.0'), "at '/mesh/ranges/0': '10.244.0.0' does not match"],
    ['an address that there is not', range('10.244.0.256/16'), "at '/mesh/ranges/0'"],
    ['an address that is cut off', range('10.244/16'), "at '/mesh/ranges/0'"],
    ['a number', range('10/8'), "at '/mesh/ranges/0'"],
    ['a length that there is not', range('10.0.0.0/33'), "at '/mesh/ranges/0'"],
    ['a length that IPv6 has not', range('fd00::/129'), "at '/mesh/ranges/0'"],
    ['two ranges in one', range('10.0.0.0/8,10.96.0.0/12'), "at '/mesh/ranges/0'"],
    ['a range twice', range('10.0.0.0/8', '10.0.0.0/8'), "at '/mesh/ranges': items at 0 and 1 are equal"],
    ['a typing error', ['--set', 'mesh.range={10.0.0.0/8}'], "at '/mesh': additional properties 'range' not allowed"],
    ['a typing error further down', ['--set', 'mesh.proxyResources.request.cpu=1'], "at '/mesh/proxyResources'"],
    [
      'a resource that sidecars are not given',
      ['--set', 'mesh.proxyResources.limits.ephemeral-storage=1Gi'],
      "at '/mesh/proxyResources/limits'",
    ],
    [
      'a quantity as number',
      ['--set-json', 'mesh.proxyResources.limits.cpu=2'],
      "at '/mesh/proxyResources/limits/cpu': got number, want string",
    ],
    ['no time to drain', ['--set', 'mesh.drainSeconds=0'], "at '/mesh/drainSeconds': minimum: got 0, want 1"],
    [
      'a switch as text',
      ['--set-string', 'mesh.everyNamespace=yes'],
      "at '/mesh/everyNamespace': got string, want boolean",
    ],
    ['a retention without unit', ['--set-string', 'mesh.certificateRetention=30'], "at '/mesh/certificateRetention'"],
    ['an image with a space', ['--set', 'mesh.proxyImage=envoy 1'], "at '/mesh/proxyImage'"],
  ])('%s', async (_, args, message) => {
    const said = await rendered(...args).then(
      () => 'it was rendered',
      (error: unknown) => (error instanceof CommandError ? error.output : Promise.reject(error)),
    );
    expect(said).toContain(message);
  });

  test.each(['10.244.0.0/16', '0.0.0.0/0', 'fd00:10:244::/56', '::/0', '2001:DB8::1:2/128'])(
    'but %s is a range',
    async (text) => {
      await rendered(...range(text));
    },
  );
});
