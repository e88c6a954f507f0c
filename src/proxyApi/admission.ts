/** Whether a proxy is who it says to be: pure. What a sibling of the same account can still claim stands in docs/security.md. */
import type { PodRecord } from '../inventory/index.ts';
import { spiffeId } from '../pki/index.ts';
import type { ProxyClaim, Refusal } from '../xds/index.ts';

export interface AdmissionSettings {
  readonly trustDomain: string;
  /** Whether the network leaves source addresses as they are: then a proxy has to connect from its pod's. */
  readonly sourceAddresses: boolean;
}

/** @param pod the one of the name that the proxy says. @returns undefined: it is. */
export function refusalOf(
  claim: ProxyClaim,
  pod: PodRecord | undefined,
  { sourceAddresses, trustDomain }: AdmissionSettings,
): Refusal | undefined {
  const { address, cluster, id, spiffeId: shown } = claim;
  const called = `${cluster.slice(0, 320)} (UID ${id.slice(0, 64)})`;
  const later = (refused: string): Refusal => ({ refused, soon: true });
  const never = (refused: string): Refusal => ({ refused, soon: false });
  // The watch may be a moment behind the kubelet.
  if (pod?.mesh === undefined || pod.mesh.uid !== id) return later(`no pod ${called} is known that could have a proxy`);
  if (pod.mesh.sidecar === undefined) return never(`pod ${called} has no sidecar in its spec`);
  const { mesh, namespace } = { mesh: pod.mesh, namespace: cluster.slice(0, cluster.indexOf('/')) };
  const expected = spiffeId({ trustDomain, namespace, serviceAccountName: mesh.account });
  if (shown !== expected)
    return never(`the certificate says ${shown?.slice(0, 400) ?? 'no single SPIFFE ID'}, pod ${called} is ${expected}`);
  if (mesh.addresses.length === 0) return later(`pod ${called} is not known to have an address yet`);
  if (sourceAddresses && !mesh.addresses.includes(address))
    return never(`it connects from ${address}, pod ${called} has ${mesh.addresses.join(', ')}`);
  return undefined;
}
