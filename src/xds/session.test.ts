import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Request, type Resource, type Response, Session, type Source } from './session.ts';

const CLUSTERS = 'clusters';
const ENDPOINTS = 'endpoints';
const LISTENERS = 'listeners';
const order = [CLUSTERS, ENDPOINTS, LISTENERS];
const sentAgainAfter = { of: CLUSTERS, type: ENDPOINTS };

const resource = (name: string, version: string): Resource => ({ name, version, body: Buffer.from(version) });

/** A wanted state that can be changed. */
class World implements Source {
  /** By type and name. */
  readonly everybody = new Map<string, Map<string, string>>();
  readonly onDemand = new Map<string, Map<string, string>>();

  all(type: string): Resource[] {
    return [...(this.everybody.get(type) ?? [])].map(([name, version]) => resource(name, version));
  }

  named(type: string, name: string): Resource | undefined {
    const version = this.onDemand.get(type)?.get(name);
    return version === undefined ? undefined : resource(name, version);
  }

  set(where: 'everybody' | 'onDemand', type: string, name: string, version: string | undefined): this {
    const of = this[where].get(type) ?? new Map<string, string>();
    this[where].set(type, of);
    if (version === undefined) of.delete(name);
    else of.set(name, version);
    return this;
  }
}

function request(type: string, more: Partial<Request> = {}): Request {
  return { type, subscribe: [], unsubscribe: [], initialVersions: new Map(), nonce: '', error: undefined, ...more };
}

const open = (source: Source): Session => new Session({ source, order, sentAgainAfter });
const told = (responses: readonly Response[]): string[] =>
  responses.map(
    ({ type, resources, removed }) =>
      `${type}:${resources.map(({ name, version }) => ` ${name}=${version}`).join('')}${removed.map((name) => ` -${name}`).join('')}`,
  );
const nonceOf = (responses: readonly Response[]): string => responses[0]?.nonce ?? '';

describe('a client that asks for everything', () => {
  test('gets all that there is, and then what changes, and what is gone', () => {
    const world = new World().set('everybody', LISTENERS, 'in', '1').set('everybody', LISTENERS, 'out', '1');
    const session = open(world);
    const first = session.request(request(LISTENERS));
    expect(told(first)).toEqual(['listeners: in=1 out=1']);
    expect(session.request(request(LISTENERS, { nonce: nonceOf(first) }))).toEqual([]);
    world.set('everybody', LISTENERS, 'in', '2').set('everybody', LISTENERS, 'out', undefined);
    expect(told(session.changed())).toEqual(['listeners: in=2 -out']);
  });

  test('gets nothing that it has from an earlier stream', () => {
    const world = new World().set('everybody', LISTENERS, 'in', '1').set('everybody', LISTENERS, 'out', '2');
    const initialVersions = new Map([
      ['in', '1'],
      ['out', '1'],
      ['gone', '7'],
    ]);
    expect(told(open(world).request(request(LISTENERS, { initialVersions })))).toEqual(['listeners: out=2 -gone']);
  });

  test('has one response on its way at most, and the newest state after it', () => {
    const world = new World().set('everybody', LISTENERS, 'in', '1');
    const session = open(world);
    const first = session.request(request(LISTENERS));
    world.set('everybody', LISTENERS, 'in', '2');
    expect(session.changed()).toEqual([]);
    world.set('everybody', LISTENERS, 'in', '3');
    expect(session.idle).toBe(false);
    expect(told(session.request(request(LISTENERS, { nonce: nonceOf(first) })))).toEqual(['listeners: in=3']);
  });
});

