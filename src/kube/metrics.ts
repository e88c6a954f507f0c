import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';

/** The metrics of the runtime, under the names that client-go and controller-runtime made common, in a registry of their own. */
export interface Metrics {
  readonly registry: Registry;
  /** `code` is the HTTP status, or `<error>` when no answer came, as in client-go. */
  readonly restRequests: Counter<'code' | 'method' | 'host'>;
  /** Seconds from the first attempt's dispatch to its answer, without waits between attempts. Watches are not in it. */
  readonly restDuration: Histogram<'method' | 'host'>;
  readonly restRetries: Counter<'method' | 'host' | 'cause'>;
  readonly queue: QueueMetrics;
  readonly controller: ControllerMetrics;
  readonly leader: Gauge<'name'>;
  readonly reflector: ReflectorMetrics;
  readonly events: Counter<'outcome'>;
}

export interface QueueMetrics {
  readonly depth: Gauge<'name' | 'controller'>;
  readonly adds: Counter<'name' | 'controller'>;
  readonly queueDuration: Histogram<'name' | 'controller'>;
  readonly workDuration: Histogram<'name' | 'controller'>;
  readonly unfinishedWork: Gauge<'name' | 'controller'>;
  readonly longestRunning: Gauge<'name' | 'controller'>;
  readonly retries: Counter<'name' | 'controller'>;
  /** Called at each scrape, to bring gauges up to date that change by mere passing of time. */
  readonly onScrape: Set<() => void>;
}

export interface ControllerMetrics {
  readonly reconciles: Counter<'controller' | 'result'>;
  readonly errors: Counter<'controller'>;
  readonly terminalErrors: Counter<'controller'>;
  readonly duration: Histogram<'controller'>;
  readonly maxConcurrent: Gauge<'controller'>;
  readonly active: Gauge<'controller'>;
}

export interface ReflectorMetrics {
  readonly lists: Counter<'name' | 'outcome'>;
  readonly watches: Counter<'name' | 'end'>;
  readonly undecodable: Counter<'name'>;
  readonly objects: Gauge<'name'>;
  /** Called at each scrape, to bring `objects` up to date. */
  readonly onScrape: Set<() => void>;
}

/** client-go's buckets of the work queue: powers of ten from 10 ns up, which tell nothing; these tell milliseconds apart. */
const QUEUE_BUCKETS = [0.0001, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300, 1000];
const REST_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60];
const RECONCILE_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

export interface MetricsOptions {
  /** Also export CPU, memory and event loop of this process (process_*, nodejs_*). Default true. */
  process?: boolean;
}

/** Creates every instrument in a fresh registry. Two of them can live side by side in one process. */
export function createMetrics(options: MetricsOptions = {}): Metrics {
  const registry = new Registry();
  const registers = [registry];
  // The default precision of 10 ms wakes an idle process a hundred times a second.
  if (options.process !== false) collectDefaultMetrics({ register: registry, eventLoopMonitoringPrecision: 200 });
  return {
    registry,
    restRequests: new Counter({
      name: 'rest_client_requests_total',
      help: 'Requests to the API server, by status code, method and host. Each attempt counts.',
      labelNames: ['code', 'method', 'host'],
      registers,
    }),
    restDuration: new Histogram({
      name: 'rest_client_request_duration_seconds',
      help: 'Seconds that one attempt of a request to the API server took. Watches are not counted.',
      labelNames: ['method', 'host'],
      buckets: REST_BUCKETS,
      registers,
    }),
    restRetries: new Counter({
      name: 'rest_client_request_retries_total',
      help: 'Requests that were sent again, by what went wrong.',
      labelNames: ['method', 'host', 'cause'],
      registers,
    }),
    queue: queueMetrics(registers),
    controller: controllerMetrics(registers),
    leader: new Gauge({
      name: 'leader_election_master_status',
      help: 'Whether this process holds the Lease: 1 holds it, 0 waits for it.',
      labelNames: ['name'],
      registers,
    }),
    reflector: reflectorMetrics(registers),
    events: new Counter({
      name: 'events_recorded_total',
      help: 'Kubernetes Events, by outcome: written, dropped by a limit, failed.',
      labelNames: ['outcome'],
      registers,
    }),
  };
}

