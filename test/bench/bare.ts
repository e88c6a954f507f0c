/**
 * The bare client: makes the same two writes per certificate as the operator (POST of a Secret of the same size, merge patch of a status of the same
 * size), with the same concurrency and the same watches open, and does nothing else. What it reaches is what the API server gives.
 *
 * `node test/bench/bare.ts KUBECONFIG NAMESPACE COUNT CONCURRENCY`, prints its seconds as JSON.
 */
import { parseArgs } from 'node:util';
import { workloadCertificateKind } from '../../src/api/index.ts';
import { resourcePath } from '../../src/kube/index.ts';
import { inParallel, SECRETS, transportFor } from './harness.ts';

export interface BareWrites {
  readonly secret: Readonly<Record<string, unknown>>;
  readonly status: Readonly<Record<string, unknown>>;
}

/** Bodies of the size that the operator writes. */
export function bareWrites(namespace: string, index: number): BareWrites {
  const name = `w${index}`;
  const filler = (bytes: number): string => Buffer.alloc(bytes, 'x').toString('base64');
  return {
    secret: {
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: {
        namespace,
        name: `${name}-mtls`,
        labels: { 'mtls-operator.io/purpose': 'workload-certificate' },
        annotations: {
          'mtls-operator.io/certificate': name,
          'mtls-operator.io/authority': 'default',
          'mtls-operator.io/template': '{"labels":[],"annotations":[]}',
          'mtls-operator.io/revision': '1',
        },
      },
      type: 'kubernetes.io/tls',
      data: { 'tls.crt': filler(1500), 'tls.key': filler(241), 'ca.crt': filler(700) },
    },
    status: {
      conditions: [
        condition(
          'Ready',
          'True',
          'Ready',
          'certificate 65FE321982281F15D94D3C7F87F8E70A is valid until 2026-11-23T18:06:33Z',
        ),
        condition('Issuing', 'False', 'Issued', 'revision 1 is issued'),
      ],
      observedGeneration: 1,
      secretName: `${name}-mtls`,
      revision: 1,
      notBefore: '2026-11-22T18:01:33Z',
      notAfter: '2026-11-23T18:06:33Z',
      serialNumber: '65FE321982281F15D94D3C7F87F8E70A',
      renewalTime: '2026-11-23T09:24:01Z',
      authorityFingerprint: '11bb8d9e082786b00066981044bdf62596ea67b189240122235dccd587cc1239',
    },
  };
}

function condition(type: string, status: string, reason: string, message: string) {
  return { type, status, reason, message, observedGeneration: 1, lastTransitionTime: '2026-11-22T18:06:33Z' };
}

if (import.meta.main) {
  const [kubeconfig = '', namespace = '', count = '0', concurrency = '16'] = parseArgs({
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
