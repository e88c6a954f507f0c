import { type Log, messageOf, silentLog } from './log.ts';
import { compareResourceVersions } from './resource.ts';

export interface Versioned {
  readonly resourceVersion: string;
}

/** One change of a store. `before` is absent for a new object, `after` for one that is gone. */
export interface Change<T> {
  readonly key: string;
  readonly before?: T;
  readonly after?: T;
}

/** What we wrote ourselves and the watch has not told yet. */
interface Observation {
  readonly resourceVersion: string;
  readonly deleted: boolean;
  /** Which LIST was the last to begin before it. */
  readonly epoch: number;
}

/**
 * The objects of a collection, by key, as the API server last told them, plus what we wrote since. Keep `T` small: it is held for every object.
 *
 * A controller that has just written an object must not look at the state before: it would do its work twice. So it hands the answer of a write
 * to `observe`, and events of the watch that are older are ignored until the watch has caught up. That memory ends with any complete LIST, so
 * that a restored etcd, whose resourceVersions are lower, never blocks a key.
 */
export class Store<T extends Versioned> {
  readonly #log: Log;
  readonly #subscribers = new Set<(change: Change<T>) => void>();
  readonly #scopes = new Map<string, Scope>();
  #objects = new Map<string, T>();

  constructor(options: { log?: Log } = {}) {
    this.#log = options.log ?? silentLog;
  }

  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  has(key: string): boolean {
    return this.#objects.has(key);
  }

  get size(): number {
    return this.#objects.size;
  }

  keys(): IterableIterator<string> {
    return this.#objects.keys();
  }

  values(): IterableIterator<T> {
    return this.#objects.values();
  }

  entries(): IterableIterator<[string, T]> {
    return this.#objects.entries();
  }

  /**
   * Calls `subscriber` at every change, after the store has it, in the order of the changes. A subscriber that throws is logged, and the others are
   * called all the same. Returns a function that ends it.
   */
  subscribe(subscriber: (change: Change<T>) => void): () => void {
    this.#subscribers.add(subscriber);
    return () => {
      this.#subscribers.delete(subscriber);
    };
  }

  /** Takes over the answer of our own write. Ignored if the collection's watch is past it already: then the store knows better. */
  observe(key: string, value: T): void {
    const scope = this.#scopeOf(key);
    if (scope?.isPast(value.resourceVersion)) return;
    const before = this.#objects.get(key);
    if (before && (compareResourceVersions(before.resourceVersion, value.resourceVersion) ?? -1) >= 0) return;
    scope?.remember(key, value.resourceVersion, false);
    this.#set(key, value);
  }

  /** Takes over our own deletion. `resourceVersion` as the answer says, if it does. */
  observeDeleted(key: string, resourceVersion?: string): void {
    const before = this.#objects.get(key);
    const version = resourceVersion ?? before?.resourceVersion;
    const scope = this.#scopeOf(key);
    if (version === undefined || (resourceVersion !== undefined && scope?.isPast(resourceVersion))) return;
    scope?.remember(key, version, true);
    this.#delete(key);
  }

  /**
   * The side that a reflector writes to. `namespace` limits a LIST's effect to the keys of that namespace, for a store that several reflectors
   * fill; undefined is the whole store.
   */
  writer(namespace?: string): StoreWriter<T> {
    const prefix = namespace === undefined ? '' : `${namespace}/`;
    const scope = new Scope();
    this.#scopes.set(prefix, scope);
    return {
      get: (key) => this.#objects.get(key),
      begin: () => scope.begin(),
      replace: (objects, resourceVersion, how) =>
        this.#replace(prefix, scope, objects, resourceVersion, how?.anew === true),
      apply: (key, value) => {
        if (!scope.accepts(key, value.resourceVersion)) return;
        if (this.#objects.get(key)?.resourceVersion !== value.resourceVersion) this.#set(key, value);
      },
      applyDeleted: (key, resourceVersion) => {
        if (scope.accepts(key, resourceVersion)) this.#delete(key);
      },
      confirm: (key, resourceVersion) => {
        scope.accepts(key, resourceVersion);
      },
      progressed: (resourceVersion) => scope.progressed(resourceVersion),
      sweep: () => scope.sweep(),
    };
  }

  #replace(prefix: string, scope: Scope, objects: Map<string, T>, resourceVersion: string, anew: boolean): void {
    const before = this.#objects;
    for (const [key, observation] of scope.survivors(resourceVersion)) {
      const own = before.get(key);
      if (observation.deleted) objects.delete(key);
      else if (own) objects.set(key, own);
    }
    const changes: Change<T>[] = [];
    for (const [key, after] of objects) {
      const old = before.get(key);
      if (old === undefined) changes.push({ key, after });
      else if (old !== after && (anew || old.resourceVersion !== after.resourceVersion))
        changes.push({ key, before: old, after });
    }
    for (const [key, old] of before) {
      if (!key.startsWith(prefix)) objects.set(key, old);
      else if (!objects.has(key)) changes.push({ key, before: old });
    }
    this.#objects = objects;
    for (const change of changes) this.#emit(change);
  }

