import { get } from '../cluster/http.ts';
import type { Cluster, ControlPlaneProcess } from '../cluster/index.ts';

const lease = '/apis/coordination.k8s.io/v1/namespaces/kube-system/leases/kube-scheduler';

/** Runs kube-scheduler beside the control plane until the cluster is stopped. */
export async function startScheduler(cluster: Cluster, program: string): Promise<ControlPlaneProcess> {
  const kubeconfig = await cluster.kubeconfigFor({ name: 'system:kube-scheduler' });
  const args = [
    `--kubeconfig=${kubeconfig}`,
    '--secure-port=0', // nobody asks it anything, so there is no port to choose
    '--leader-elect=true', // its Lease is the sign that it works
    // It would end when it cannot renew it, as it may where somebody starts it again: here that is nobody.
    '--leader-elect-lease-duration=20m',
    '--leader-elect-renew-deadline=15m',
    '--kube-api-qps=500',
    '--kube-api-burst=1000',
  ];
  const scheduler = cluster.process('kube-scheduler', [program, ...args], async (signal) => {
    return (await get(cluster.url + lease, { ca: cluster.caPem, token: cluster.token, signal })).status === 200;
  });
  await scheduler.start();
  return scheduler;
}
