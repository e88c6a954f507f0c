import type { Metrics } from './metrics.ts';

interface Answered {
  readonly count: { inc(): void };
  readonly duration: { observe(seconds: number): void };
}

/**
 * The metrics of requests to one API server. Each series is looked up once and kept: prom-client finds it by sorting and joining its labels, which for
 * every request anew costs as much as sending it.
 */
export class RestInstruments {
  readonly #metrics: Metrics;
  readonly #host: string;
  readonly #answered = new Map<string, Answered>();

  constructor(metrics: Metrics, host: string) {
    this.#metrics = metrics;
    this.#host = host;
  }

  /** @param seconds from the attempt's dispatch to its answer */
  answered(method: string, status: number, seconds: number): void {
    const series = this.#series(method, status);
    series.count.inc();
    series.duration.observe(seconds);
  }

  /** A watch was answered; how long it takes tells nothing. */
  watched(status: number): void {
    this.#metrics.restRequests.inc({ code: status, method: 'GET', host: this.#host });
  }

  /** No answer came. */
  unanswered(method: string): void {
    this.#metrics.restRequests.inc({ code: '<error>', method, host: this.#host });
  }

  /** It is sent again. */
  repeated(method: string, cause: string): void {
    this.#metrics.restRetries.inc({ method, host: this.#host, cause });
  }

  #series(method: string, status: number): Answered {
    const key = `${method} ${status}`;
    const known = this.#answered.get(key);
    if (known !== undefined) return known;
    const series = {
      count: this.#metrics.restRequests.labels({ code: status, method, host: this.#host }),
      duration: this.#metrics.restDuration.labels({ method, host: this.#host }),
    };
    this.#answered.set(key, series);
    return series;
  }
}
