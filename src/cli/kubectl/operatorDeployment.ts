/** The operator's own Deployments, as the chart makes them, whatever the release is called. Pure. */
import { numberAt, property, stringAt, stringMap } from '../../kube/index.ts';

export type Component = 'controller' | 'proxy-api';

export interface OperatorDeployment {
  readonly name: string;
  readonly component: Component;
  /** Of the operator. */
  readonly version: string | undefined;
  readonly account: string;
  readonly wanted: number;
  readonly ready: number;
  /** Of its command line, by their names without dashes; '' where one has no value. */
  readonly flags: ReadonlyMap<string, string>;
}

const COMPONENT = 'app.kubernetes.io/component';
/** For a LIST. Others use these values too: `readDeployment` tells them apart. */
export const deploymentSelector = `${COMPONENT} in (controller,proxy-api)`;

/** @returns undefined where it is not the operator's. */
export function readDeployment(object: unknown): OperatorDeployment | undefined {
  const metadata = property(object, 'metadata');
  const labels = stringMap(property(metadata, 'labels'));
  const component = labels[COMPONENT];
  const isOurs =
    labels['app.kubernetes.io/name'] === 'mtls-operator' || /^mtls-operator-[0-9]/.test(labels['helm.sh/chart'] ?? '');
  if (!isOurs || (component !== 'controller' && component !== 'proxy-api')) return undefined;
  const spec = property(object, 'spec');
  const pod = property(property(spec, 'template'), 'spec');
  return {
    name: stringAt(metadata, 'name') ?? '',
    component,
    version: labels['app.kubernetes.io/version'],
    account: stringAt(pod, 'serviceAccountName') ?? 'default',
    wanted: numberAt(spec, 'replicas') ?? 1,
    ready: numberAt(property(object, 'status'), 'readyReplicas') ?? 0,
    flags: flagsOf(pod, component),
  };
}

function flagsOf(pod: unknown, component: Component): ReadonlyMap<string, string> {
  const containers = property(pod, 'containers');
  const own: unknown = Array.isArray(containers)
    ? containers.find((one: unknown) => stringAt(one, 'name') === component)
    : undefined;
  const args = property(own, 'args');
  const found = new Map<string, string>();
  let open: string | undefined;
  for (const arg of Array.isArray(args) ? args : []) {
    if (typeof arg !== 'string') continue;
    const [, name, value] = /^--([a-z-]+)(?:=(.*))?$/s.exec(arg) ?? [];
    if (name !== undefined) found.set(name, value ?? '');
    else if (open !== undefined) found.set(open, arg);
    open = name !== undefined && value === undefined ? name : undefined;
  }
  return found;
}
