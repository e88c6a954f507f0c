/** What `explain` is asked about: a pod, or the pods that a workload makes, by its template. Pure. */
import * as z from 'zod';
import { type DeclaredPort, decodePod } from '../../inventory/index.ts';
import type { Resource } from '../../kube/index.ts';
import { CliError } from '../end.ts';
import { isObjectName } from '../objectName.ts';

const apps = (plural: string): Resource => ({ group: 'apps', version: 'v1', plural });

/** What may be asked about, with the names by which kubectl knows each. */
const subjectKinds = [
  { kind: 'Pod', resource: { group: '', version: 'v1', plural: 'pods' }, names: ['pod', 'pods', 'po'] },
  { kind: 'Deployment', resource: apps('deployments'), names: ['deployment', 'deployments', 'deploy'] },
  { kind: 'StatefulSet', resource: apps('statefulsets'), names: ['statefulset', 'statefulsets', 'sts'] },
  { kind: 'DaemonSet', resource: apps('daemonsets'), names: ['daemonset', 'daemonsets', 'ds'] },
  { kind: 'ReplicaSet', resource: apps('replicasets'), names: ['replicaset', 'replicasets', 'rs'] },
  { kind: 'Job', resource: { group: 'batch', version: 'v1', plural: 'jobs' }, names: ['job', 'jobs'] },
] as const;

export type SubjectKind = (typeof subjectKinds)[number];

export interface SubjectReference {
  readonly kind: SubjectKind;
  readonly name: string;
}

/**
 * As kubectl takes it: `pod/web`, `deploy/web`, `deployments.apps/web`, or kind and name apart.
 * @throws CliError usage
 */
export function parseSubject(words: readonly string[]): SubjectReference {
  const [type = '', name = '', ...more] = words.length === 1 ? (words[0] ?? '').split('/') : words;
  if (type === '' || name === '' || more.length > 0)
    throw new CliError('usage', `say what to explain, as in pod/web or deploy/web, instead of "${words.join(' ')}"`);
  const [plain, ...group] = type.toLowerCase().split('.');
  const kind = subjectKinds.find(
    ({ names, resource }) =>
      names.some((known) => known === plain) && (group.length === 0 || group.join('.') === resource.group),
  );
  if (kind === undefined)
    throw new CliError(
      'usage',
      `${JSON.stringify(type)} has no ports of its own: give one of ${subjectKinds.map(({ names }) => names[0]).join(', ')}`,
    );
  if (!isObjectName(name)) throw new CliError('usage', `${JSON.stringify(name)} is no name of Kubernetes`);
  return { kind, name };
}

/** A port that no mode is about. */
export interface UnprotectedPort {
  readonly number: number;
  readonly protocol: string;
}

export interface Subject {
  /** As in `pod/web`. */
  readonly object: string;
  readonly namespace: string;
  readonly labels: Readonly<Record<string, string>>;
  /** TCP. */
  readonly ports: readonly DeclaredPort[];
  readonly unprotected: readonly UnprotectedPort[];
  readonly hostNetwork: boolean;
  /** undefined: it is a template, and a sidecar is added to pods. */
  readonly sidecar: boolean | undefined;
  /** The pod has ended: nobody speaks to it any more. */
  readonly ended: boolean;
}

const labels = z.record(z.string(), z.string()).nullish();
const containers = z
  .array(
    z.looseObject({
      ports: z.array(z.looseObject({ containerPort: z.int(), protocol: z.string().default('TCP') })).nullish(),
    }),
  )
  .nullish();
const podSpec = z.looseObject({ hostNetwork: z.boolean().nullish(), containers, initContainers: containers });
const podOutline = z.object({
  metadata: z.looseObject({ labels }),
  spec: podSpec,
  status: z.looseObject({ phase: z.string().nullish() }).nullish(),
});
const workloadOutline = z.object({
  spec: z.looseObject({ template: z.object({ metadata: z.looseObject({ labels }).nullish(), spec: podSpec }) }),
});

/**
 * Reads a pod, or the template of a workload's pods, as the API server gives it.
 * @throws z.ZodError where it is none.
 */
export function readSubject({ kind, name }: SubjectReference, namespace: string, object: unknown): Subject {
  const pod = kind.kind === 'Pod' ? podOutline.parse(object) : podOfTemplate(object);
  // The same reader as the operator's: what it takes for a port must be what is explained.
  const { mesh, shape } = decodePod({
    metadata: { namespace, name, resourceVersion: 'of no account', labels: pod.metadata.labels ?? {} },
    spec: pod.spec,
  }).value;
  const declared = [...(pod.spec.containers ?? []), ...(pod.spec.initContainers ?? [])].flatMap(
    (one) => one.ports ?? [],
  );
  const phase = pod.status?.phase;
  return {
    object: `${kind.names[0]}/${name}`,
    namespace,
    labels: shape?.labels ?? {},
    ports: shape?.ports ?? [],
    unprotected: declared.flatMap(({ containerPort: number, protocol }) =>
      protocol === 'TCP' ? [] : [{ number, protocol }],
    ),
    hostNetwork: pod.spec.hostNetwork ?? false,
    sidecar: kind.kind === 'Pod' ? mesh?.sidecar !== undefined : undefined,
    ended: phase === 'Succeeded' || phase === 'Failed',
  };
}

function podOfTemplate(object: unknown): z.output<typeof podOutline> {
  const { metadata, spec } = workloadOutline.parse(object).spec.template;
  return { metadata: { labels: metadata?.labels }, spec };
}
