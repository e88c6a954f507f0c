/** Pods with a sidecar, as objects: what the webhook adds is added here, and what kubelet would write is written here. */
import { applyPatch, pod as podOf, settings, shop } from '../../src/inject/builders.fixture.ts';
import { inject } from '../../src/inject/index.ts';
import { send } from '../api/control.ts';
import type { Cluster } from '../cluster/index.ts';

export interface PodSketch {
  readonly sidecar?: boolean;
  /** Of the sidecar. */
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: object;
  readonly address?: string;
  /** Of the sidecar; over one that runs and is ready. */
  readonly status?: object;
}

let addresses = 0;

/** @returns its UID. */
export async function runPod(
  cluster: Cluster,
  namespace: string,
  name: string,
  sketch: PodSketch = {},
): Promise<string> {
  const { image = settings.proxyImage, labels = {}, sidecar = true, spec = {}, status = {} } = sketch;
  addresses += 1;
  const address = sketch.address ?? `10.244.${addresses >> 8}.${addresses & 255}`;
  const plain = podOf({ serviceAccountName: 'default', ...spec }, { name, labels });
  const decision = inject(plain, { ...shop, name: namespace }, { ...settings, proxyImage: image });
  if (sidecar && decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  const object = sidecar && decision.action === 'Inject' ? applyPatch(plain, decision.patch) : plain;
  const path = `/api/v1/namespaces/${namespace}/pods`;
  const made = await send(cluster, 'POST', path, object);
  if (made.status !== 201) throw new Error(`${path}: ${String(made.body['message'])}`);
  const running = {
    state: { running: { startedAt: '2026-01-01T00:00:00Z' } },
    ready: true,
    started: true,
    restartCount: 0,
    image,
    imageID: 'x',
  };
  const patched = await send(cluster, 'PATCH', `${path}/${name}/status`, {
    status: {
      phase: 'Running',
      podIP: address,
      podIPs: [{ ip: address }],
      conditions: [{ type: 'Ready', status: 'True' }],
      ...(sidecar ? { initContainerStatuses: [{ name: 'mtls-proxy', ...running, ...status }] } : {}),
    },
  });
  if (patched.status !== 200) throw new Error(`${path}/${name}/status: ${String(patched.body['message'])}`);
  const metadata = Object.entries(made.body).find(([field]) => field === 'metadata')?.[1];
  return String(Object.entries(Object(metadata)).find(([field]) => field === 'uid')?.[1]);
}
