import { beforeAll, describe, expect, test } from 'vitest';
import { ApiError, silentLog } from '../kube/index.ts';
import { generationOf, makeCa, type TestCa } from './builders.fixture.ts';
import { type IssuerInUse, IssuerSearch } from './issuerSearch.ts';
import { caIdOf } from './view.ts';

let root: TestCa;
let otherRoot: TestCa;
let lost: TestCa;
let leaf: TestCa;

beforeAll(async () => {
  root = await makeCa({ name: 'root' });
  otherRoot = await makeCa({ name: 'other root' });
  lost = await makeCa({ name: 'issuing 1', issuer: root });
  leaf = await makeCa({ name: 'leaf', issuer: lost });
});

type Secrets = Readonly<Record<string, string | Error>>;

/** @param content tls.crt of leaf Secrets by name in namespace `shop`, or what happens when they are read. */
function setUp(content: Secrets, inUse: readonly IssuerInUse[]) {
  const reads: string[] = [];
  const time = { monotonic: 0 };
  const state = { inUse, content, sought: Array.of<string>() };
  const search = new IssuerSearch({
    transport: {
      request: async ({ path }) => {
        const name = path.slice(path.lastIndexOf('/') + 1);
        reads.push(name);
        const text = state.content[name] ?? '';
        if (text instanceof Error) throw text;
        const data = { 'tls.crt': Buffer.from(text).toString('base64') };
        return { metadata: { namespace: 'shop', name, resourceVersion: '1' }, data };
      },
    },
    clock: { now: () => 0, monotonic: () => time.monotonic, setTimer: () => () => {} },
    log: silentLog,
    issuersInUse: () => state.inUse,
  });
  const look = async (roots = [root], signal = new AbortController().signal) => {
    reads.length = 0;
    const generations = roots.map((ca, index) => generationOf('Root', index + 1, ca));
    const { certificates, sought } = await search.search('default', generations, signal);
    state.sought = [...sought];
    return certificates.map(({ fingerprint }) => fingerprint);
  };
  return { look, reads, state, time };
}

const secret = (key: string, resourceVersion = '1') => ({ key: `shop/${key}`, resourceVersion });
const chain = () => leaf.certificate.pem + lost.certificate.pem;
const lostIn = (...names: string[]): IssuerInUse => ({
  issuerId: caIdOf(lost.certificate),
  secrets: names.map((name) => secret(name)),
});
const made = (count: number): IssuerInUse[] =>
  Array.from({ length: count }, (_, index) => ({ issuerId: `made up ${index}`, secrets: [secret(`bad-${index}`)] }));

describe('the search for lost issuing CAs in leaf Secrets', () => {
  test('tells of which CAs it can tell: found, made up, but none whose leaf Secrets could not be read', async () => {
    const { look, state, time } = setUp({ web: new Error('no answer') }, [lostIn('web', 'db'), ...made(40)]);
    const others = made(40).map(({ issuerId }) => issuerId);
    await look();
    expect(state.sought).toEqual(others);
    await look();
    expect(state.sought).toEqual(others);
    time.monotonic += 60_001;
    state.content = { web: chain() };
    await look();
    expect(state.sought).toEqual([caIdOf(lost.certificate), ...others]);
  });

  test('reads one once', async () => {
    const { look, reads } = setUp({ web: chain() }, [lostIn('web')]);
    expect(await look()).toEqual([lost.certificate.fingerprint]);
    expect(reads).toEqual(['web']);
    expect(await look()).toEqual([lost.certificate.fingerprint]);
    expect(reads).toEqual([]);
  });

  test('reads what was in vain no second time, unless the Secret has changed', async () => {
    const { look, reads, state } = setUp({ web: 'nothing' }, [lostIn('web')]);
    await look();
    await look();
    expect(reads).toEqual([]);
    state.inUse = [{ issuerId: caIdOf(lost.certificate), secrets: [secret('web', '2')] }];
    state.content = { web: chain() };
    expect(await look()).toEqual([lost.certificate.fingerprint]);
  });

  test('reads again once another root is there', async () => {
    const { look } = setUp({ web: chain() }, [lostIn('web')]);
    expect(await look([otherRoot])).toEqual([]);
    expect(await look([otherRoot, root])).toEqual([lost.certificate.fingerprint]);
  });

  test('never reads more than a few at once, however many somebody has made, and comes to all in time', async () => {
    const { look, reads } = setUp({ web: chain() }, [...made(70), lostIn('web')]);
    const counts: number[] = [];
    for (let looks = 0; looks < 3; looks += 1) {
      const found = await look();
      counts.push(reads.length);
      expect(found).toHaveLength(looks === 2 ? 1 : 0);
    }
    expect(counts).toEqual([32, 32, 7]);
    await look();
    expect(reads).toEqual([]);
  });

  test('goes on to the next Secret where one cannot be read, and tries that again after a while', async () => {
    const forbidden = new ApiError({ status: 403, reason: 'Forbidden', message: 'no' });
    const { look, reads, state, time } = setUp({ one: forbidden, two: 'nothing' }, [lostIn('one', 'two')]);
    expect(await look()).toEqual([]);
    expect(reads).toEqual(['one', 'two']);
    state.content = { one: chain() };
    await look();
    expect(reads).toEqual([]);
    time.monotonic += 60_000;
    expect(await look()).toEqual([lost.certificate.fingerprint]);
    expect(reads).toEqual(['one']);
  });

  test('ends when it is told to', async () => {
    const { look } = setUp({ web: new Error('aborted') }, [lostIn('web')]);
    await expect(look([root], AbortSignal.abort())).rejects.toThrow('aborted');
  });

  test('asks for nothing while no root is known', async () => {
    const { look, reads } = setUp({ web: chain() }, [lostIn('web')]);
    expect(await look([])).toEqual([]);
    expect(reads).toEqual([]);
  });
});
