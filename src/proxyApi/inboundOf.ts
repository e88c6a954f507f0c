/** What one pod's proxy does with what comes to it, from the pod and from the modes that are recorded for its workload: pure. */
import type { Inbound, InboundPort, Probes } from '../envoy/index.ts';
import { type MeshPod, type PodShape, probesOf, type Sidecar } from '../inventory/index.ts';
import { modesOfPort, type WorkloadModes } from './recordedModes.ts';

export interface ProxiedPod {
  readonly mesh: MeshPod & { readonly sidecar: Sidecar };
  readonly shape: PodShape;
}

export function hasIpv6({ addresses }: MeshPod): boolean {
  return addresses.some((address) => address.includes(':'));
}

export function inboundOf({ mesh, shape }: ProxiedPod, modes: WorkloadModes, trustDomain: string): Inbound {
  const { serverFirst, inboundExcluded } = mesh.sidecar;
  // A server-first port has to be in the listener from the first moment on, declared as a container port or not.
  const numbers = new Set([...shape.ports.map(({ number }) => number), ...modes.ports.keys(), ...serverFirst]);
  for (const port of inboundExcluded) numbers.delete(port);
  const ports = [...numbers].map(
    (number): InboundPort => ({
      number,
      mode: modesOfPort(modes, number).servers,
      serverFirst: serverFirst.includes(number),
    }),
  );
  return { trustDomain, ipv6: hasIpv6(mesh), ports, others: modes.others.servers };
}

/** @returns undefined until the pod has an address. */
export function probesOfPod({ mesh }: ProxiedPod): Probes | undefined {
  const [podAddress] = mesh.addresses;
  if (podAddress === undefined) return undefined;
  return { podAddress, ipv6: hasIpv6(mesh), routes: probesOf(mesh.sidecar) };
}