describe('a client that asks by name', () => {
  test('waits until there is something, and is never told that there is nothing', () => {
    const world = new World();
    const session = open(world);
    expect(session.request(request(CLUSTERS, { subscribe: ['dst'] }))).toEqual([]);
    world.set('onDemand', CLUSTERS, 'dst', '1');
    const first = session.changed();
    expect(told(first)).toEqual(['clusters: dst=1']);
    session.request(request(CLUSTERS, { nonce: nonceOf(first) }));
    world.set('onDemand', CLUSTERS, 'dst', undefined);
    expect(session.changed()).toEqual([]);
  });

  describe('for more than it may', () => {
    const most = { type: CLUSTERS, names: 2 };
    const limited = (source: Source): Session => new Session({ source, order, sentAgainAfter, most });
    const all = (): World => {
      const world = new World();
      for (const name of ['a', 'b', 'c', 'd']) world.set('onDemand', CLUSTERS, name, '1');
      return world;
    };

    test('is told of the first ones, and of their changes, and never of the others', () => {
      const world = all();
      const session = limited(world);
      const first = session.request(request(CLUSTERS, { subscribe: ['a', 'b', 'c'] }));
      expect(told(first)).toEqual(['clusters: a=1 b=1']);
      expect(session.request(request(CLUSTERS, { nonce: nonceOf(first), subscribe: ['d'] }))).toEqual([]);
      expect([session.unheard, session.names]).toEqual([2, 2]);
      world.set('onDemand', CLUSTERS, 'b', '2').set('onDemand', CLUSTERS, 'c', '2');
      expect(told(session.changed(['b', 'c']))).toEqual(['clusters: b=2']);
      expect(session.idle).toBe(false);
    });

    test('is told on a new stream of those that it has, whatever it asks for before them', () => {
      const world = all().set('onDemand', CLUSTERS, 'd', '2');
      const initialVersions = new Map([
        ['c', '1'],
        ['d', '1'],
      ]);
      const session = limited(world);
      expect(told(session.request(request(CLUSTERS, { subscribe: ['a', 'b', 'c', 'd'], initialVersions })))).toEqual([
        'clusters: d=2',
      ]);
    });

    test('is told of another one in the place of one that it gives up', () => {
      const session = limited(all());
      const first = session.request(request(CLUSTERS, { subscribe: ['a', 'b'] }));
      session.request(request(CLUSTERS, { nonce: nonceOf(first), unsubscribe: ['a'] }));
      expect(told(session.request(request(CLUSTERS, { subscribe: ['c'] })))).toEqual(['clusters: c=1']);
    });

    test('gets as many of other types as it asks for', () => {
      const world = new World();
      for (const name of ['a', 'b', 'c']) world.set('onDemand', ENDPOINTS, name, '1');
      expect(told(limited(world).request(request(ENDPOINTS, { subscribe: ['a', 'b', 'c'] })))).toEqual([
        'endpoints: a=1 b=1 c=1',
      ]);
    });
  });

  test('beside everything gets both', () => {
    const world = new World().set('everybody', CLUSTERS, 'inbound', '1').set('onDemand', CLUSTERS, 'dst', '1');
    const session = open(world);
    const first = session.request(request(CLUSTERS));
    session.request(request(CLUSTERS, { nonce: nonceOf(first) }));
    expect(told(session.request(request(CLUSTERS, { subscribe: ['dst'] })))).toEqual(['clusters: dst=1']);
  });

  test('keeps on a new stream what it has from the last, before it asks for it again', () => {
    const world = new World().set('everybody', CLUSTERS, 'inbound', '1').set('onDemand', CLUSTERS, 'dst', '1');
    const initialVersions = new Map([
      ['inbound', '1'],
      ['dst', '1'],
    ]);
    const session = open(world);
    expect(session.request(request(CLUSTERS, { initialVersions }))).toEqual([]);
    world.set('onDemand', CLUSTERS, 'dst', '2');
    expect(told(session.request(request(CLUSTERS, { subscribe: ['dst'] })))).toEqual(['clusters: dst=2']);
  });

  test('again gets it again', () => {
    const world = new World().set('onDemand', CLUSTERS, 'dst', '1');
    const session = open(world);
    const first = session.request(request(CLUSTERS, { subscribe: ['dst'] }));
    session.request(request(CLUSTERS, { nonce: nonceOf(first) }));
    expect(told(session.request(request(CLUSTERS, { subscribe: ['dst'] })))).toEqual(['clusters: dst=1']);
  });

  test('gets nothing more of what it does not want any more', () => {
    const world = new World().set('onDemand', CLUSTERS, 'dst', '1');
    const session = open(world);
    const first = session.request(request(CLUSTERS, { subscribe: ['dst'] }));
    session.request(request(CLUSTERS, { nonce: nonceOf(first), unsubscribe: ['dst'] }));
    world.set('onDemand', CLUSTERS, 'dst', '2');
    expect(session.changed()).toEqual([]);
  });
});