  #set(key: string, after: T): void {
    const before = this.#objects.get(key);
    this.#objects.set(key, after);
    this.#emit(before === undefined ? { key, after } : { key, before, after });
  }

  #delete(key: string): void {
    const before = this.#objects.get(key);
    if (before === undefined) return;
    this.#objects.delete(key);
    this.#emit({ key, before });
  }

  #emit(change: Change<T>): void {
    for (const subscriber of this.#subscribers) {
      try {
        subscriber(change);
      } catch (error) {
        this.#log.error({ key: change.key, error: messageOf(error) }, 'a subscriber of a store failed');
      }
    }
  }

  #scopeOf(key: string): Scope | undefined {
    return this.#scopes.get('') ?? this.#scopes.get(key.slice(0, key.indexOf('/') + 1));
  }
}

/** How a reflector fills a store. */
export interface StoreWriter<T> {
  get(key: string): T | undefined;
  /** A LIST begins: what we write from now on may be missing in it. */
  begin(): void;
  /**
   * The LIST is complete: `objects` becomes the content, in one step. The map belongs to the store from then on. `anew` tells subscribers of
   * objects with a known resourceVersion too, as after a restored etcd they may be others.
   */
  replace(objects: Map<string, T>, resourceVersion: string, how?: { readonly anew: boolean }): void;
  apply(key: string, value: T): void;
  applyDeleted(key: string, resourceVersion: string): void;
  /** The watch told our own write: the store has it already. */
  confirm(key: string, resourceVersion: string): void;
  /** The watch is past `resourceVersion`. */
  progressed(resourceVersion: string): void;
  /** Forgets own writes that the watch is past. To be called now and then, at a bookmark: it looks at each of them. */
  sweep(): void;
}

/** How far one watch is, and which of our own writes it has not come to. */
class Scope {
  readonly #observations = new Map<string, Observation>();
  #epoch = 0;
  #progress: string | undefined;

  begin(): void {
    this.#epoch++;
  }

  isPast(resourceVersion: string): boolean {
    return this.#progress !== undefined && (compareResourceVersions(this.#progress, resourceVersion) ?? -1) >= 0;
  }

  remember(key: string, resourceVersion: string, deleted: boolean): void {
    this.#observations.set(key, { resourceVersion, deleted, epoch: this.#epoch });
  }

  /** Whether an event of the watch is news; it is not if we wrote the key after it. */
  accepts(key: string, resourceVersion: string): boolean {
    const own = this.#observations.get(key);
    if (own === undefined) return true;
    const order = compareResourceVersions(resourceVersion, own.resourceVersion) ?? 1;
    // A deletion whose own version is unknown is remembered by the version that was deleted, which is no news either.
    if (order < 0 || (order === 0 && own.deleted)) return false;
    this.#observations.delete(key);
    return true;
  }

  progressed(resourceVersion: string): void {
    this.#progress = resourceVersion;
  }

  sweep(): void {
    for (const [key, own] of this.#observations) {
      if (this.isPast(own.resourceVersion)) this.#observations.delete(key);
    }
  }

  /** After a LIST: what we wrote since it began and it does not have. Everything else is forgotten, the progress too. */
  survivors(resourceVersion: string): [string, Observation][] {
    const kept = [...this.#observations].filter(
      ([, own]) =>
        own.epoch === this.#epoch && (compareResourceVersions(own.resourceVersion, resourceVersion) ?? -1) > 0,
    );
    this.#observations.clear();
    for (const [key, own] of kept) this.#observations.set(key, own);
    this.#progress = resourceVersion;
    return kept;
  }
}
