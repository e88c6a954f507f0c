/**
 * The bare client: makes the same two writes per certificate as the operator (POST of the Secret, merge patch of the status), with the same concurrency and
 * the same watches open, and does nothing else. What it reaches is what the API server gives.
 *
 * What it writes is what the operator wrote for a certificate that serves as the template: the API server parses what stands in a TLS Secret, so
 * a filler of the same size would be cheaper.
 *
 * `node test/bench/bare.ts KUBECONFIG TEMPLATE_NAMESPACE NAMESPACE COUNT CONCURRENCY`, prints its seconds as JSON.
 */
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { workloadCertificateKind } from '../../src/api/index.ts';
import { resourcePath, type Transport } from '../../src/kube/index.ts';
import { inParallel, SECRETS, transportFor } from './harness.ts';

export interface BareWrites {
  readonly secret: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

export type BareTemplate = (namespace: string, index: number) => BareWrites;

const texts = z.record(z.string(), z.string());
const secretSchema = z.object({
  type: z.string(),
  metadata: z.object({ labels: texts, annotations: texts }),
  data: texts,
});
const certificateSchema = z.object({ status: z.record(z.string(), z.unknown()) });

/** What the operator wrote for the certificate w0 of `namespace`. */
export async function readTemplate(
  transport: Transport,
  namespace: string,
  signal: AbortSignal,
): Promise<BareTemplate> {
  const read = (path: string): Promise<unknown> => transport.request({ method: 'GET', path, signal });
  const secret = secretSchema.parse(await read(resourcePath(SECRETS, namespace, 'w0-mtls')));
  const { status } = certificateSchema.parse(await read(workloadCertificateKind.path(namespace, 'w0')));
  const { labels, annotations } = secret.metadata;
  return (of, index) => ({
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        namespace: of,
        name: `w${index}-mtls`,
        labels,
        annotations: { ...annotations, 'mtls-operator.io/certificate': `w${index}` },
      },
      type: secret.type,
      data: secret.data,
    },
    status: { ...status, secretName: `w${index}-mtls` },
  });
}

if (import.meta.main) {
  const [kubeconfig = '', templateNamespace = '', namespace = '', count = '0', concurrency = '16'] = parseArgs({
    allowPositionals: true,
  }).positionals;
  const transport = await transportFor(kubeconfig, Number(concurrency) + 4);
  const stop = new AbortController();
  const watch = async (path: string, query: Record<string, string>): Promise<void> => {
    try {
      for await (const _ of transport.watch({
        path,
        query: { ...query, watch: 'true' },
        idleMs: 600_000,
        signal: stop.signal,
      }));
    } catch (error) {
      if (!stop.signal.aborted) throw error;
    }
  };
  const watches = [
    watch(workloadCertificateKind.path(), {}),
    watch(resourcePath(SECRETS), { labelSelector: 'mtls-operator.io/purpose=workload-certificate' }),
  ];
  const { signal } = stop;
  const bareWrites = await readTemplate(transport, templateNamespace, signal);
  // Connections and code are warm before the clock starts.
  await inParallel(64, Number(concurrency), async () => {
    await transport.request({ method: 'GET', path: workloadCertificateKind.path(namespace, 'w0'), signal });
  });
  const started = performance.now();
  // As for the operator, what starting costs is not counted.
  const cpu = process.cpuUsage();
  await inParallel(Number(count), Number(concurrency), async (index) => {
    const { secret, status } = bareWrites(namespace, index);
    await transport.request({ method: 'POST', path: resourcePath(SECRETS, namespace), body: secret, signal });
    const path = workloadCertificateKind.path(namespace, `w${index}`, 'status');
    await transport.request({ method: 'PATCH', path, body: { status }, signal });
  });
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  stop.abort();
  await Promise.all(watches);
  await transport.close();
  process.stdout.write(`${JSON.stringify({ seconds, cpuMilliseconds: (user + system) / 1000 })}\n`);
}