describe('the endpoints of a cluster', () => {
  const world = () => new World().set('onDemand', CLUSTERS, 'dst', '1').set('onDemand', ENDPOINTS, 'dst', '1');

  test('are sent again after it, since the client waits for them', () => {
    const source = world();
    const session = open(source);
    const cluster = session.request(request(CLUSTERS, { subscribe: ['dst'] }));
    session.request(request(CLUSTERS, { nonce: nonceOf(cluster) }));
    const endpoints = session.request(request(ENDPOINTS, { subscribe: ['dst'] }));
    session.request(request(ENDPOINTS, { nonce: nonceOf(endpoints) }));
    source.set('onDemand', CLUSTERS, 'dst', '2');
    expect(told(session.changed())).toEqual(['clusters: dst=2', 'endpoints: dst=1']);
  });

  test('are sent on a new stream whose cluster is, although the client has them', () => {
    const source = world();
    const session = open(source);
    session.request(request(CLUSTERS, { subscribe: ['dst'], initialVersions: new Map([['dst', '0']]) }));
    const again = request(ENDPOINTS, { subscribe: ['dst'], initialVersions: new Map([['dst', '1']]) });
    expect(told(session.request(again))).toEqual(['endpoints: dst=1']);
  });

  /** The client has the cluster, its endpoints and another cluster. */
  const besideAnother = () => {
    const source = world().set('everybody', CLUSTERS, 'other', '1');
    const session = open(source);
    const cluster = session.request(request(CLUSTERS, { subscribe: ['*', 'dst'] }));
    session.request(request(CLUSTERS, { nonce: nonceOf(cluster) }));
    const endpoints = session.request(request(ENDPOINTS, { subscribe: ['dst'] }));
    session.request(request(ENDPOINTS, { nonce: nonceOf(endpoints) }));
    return { session, source };
  };

  test('do not come before it: whom it does not know it would not speak to', () => {
    const { session, source } = besideAnother();
    source.set('everybody', CLUSTERS, 'other', '2');
    const unanswered = session.changed();
    expect(told(unanswered)).toEqual(['clusters: other=2']);
    source.set('onDemand', CLUSTERS, 'dst', '2').set('onDemand', ENDPOINTS, 'dst', '2');
    expect(session.changed(['dst'])).toEqual([]);
    expect(session.changed()).toEqual([]);
    expect(told(session.request(request(CLUSTERS, { nonce: nonceOf(unanswered) })))).toEqual([
      'clusters: dst=2',
      'endpoints: dst=2',
    ]);
  });

  test('come while other clusters are on their way, where it stays as it is', () => {
    const { session, source } = besideAnother();
    source.set('everybody', CLUSTERS, 'other', '2');
    session.changed();
    source.set('onDemand', ENDPOINTS, 'dst', '2');
    expect(told(session.changed(['dst']))).toEqual(['endpoints: dst=2']);
  });

  test('are not sent on a new stream where the client has both', () => {
    const source = world();
    const session = open(source);
    const has = { subscribe: ['dst'], initialVersions: new Map([['dst', '1']]) };
    expect(session.request(request(CLUSTERS, has))).toEqual([]);
    expect(session.request(request(ENDPOINTS, has))).toEqual([]);
  });
});

describe('a response that is refused', () => {
  test('is told of in the client’s words, and not sent again until there is something else', () => {
    const world = new World().set('everybody', LISTENERS, 'in', 'bad');
    const session = open(world);
    const first = session.request(request(LISTENERS));
    expect(session.request(request(LISTENERS, { nonce: nonceOf(first), error: 'no such filter' }))).toEqual([]);
    expect(session.refused).toEqual([{ type: LISTENERS, error: 'no such filter', names: ['in'] }]);
    expect(session.idle).toBe(false);
    world.set('everybody', LISTENERS, 'in', 'good');
    const second = session.changed();
    expect(told(second)).toEqual(['listeners: in=good']);
    session.request(request(LISTENERS, { nonce: nonceOf(second) }));
    expect(session.refused).toEqual([]);
    expect(session.idle).toBe(true);
  });

  test('is not told of where the refusal is of an older one', () => {
    const world = new World().set('everybody', LISTENERS, 'in', '1');
    const session = open(world);
    const first = session.request(request(LISTENERS));
    session.request(request(LISTENERS, { nonce: 'another', error: 'no' }));
    expect(session.refused).toEqual([]);
    expect(session.request(request(LISTENERS, { nonce: nonceOf(first) }))).toEqual([]);
  });
});

test('news are sent in the order in which one needs the other', () => {
  const world = new World();
  const session = open(world);
  for (const type of [LISTENERS, ENDPOINTS, CLUSTERS]) session.request(request(type));
  for (const type of [LISTENERS, ENDPOINTS, CLUSTERS]) world.set('everybody', type, 'a', '1');
  expect(session.changed().map(({ type }) => type)).toEqual([CLUSTERS, ENDPOINTS, LISTENERS]);
});

// ---- A client as Envoy is one, and everything that can happen to it in any order.

type Happening =
  | { readonly what: 'want'; readonly type: string; readonly name: string; readonly version: string | undefined }
  | { readonly what: 'ask'; readonly type: string; readonly name: string }
  /** A name means something else than before, and that alone is told. */
  | { readonly what: 'mean'; readonly type: string; readonly name: string; readonly version: string }
  | { readonly what: 'answer' }
  | { readonly what: 'reconnect' };

