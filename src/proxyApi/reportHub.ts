/** Brings reports to the leaders that listen: one stream each, what changes gathered for a moment, and never more in memory than one report of everything. */
import { type ServerWritableStream, type ServiceDefinition, status } from '@grpc/grpc-js';
import type { Clock, Log } from '../kube/index.ts';
import { PendingReport, type ProxyReport, REPORTS_PATH, type RecordReport, type Report } from '../replicas/index.ts';
import { type CallPeer, type ServedMethod, spiffeIdOf } from '../xds/index.ts';

export interface ReportHubOptions {
  readonly clock: Clock;
  readonly log: Log;
  /** SPIFFE ID of the leader: nobody else is told. */
  readonly listener: string;
}

/** Changes are gathered for so long (ms). */
const GATHER = 10;

type Call = ServerWritableStream<unknown, Report>;

interface Listener {
  readonly call: Call;
  readonly pending: PendingReport;
  /** A report is on its way, or the moment of gathering has begun. */
  busy: boolean;
}

export class ReportHub {
  readonly #options: ReportHubOptions;
  readonly #listeners = new Set<Listener>();
  readonly #proxies = new Map<string, ProxyReport>();
  readonly #records = new Map<string, RecordReport>();
  #told: number | undefined;

  constructor(options: ReportHubOptions) {
    this.#options = options;
  }

  /** For the configuration server, beside its own. */
  get method(): ServedMethod {
    return { definition, implementation: { watch: (call: Call) => this.#listen(call) } };
  }

  proxy(report: ProxyReport): void {
    const before = this.#proxies.get(report.uid);
    if (before !== undefined && tellsTheSame(before, report)) return;
    this.#proxies.set(report.uid, report);
    this.#tell((pending) => pending.proxy(report));
  }

  /** Whoever is current has everything of the state of this number. */
  told(state: number): void {
    this.#told = state;
    this.#tell((pending) => pending.told(state));
  }

  gone(uid: string): void {
    if (this.#proxies.delete(uid)) this.#tell((pending) => pending.gone(uid));
  }

  record(report: RecordReport): void {
    this.#records.set(report.namespace, report);
    this.#tell((pending) => pending.record(report));
  }

  recordGone(namespace: string): void {
    if (this.#records.delete(namespace)) this.#tell((pending) => pending.recordGone(namespace));
  }

  #listen(call: Call): void {
    const who = spiffeIdOf(call as CallPeer);
    if (who !== this.#options.listener) {
      this.#options.log.warn({ spiffeId: who }, 'somebody who is not the leader asks for reports');
      call.emit('error', { code: status.PERMISSION_DENIED, details: `reports are for ${this.#options.listener}` });
      return;
    }
    const listener: Listener = { call, pending: new PendingReport(), busy: false };
    for (const report of this.#records.values()) listener.pending.record(report);
    for (const report of this.#proxies.values()) listener.pending.proxy(report);
    if (this.#told !== undefined) listener.pending.told(this.#told);
    this.#listeners.add(listener);
    const gone = (): void => {
      this.#listeners.delete(listener);
      call.end();
    };
    call.on('cancelled', gone).on('error', gone).on('close', gone);
    // Even of nothing: it says that this is all.
    this.#send(listener);
  }

  #tell(add: (pending: PendingReport) => void): void {
    for (const listener of this.#listeners) {
      add(listener.pending);
      if (listener.busy) continue;
      listener.busy = true;
      this.#options.clock.setTimer(GATHER, () => this.#send(listener));
    }
  }

  #send(listener: Listener): void {
    if (!this.#listeners.has(listener)) return;
    listener.busy = true;
    const next = (): void => {
      listener.busy = false;
      if (!listener.pending.empty) this.#send(listener);
    };
    // A leader that is slow gets less reports, not more of them in memory.
    if (listener.call.write(listener.pending.take())) next();
    else listener.call.once('drain', next);
  }
}

/** Of one that is current it does not matter of which state: that is told of all of them at once. */
function tellsTheSame(one: ProxyReport, other: ProxyReport): boolean {
  const same = one.current === true ? true : one.acknowledged === other.acknowledged;
  return same && (one.current ?? false) === (other.current ?? false) && one.refused === other.refused;
}

const definition: ServiceDefinition = {
  watch: {
    path: REPORTS_PATH,
    requestStream: false,
    responseStream: true,
    // Both ends are ours, of the same version or one apart: JSON that is parsed by a schema.
    requestDeserialize: () => ({}),
    requestSerialize: () => Buffer.alloc(0),
    responseSerialize: (report: Report) => Buffer.from(JSON.stringify(report)),
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};
