import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Change, Store, type StoreWriter } from './store.ts';

interface Item {
  readonly resourceVersion: string;
}

const at = (resourceVersion: number | string): Item => ({ resourceVersion: String(resourceVersion) });

function make(namespace?: string) {
  const store = new Store<Item>();
  const writer = store.writer(namespace);
  const changes: string[] = [];
  store.subscribe(({ key, before, after }) => {
    changes.push(`${key} ${before?.resourceVersion ?? '-'}→${after?.resourceVersion ?? '-'}`);
  });
  return { store, writer, changes };
}

function list(writer: StoreWriter<Item>, items: Record<string, number>, resourceVersion: number): void {
  writer.begin();
  writer.replace(new Map(Object.entries(items).map(([key, version]) => [key, at(version)])), String(resourceVersion));
}

function event(writer: StoreWriter<Item>, key: string, version: number, deleted = false): void {
  writer.progressed(String(version));
  if (deleted) writer.applyDeleted(key, String(version));
  else writer.apply(key, at(version));
}

describe('a LIST', () => {
  test('becomes the content in one step: additions, changes and deletions are told, what is equal is not', () => {
    const { store, writer, changes } = make();
    list(writer, { 'a/1': 1, 'a/2': 2, 'a/3': 3 }, 10);
    changes.length = 0;
    let sizeSeen = 0;
    store.subscribe(() => {
      sizeSeen = store.size;
    });
    list(writer, { 'a/2': 2, 'a/3': 12, 'a/4': 13 }, 20);
    expect(changes.sort()).toEqual(['a/1 1→-', 'a/3 3→12', 'a/4 -→13']);
    expect(sizeSeen).toBe(3);
  });

  test('with lower resourceVersions than before is taken all the same: etcd was restored', () => {
    const { store, writer, changes } = make();
    list(writer, { 'a/1': 5_000 }, 5_001);
    changes.length = 0;
    list(writer, { 'a/1': 300 }, 310);
    expect(changes).toEqual(['a/1 5000→300']);
    event(writer, 'a/1', 320);
    expect(store.get('a/1')).toEqual(at(320));
  });

  test('after the server went back in time tells of every object: the same version may be another object', () => {
    const { writer, changes } = make();
    list(writer, { 'a/1': 5, 'a/2': 6 }, 10);
    changes.length = 0;
    writer.begin();
    writer.replace(new Map([['a/1', at(5)]]), '7', { anew: true });
    expect(changes).toEqual(['a/1 5→5', 'a/2 6→-']);
  });

  test('of one namespace leaves the others alone', () => {
    const store = new Store<Item>();
    const [shop, bank] = [store.writer('shop'), store.writer('bank')];
    list(shop, { 'shop/a': 1, 'shop/b': 1 }, 5);
    list(bank, { 'bank/a': 2 }, 5);
    list(shop, { 'shop/b': 1 }, 9);
    expect([...store.keys()].sort()).toEqual(['bank/a', 'shop/b']);
  });
});

describe('our own write', () => {
  test('is seen at once, and its echo is no second change', () => {
    const { store, writer, changes } = make();
    list(writer, { 'a/1': 1 }, 10);
    changes.length = 0;
    store.observe('a/1', at(11));
    expect(store.get('a/1')).toEqual(at(11));
    event(writer, 'a/1', 11);
    expect(changes).toEqual(['a/1 1→11']);
  });

  test('is not undone by an older event of the watch', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 1 }, 10);
    store.observe('a/1', at(15));
    event(writer, 'a/1', 12);
    event(writer, 'a/1', 13, true);
    expect(store.get('a/1')).toEqual(at(15));
    event(writer, 'a/1', 15);
    event(writer, 'a/1', 16);
    expect(store.get('a/1')).toEqual(at(16));
  });

  test('is ignored when the store is newer', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 1 }, 10);
    event(writer, 'a/1', 20);
    store.observe('a/1', at(15));
    expect(store.get('a/1')).toEqual(at(20));
  });

  test('whose answer comes after the watch has told its deletion by another does not bring it back', () => {
    const { store, writer } = make();
    list(writer, {}, 10);
    event(writer, 'a/1', 11);
    event(writer, 'a/1', 12, true);
    store.observe('a/1', at(11));
    expect(store.has('a/1')).toBe(false);
  });

  test('made while a LIST was read is not lost with it', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 1 }, 10);
    writer.begin();
    store.observe('a/1', at(25));
    store.observe('a/new', at(26));
    store.observeDeleted('a/old', '27');
    writer.replace(new Map(Object.entries({ 'a/1': at(1), 'a/old': at(2) })), '20');
    expect([...store.entries()].sort()).toEqual([
      ['a/1', at(25)],
      ['a/new', at(26)],
    ]);
  });

  test('made before a LIST that does not have it is gone: etcd was restored, and no key stays blocked', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 1 }, 10);
    store.observe('a/1', at(5_000));
    list(writer, { 'a/1': 1 }, 9);
    expect(store.get('a/1')).toEqual(at(1));
    event(writer, 'a/1', 12);
    expect(store.get('a/1')).toEqual(at(12));
  });

  test('that a restored etcd answered with a lower version is ignored until the LIST tells', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 5_000 }, 5_000);
    store.observe('a/1', at(301));
    expect(store.get('a/1')).toEqual(at(5_000));
    list(writer, { 'a/1': 301 }, 302);
    expect(store.get('a/1')).toEqual(at(301));
  });

  test('before the first LIST is kept, and judged by it', () => {
    const { store, writer } = make();
    store.observe('a/1', at(3));
    expect(store.get('a/1')).toEqual(at(3));
    list(writer, { 'a/1': 7 }, 8);
    expect(store.get('a/1')).toEqual(at(7));
  });
});

