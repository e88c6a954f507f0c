/** One certificate on an idle cluster: from the request that creates it until a watcher sees it Ready. */
import { workloadCertificateKind } from '../../src/api/index.ts';
import { resourcePath } from '../../src/kube/index.ts';
import { type BareTemplate, readTemplate } from './bare.ts';
import {
  certificateBody,
  createNamespace,
  openBench,
  quantile,
  ReadyWatcher,
  SECRETS,
  transportFor,
} from './harness.ts';

export interface LatencyResult {
  readonly benchmark: 'latency';
  readonly samples: number;
  readonly p50Milliseconds: number;
  readonly p99Milliseconds: number;
  /** The bare client's own POST and PATCH, one after the other, without waiting for any watch. */
  readonly bareP50Milliseconds: number;
  readonly bareP99Milliseconds: number;
}

export async function measureLatency(samples: number): Promise<LatencyResult> {
  const bench = await openBench();
  try {
    const { signal, transport } = bench;
    for (const namespace of ['ours', 'bare']) await createNamespace(bench, namespace);
    // It does not see the bare client's namespace, or it would set right what that one writes.
    const operator = await bench.operator({
      flags: ['--create-default-authority', '--no-leader-elect', '--watch-namespaces', 'ours'],
    });
    const watching = await transportFor(bench.cluster.kubeconfig);
    const watcher = new ReadyWatcher(watching, 'ours');
    const ours: number[] = [];
    const bare: number[] = [];
    let bareWrites: BareTemplate | undefined;
    for (let index = 0; index < samples + 10; index += 1) {
      // Spread over the second: an idle cluster has no rhythm that a sample could hide in.
      await new Promise((resolve) => setTimeout(resolve, 20 + (index % 7) * 10));
      const started = performance.now();
      const body = certificateBody('ours', index);
      await transport.request({ method: 'POST', path: workloadCertificateKind.path('ours'), body, signal });
      await watcher.reached(index + 1);
      ours.push((watcher.times.at(-1) ?? 0) - started);

      await transport.request({
        method: 'POST',
        path: workloadCertificateKind.path('bare'),
        body: certificateBody('bare', index),
        signal,
      });
      bareWrites ??= await readTemplate(transport, 'ours', signal);
      const { secret, status } = bareWrites('bare', index);
      const bareStarted = performance.now();
      await transport.request({ method: 'POST', path: resourcePath(SECRETS, 'bare'), body: secret, signal });
      await transport.request({
        method: 'PATCH',
        path: workloadCertificateKind.path('bare', `w${index}`, 'status'),
        body: { status },
        signal,
      });
      bare.push(performance.now() - bareStarted);
    }
    await watcher.stop();
    await watching.close();
    await operator.stop();
    // The first ten warm code and connections up.
    return {
      benchmark: 'latency',
      samples,
      p50Milliseconds: quantile(ours.slice(10), 0.5),
      p99Milliseconds: quantile(ours.slice(10), 0.99),
      bareP50Milliseconds: quantile(bare.slice(10), 0.5),
      bareP99Milliseconds: quantile(bare.slice(10), 0.99),
    };
  } finally {
    await bench.close();
  }
}
