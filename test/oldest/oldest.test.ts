// The oldest Kubernetes that is supported takes the chart, judges our kinds as the newest does, and the operator issues there.
import { readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { testAdmission } from '../api/admission.ts';
import { testAgreement } from '../api/agreement.ts';
import { testDefinitions } from '../api/definitions.ts';
import { testSamples } from '../api/samples.ts';
import { certificate } from '../api/users.ts';
import { dryRunOn, NAMESPACE, objectsIn, render, startController, valueSets } from '../chart/chart.ts';
import { monitoringKinds } from '../chart/monitoring.ts';
import {
  type Cluster,
  findOrBuildOldestApiServer,
  readOldestVersion,
  readVersions,
  startCluster,
} from '../cluster/index.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { printProgress } from '../support/progress.ts';

const { kubernetes: oldest } = readOldestVersion();
const root = join(import.meta.dirname, '..', '..');

let cluster: Cluster;
let home: string;
let helm: Helm;

beforeAll(async () => {
  const apiServer = await findOrBuildOldestApiServer(printProgress);
  // Without controller manager: the one that is pinned is newer than this API server, which Kubernetes does not support.
  cluster = await startCluster({ log: printProgress, apiServer, controllerManager: false });
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-oldest-'));
  helm = await helmFor(home, cluster);
  await helm('install', 'mtls-operator', chartDirectory, '-n', NAMESPACE, '--create-namespace');
  await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  await cluster.kubectl(['create', 'namespace', 'shop']);
});

afterAll(async () => {
  await cluster?.stop();
  if (home !== undefined) await rm(home, { recursive: true, force: true });
});

test('it is the version that it should be', async () => {
  const version: unknown = JSON.parse(await cluster.kubectl(['get', '--raw', '/version']));
  expect(version).toMatchObject({ gitVersion: oldest });
});

test('the chart and the documentation say which it is', () => {
  const minor = (version: string): string => version.replace(/^v?(\d+\.\d+)\..*$/, '$1');
  expect(parse(readFileSync(join(chartDirectory, 'Chart.yaml'), 'utf8'))).toMatchObject({
    kubeVersion: `>=${minor(oldest)}.0-0`,
  });
  const read = (file: string): string => readFileSync(join(root, file), 'utf8');
  expect(read('docs/install.md')).toContain(`of version ${minor(oldest)} or newer`);
  for (const file of ['docs/install.md', 'README.md']) {
    expect(read(file)).toContain(`Tested with Kubernetes ${minor(oldest)} and ${minor(readVersions().kubernetes)}`);
  }
});

describe('the definitions', () => testDefinitions(() => cluster));

describe('the samples', () => testSamples(() => cluster));

testAgreement(() => cluster, 400);

describe('the admission policies', () => testAdmission(() => cluster));

describe('the chart', () => {
  beforeAll(async () => {
    await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(monitoringKinds) });
    await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
    for (const name of ['bank', 'elsewhere']) await cluster.kubectl(['create', 'namespace', name]);
    // The controller manager would make it, and a pod is admitted only where it exists.
    await cluster.kubectl(['create', 'serviceaccount', 'default', '-n', 'elsewhere']);
  });

  // Under another name and in another namespace: the release above has the objects that are named as by default.
  test.each(valueSets)('renders objects for it whose every field it knows, with the values $name', async ({ file }) => {
    const args = ['--values', file, '--kube-version', oldest, '--set', 'crds.enabled=false,fullnameOverride=another'];
    const yaml = await helm('template', 'another', chartDirectory, '-n', 'elsewhere', ...args);
    expect((await dryRunOn(cluster, yaml)).trim().split('\n')).toHaveLength(objectsIn(yaml).length);
  });

  test('renders for it what it renders for the newest', async () => {
    const newest = await render(helm, '--kube-version', readVersions().kubernetes);
    expect(await render(helm, '--kube-version', oldest)).toBe(newest);
  });
});

test('the operator issues there, with the permissions of the release', async () => {
  await using _ = await startController(cluster);
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(certificate('oldest', {})) });
  await cluster.kubectl(['wait', '--for=condition=Ready', 'wcert', 'oldest', '-n', 'shop', '--timeout=60s']);
  const keys = await cluster.kubectl(['get', 'secret', 'oldest', '-n', 'shop', '-o', 'jsonpath={.data}']);
  expect(Object.keys(JSON.parse(keys)).sort()).toEqual(['ca.crt', 'tls.crt', 'tls.key']);
});
