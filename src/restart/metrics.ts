import { Counter, Gauge, type Registry } from 'prom-client';

export interface RestartMetrics {
  readonly restarts: Counter<'kind'>;
}

export function createRestartMetrics(
  registry: Registry,
  sources: { readonly waiting: () => number; readonly running: () => number },
): RestartMetrics {
  const registers = [registry];
  const gauge = (name: string, help: string, value: () => number): void => {
    new Gauge({
      name,
      help,
      registers,
      collect() {
        this.set(value());
      },
    });
  };
  gauge('mtls_operator_restarts_waiting', 'Workloads that wait for their turn to be restarted.', sources.waiting);
  gauge('mtls_operator_restarts_running', 'Workloads that are being restarted.', sources.running);
  return {
    restarts: new Counter({
      name: 'mtls_operator_restarts_total',
      help: 'Restarts of workloads after a renewal, by the kind of the workload.',
      labelNames: ['kind'],
      registers,
    }),
  };
}