describe('our own deletion', () => {
  test('is seen at once, and events from before it do not bring the object back', () => {
    const { store, writer, changes } = make();
    list(writer, { 'a/1': 5 }, 10);
    changes.length = 0;
    store.observeDeleted('a/1', '15');
    event(writer, 'a/1', 12);
    event(writer, 'a/1', 15, true);
    expect(changes).toEqual(['a/1 5→-']);
    event(writer, 'a/1', 16);
    expect(store.get('a/1')).toEqual(at(16));
  });

  test('without a version hides the deleted state alone', () => {
    const { store, writer } = make();
    list(writer, { 'a/1': 5 }, 10);
    store.observeDeleted('a/1');
    writer.apply('a/1', at(5));
    expect(store.has('a/1')).toBe(false);
    event(writer, 'a/1', 11, true);
    event(writer, 'a/1', 12);
    expect(store.get('a/1')).toEqual(at(12));
  });

  test('of something unknown changes nothing', () => {
    const { store, changes } = make();
    store.observeDeleted('a/1');
    expect([store.size, changes.length]).toEqual([0, 0]);
  });
});

test('a subscriber that throws is logged, the others are called', () => {
  const errors: string[] = [];
  const log = {
    debug: () => {},
    info: () => {},
    warn: () => {},
    error: (_: object, message: string) => errors.push(message),
  };
  const store = new Store<Item>({ log });
  const seen: Change<Item>[] = [];
  store.subscribe(() => {
    throw new Error('mine');
  });
  const end = store.subscribe((change) => seen.push(change));
  store.observe('a', at(1));
  end();
  store.observe('b', at(2));
  expect([seen.length, errors.length]).toEqual([1, 2]);
});

test('however our writes, the watch and relists interleave, the store is never behind our own last write, and right in the end', () => {
  const command = fc.oneof(
    { weight: 3, arbitrary: fc.record({ do: fc.constant('own' as const), key: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('ownDelete' as const), key: fc.nat(3) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('other' as const), key: fc.nat(3) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('otherDelete' as const), key: fc.nat(3) }) },
    { weight: 5, arbitrary: fc.record({ do: fc.constant('deliver' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('beginList' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('endList' as const) }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('answer' as const) }) },
  );
  fc.assert(
    fc.property(fc.array(command, { maxLength: 60 }), (commands) => {
      const { store, writer } = make();
      // The server: objects, a revision, its history; our answers may arrive late; a LIST has a moment and an arrival.
      const server = new Map<string, number>();
      let revision = 10;
      let delivered = 0;
      let events: { key: string; version: number; deleted: boolean }[] = [];
      const answers: { key: string; version: number; deleted: boolean }[] = [];
      let snapshot: { items: Map<string, Item>; revision: number } | undefined;
      const ownLast = new Map<string, number>();
      list(writer, {}, revision);
      delivered = revision;

      const write = (key: string, deleted: boolean, own: boolean): void => {
        if (deleted && !server.has(key)) return;
        const version = ++revision;
        if (deleted) server.delete(key);
        else server.set(key, version);
        events.push({ key, version, deleted });
        if (own) answers.push({ key, version, deleted });
      };
      const deliver = (): void => {
        const next = events.shift();
        if (!next) return;
        delivered = next.version;
        event(writer, next.key, next.version, next.deleted);
      };
      const answer = (): void => {
        const next = answers.shift();
        if (!next) return;
        if (next.deleted) store.observeDeleted(next.key, String(next.version));
        else store.observe(next.key, at(next.version));
        ownLast.set(next.key, next.version);
      };
      const endList = (): void => {
        if (!snapshot) return;
        writer.replace(snapshot.items, String(snapshot.revision));
        const { revision: reached } = snapshot;
        snapshot = undefined;
        delivered = reached;
        events = events.filter(({ version }) => version > reached);
      };
      const beginList = (): void => {
        // The watch is over; what it had not delivered is in the LIST.
        writer.begin();
        snapshot = { items: new Map([...server].map(([key, version]) => [key, at(version)])), revision };
      };
      for (const c of commands) {
        if (c.do === 'own') write(`a/${c.key}`, false, true);
        else if (c.do === 'ownDelete') write(`a/${c.key}`, true, true);
        else if (c.do === 'other') write(`a/${c.key}`, false, false);
        else if (c.do === 'otherDelete') write(`a/${c.key}`, true, false);
        else if (c.do === 'answer') answer();
        else if (c.do === 'deliver' && !snapshot) deliver();
        else if (c.do === 'beginList' && !snapshot) beginList();
        else if (c.do === 'endList') endList();
        for (const [key, version] of ownLast) {
          const found = store.get(key);
          if (found) expect(Number(found.resourceVersion)).toBeGreaterThanOrEqual(Math.min(version, revision));
        }
        expect(delivered).toBeLessThanOrEqual(revision);
      }
      endList();
      while (answers.length > 0) answer();
      while (events.length > 0) deliver();
      const found = Object.fromEntries(
        [...store.entries()].map(([key, value]) => [key, Number(value.resourceVersion)]),
      );
      expect(found).toEqual(Object.fromEntries(server));
    }),
    { numRuns: 1_000 },
  );
});
