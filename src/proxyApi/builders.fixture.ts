/** Pods as they are kept of the API server. */
import type { MeshPod, PodRecord } from '../inventory/index.ts';

/** A running pod of the Deployment `web` in the namespace `shop`. */
export function podRecord(address: string, { sidecar = true } = {}): PodRecord {
  const mesh: MeshPod = {
    uid: `uid ${address}`,
    createdAt: 0,
    account: 'web',
    workload: { kind: 'Deployment', name: 'web' },
    node: '',
    addresses: [address],
    ready: true,
    started: true,
    sidecar: sidecar ? { serverFirst: [], inboundExcluded: [], probes: '[]', running: true } : undefined,
  };
  return { resourceVersion: '1', uses: [], shape: { namespace: 'shop', labels: {}, ports: [] }, mesh };
}
