/** What the tests of the chart share: value sets, renderings, and what the Deployment would start. */
import { readdirSync } from 'node:fs';
import { cp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import type { Cluster } from '../cluster/index.ts';
import { chartDirectory, type Helm } from '../support/helm.ts';
import { type OperatorProcess, type OperatorProcessOptions, startOperatorProcess } from '../support/operator.ts';

const valuesDirectory = join(import.meta.dirname, 'values');

/** Every set is rendered, compared with golden/, and judged by an API server. */
export const valueSets: readonly { readonly name: string; readonly file: string }[] = readdirSync(valuesDirectory)
  .sort()
  .map((file) => ({ name: file.replace(/\.yaml$/, ''), file: join(valuesDirectory, file) }));

export const NAMESPACE = 'mtls-system';

/** The chart as `helm install mtls-operator … -n mtls-system` would send it, its hooks included. */
export function render(helm: Helm, ...args: readonly string[]): Promise<string> {
  return helm('template', 'mtls-operator', chartDirectory, '-n', NAMESPACE, ...args);
}

/** The chart as the next version may be: another image, a kind with one more short name and other descriptions, one more permission. @returns its directory */
export async function nextChart(directory: string): Promise<string> {
  const next = join(directory, 'next');
  await cp(chartDirectory, next, { recursive: true });
  const edits = [
    ['Chart.yaml', 'appVersion: 0.1.0', 'appVersion: 0.2.0'],
    ['templates/kinds/workloadcertificates.yaml', 'shortNames: [wcert]', 'shortNames: [wcert, nextcert]'],
    ['templates/kinds/workloadcertificates.yaml', 'How long a certificate lives', 'For how long a certificate lives'],
    [
      'templates/_rules.tpl',
      'verbs: [get, list, watch, create, patch]',
      'verbs: [get, list, watch, create, patch, update]',
    ],
  ] as const;
  for (const [file, from, to] of edits) {
    const text = await readFile(join(next, file), 'utf8');
    if (!text.includes(from)) throw new Error(`${file} does not say ${from}`);
    await writeFile(join(next, file), text.replace(from, to));
  }
  return next;
}

const objectSchema = z.looseObject({
  apiVersion: z.string(),
  kind: z.string(),
  metadata: z.looseObject({
    name: z.string(),
    namespace: z.string().optional(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
  }),
});
export type RenderedObject = z.output<typeof objectSchema>;

export function objectsIn(yaml: string): RenderedObject[] {
  return parseAllDocuments(yaml, { strict: true, uniqueKeys: true }).flatMap((document) => {
    if (document.errors.length > 0) throw document.errors[0];
    const object: unknown = document.toJS();
    return object === null ? [] : [objectSchema.parse(object)];
  });
}

export const containerSchema = z.looseObject({
  args: z.array(z.string()).default([]),
  env: z.array(z.looseObject({ name: z.string(), value: z.string().optional() })).default([]),
});

const deploymentSchema = z.looseObject({
  spec: z.looseObject({
    template: z.looseObject({
      spec: z.looseObject({ serviceAccountName: z.string(), containers: z.tuple([containerSchema]) }),
    }),
  }),
});

/** Has the API server judge objects as if they were created: it knows every field. @returns the names of what it would store. */
export async function dryRunOn(cluster: Cluster, yaml: string): Promise<string> {
  const args = ['create', '--dry-run=server', '--validate=strict', '-o', 'name', '-f', '-'];
  return await cluster.kubectl(args, { input: yaml });
}

/**
 * Runs what the Deployment of a release says, as a process beside a cluster that has no node: the same arguments and environment, and the rights of a token
 * of its service account. Only the port is another, since processes share them.
 */
export async function startController(
  cluster: Cluster,
  options: OperatorProcessOptions & { readonly namespace?: string; readonly deployment?: string } = {},
): Promise<OperatorProcess> {
  const { namespace = NAMESPACE, deployment = 'mtls-operator-controller', ...more } = options;
  const json = await cluster.kubectl(['get', 'deployment', deployment, '-n', namespace, '-o', 'json']);
  const pod = deploymentSchema.parse(JSON.parse(json)).spec.template.spec;
  const [{ args, env }] = pod.containers;
  const fromFields = { POD_NAME: `${deployment}-0`, POD_NAMESPACE: namespace };
  const values = env.flatMap(({ name, value }) => (value === undefined ? [] : [[name, value] as const]));
  return await startOperatorProcess(cluster, {
    ...more,
    kubeconfig: await cluster.kubeconfigForServiceAccount({ namespace, name: pod.serviceAccountName }),
    flags: args.filter((arg) => !arg.startsWith('--health-port=')),
    env: { ...fromFields, ...Object.fromEntries(values) },
  });
}
