// Every rendering, judged by a real API server: it knows every field, and its Pod Security admission knows what `restricted` means.
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { type Cluster, KubectlError, startCluster } from '../cluster/index.ts';
import { run } from '../support/command.ts';
import { goProgram } from '../support/goProgram.ts';
import { chartDirectory, type Helm, helmFor } from '../support/helm.ts';
import { installOperator, type OperatorProcess, startOperatorProcess } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';
import { dryRunOn, NAMESPACE, objectsIn, type RenderedObject, render, valueSets } from './chart.ts';
import { monitoringKinds } from './monitoring.ts';

let cluster: Cluster;
let home: string;
let helm: Helm;

beforeAll(async () => {
  cluster = await startCluster();
  home = await mkdtemp(join(tmpdir(), 'mtls-operator-helm-'));
  helm = await helmFor(home, cluster);
  await cluster.kubectl(['apply', '-f', '-'], { input: JSON.stringify(monitoringKinds) });
  await cluster.kubectl(['wait', '--for=condition=Established', 'crd', '--all', '--timeout=60s']);
  const restricted = { 'pod-security.kubernetes.io/enforce': 'restricted' };
  for (const name of [NAMESPACE, 'shop', 'bank']) {
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name, labels: restricted } };
    await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(namespace) });
    await cluster.kubectl(['create', 'serviceaccount', 'given', '-n', name]);
  }
});

afterAll(async () => {
  await cluster?.stop();
  await rm(home, { recursive: true, force: true });
});

const dryRun = (text: string): Promise<string> => dryRunOn(cluster, text);

describe.each(valueSets)('with the values $name', ({ name, file }) => {
  test('the API server takes every object, and knows every field', async () => {
    const rendered = await render(helm, '--values', file);
    const taken = (await dryRun(rendered)).trim().split('\n');
    expect(taken).toHaveLength(objectsIn(rendered).length);
  });

  test('the pods keep to the Pod Security Standard restricted', async () => {
    const objects = objectsIn(await render(helm, '--values', file));
    const pods = objects.flatMap((object) => podOf(object) ?? []);
    // The controller's, and that of helm test; with sidecars proxy-api's, and that of the uninstallation.
    expect(pods).toHaveLength(name === 'mesh' ? 4 : 2);
    for (const pod of pods) expect(await dryRun(JSON.stringify(pod))).toContain('pod/');
  });

  test('helm install --dry-run=server renders it', async () => {
    const said = await helm(
      'install',
      'mtls-operator',
      chartDirectory,
      '-n',
      NAMESPACE,
      '--dry-run=server',
      '--values',
      file,
    );
    expect(said).toContain('NOTES:');
  });
});

test('a pod that may do more is refused here, so that the above says something', async () => {
  const objects = objectsIn(await render(helm));
  const pod = objects.flatMap((object) => podOf(object) ?? [])[0];
  const loosened = JSON.stringify(pod).replace('"runAsNonRoot":true,', '');
  expect(loosened).not.toBe(JSON.stringify(pod));
  await expect(dryRun(loosened)).rejects.toThrow(/violates PodSecurity "restricted.*runAsNonRoot/);
});

test('a field that does not exist is refused here', async () => {
  const rendered = await render(helm);
  const misspelt = rendered.replace('terminationGracePeriodSeconds:', 'terminationGracePeriod:');
  await expect(dryRun(misspelt)).rejects.toThrow(KubectlError);
});

const ruleSchema = z.object({
  spec: z.object({
    groups: z.tuple([z.object({ rules: z.array(z.object({ alert: z.string(), expr: z.string() })) })]),
  }),
});

async function alertExpressions(...args: readonly string[]): Promise<string[]> {
  const objects = objectsIn(await render(helm, '--set', 'prometheusRule.enabled=true', ...args));
  const rule = objects.find(({ kind }) => kind === 'PrometheusRule');
  return ruleSchema.parse(rule).spec.groups[0].rules.map(({ expr }) => expr);
}

test('the alerts are PromQL, as Prometheus parses it', async () => {
  const parser = await goProgram(join(import.meta.dirname, 'promql'));
  const expressions = await alertExpressions('--set', 'mesh.enabled=true,mesh.ranges={10.0.0.0/8}');
  expect((await run(parser, expressions)).stdout).toBe(`${expressions.length} expressions\n`);
  await expect(run(parser, ['sum(up) >'])).rejects.toThrow('parse error');
});

test('the alerts are about metrics that the operator exports', async () => {
  await cluster.kubectl(['delete', 'namespace', NAMESPACE]);
  await installOperator(cluster);
  const operator: OperatorProcess = await startOperatorProcess(cluster);
  const certificate = {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata: { name: 'web', namespace: 'shop' },
    spec: { secretName: 'web', dnsNames: ['web.shop.svc'] },
  };
  await cluster.kubectl(['create', '-f', '-'], { input: JSON.stringify(certificate) });
  await cluster.kubectl(['wait', '--for=condition=Ready', 'wcert', 'web', '-n', 'shop', '--timeout=60s']);
  const expressions = await alertExpressions();
  const used = new Set(
    expressions.flatMap((expr) => [...expr.matchAll(/\b(?:mtls_operator|leader_election)_\w+/g)].map(([name]) => name)),
  );
  expect(used.size).toBeGreaterThan(6);
  const missing = await waitFor('the metrics of a certificate', async () => {
    const exported = await operator.metrics();
    const absent = [...used].filter(
      (name) => !exported.includes(`\n${name}{`) && !exported.includes(`# TYPE ${name} `),
    );
    return absent.length === 0 ? absent : undefined;
  });
  expect(missing).toEqual([]);
  expect(await operator.metrics()).toContain('leader_election_master_status{name="mtls-operator"} 1');
  expect(await operator.metrics()).toMatch(/authority_expiration_timestamp_seconds\{authority="default",role="Root"/);
  await operator.stop();
});

const podSchema = z.object({
  spec: z.object({ template: z.object({ metadata: z.looseObject({}), spec: z.looseObject({}) }) }),
});

/** The pod that an object is, or makes. A pod is admitted only where its account exists: here that is `given`. */
function podOf(object: RenderedObject): object | undefined {
  if (object.kind === 'Pod') return object;
  if (object.kind !== 'Deployment' && object.kind !== 'Job') return undefined;
  const { metadata, spec } = podSchema.parse(object).spec.template;
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { ...metadata, name: 'controller', namespace: NAMESPACE },
    spec: { ...spec, serviceAccountName: 'given' },
  };
}