const AHEAD = 'dst|ahead';
const names = ['a', 'b', 'c'];
/** Asked for by name; the last one everybody gets unasked as well. */
const destinations = ['dst|a', 'dst|b', AHEAD];
const happening: fc.Arbitrary<Happening> = fc.oneof(
  fc.record({
    what: fc.constant('want' as const),
    type: fc.constantFrom(...order),
    name: fc.constantFrom(...names),
    version: fc.option(fc.constantFrom('1', '2', '3'), { nil: undefined }),
  }),
  fc.record({
    what: fc.constant('ask' as const),
    type: fc.constantFrom(CLUSTERS, ENDPOINTS),
    name: fc.constantFrom(...destinations),
  }),
  fc.record({
    what: fc.constant('mean' as const),
    type: fc.constantFrom(CLUSTERS, ENDPOINTS),
    name: fc.constantFrom(...destinations),
    version: fc.constantFrom('1', '2', '3'),
  }),
  fc.constant({ what: 'answer' as const }),
  fc.constant({ what: 'reconnect' as const }),
);

class Client {
  readonly held = new Map(order.map((type) => [type, new Map<string, string>()]));
  readonly asked = new Map(order.map((type) => [type, new Set<string>()]));
  /** Of which it is told. */
  readonly interests = new Set<string>();
  readonly #inbox: Response[] = [];
  #session: Session;
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
    this.#session = this.#open();
    this.connect();
  }

  get session(): Session {
    return this.#session;
  }

  connect(): void {
    this.#session = this.#open();
    this.#inbox.length = 0;
    for (const type of order) {
      const asked = [...(this.asked.get(type) ?? [])];
      const subscribe = type === ENDPOINTS || asked.length === 0 ? asked : ['*', ...asked];
      if (type === ENDPOINTS && asked.length === 0) continue;
      this.receive(this.#session.request(request(type, { subscribe, initialVersions: new Map(this.held.get(type)) })));
    }
  }

  #open(): Session {
    this.interests.clear();
    const interest = {
      begins: (name: string) => this.interests.add(name),
      ends: (name: string) => this.interests.delete(name),
    };
    return new Session({ source: this.#world, order, sentAgainAfter, interest });
  }

  ask(type: string, name: string): void {
    if (this.asked.get(type)?.has(name) === true) return;
    this.asked.get(type)?.add(name);
    this.receive(this.#session.request(request(type, { subscribe: [name] })));
  }

  receive(responses: readonly Response[]): void {
    this.#inbox.push(...responses);
  }

  /** Takes the oldest response. @returns whether there was one */
  answer(): boolean {
    const next = this.#inbox.shift();
    if (next === undefined) return false;
    const held = this.held.get(next.type);
    for (const { name, version } of next.resources) held?.set(name, version);
    for (const name of next.removed) held?.delete(name);
    this.receive(this.#session.request(request(next.type, { nonce: next.nonce })));
    return true;
  }
}

test('whatever happens in whatever order, in the end the client has exactly what it is to have', () => {
  fc.assert(
    fc.property(fc.array(happening, { maxLength: 60 }), (happenings) => {
      const world = new World();
      for (const type of [CLUSTERS, ENDPOINTS]) for (const name of destinations) world.set('onDemand', type, name, '1');
      world.set('everybody', CLUSTERS, AHEAD, '1');
      const client = new Client(world);
      for (const one of happenings) {
        if (one.what === 'want') {
          world.set('everybody', one.type, one.name, one.version);
          client.receive(client.session.changed());
        }
        if (one.what === 'mean') {
          world.set('onDemand', one.type, one.name, one.version);
          if (one.name === AHEAD && one.type === CLUSTERS) world.set('everybody', CLUSTERS, AHEAD, one.version);
          client.receive(client.session.changed(client.interests.has(one.name) ? [one.name] : []));
        }
        if (one.what === 'ask') client.ask(one.type, one.name);
        if (one.what === 'answer') client.answer();
        if (one.what === 'reconnect') client.connect();
      }
      for (let round = 0; client.answer(); round++) if (round > 500) throw new Error('it never ends');
      for (const type of order) {
        const everything = type === ENDPOINTS ? [] : world.all(type);
        const asked = [...(client.asked.get(type) ?? [])].flatMap((name) => world.named(type, name) ?? []);
        const wanted = [...new Set([...everything, ...asked].map(({ name, version }) => `${name}=${version}`))].sort();
        expect([...(client.held.get(type) ?? [])].map(([name, version]) => `${name}=${version}`).sort()).toEqual(
          wanted,
        );
      }
      expect(client.session.idle).toBe(true);
      expect([...client.interests].sort()).toEqual([...new Set(client.session.interests())].sort());
    }),
    { numRuns: 1_000 },
  );
});
