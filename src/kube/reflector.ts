import { type Clock, type Random, sleep } from './clock.ts';
import { ApiError, isStatus, TransportError } from './errors.ts';
import { property, stringAt } from './json.ts';
import { type Log, messageOf } from './log.ts';
import type { Metrics } from './metrics.ts';
import { type Fault, type Input, initialState, pauseMs, type State, step } from './reflectorState.ts';
import { type Identity, identify, type Resource, resourcePath } from './resource.ts';
import { watchError } from './status.ts';
import type { Store, StoreWriter, Versioned } from './store.ts';
import type { Transport } from './transport.ts';

export interface Decoded<T> {
  /** `namespace/name`, or `name` for cluster-scoped objects. */
  readonly key: string;
  readonly value: T;
}

export interface ReflectorOptions<T extends Versioned> {
  /** For logs and metrics, e.g. the plural. */
  name: string;
  transport: Transport;
  resource: Resource;
  /** A set of namespaces (one LIST and WATCH each, as RBAC limited to namespaces wants it), all of them, or undefined for a cluster-scoped kind. */
  namespaces: readonly string[] | 'all' | undefined;
  labelSelector?: string | undefined;
  fieldSelector?: string | undefined;
  /**
   * Turns an object of the API into what is kept. Keep nothing else of it: copy what you cut out of strings with `ownString`. Undefined: of
   * no interest. If it throws, the object is logged by name and skipped, and what was known of it stays.
   */
  decode: (object: unknown) => Decoded<T> | undefined;
  store: Store<T>;
  clock: Clock;
  random: Random;
  metrics: Metrics;
  log: Log;
  /** Longest silence of a watch; the API server sends a bookmark about each minute. Default 150 s. */
  idleMs?: number;
  /** Objects per page of a LIST. Default 200: of 500 Secrets the garbage alone is 10 MB. */
  pageLimit?: number;
}

export interface Reflector {
  /** Mirrors the collection into the store until the signal aborts. Never rejects: whatever the API server does, it goes on. */
  run(signal: AbortSignal): Promise<void>;
  /** Resolves when the store holds the whole collection (of each namespace) for the first time. */
  readonly synced: Promise<void>;
  hasSynced(): boolean;
}

const DEFAULT_IDLE_MS = 150_000;
const LIST_DEADLINE_MS = 60_000;
/** A watch shorter than this that brought nothing did no good. */
const SHORT_WATCH_MS = 1_000;

export function createReflector<T extends Versioned>(options: ReflectorOptions<T>): Reflector {
  const { namespaces } = options;
  const scopes = Array.isArray(namespaces) ? [...new Set<string>(namespaces)] : [undefined];
  const loops = scopes.map((namespace) => new Loop(options, namespace));
  const synced = Promise.all(loops.map((loop) => loop.synced)).then(() => {});
  return {
    synced,
    hasSynced: () => loops.every((loop) => loop.hasSynced),
    async run(signal) {
      const update = (): void => options.metrics.reflector.objects.set({ name: options.name }, options.store.size);
      options.metrics.reflector.onScrape.add(update);
      await Promise.all(loops.map((loop) => loop.run(signal)));
      options.metrics.reflector.onScrape.delete(update);
    },
  };
}

/** LIST and WATCH of one namespace, or of the whole collection. */
class Loop<T extends Versioned> {
  readonly #options: ReflectorOptions<T>;
  readonly #path: string;
  readonly #selectors: Readonly<Record<string, string>>;
  readonly #writer: StoreWriter<T>;
  readonly #fields: object;
  readonly #markSynced: () => void;
  readonly synced: Promise<void>;
  hasSynced = false;
  #state: State;
  #pages: Map<string, T> | undefined;
  /** Until the next complete LIST, equal resourceVersions do not mean equal objects. */
  #rewound = false;

