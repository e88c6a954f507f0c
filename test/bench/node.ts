/** On a real kubelet: what a pod waits for its new certificate, and what the operator's own pod takes, as the kubelet tells. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { workloadCertificateKind } from '../../src/api/index.ts';
import type { Transport } from '../../src/kube/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { operatorImage } from '../image/operatorImage.ts';
import { makeProbeImage, startClusterWithNode } from '../node/index.ts';
import { mounting, probePod } from '../node/pods.ts';
import { chartDirectory, helmFor } from '../support/helm.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { certificateBody, inParallel, quantile, ReadyWatcher, transportFor } from './harness.ts';

export interface NodeResult {
  readonly benchmark: 'node';
  readonly rounds: number;
  /** From the request that creates the WorkloadCertificate, the pod's following it, until the kubelet says that the container runs. */
  readonly podWithNewCertificateMedianMilliseconds: number;
  /** The same pod with a Secret that is there. */
  readonly podWithPresentSecretMedianMilliseconds: number;
  readonly ratioOfMedians: number;
  /** From when the operator's pod has its node until it is ready, image and all in place. */
  readonly operatorScheduledToReadyMedianMilliseconds: number;
  readonly certificatesWhileIdle: number;
  /** The kubelet's figures of the operator's pod, of all its processes and page cache in use, while nothing is due. */
  readonly idleWorkingSetMegabytes: number;
  readonly idleResidentMegabytes: number;
  readonly idleCpuMillicores: number;
}

const NAMESPACE = 'default';
const WARM_UP = 3;
const STARTS = 3;
const IDLE_SECONDS = 45;
const SETTLE_SECONDS = 15;
const POLL_MILLISECONDS = 10;

export async function measureNode(certificates: number, rounds: number): Promise<NodeResult> {
  const image = await operatorImage(printProgress);
  await using started = await startClusterWithNode({ log: printProgress, audit: 'off' });
  const { cluster, node } = started;
  await node.load(image.archive);
  await node.load(await makeProbeImage(printProgress));
  const home = await mkdtemp(join(tmpdir(), 'mtls-operator-bench-'));
  const transport = await transportFor(cluster.kubeconfig);
  try {
    const helm = await helmFor(home, cluster);
    // One replica: its pod is the leader, which does all the work.
    const values = ['--set', 'replicas=1', '--wait', '--timeout=3m'];
    await helm('install', 'mtls-operator', chartDirectory, '-n', OPERATOR_NAMESPACE, '--create-namespace', ...values);
    const pods = await comparePods(cluster, transport, rounds);
    printProgress(`issuing ${certificates} certificates`);
    const watching = await transportFor(cluster.kubeconfig);
    const watcher = new ReadyWatcher(watching, 'many');
    await cluster.kubectl(['create', 'namespace', 'many']);
    const signal = new AbortController().signal;
    await inParallel(certificates, 16, async (index) => {
      const path = workloadCertificateKind.path('many');
      await transport.request({ method: 'POST', path, body: certificateBody('many', index), signal });
    });
    await watcher.reached(certificates);
    await watcher.stop();
    await watching.close();
    printProgress('starting the operator anew');
    const starts: number[] = [];
    for (let start = 0; start < STARTS; start++) starts.push(await scheduledToReady(cluster, transport));
    printProgress(`idle for ${IDLE_SECONDS} s`);
    return {
      benchmark: 'node',
      rounds,
      ...pods,
      operatorScheduledToReadyMedianMilliseconds: quantile(starts, 0.5),
      certificatesWhileIdle: certificates + 1 + WARM_UP + rounds,
      ...(await idleFigures(cluster, node.name)),
    };
  } finally {
    await transport.close();
    await rm(home, { recursive: true, force: true });
  }
}

/** Alternately, so that whatever else the machine does meets both. */
async function comparePods(cluster: Cluster, transport: Transport, rounds: number) {
  const signal = new AbortController().signal;
  const create = (path: string, body: object): Promise<unknown> =>
    transport.request({ method: 'POST', path, body: { ...body }, signal });
  await waitFor('the service account of pods', () => cluster.kubectl(['get', 'serviceaccount', 'default']));
  await create(workloadCertificateKind.path(NAMESPACE), certificateBody(NAMESPACE, 0));
  await cluster.kubectl(['wait', '--for=condition=Ready', 'wcert/w0', '--timeout=60s']);
  const presentSecret = secretOf(certificateBody(NAMESPACE, 0));

  async function untilRunning(name: string, secretName: string, before: () => Promise<unknown>): Promise<number> {
    const pod = probePod(name, ['watch', '/mnt/tls.crt'], mounting(secretName));
    const from = performance.now();
    await before();
    await create(podsPath(NAMESPACE), pod);
    await polled(async () =>
      isRunning(await transport.request({ method: 'GET', path: podsPath(NAMESPACE, name), signal })),
    );
    const milliseconds = performance.now() - from;
    await cluster.kubectl(['delete', 'pod', name, '--wait=true', '--grace-period=0', '--force']);
    return milliseconds;
  }

  const fresh: number[] = [];
  const ready: number[] = [];
  for (let round = 1; round <= rounds + WARM_UP; round++) {
    const body = certificateBody(NAMESPACE, round);
    const certificate = () => create(workloadCertificateKind.path(NAMESPACE), body);
    fresh.push(await untilRunning(`fresh-${round}`, secretOf(body), certificate));
    ready.push(await untilRunning(`present-${round}`, presentSecret, async () => {}));
  }
  const podWithNewCertificateMedianMilliseconds = quantile(fresh.slice(WARM_UP), 0.5);
  const podWithPresentSecretMedianMilliseconds = quantile(ready.slice(WARM_UP), 0.5);
  return {
    podWithNewCertificateMedianMilliseconds,
    podWithPresentSecretMedianMilliseconds,
    ratioOfMedians: rounded(podWithNewCertificateMedianMilliseconds / podWithPresentSecretMedianMilliseconds, 2),
  };
}

