/** What a fault proxy knows about a request when it decides its fate. */
export interface SeenRequest {
  readonly method: string;
  /** Path without query, e.g. `/api/v1/namespaces/shop/secrets/web`. */
  readonly path: string;
  readonly query: URLSearchParams;
  /** As RBAC names it. */
  readonly verb: 'get' | 'list' | 'watch' | 'create' | 'update' | 'patch' | 'delete' | 'deletecollection' | 'other';
  /** Plural of the resource, where the path is one of the resource API. */
  readonly resource?: string | undefined;
  readonly subresource?: string | undefined;
  readonly namespace?: string | undefined;
  readonly name?: string | undefined;
}

/** What is done to a request. */
export type Fault =
  /** The proxy answers by itself with this status; nothing reaches the API server. 429 and 503 carry Retry-After if asked to. */
  | { readonly kind: 'status'; readonly status: number; readonly reason?: string; readonly retryAfterSeconds?: number }
  /** The connection is reset and the port closed for a while: whoever connects meanwhile is refused. */
  | { readonly kind: 'refuse'; readonly forMs?: number }
  /** The connection is reset before anything reaches the API server. */
  | { readonly kind: 'reset' }
  /** The API server does its work and answers; the connection is reset instead of passing the answer on. */
  | { readonly kind: 'lost-answer' }
  /** A watch passes `afterEvents` lines, then an ERROR event with this code (410), and ends. */
  | { readonly kind: 'watch-error'; readonly code?: number; readonly afterEvents?: number }
  /** A watch passes `afterEvents` lines, then nothing for ever, with the connection open. Any other request: never answered. */
  | { readonly kind: 'silence'; readonly afterEvents?: number }
  /** The request is taken in and reaches the API server only when `until` resolves, even if its sender has gone meanwhile: a packet that was long under way. */
  | {
      readonly kind: 'hold';
      readonly until: Promise<void>;
      readonly onHeld: () => void;
      readonly onAnswer: (status: number) => void;
    }
  /** The answer's bytes trickle. */
  | { readonly kind: 'slow'; readonly bytesPerSecond: number }
  /** The answer ends, properly framed, after so many bytes (default half of it, or of the first line of a watch). */
  | { readonly kind: 'truncate'; readonly afterBytes?: number };

export type FaultKind = Fault['kind'];

export interface Rule {
  readonly fault: Fault;
  /** Which requests it is about. Left out: every one. */
  readonly match?: (request: SeenRequest) => boolean;
  /** How likely it strikes a request that matches, 0 to 1. Default 1. */
  readonly probability?: number;
  /** How often it strikes at most. Default: without end. */
  readonly count?: number;
}

/** A rule at work. */
export interface ActiveRule {
  /** How often it has struck. */
  readonly injected: number;
  remove(): void;
}

/** The rules of one proxy, in the order in which they were added: the first that matches and strikes decides. */
export class RuleBook {
  readonly #random: () => number;
  readonly #rules = new Set<{ readonly rule: Rule; injected: number }>();
  readonly #counters = new Map<string, number>();

  constructor(random: () => number) {
    this.#random = random;
  }

  add(rule: Rule): ActiveRule {
    const entry = { rule, injected: 0 };
    this.#rules.add(entry);
    return {
      get injected() {
        return entry.injected;
      },
      remove: () => {
        this.#rules.delete(entry);
      },
    };
  }

  clear(): void {
    this.#rules.clear();
  }

  /** The fault for a request, counted; undefined lets it pass. */
  decide(request: SeenRequest): Fault | undefined {
    for (const entry of this.#rules) {
      const { match, probability = 1, count = Number.POSITIVE_INFINITY, fault } = entry.rule;
      if (entry.injected >= count || match?.(request) === false) continue;
      // Always drawn, so that the sequence of a seed does not depend on the probabilities.
      if (this.#random() >= probability) continue;
      entry.injected++;
      const name = fault.kind === 'status' ? `status-${fault.status}` : fault.kind;
      this.#counters.set(name, (this.#counters.get(name) ?? 0) + 1);
      return fault;
    }
    return undefined;
  }

  /** Whether a fault that was decided on is still wanted: its rule has not been taken away since. */
  isInForce(fault: Fault): boolean {
    for (const { rule } of this.#rules) if (rule.fault === fault) return true;
    return false;
  }

  /** How often each kind struck: `status-429`, `reset`, … */
  get counters(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counters);
  }
}

/** Reads what a request is about from its method and URL. */
export function classify(method: string, url: string): SeenRequest {
  const [path = '/', search = ''] = url.split('?', 2);
  const query = new URLSearchParams(search);
  const target = parsePath(path);
  return { method, path, query, verb: verbOf(method, query, target), ...target };
}

interface Target {
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
}

function parsePath(path: string): Target {
  const parts = path
    .split('/')
    .filter((part) => part !== '')
    .map(decodeURIComponent);
  const rest = parts[0] === 'api' ? parts.slice(2) : parts[0] === 'apis' ? parts.slice(3) : [];
  const scoped = rest[0] === 'namespaces' && rest.length > 2 && rest[2] !== 'status' && rest[2] !== 'finalize';
  const [resource, name, subresource] = scoped ? rest.slice(2) : rest;
  return {
    ...(resource === undefined ? {} : { resource }),
    ...(scoped && rest[1] !== undefined ? { namespace: rest[1] } : {}),
    ...(name === undefined ? {} : { name }),
    ...(subresource === undefined ? {} : { subresource }),
  };
}

function verbOf(method: string, query: URLSearchParams, { resource, name }: Target): SeenRequest['verb'] {
  if (resource === undefined) return 'other';
  switch (method) {
    case 'GET':
      if (['1', 'true'].includes(query.get('watch') ?? '')) return 'watch';
      return name === undefined ? 'list' : 'get';
    case 'POST':
      return 'create';
    case 'PUT':
      return 'update';
    case 'PATCH':
      return 'patch';
    case 'DELETE':
      return name === undefined ? 'deletecollection' : 'delete';
    default:
      return 'other';
  }
}

/** Random numbers that a seed repeats (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
