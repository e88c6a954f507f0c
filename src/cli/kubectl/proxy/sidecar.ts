/** Whether a pod has a proxy that can be asked what it has loaded, and what else has to be known of it. Pure. */
import * as z from 'zod';
import { proxyPorts } from '../../../envoy/index.ts';
import { containerNames } from '../../../inject/index.ts';
import { decodePod, type WorkloadName } from '../../../inventory/index.ts';
import { property, stringAt } from '../../../kube/index.ts';
import { readPod } from '../sidecarPod.ts';

export interface AskedSidecar {
  readonly namespace: string;
  readonly name: string;
  readonly account: string;
  readonly workload: WorkloadName;
  /** Container ports before which the proxy does not stand. */
  readonly excluded: readonly number[];
  /** Why it cannot be asked; undefined: it can. */
  readonly obstacle: string | undefined;
}

/** @returns undefined for what is no pod with a sidecar, or has ended. */
export function askedSidecar(object: unknown): AskedSidecar | undefined {
  const pod = readPod(object);
  if (pod?.sidecar === undefined) return undefined;
  const { account, name, namespace, sidecar, workload } = pod;
  const excluded = decodePod(object).value.mesh?.sidecar?.inboundExcluded ?? [];
  return { namespace, name, account, workload, excluded, obstacle: obstacleTo(object, sidecar) };
}

function obstacleTo(
  object: unknown,
  { reason, state }: { readonly state: string; readonly reason: string | undefined },
): string | undefined {
  if (state === 'Waiting' || state === 'Terminated' || state === 'Pending')
    return `it does not run (${reason === undefined ? state : `${state}: ${reason}`})`;
  if (tells(object)) return undefined;
  return 'it is from before proxies could be asked: restart its workload, with the operator of this version';
}

const bootstrapOutline = z.object({
  static_resources: z.object({
    listeners: z
      .array(z.object({ address: z.object({ socket_address: z.object({ port_value: z.int() }) }).optional() }))
      .default([]),
  }),
});

/** By what its pod starts it with. Otherwise an application of an older pod could stand at that port. */
function tells(object: unknown): boolean {
  const containers = property(property(object, 'spec'), 'initContainers');
  const found: unknown = Array.isArray(containers)
    ? containers.find((one: unknown) => stringAt(one, 'name') === containerNames.proxy)
    : undefined;
  const args = property(found, 'args');
  if (!Array.isArray(args)) return false;
  const text: unknown = args[args.indexOf('--config-yaml') + 1];
  try {
    const { static_resources } = bootstrapOutline.parse(JSON.parse(String(text)));
    return static_resources.listeners.some(
      ({ address }) => address?.socket_address.port_value === proxyPorts.inspection,
    );
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof z.ZodError) return false;
    throw error;
  }
}
