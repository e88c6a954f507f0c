/** Pods that would be left without an operator, and what is said of them: pure. */
import { injectionValues, labels } from '../api/index.ts';
import { decodePod } from '../inventory/index.ts';
import { property, stringAt } from '../kube/index.ts';

/** Number of pods with a sidecar by their namespace. */
export type MeshedPods = ReadonlyMap<string, number>;

/** Whose release is to be uninstalled: for the commands in the message. */
export interface ReleaseName {
  readonly release: string;
  readonly namespace: string;
}

/** @returns the namespace of a pod that has a sidecar and is to stay; undefined: of any other. */
export function meshedNamespaceOf(object: unknown): string | undefined {
  const metadata = property(object, 'metadata');
  if (stringAt(metadata, 'deletionTimestamp') !== undefined) return undefined;
  try {
    const { key, value } = decodePod(object);
    return value.mesh?.sidecar === undefined ? undefined : key.slice(0, key.indexOf('/'));
  } catch {
    // What cannot be understood may have one.
    return stringAt(metadata, 'namespace') ?? '(unknown)';
  }
}

/** More of them would hide what has to be done. */
const NAMED = 20;

/** Why the operator has to stay, and what to do about it; undefined: nobody needs it. */
export function refusalOf(pods: MeshedPods, { namespace, release }: ReleaseName): string | undefined {
  if (pods.size === 0) return undefined;
  const all = [...pods].sort(([one, many], [other, more]) => more - many || one.localeCompare(other, 'en'));
  const named = all.slice(0, NAMED).map(([name, count]) => `  ${name}: ${count}`);
  const rest = all.slice(NAMED);
  const unnamed = rest.reduce((sum, [, count]) => sum + count, 0);
  const total = all.reduce((sum, [, count]) => sum + count, 0);
  return [
    `${total === 1 ? '1 pod has' : `${total} pods have`} a sidecar. Without the operator nobody renews their certificates: when these have expired, all mutual TLS between them fails.`,
    ...named,
    ...(rest.length === 0 ? [] : [`  in ${rest.length} further namespaces: ${unnamed}`]),
    'Take them out of the mesh first. Where an MTLSPolicy asks for Strict, change it to Permissive and wait for its condition Enforced. Then, for each namespace:',
    `  kubectl label namespace NAMESPACE ${labels.injection}=${injectionValues.disabled} --overwrite`,
    '  kubectl rollout restart deployment,statefulset,daemonset -n NAMESPACE',
    `and take the label ${labels.injection}=${injectionValues.enabled} off the templates of pods that have it. Then uninstall again. To uninstall all the same:`,
    `  helm uninstall ${release} -n ${namespace} --no-hooks`,
    `To go on with this release instead: helm rollback ${release} REVISION -n ${namespace}, with the newest revision of helm history.`,
  ].join('\n');
}
