// What the chart renders, and what it refuses. The renderings stand in golden/: after a change that is wanted, `npm test -- test/chart/render -u` writes them anew.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { version } from '../../src/version.ts';
import { CommandError } from '../support/command.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { objectsIn, type RenderedObject, render, valueSets } from './chart.ts';

const root = join(import.meta.dirname, '..', '..');

let home: string;
let helm: Helm;

beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home);
});

afterAll(() => rm(home, { recursive: true, force: true }));

const withoutKinds = ['--set', 'crds.enabled=false'];

const refusal = (...args: readonly string[]): Promise<string> => failure(render(helm, ...args));

async function failure(work: Promise<string>): Promise<string> {
  try {
    await work;
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
  throw new Error('it was rendered');
}

function find(objects: readonly RenderedObject[], kind: string, name: string): RenderedObject {
  const found = objects.find((object) => object.kind === kind && object.metadata.name === name);
  if (found === undefined) throw new Error(`no ${kind} ${name}`);
  return found;
}

const rulesOf = (object: RenderedObject): unknown => object['rules'];

test('the chart passes helm lint --strict', async () => {
  expect(await helm('lint', '--strict', chartDirectory)).toContain('1 chart(s) linted, 0 chart(s) failed');
});

test('the chart has the version of the operator', () => {
  const chart = z
    .object({ version: z.string(), appVersion: z.string() })
    .parse(parse(readFileSync(join(chartDirectory, 'Chart.yaml'), 'utf8')));
  expect(chart).toEqual({ version, appVersion: version });
});

describe.each(valueSets)('with the values $name', ({ name, file }) => {
  test('helm lint --strict passes', async () => {
    await helm('lint', '--strict', chartDirectory, '--values', file);
  });

  test('the rendering is the golden one', async () => {
    const rendered = await render(helm, '--values', file, ...withoutKinds);
    await expect(rendered).toMatchFileSnapshot(join(import.meta.dirname, 'golden', `${name}.yaml`));
  });

  test('no object of our own kinds is rendered', async () => {
    const groups = objectsIn(await render(helm, '--values', file)).map(({ apiVersion }) => apiVersion.split('/')[0]);
    expect(groups).not.toContain('mtls-operator.io');
  });
});

describe('the kinds', () => {
  test('are what kubectl apply -f crds/ installs, to be kept at uninstall', async () => {
    const rendered = objectsIn(await render(helm)).filter(
      ({ metadata }) => metadata.annotations['helm.sh/resource-policy'] === 'keep',
    );
    const files = [
      'certificateauthorities',
      'mtlspolicies',
      'mtlsrollouts',
      'workloadcertificates',
      'policy-restarts',
      'policy-restarts-binding',
      'policy-serviceaccounts',
      'policy-serviceaccounts-binding',
      'role-edit',
      'role-view',
    ];
    const expected = files.flatMap((file) => objectsIn(readFileSync(join(root, 'crds', `${file}.yaml`), 'utf8')));
    const byName = (a: RenderedObject, b: RenderedObject) =>
      `${a.kind}/${a.metadata.name}`.localeCompare(`${b.kind}/${b.metadata.name}`);
    const bare = rendered.map((object) => ({ ...object, metadata: { ...object.metadata, annotations: {} } }));
    expect(bare.sort(byName)).toEqual(expected.sort(byName));
  });

  test('are left out where they come from elsewhere', async () => {
    const kinds = objectsIn(await render(helm, ...withoutKinds)).map(({ kind }) => kind);
    expect(kinds).not.toContain('CustomResourceDefinition');
    expect(kinds).not.toContain('ValidatingAdmissionPolicy');
  });

  test.each([
    [[], 'system:serviceaccount:mtls-system:mtls-operator'],
    [['--set', 'serviceAccount.name=issuer'], 'system:serviceaccount:mtls-system:issuer'],
    [['--set', 'fullnameOverride=mtls', '--namespace', 'identity'], 'system:serviceaccount:identity:mtls'],
  ])('know the operator by the account that it runs as (%j)', async (args, user) => {
    const policy = find(
      objectsIn(await render(helm, ...args)),
      'ValidatingAdmissionPolicy',
      'serviceaccounts.workloadcertificates.mtls-operator.io',
    );
    expect(JSON.stringify(policy)).toContain(`"'${user}'"`);
  });
});

describe('the permissions', () => {
  test('by default are those in files/rbac.yaml', async () => {
    const rendered = objectsIn(await render(helm));
    const reviewed = objectsIn(readFileSync(join(chartDirectory, 'files', 'rbac.yaml'), 'utf8'));
    for (const kind of ['ClusterRole', 'Role']) {
      const rules = rulesOf(find(rendered, kind, 'mtls-operator'));
      expect(rules).toEqual(rulesOf(find(reviewed, kind, 'mtls-operator')));
    }
  });

  test('for named namespaces let nothing be read or written in all of them but what has no namespace', async () => {
    const rendered = objectsIn(await render(helm, '--set', 'namespaces={shop,bank}'));
    const bound = rendered.filter(({ kind }) => kind === 'ClusterRoleBinding').map(({ metadata }) => metadata.name);
    expect(bound).toEqual(['mtls-operator']);
    const resources = z
      .array(z.object({ resources: z.array(z.string()) }))
      .parse(rulesOf(find(rendered, 'ClusterRole', 'mtls-operator')))
      .flatMap((rule) => rule.resources);
    expect(resources.sort()).toEqual(['certificateauthorities', 'certificateauthorities/status', 'namespaces']);
    const places = rendered.filter(({ kind }) => kind === 'RoleBinding').map(({ metadata }) => metadata.namespace);
    expect(places.sort()).toEqual(['bank', 'default', 'mtls-system', 'shop']);
  });
});

describe('a constraint on how pods are spread', () => {
  const deploymentSchema = z.looseObject({
    spec: z.object({ template: z.object({ spec: z.object({ topologySpreadConstraints: z.array(z.unknown()) }) }) }),
  });
  const ours = {
    matchLabels: {
      'app.kubernetes.io/component': 'controller',
      'app.kubernetes.io/instance': 'mtls-operator',
      'app.kubernetes.io/name': 'mtls-operator',
    },
  };
  const zones = { maxSkew: 1, topologyKey: 'topology.kubernetes.io/zone', whenUnsatisfiable: 'DoNotSchedule' };

  test.each([
    ['without labelSelector is about our pods', {}, ours],
    ['with matchLabels keeps them alone', { labelSelector: { matchLabels: { team: 'platform' } } }, undefined],
    [
      'with an expression keeps it alone',
      { labelSelector: { matchExpressions: [{ key: 'team', operator: 'Exists' }] } },
      undefined,
    ],
    ['with a labelSelector for all pods keeps it', { labelSelector: {} }, undefined],
  ])('%s', async (_, more, added) => {
    const constraint = { ...zones, ...more };
    const args = ['--set-json', `topologySpreadConstraints=${JSON.stringify([constraint])}`];
    const deployment = find(objectsIn(await render(helm, ...args)), 'Deployment', 'mtls-operator-controller');
    expect(deploymentSchema.parse(deployment).spec.template.spec.topologySpreadConstraints).toEqual([
      added === undefined ? constraint : { ...constraint, labelSelector: added },
    ]);
  });
});

describe('the network policy', () => {
  const policySchema = z.looseObject({
    spec: z.object({ egress: z.tuple([z.strictObject({ ports: z.array(z.unknown()) })]) }),
  });

  test.each([
    ['by default the API server only', [], [{ port: 443 }, { port: 6443 }]],
    [
      'with dns a name server, too',
      ['--set', 'networkPolicy.dns=true'],
      [{ port: 443 }, { port: 6443 }, { port: 53, protocol: 'UDP' }, { port: 53, protocol: 'TCP' }],
    ],
  ])('lets the pods reach %s', async (_, args, ports) => {
    const objects = objectsIn(await render(helm, '--set', 'networkPolicy.enabled=true', ...args));
    const policy = find(objects, 'NetworkPolicy', 'mtls-operator-controller');
    expect(policySchema.parse(policy).spec.egress).toEqual([{ ports }]);
  });
});

describe('a name that no Service can have is refused, with the value that helps', () => {
  const named = (release: string, ...args: readonly string[]): Promise<string> =>
    helm('template', release, chartDirectory, '-n', 'mtls-system', ...args);
  const fifty = 'a'.repeat(50);

  test.each([
    ['a release that begins with a digit', '1st', [], '1st-mtls-operator-controller'],
    ['a release with a dot', 'mtls.v1', [], 'mtls.v1-mtls-operator-controller'],
    ['a release with a dot that has the name of the chart', 'mtls-operator.v1', [], 'mtls-operator.v1-controller'],
    ['an override that begins with a digit', 'issuer', ['--set', 'fullnameOverride=1st'], '1st-controller'],
    ['an override that is too long', 'issuer', ['--set', `fullnameOverride=${fifty}a`], `${fifty}a-controller`],
  ])('%s', async (_, release, args, name) => {
    expect(await failure(named(release, ...args))).toContain(`no Service can be called ${name}: set fullnameOverride`);
  });

  test.each([
    ['1st', ['--set', 'fullnameOverride=first'], 'first-controller'],
    ['mtls.v1', ['--set', 'fullnameOverride=mtls-v1'], 'mtls-v1-controller'],
    ['issuer', ['--set', `fullnameOverride=${fifty}`], `${fifty}-controller`],
    ['i'.repeat(53), [], `${'i'.repeat(50)}-controller`],
    [`${'i'.repeat(49)}-x`, [], `${'i'.repeat(49)}-controller`],
  ])('but release %s with %j is not', async (release, args, name) => {
    const objects = objectsIn(await named(release, ...args));
    find(objects, 'Service', name);
    find(objects, 'Deployment', name);
  });
});

describe('the notes', () => {
  const notes = async (...args: readonly string[]): Promise<string> => {
    const whole = await helm(
      'install',
      'mtls-operator',
      chartDirectory,
      '-n',
      'mtls-system',
      '--dry-run=client',
      ...args,
    );
    return whole.slice(whole.indexOf('NOTES:'));
  };

  test('name the next commands, and warn of a trust domain that is shared', async () => {
    const text = await notes();
    expect(text).toContain('kubectl rollout status deployment/mtls-operator-controller -n mtls-system');
    expect(text).toContain('clusters that share a trust domain cannot be joined');
    expect(text).toContain('localhost/mtls-operator:0.1.0 cannot be pulled from anywhere');
  });

  test('name a namespace that is served', async () => {
    expect(await notes('--set', 'namespaces={shop}')).toContain('namespace: shop }');
  });
});

describe('values that are wrong are refused', () => {
  test.each([
    ['a key that does not exist', ['--set', 'trustDomian=x'], "additional properties 'trustDomian' not allowed"],
    [
      'a key that does not exist further down',
      ['--set', 'image.repo=x'],
      "at '/image': additional properties 'repo' not allowed",
    ],
    [
      'a switch by another name',
      ['--set', 'crds.install=true'],
      "at '/crds': additional properties 'install' not allowed",
    ],
    ['a number as text', ['--set-string', 'replicas=2'], "at '/replicas': got string, want integer"],
    ['a fraction of a replica', ['--set-json', 'replicas=1.5'], "at '/replicas': got number, want integer"],
    ['fewer than no replicas', ['--set', 'replicas=-1'], "at '/replicas': minimum: got -1, want 0"],
    ['a truth as text', ['--set-string', 'crds.enabled=false'], "at '/crds/enabled': got string, want boolean"],
    ['a tag that YAML takes for a number', ['--set-json', 'image.tag=1.0'], "at '/image/tag': got number, want string"],
    ['no trust domain', ['--set', 'trustDomain='], "at '/trustDomain'"],
    ['a SPIFFE ID for a trust domain', ['--set', 'trustDomain=spiffe://example.com'], "at '/trustDomain'"],
    ['one namespace that is no list', ['--set', 'namespaces=shop'], "at '/namespaces': got string, want array"],
    [
      'a namespace with a bad name',
      ['--set', 'namespaces={Shop_1}'],
      "at '/namespaces/0': 'Shop_1' does not match pattern",
    ],
    ['a namespace twice', ['--set', 'namespaces={shop,shop}'], "at '/namespaces': items at 0 and 1 are equal"],
    ['a level that there is not', ['--set', 'logLevel=verbose'], "at '/logLevel': value must be one of 'trace'"],
    ['a digest that is none', ['--set', 'image.digest=latest'], "at '/image/digest'"],
    ['a repository with a tag', ['--set', 'image.repository=registry.example.com/x:1'], "at '/image/repository'"],
    ['a port that there is not', ['--set', 'healthPort=70000'], "at '/healthPort'"],
    [
      'names of pull secrets alone',
      ['--set', 'image.pullSecrets={registry}'],
      "at '/image/pullSecrets/0': got string, want object",
    ],
    [
      'a toleration with a typing error',
      ['--set', 'tolerations[0].efect=NoSchedule'],
      "additional properties 'efect' not allowed",
    ],
    [
      'resources that are not nested',
      ['--set', 'resources.memory=1Gi'],
      "at '/resources': additional properties 'memory' not allowed",
    ],
    [
      'an account that is neither made nor named',
      ['--set', 'serviceAccount.create=false'],
      'serviceAccount.name has to be set where serviceAccount.create is false',
    ],
    ['a cluster that is too old', ['--kube-version', '1.33.9'], 'requires kubeVersion: >=1.34.0-0'],
  ])('%s', async (_, args, message) => {
    expect(await refusal(...args)).toContain(message);
  });

  test('a value that breaks out of its line', async () => {
    const file = join(home, 'injection.yaml');
    await writeFile(file, JSON.stringify({ clusterDomain: 'cluster.local\n            - --kubeconfig=x' }));
    expect(await refusal('--values', file)).toContain("at '/clusterDomain'");
  });
});

test('every value is in values.schema.json, and every value of the schema has its default and comment', () => {
  const values = z
    .record(z.string(), z.unknown())
    .parse(parse(readFileSync(join(chartDirectory, 'values.yaml'), 'utf8')));
  const schema = JSON.parse(readFileSync(join(chartDirectory, 'values.schema.json'), 'utf8'));
  const properties = Object.keys(z.object({ properties: z.record(z.string(), z.unknown()) }).parse(schema).properties);
  // Both are helm's own.
  expect(properties.filter((name) => name !== 'global' && name !== 'enabled').sort()).toEqual(
    Object.keys(values).sort(),
  );
});

test('as a part of another chart it takes the values that helm adds', async () => {
  const objects = objectsIn(await render(helm, '--set', 'global.region=eu,enabled=true', ...withoutKinds));
  expect(objects.map(({ kind }) => kind)).toContain('Deployment');
});
