/** One proxy's stream: hands what comes to the state machine, and what that says to the proxy. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { types } from '../envoy/index.ts';
import type { ProxyNode, ProxyRequest } from './protocol.ts';
import { type Refused, type Response, Session, type SessionOptions, type Source } from './session.ts';

/** Who wants to be configured. */
export interface ProxyClaim extends ProxyNode {
  /** What its certificate says, verified; undefined where it is not exactly one SPIFFE ID. */
  readonly spiffeId: string | undefined;
  /** Where it connects from. */
  readonly address: string;
}

/** What one proxy is to have. */
export interface ProxySource extends Source {
  /** Why this proxy gets nothing any more, such as that its pod is gone; undefined while it does. */
  readonly ended: string | undefined;
  /**
   * Another one whenever anything may be wanted that was not: what it gets unasked, or what names mean to it in particular. Of names that mean something else to everybody it is told by
   * their subjects.
   */
  readonly view: unknown;
  /** By which it is told that `view` or `ended` may be another: the same for as long as it lasts. */
  readonly subjects: readonly string[];
}

export type ProxyCall = ServerDuplexStream<ProxyRequest, Response>;

/** More than one pod has destinations in use: it looks for open ports, or wants to fill our memory. */
const MOST_DESTINATIONS = 9_500;
/** Of all types: no Envoy asks for more, with the endpoints of so many destinations, and what it gets unasked. */
const MOST_NAMES = 25_000;
/** Longer than any name that we have given. */
const LONGEST_NAME = 300;

/** Dependencies first, so that no listener comes before its clusters. */
const order = [types.cluster, types.endpoints, types.listener];

export interface ProxyStreamOptions {
  readonly claim: ProxyClaim;
  readonly call: ProxyCall;
  readonly source: ProxySource;
  /** Number of the present state: it grows with each change. */
  readonly state: number;
  /** Number of the newest state of which everybody has been told what concerns them. */
  readonly told: () => number;
  readonly interest: Required<SessionOptions>['interest'];
}

export class ProxyStream {
  readonly #options: ProxyStreamOptions;
  readonly #session: Session;
  #view: unknown;
  /** While the proxy has something to answer or has refused it: what `acknowledged` was before. */
  #before: number | undefined;
  #isCurrent = false;
  #warned = false;

  constructor(options: ProxyStreamOptions) {
    const { interest, source } = options;
    this.#options = options;
    this.#view = source.view;
    this.#session = new Session({
      source,
      order,
      sentAgainAfter: { of: types.cluster, type: types.endpoints },
      most: { type: types.cluster, names: MOST_DESTINATIONS },
      interest,
    });
  }

  get claim(): ProxyClaim {
    return this.#options.claim;
  }

  /** Number of the newest state of which the proxy has taken everything; undefined: none yet. Never an older one that it had before. */
  get acknowledged(): number | undefined {
    const { state, told } = this.#options;
    return this.#isCurrent ? Math.max(state, told()) : this.#before;
  }

  /** Whether it has taken everything of the newest state of which all have been told: then it has that of the next one too, unless it is told something. */
  get isCurrent(): boolean {
    return this.#isCurrent;
  }

  get refused(): readonly Refused[] {
    return this.#session.refused;
  }

  /** What is to be said of it, once: it asks for more than it is told. */
  takeWarning(): string | undefined {
    if (this.#warned || this.#session.unheard === 0) return undefined;
    this.#warned = true;
    return `it asks for more than ${MOST_DESTINATIONS} destinations: connections to further ones are closed when nobody has told of them for a while`;
  }

  get source(): ProxySource {
    return this.#options.source;
  }

  /** @returns why the stream is to end; undefined: it goes on. */
  take(request: ProxyRequest): string | undefined {
    if ([...request.subscribe, ...request.initialVersions.keys()].some((name) => name.length > LONGEST_NAME)) {
      return `a name is longer than ${LONGEST_NAME} characters`;
    }
    this.#send(this.#session.request(request));
    this.#note();
    if (this.#session.names > MOST_NAMES) return `more than ${MOST_NAMES} names are asked for`;
    return undefined;
  }

  /**
   * What the proxy is to have may have changed.
   * @param names that may mean something else; undefined: anything may.
   * @param itself whether what is its own may be something else.
   * @returns why the stream is to end; undefined: it goes on.
   */
  changed(names: Iterable<string> | undefined, itself: boolean): string | undefined {
    let all = names === undefined;
    if (itself) {
      const { ended, view } = this.#options.source;
      if (ended !== undefined) return ended;
      all ||= view !== this.#view;
      this.#view = view;
    }
    this.#send(this.#session.changed(all ? undefined : names));
    this.#note();
    return undefined;
  }

  /** All that it has to be told of by name. */
  interests(): Iterable<string> {
    return this.#session.interests();
  }

  /** A proxy asks for listeners when it has its clusters. */
  #note(): void {
    const is = this.#session.idle && this.#session.hasAskedFor(types.listener);
    if (this.#isCurrent && !is) this.#before = this.acknowledged;
    this.#isCurrent = is;
  }

  /** At most one response of each type is unanswered: a proxy that reads nothing costs no more than these. */
  #send(responses: readonly Response[]): void {
    for (const response of responses) this.#options.call.write(response);
  }
}
