/** Pods with and without a sidecar, for tests. */
import type { PodRecord } from '../inventory/index.ts';

export function pod(account: string, { sidecar = true }: { readonly sidecar?: boolean } = {}): PodRecord {
  return {
    resourceVersion: '1',
    uses: [],
    shape: undefined,
    mesh: {
      uid: 'u',
      createdAt: 0,
      account,
      workload: { kind: 'Deployment', name: account },
      node: '',
      addresses: [],
      ready: false,
      started: false,
      sidecar: sidecar ? { serverFirst: [], inboundExcluded: [], probes: '[]', running: false } : undefined,
    },
  };
}
