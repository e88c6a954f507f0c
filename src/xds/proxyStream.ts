/** One proxy's stream: hands what comes to the state machine, and what that says to the proxy. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { types } from '../envoy/index.ts';
import { encodeResponse, type ProxyNode, type ProxyRequest } from './protocol.ts';
import { type Refused, Session, type Source } from './session.ts';

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
  /** Another one whenever anything may be wanted that was not: what it gets unasked, or what names mean to it. Names of which it is told that they have changed are apart. */
  readonly view: unknown;
}

export type ProxyCall = ServerDuplexStream<ProxyRequest, Buffer>;

/** More names than one pod can have destinations in use; somebody asks for more to fill our memory. */
const MOST_NAMES = 20_000;
/** Longer than any name that we have given. */
const LONGEST_NAME = 300;

/** Dependencies first, so that no listener comes before its clusters. */
const order = [types.cluster, types.endpoints, types.listener];

export class ProxyStream {
  readonly claim: ProxyClaim;
  readonly #call: ProxyCall;
  readonly #source: ProxySource;
  readonly #session: Session;
  /** Number of the state that was compared last with what the proxy has. */
  #compared: number;
  #view: unknown;
  #acknowledged: number | undefined;

  /** @param state number of the present state: it grows with each change. */
  constructor(claim: ProxyClaim, call: ProxyCall, source: ProxySource, state: number) {
    this.#compared = state;
    this.claim = claim;
    this.#call = call;
    this.#source = source;
    this.#view = source.view;
    this.#session = new Session({ source, order, sentAgainAfter: { of: types.cluster, type: types.endpoints } });
  }

  /** Number of the newest state of which the proxy has taken everything; undefined: none yet. Never an older one that it had before. */
  get acknowledged(): number | undefined {
    return this.#acknowledged;
  }

  get refused(): readonly Refused[] {
    return this.#session.refused;
  }

  get source(): ProxySource {
    return this.#source;
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
   * @param state number of the newest state of which all changes have been told by this.
   * @param concerned whether what a name means may have changed; undefined: anything may.
   * @returns why the stream is to end; undefined: it goes on.
   */
  changed(state: number, concerned: ((name: string) => boolean) | undefined): string | undefined {
    const { ended, view } = this.#source;
    if (ended !== undefined) return ended;
    const all = concerned === undefined || view !== this.#view;
    this.#view = view;
    this.#send(this.#session.changed(all ? undefined : concerned));
    this.#compared = state;
    this.#note();
    return undefined;
  }

  /** What was sent is of the compared state or a newer one, so that with nothing unanswered the proxy has at least that. A proxy asks for listeners when it has its clusters. */
  #note(): void {
    if (this.#session.idle && this.#session.hasAskedFor(types.listener)) this.#acknowledged = this.#compared;
  }

  /** At most one response of each type is unanswered: a proxy that reads nothing costs no more than these. */
  #send(responses: ReturnType<Session['changed']>): void {
    for (const response of responses) this.#call.write(encodeResponse(response));
  }
}
