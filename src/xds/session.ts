/**
 * One delta stream of xDS, as a state machine: pure. Requests and news of the wanted state go in, responses come out. Knows resources as names, versions and bytes.
 *
 * The delta protocol (Envoy's `xds_protocol`): a client subscribes to names or to all, and tells at the start of a stream what it has from an earlier one; a response is acknowledged, or
 * refused with a reason, by its nonce. At most one response of a type is on its way: what changes meanwhile is sent when it has been answered.
 */

export interface Resource {
  readonly name: string;
  /** Equal for equal content, on every replica. */
  readonly version: string;
  readonly body: Uint8Array;
}

/** The wanted state of one client. */
export interface Source {
  /** What the client gets unasked. */
  all(type: string): Iterable<Resource>;
  /** What it gets if it asks by name; undefined: nothing is known yet, it has to wait. */
  named(type: string, name: string): Resource | undefined;
}

export interface Request {
  readonly type: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Versions by name, in the first request of a type on a stream. */
  readonly initialVersions: ReadonlyMap<string, string>;
  /** '' where it answers nothing. */
  readonly nonce: string;
  /** Why the response with the nonce was refused; undefined: it was taken. */
  readonly error: string | undefined;
}

export interface Response {
  readonly type: string;
  readonly nonce: string;
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

export interface Refused {
  readonly type: string;
  /** Envoy's words. */
  readonly error: string;
  /** What was in the response: all of it may have been refused, or one only. */
  readonly names: readonly string[];
}

export interface SessionOptions {
  readonly source: Source;
  /** Types in the order in which news of them are sent: what others need comes first. Others come last. */
  readonly order: readonly string[];
  /**
   * A resource of `of` makes the client wait for the one of `type` with the same name, even if it has it: so that is sent again after it. Envoy waits 15 s for the endpoints of a cluster that
   * has changed.
   */
  readonly sentAgainAfter?: { readonly of: string; readonly type: string };
  /**
   * How many names of a type are heard at the most. Further ones are answered by nobody, but for what the client has already: to end the stream would bring all of them back on the next one, and
   * what is wrong with some destinations of one client must not keep it from being told of the others.
   */
  readonly most?: { readonly type: string; readonly names: number };
  /** Told of each name from the moment on at which the client is to hear of its changes, and when that has an end. */
  readonly interest?: { readonly begins: (name: string) => unknown; readonly ends: (name: string) => unknown };
}

const EVERYTHING = '*';

interface TypeState {
  everything: boolean;
  readonly names: Set<string>;
  /** What the client has, or is about to have. */
  readonly held: Map<string, string>;
  /** Names in `held` that are there since the client was to have everything. */
  readonly unasked: Set<string>;
  /** Names of which something else may be wanted than is held; all others are as they are to be, unless `unsure`. */
  readonly stale: Set<string>;
  /** Anything may be wanted that is not held. */
  unsure: boolean;
  inFlight: { readonly nonce: string; readonly names: readonly string[] } | undefined;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #types = new Map<string, TypeState>();
  readonly #refused = new Map<string, Refused>();
  #nonces = 0;
  #unheard = 0;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** The last response of each type that was refused, until one of that type is taken. */
  get refused(): readonly Refused[] {
    return [...this.#refused.values()];
  }

  /** Whether everything that was sent has been answered, and nothing of it refused. */
  get idle(): boolean {
    if (this.#refused.size > 0) return false;
    for (const { inFlight } of this.#types.values()) if (inFlight !== undefined) return false;
    return true;
  }

  /** Whether the client has asked for anything of a type yet. */
  hasAskedFor(type: string): boolean {
    return this.#types.has(type);
  }

  /** How many names the client has asked for, or said to have. */
  get names(): number {
    let sum = 0;
    for (const { names, held } of this.#types.values()) sum += Math.max(names.size, held.size);
    return sum;
  }

  /** How often the client has asked for a name that was one too many. */
  get unheard(): number {
    return this.#unheard;
  }

  /** Takes what the client says. @returns what is to be sent, in this order. */
  request(request: Request): Response[] {
    const { type, nonce, error, subscribe, unsubscribe, initialVersions } = request;
    const known = this.#types.get(type);
    const state = known ?? newState();
    if (known === undefined) {
      this.#types.set(type, state);
      // Without a name the first request is for everything; later ones are acknowledgements.
      if (subscribe.length === 0) state.everything = true;
      for (const [name, version] of initialVersions)
        if (!this.#isSentAgain(type, name)) this.#hold(state, name, version);
    }
    if (nonce !== '') this.#answered(type, state, nonce, error);
    for (const name of unsubscribe) {
      if (name === EVERYTHING) state.everything = false;
      state.names.delete(name);
      // What it gets unasked it is to have all the same.
      if (state.everything) state.unsure = true;
      // What it does not want any more it drops by itself.
      if (!state.unasked.has(name)) state.held.delete(name);
      this.#maybeEnd(name);
    }
    for (const name of subscribe) {
      if (name === EVERYTHING) {
        state.everything = true;
        state.unsure = true;
      } else if (this.#isTooMany(type, state, name)) {
        this.#unheard += 1;
      } else {
        // Asked for anew means not held, whatever was sent before; but for what it says that it has.
        if (!initialVersions.has(name)) state.held.delete(name);
        state.names.add(name);
        state.stale.add(name);
        this.#options.interest?.begins(name);
      }
    }
    const { sentAgainAfter } = this.#options;
    return this.#news((one) => one === type || (type === sentAgainAfter?.of && one === sentAgainAfter.type));
  }

  /**
   * The wanted state may have changed. To compare everything with each of thousands of clients at each change would be most of the work.
   * @param names of which that is so; left out: of anything.
   * @returns what is to be sent, in this order.
   */
  changed(names?: Iterable<string>): Response[] {
    if (names === undefined) for (const state of this.#types.values()) state.unsure = true;
    else {
      for (const name of names) {
        for (const state of this.#types.values())
          if (state.names.has(name) || (state.everything && state.held.has(name))) state.stale.add(name);
      }
    }
    return this.#news(() => true);
  }

  /** All names of which it is told: `interest` has begun for each of them. */
  *interests(): Generator<string> {
    for (const { names, held } of this.#types.values()) {
      yield* names;
      yield* held.keys();
    }
  }

  #isTooMany(type: string, { held, names }: TypeState, name: string): boolean {
    const { most } = this.#options;
    if (type !== most?.type || names.has(name) || held.has(name)) return false;
    // What it has from an earlier stream it may have yet to ask for.
    return Math.max(names.size, held.size) >= most.names;
  }

  #hold(state: TypeState, name: string, version: string): void {
    if (!state.held.has(name) && !state.names.has(name)) this.#options.interest?.begins(name);
    state.held.set(name, version);
  }

  #maybeEnd(name: string): void {
    for (const { names, held } of this.#types.values()) if (names.has(name) || held.has(name)) return;
    this.#options.interest?.ends(name);
  }

  #news(concerned: (type: string) => boolean): Response[] {
    const { order, sentAgainAfter } = this.#options;
    const rank = (type: string): number => {
      const index = order.indexOf(type);
      return index < 0 ? order.length : index;
    };
    const types = [...this.#types]
      .filter(([type]) => concerned(type))
      .sort(([one], [other]) => rank(one) - rank(other));
    return types.flatMap(([type, state]) => {
      if (state.inFlight !== undefined || (!state.unsure && state.stale.size === 0)) return [];
      const all = state.unsure ? this.#wholeDifference(type, state) : this.#differenceOfStale(type, state);
      state.unsure = false;
      state.stale.clear();
      const { removed } = all;
      const resources = all.resources.filter(({ name }) => {
        if (!this.#comesAfter(type, name)) return true;
        if (state.names.has(name)) state.stale.add(name);
        else state.unsure = true;
        return false;
      });
      if (resources.length === 0 && removed.length === 0) return [];
      this.#nonces += 1;
      const nonce = String(this.#nonces);
      for (const { name, version } of resources) {
        this.#hold(state, name, version);
        if (!state.names.has(name)) state.unasked.add(name);
      }
      for (const name of removed) {
        state.held.delete(name);
        state.unasked.delete(name);
        this.#maybeEnd(name);
      }
      if (type === sentAgainAfter?.of) {
        const dependent = this.#types.get(sentAgainAfter.type);
        for (const { name } of resources) {
          dependent?.held.delete(name);
          dependent?.stale.add(name);
        }
      }
      state.inFlight = { nonce, names: [...resources.map(({ name }) => name), ...removed] };
      return [{ type, nonce, resources, removed }];
    });
  }

  /** What was sent of `of` on this stream already has to be followed by the one of `type`, whatever the client has from an earlier stream. */
  #isSentAgain(type: string, name: string): boolean {
    const { sentAgainAfter } = this.#options;
    if (type !== sentAgainAfter?.type) return false;
    return this.#types.get(sentAgainAfter.of)?.inFlight?.names.includes(name) === true;
  }

  /**
   * Whether the one of `of` with the same name has to be sent first, and cannot yet. Endpoints that come before their cluster may be of an identity that it does not know, and whoever
   * dials them meanwhile is refused.
   */
  #comesAfter(type: string, name: string): boolean {
    const { sentAgainAfter, source } = this.#options;
    if (type !== sentAgainAfter?.type) return false;
    const first = this.#types.get(sentAgainAfter.of);
    if (first?.inFlight === undefined || !(first.unsure || first.stale.has(name))) return false;
    if (!first.names.has(name) && !first.held.has(name)) return false;
    const wanted = source.named(sentAgainAfter.of, name);
    return wanted !== undefined && wanted.version !== first.held.get(name);
  }

  #answered(type: string, state: TypeState, nonce: string, error: string | undefined): void {
    // An answer to another response than the last is late, and says nothing.
    if (state.inFlight?.nonce !== nonce) return;
    const { names } = state.inFlight;
    state.inFlight = undefined;
    if (error === undefined) this.#refused.delete(type);
    // Sent again as it is, it would be refused again: it stays in `held` until there is another version.
    else this.#refused.set(type, { type, error, names });
  }

  #wholeDifference(type: string, state: TypeState): Difference {
    const { source } = this.#options;
    const resources: Resource[] = [];
    const removed: string[] = [];
    const unasked = state.everything ? byName(source.all(type)) : NOTHING;
    const look = (name: string, resource: Resource | undefined): void => {
      if (resource !== undefined && state.held.get(name) !== resource.version) resources.push(resource);
    };
    for (const [name, resource] of unasked) look(name, resource);
    for (const name of state.names) if (!unasked.has(name)) look(name, source.named(type, name));
    if (state.everything) {
      for (const name of state.held.keys()) {
        if (unasked.has(name) || state.names.has(name)) continue;
        const resource = source.named(type, name);
        // What was asked for by name is never taken away: a client that is told so does not ask again. What it has from an earlier stream may be of that sort.
        if (resource === undefined) removed.push(name);
        else look(name, resource);
      }
    }
    return { resources, removed };
  }

  /** The same, where all but the stale names are known to be as they are to be. Nothing is taken away by it. */
  #differenceOfStale(type: string, state: TypeState): Difference {
    const { source } = this.#options;
    const resources: Resource[] = [];
    for (const name of state.stale) {
      if (!state.names.has(name) && !(state.everything && state.held.has(name))) continue;
      const resource = source.named(type, name) ?? (state.everything ? byName(source.all(type)).get(name) : undefined);
      if (resource !== undefined && state.held.get(name) !== resource.version) resources.push(resource);
    }
    return { resources, removed: [] };
  }
}

/** What the client does not have as it is to have it. */
interface Difference {
  readonly resources: readonly Resource[];
  readonly removed: readonly string[];
}

const NOTHING: ReadonlyMap<string, Resource> = new Map();

function byName(resources: Iterable<Resource>): Map<string, Resource> {
  const found = new Map<string, Resource>();
  for (const resource of resources) found.set(resource.name, resource);
  return found;
}

function newState(): TypeState {
  return {
    everything: false,
    names: new Set(),
    held: new Map(),
    unasked: new Set(),
    stale: new Set(),
    unsure: true,
    inFlight: undefined,
  };
}
