/** What proxies are to have, as a test says; and a configuration server that hands it out. */
import type { Resource as Named, TypedMessage } from '../../src/envoy/index.ts';
import { silentLog, systemClock } from '../../src/kube/index.ts';
import { encodeResource } from '../../src/xds/protocol.ts';
import type { ProxyClaim, ProxySource } from '../../src/xds/proxyStream.ts';
import { type Refusal, type ServerIdentity, serveXds, type XdsServer } from '../../src/xds/server.ts';
import type { Resource } from '../../src/xds/session.ts';

export class World implements ProxySource {
  ended: string | undefined;
  /** Every change is of anything. */
  readonly view = undefined;
  readonly subjects = [];
  /** Number of the state. */
  state = 0;
  readonly #everybody = new Map<string, Map<string, Resource>>();
  readonly #onDemand = new Map<string, Map<string, Resource>>();

  all(type: string): Iterable<Resource> {
    return this.#everybody.get(type)?.values() ?? [];
  }

  named(type: string, name: string): Resource | undefined {
    return this.#onDemand.get(type)?.get(name);
  }

  /** Everybody has these of their type, and no others. */
  everybody(...messages: readonly Named[]): this {
    for (const type of new Set(messages.map((message) => message['@type']))) {
      const named = messages.filter((message) => message['@type'] === type);
      this.#everybody.set(type, new Map(named.map((message) => [message.name, encodeResource(message.name, message)])));
    }
    return this;
  }

  onDemand(name: string, ...messages: readonly TypedMessage[]): this {
    for (const message of messages) {
      const of = this.#onDemand.get(message['@type']) ?? new Map<string, Resource>();
      this.#onDemand.set(message['@type'], of.set(name, encodeResource(name, message)));
    }
    return this;
  }
}

export interface Serving {
  readonly host?: string;
  readonly identity: ServerIdentity;
  readonly admit: (claim: ProxyClaim) => ProxySource | Refusal;
  readonly state?: () => number;
  readonly port?: number;
  readonly connectionAgeMs?: number;
}

export function serve({ port = 0, state = () => 0, ...options }: Serving): Promise<XdsServer> {
  return serveXds({ ...options, port, state, clock: systemClock, log: silentLog });
}