const secretOf = ({ spec }: ReturnType<typeof certificateBody>): string => spec.secretName;

const podsPath = (namespace: string, name?: string): string =>
  `/api/v1/namespaces/${namespace}/pods${name === undefined ? '' : `/${name}`}`;

const podSchema = z.object({
  metadata: z.object({ name: z.string(), deletionTimestamp: z.string().optional() }),
  status: z.object({
    conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]),
    containerStatuses: z.array(z.object({ state: z.record(z.string(), z.unknown()).default({}) })).default([]),
  }),
});

function isRunning(pod: unknown): boolean {
  const { containerStatuses } = podSchema.parse(pod).status;
  return containerStatuses.length > 0 && containerStatuses.every(({ state }) => state['running'] !== undefined);
}

/** Times in a pod's status are whole seconds: a look every few milliseconds tells more. */
async function polled(isSo: () => Promise<boolean>): Promise<void> {
  const until = performance.now() + 120_000;
  while (!(await isSo())) {
    if (performance.now() > until) throw new Error('the pod has not come this far within two minutes');
    await new Promise((resolve) => setTimeout(resolve, POLL_MILLISECONDS));
  }
}

async function scheduledToReady(cluster: Cluster, transport: Transport): Promise<number> {
  const signal = new AbortController().signal;
  const selector = 'labelSelector=app.kubernetes.io%2Fcomponent%3Dcontroller';
  const path = `${podsPath(OPERATOR_NAMESPACE)}?${selector}`;
  const listSchema = z.object({ items: z.array(podSchema) });
  const newOnes = async () =>
    listSchema
      .parse(await transport.request({ method: 'GET', path, signal }))
      .items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  const [old] = await newOnes();
  if (old === undefined) throw new Error('the operator has no pod');
  const has = (type: string) => async (): Promise<boolean> =>
    (await newOnes()).some(
      ({ metadata, status }) =>
        metadata.name !== old.metadata.name &&
        status.conditions.some((condition) => condition.type === type && condition.status === 'True'),
    );
  await cluster.kubectl(['delete', 'pod', old.metadata.name, '-n', OPERATOR_NAMESPACE, '--wait=false']);
  await polled(has('PodScheduled'));
  const from = performance.now();
  await polled(has('Ready'));
  return performance.now() - from;
}

const statsSchema = z.object({
  pods: z.array(
    z.object({
      podRef: z.object({ name: z.string(), namespace: z.string() }),
      cpu: z.object({ usageCoreNanoSeconds: z.number(), time: z.string() }),
      memory: z.object({ workingSetBytes: z.number(), rssBytes: z.number() }),
    }),
  ),
});

async function idleFigures(cluster: Cluster, nodeName: string) {
  const settle = (seconds: number) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));
  const look = async () => {
    const text = await cluster.kubectl([
      'get',
      '--raw',
      `/api/v1/nodes/${nodeName}/proxy/stats/summary?only_cpu_and_memory=true`,
    ]);
    const parts: unknown = JSON.parse(text);
    const listed = z
      .object({ pods: z.array(z.looseObject({ podRef: z.looseObject({ namespace: z.string() }) })) })
      .parse(parts);
    const own = listed.pods.filter(({ podRef }) => podRef.namespace === OPERATOR_NAMESPACE);
    const [pod, ...others] = statsSchema.parse({ pods: own }).pods;
    if (pod === undefined || others.length > 0) throw new Error('the kubelet knows not just one pod of the operator');
    return pod;
  };
  await settle(SETTLE_SECONDS); // the start is over, and the former pod is gone
  const before = await look();
  await settle(IDLE_SECONDS);
  const after = await look();
  const seconds = (Date.parse(after.cpu.time) - Date.parse(before.cpu.time)) / 1000;
  return {
    idleWorkingSetMegabytes: rounded(after.memory.workingSetBytes / 1e6, 1),
    idleResidentMegabytes: rounded(after.memory.rssBytes / 1e6, 1),
    idleCpuMillicores: rounded((after.cpu.usageCoreNanoSeconds - before.cpu.usageCoreNanoSeconds) / 1e6 / seconds, 1),
  };
}

const rounded = (value: number, digits: number): number => Number(value.toFixed(digits));
