/** Whether a pod is to be in the mesh, as its labels, its namespace and the installation say: pure. */
import { injectionValues, labels } from '../api/index.ts';

export interface PodNamespace {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
}

/** Which pods an installation has to do with. */
export interface MeshScope {
  /** Where the operator is: never injected, since what brings sidecars must start without one. */
  readonly operatorNamespace: string;
  /** Every namespace is in the mesh unless it says otherwise; else none is unless it says so. */
  readonly everyNamespace: boolean;
}

export type Asked =
  /** `Label`: the pod or its namespace says so; `Default`: nobody says otherwise. */
  | { readonly asked: true; readonly by: 'Label' | 'Default' }
  | { readonly asked: false; readonly reason: 'NotInMesh' | 'OptedOut' | 'OperatorNamespace' | 'SystemNamespace' };

/** Whether a value of the label means nothing: whoever wrote it wanted something, and perhaps the opposite of what comes of it. */
export function isUnclear(said: string | undefined): said is string {
  return said !== undefined && said !== injectionValues.enabled && said !== injectionValues.disabled;
}

export function asked(
  podLabels: Readonly<Record<string, string>>,
  namespace: PodNamespace,
  { everyNamespace, operatorNamespace }: MeshScope,
): Asked {
  if (namespace.name === operatorNamespace) return { asked: false, reason: 'OperatorNamespace' };
  // What the cluster itself needs to start.
  if (namespace.name.startsWith('kube-')) return { asked: false, reason: 'SystemNamespace' };
  const { [labels.injection]: own } = podLabels;
  if (own === injectionValues.disabled) return { asked: false, reason: 'OptedOut' };
  const { [labels.injection]: ofNamespace } = namespace.labels;
  if (own === injectionValues.enabled || ofNamespace === injectionValues.enabled) return { asked: true, by: 'Label' };
  if (everyNamespace && ofNamespace !== injectionValues.disabled) return { asked: true, by: 'Default' };
  return { asked: false, reason: 'NotInMesh' };
}