function reflectorMetrics(registers: Registry[]): ReflectorMetrics {
  const onScrape = new Set<() => void>();
  return {
    onScrape,
    lists: new Counter({
      name: 'reflector_lists_total',
      help: 'Complete LISTs of a collection, by outcome.',
      labelNames: ['name', 'outcome'],
      registers,
    }),
    watches: new Counter({
      name: 'reflector_watches_total',
      help: 'Watches, by how they ended.',
      labelNames: ['name', 'end'],
      registers,
    }),
    undecodable: new Counter({
      name: 'reflector_undecodable_objects_total',
      help: 'Objects that could not be understood and were skipped.',
      labelNames: ['name'],
      registers,
    }),
    objects: new Gauge({
      name: 'reflector_objects',
      help: 'Objects held in memory.',
      labelNames: ['name'],
      registers,
      collect: () => {
        for (const update of onScrape) update();
      },
    }),
  };
}

function queueMetrics(registers: Registry[]): QueueMetrics {
  const labelNames = ['name', 'controller'] as const;
  const onScrape = new Set<() => void>();
  return {
    onScrape,
    depth: new Gauge({
      name: 'workqueue_depth',
      help: 'Keys that wait for a worker.',
      labelNames,
      registers,
      collect: () => {
        for (const update of onScrape) update();
      },
    }),
    adds: new Counter({ name: 'workqueue_adds_total', help: 'Keys added to the queue.', labelNames, registers }),
    queueDuration: new Histogram({
      name: 'workqueue_queue_duration_seconds',
      help: 'Seconds that a key waited for a worker.',
      labelNames,
      buckets: QUEUE_BUCKETS,
      registers,
    }),
    workDuration: new Histogram({
      name: 'workqueue_work_duration_seconds',
      help: 'Seconds that a worker spent on a key.',
      labelNames,
      buckets: QUEUE_BUCKETS,
      registers,
    }),
    unfinishedWork: new Gauge({
      name: 'workqueue_unfinished_work_seconds',
      help: 'Seconds of work in progress that workDuration has not seen yet. Growing for long means a stuck worker.',
      labelNames,
      registers,
    }),
    longestRunning: new Gauge({
      name: 'workqueue_longest_running_processor_seconds',
      help: 'Seconds that the longest running worker has been on its key.',
      labelNames,
      registers,
    }),
    retries: new Counter({ name: 'workqueue_retries_total', help: 'Rate-limited adds.', labelNames, registers }),
  };
}

function controllerMetrics(registers: Registry[]): ControllerMetrics {
  const labelNames = ['controller'] as const;
  return {
    reconciles: new Counter({
      name: 'controller_runtime_reconcile_total',
      help: 'Reconciliations, by controller and result: success, error, requeue_after.',
      labelNames: ['controller', 'result'],
      registers,
    }),
    errors: new Counter({
      name: 'controller_runtime_reconcile_errors_total',
      help: 'Reconciliations that failed.',
      labelNames,
      registers,
    }),
    terminalErrors: new Counter({
      name: 'controller_runtime_terminal_reconcile_errors_total',
      help: 'Reconciliations that failed in a way that repeating does not mend.',
      labelNames,
      registers,
    }),
    duration: new Histogram({
      name: 'controller_runtime_reconcile_time_seconds',
      help: 'Seconds per reconciliation.',
      labelNames,
      buckets: RECONCILE_BUCKETS,
      registers,
    }),
    maxConcurrent: new Gauge({
      name: 'controller_runtime_max_concurrent_reconciles',
      help: 'Workers of a controller.',
      labelNames,
      registers,
    }),
    active: new Gauge({
      name: 'controller_runtime_active_workers',
      help: 'Workers that are at work.',
      labelNames,
      registers,
    }),
  };
}