  constructor(options: ReflectorOptions<T>, namespace: string | undefined) {
    this.#options = options;
    this.#state = initialState(options.pageLimit);
    this.#path = resourcePath(options.resource, namespace);
    this.#selectors = {
      ...(options.labelSelector ? { labelSelector: options.labelSelector } : {}),
      ...(options.fieldSelector ? { fieldSelector: options.fieldSelector } : {}),
    };
    this.#writer = options.store.writer(namespace);
    this.#fields = namespace === undefined ? { reflector: options.name } : { reflector: options.name, namespace };
    const { promise, resolve } = Promise.withResolvers<void>();
    this.synced = promise;
    this.#markSynced = resolve;
  }

  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.#turn(signal);
      } catch (error) {
        if (signal.aborted) return;
        // Only a fault of our own comes here. The mirror must not stop for it: begin anew.
        this.#options.log.error({ ...this.#fields, error: messageOf(error) }, 'reflector failed, starting over');
        this.#state = { ...initialState(this.#options.pageLimit), failures: this.#state.failures + 1 };
        this.#pages = undefined;
        await this.#pause({ failures: this.#state.failures }, signal);
      }
    }
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const state = this.#state;
    switch (state.at) {
      case 'listing':
        return this.#list(state.page, state.limit, signal);
      case 'watching':
        return this.#watch(state.resourceVersion, signal);
      case 'probing':
        return this.#probe(signal);
    }
  }

  /** Goes to the next state; does what the step says about the store, and waits. */
  async #advance(input: Input, signal: AbortSignal): Promise<void> {
    const next = step(this.#state, input);
    if (next.discard) this.#pages = undefined;
    if (next.rewound) this.#rewound = true;
    if (next.commit && input.type === 'page') this.#commit(input.resourceVersion);
    this.#state = next.state;
    if (next.pause) await this.#pause(next.pause, signal);
  }

  async #pause(pause: { failures: number; retryAfterMs?: number | undefined }, signal: AbortSignal): Promise<void> {
    await sleep(this.#options.clock, pauseMs(pause, this.#options.random), signal).catch(() => {});
  }

  async #list(page: string | undefined, limit: number, signal: AbortSignal): Promise<void> {
    if (this.#pages === undefined || page === undefined) {
      this.#pages = new Map();
      this.#writer.begin();
    }
    const query = { ...this.#selectors, limit: String(limit), ...(page === undefined ? {} : { continue: page }) };
    let answer: unknown;
    try {
      answer = await this.#options.transport.request({
        method: 'GET',
        path: this.#path,
        query,
        deadlineMs: LIST_DEADLINE_MS,
        signal,
      });
    } catch (error) {
      if (signal.aborted) return;
      this.#options.metrics.reflector.lists.inc({ name: this.#options.name, outcome: 'failed' });
      this.#complain(error, 'cannot list');
      return this.#advance({ type: 'list-failed', fault: faultOf(error) }, signal);
    }
    const metadata = property(answer, 'metadata');
    const resourceVersion = stringAt(metadata, 'resourceVersion');
    const items = property(answer, 'items');
    if (!resourceVersion || !(Array.isArray(items) || items === undefined || items === null)) {
      this.#complain(new Error('the answer is no list'), 'cannot list');
      return this.#advance({ type: 'list-failed', fault: { kind: 'garbled' } }, signal);
    }
    const pages = this.#pages;
    for (const item of items ?? []) this.#takeItem(item, pages);
    return this.#advance({ type: 'page', next: stringAt(metadata, 'continue'), resourceVersion }, signal);
  }

  #takeItem(item: unknown, pages: Map<string, T>): void {
    const identity = identify(item);
    if (!identity) {
      this.#skip(undefined, 'it has no name or resourceVersion');
      return;
    }
    const known = this.#writer.get(identity.key);
    // Nothing to decode, and no second copy in memory while the LIST goes on.
    if (known?.resourceVersion === identity.resourceVersion && !this.#rewound) {
      pages.set(identity.key, known);
      return;
    }
    const decoded = this.#decode(item, identity);
    if (decoded === 'failed') {
      if (known) pages.set(identity.key, known);
    } else if (decoded) pages.set(identity.key, decoded.value);
  }

  #commit(resourceVersion: string): void {
    const pages = this.#pages ?? new Map<string, T>();
    this.#pages = undefined;
    this.#writer.replace(pages, resourceVersion, { anew: this.#rewound });
    this.#rewound = false;
    this.#options.metrics.reflector.lists.inc({ name: this.#options.name, outcome: 'complete' });
    this.#options.log.debug({ ...this.#fields, objects: pages.size, resourceVersion }, 'listed');
    this.hasSynced = true;
    this.#markSynced();
  }

  async #watch(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const { transport, clock, random, metrics, name } = this.#options;
    const started = clock.monotonic();
    const query = {
      ...this.#selectors,
      watch: '1',
      resourceVersion,
      allowWatchBookmarks: 'true',
      timeoutSeconds: String(300 + Math.floor(random() * 300)),
    };
    let lines = 0;
    let fault: Fault = { kind: 'clean' };
    try {
      const idleMs = this.#options.idleMs ?? DEFAULT_IDLE_MS;
      for await (const line of transport.watch({ path: this.#path, query, signal, idleMs })) {
        const ended = this.#takeEvent(line);
        if (ended) {
          fault = ended;
          break;
        }
        lines++;
        // Relisting is under way: the rest of this watch belongs to a past that is gone.
        if (this.#state.at !== 'watching') {
          metrics.reflector.watches.inc({ name, end: 'backwards' });
          return this.#pause({ failures: this.#state.relists }, signal);
        }
      }
    } catch (error) {
      if (signal.aborted) return;
      fault = faultOf(error);
      this.#complain(error, 'watch ended');
    }
    if (signal.aborted) return;
    metrics.reflector.watches.inc({ name, end: fault.kind });
    const fruitful = lines > 0 || (fault.kind === 'clean' && clock.monotonic() - started >= SHORT_WATCH_MS);
    return this.#advance({ type: 'watch-ended', fault, fruitful }, signal);
  }

  /** Applies one line of the watch. Returns why the watch must end, if it must. */
  #takeEvent(line: unknown): Fault | undefined {
    const type = stringAt(line, 'type');
    const object = property(line, 'object');
    if (type === 'ERROR') {
      const error = watchError(object);
      const fault = faultOf(error);
      this.#complain(error, 'watch ended by the API server');
      return fault;
    }
    if (type === 'BOOKMARK') {
      const resourceVersion = stringAt(property(object, 'metadata'), 'resourceVersion');
      if (!resourceVersion) return { kind: 'garbled' };
      this.#progress(resourceVersion);
      this.#writer.sweep();
      return undefined;
    }
    const identity = identify(object);
    if (!identity || (type !== 'ADDED' && type !== 'MODIFIED' && type !== 'DELETED')) return { kind: 'garbled' };
    // In order: a step back in time must not touch the store, the LIST that follows will.
    if (!this.#progress(identity.resourceVersion)) return undefined;
    if (type === 'DELETED') this.#writer.applyDeleted(identity.key, identity.resourceVersion);
    else this.#takeObject(object, identity);
    return undefined;
  }

  #takeObject(object: unknown, identity: Identity): void {
    // Our own write, come back.
    if (this.#writer.get(identity.key)?.resourceVersion === identity.resourceVersion) {
      this.#writer.confirm(identity.key, identity.resourceVersion);
      return;
    }
    const decoded = this.#decode(object, identity);
    if (decoded === 'failed') return;
    if (decoded) this.#writer.apply(identity.key, decoded.value);
    else this.#writer.applyDeleted(identity.key, identity.resourceVersion);
  }

  /** Notes how far the watch is. False if it went back: the state is `listing` then. */
  #progress(resourceVersion: string): boolean {
    const next = step(this.#state, { type: 'progress', resourceVersion });
    this.#state = next.state;
    if (next.state.at !== 'watching') {
      this.#rewound = next.rewound === true;
      this.#options.log.warn({ ...this.#fields, resourceVersion }, 'resourceVersions went backwards, listing anew');
      return false;
    }
    this.#writer.progressed(resourceVersion);
    return true;
  }

  /** Asks what the collection's resourceVersion is now, by the smallest consistent LIST. */
  async #probe(signal: AbortSignal): Promise<void> {
    try {
      const answer = await this.#options.transport.request({
        method: 'GET',
        path: this.#path,
        query: { ...this.#selectors, limit: '1' },
        signal,
      });
      const resourceVersion = stringAt(property(answer, 'metadata'), 'resourceVersion');
      if (!resourceVersion) return this.#advance({ type: 'probe-failed', fault: { kind: 'garbled' } }, signal);
      return this.#advance({ type: 'probed', resourceVersion }, signal);
    } catch (error) {
      if (signal.aborted) return;
      this.#complain(error, 'the API server cannot be reached');
      return this.#advance({ type: 'probe-failed', fault: faultOf(error) }, signal);
    }
  }

  #decode(object: unknown, identity: Identity): Decoded<T> | undefined | 'failed' {
    try {
      const decoded = this.#options.decode(object);
      // Deletions are told by name: under another key the object would stay for ever.
      if (decoded && decoded.key !== identity.key) throw new Error(`decoded under the key ${decoded.key}`);
      return decoded;
    } catch (error) {
      this.#skip(identity.key, messageOf(error));
      return 'failed';
    }
  }

  #skip(key: string | undefined, error: string): void {
    this.#options.metrics.reflector.undecodable.inc({ name: this.#options.name });
    this.#options.log.warn({ ...this.#fields, key, error }, 'an object could not be understood and was skipped');
  }

  /** Says a fault once, then at each doubling of their number: an API server that is away for an hour is one story, not thousands of lines. */
  #complain(error: unknown, message: string): void {
    const failures = this.#state.failures + 1;
    const fields = { ...this.#fields, failures, error: this.#explain(error) };
    if (Number.isInteger(Math.log2(failures)) && failures > 1) this.#options.log.warn(fields, message);
    else this.#options.log.debug(fields, message);
  }

  /** Of a kind that is not served the API server says no more than "404 page not found". */
  #explain(error: unknown): string {
    const { group, plural, version } = this.#options.resource;
    if (group === '' || !isStatus(error, 404)) return messageOf(error);
    return `the API server does not serve ${plural} of ${group}/${version}: install the CustomResourceDefinition "${plural}.${group}"`;
  }
}

/** What a fault of the transport means to a reflector. */
export function faultOf(error: unknown): Fault {
  if (error instanceof ApiError) {
    const { retryAfterMs } = error;
    if (error.status === 410) return { kind: 'gone', retryAfterMs };
    // "Too large resource version": the server is behind what we know, for ever if its etcd was restored.
    const ahead = error.causes.some((cause) => cause.reason === 'ResourceVersionTooLarge');
    if (ahead) return { kind: 'broken', retryAfterMs };
    if (error.status === 400 || error.status === 422) return { kind: 'rejected', retryAfterMs };
    return { kind: 'unavailable', retryAfterMs };
  }
  if (error instanceof TransportError) {
    if (error.kind === 'idle') return { kind: 'idle' };
    if (error.kind === 'too-large') return { kind: 'too-large' };
    if (error.kind === 'truncated') return { kind: 'garbled' };
  }
  return { kind: 'broken' };
}
