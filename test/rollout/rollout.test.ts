/** The record of a namespace on a real API server, with the permissions that the operator gets for it. */
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findCondition, type Mode, mtlsRolloutKind } from '../../src/api/index.ts';
import { decodeRollout, type RolloutRecord } from '../../src/rollout/index.ts';
import { send } from '../api/control.ts';
import { waitFor } from '../support/waitFor.ts';
import { NAMESPACE, World } from './world.ts';

const path = mtlsRolloutKind.path(NAMESPACE, 'default');
const collection = mtlsRolloutKind.path(NAMESPACE);
let world: World;

beforeAll(async () => {
  world = await World.start();
});

afterAll(() => world?.[Symbol.asyncDispose]());

let workloads = 0;
const names = (): readonly [string, string] => [`web${workloads}`, `cart${workloads}`];

beforeEach(async () => {
  workloads += 1;
  await world.setMode('Permissive');
  for (const name of names()) await world.addPods(name, 3);
  await settledIn('Permissive');
});

afterEach(async () => {
  expect(world.proxies.violations).toEqual([]);
  await world.removePods();
  await waitFor(
    'the record to go with the last pod',
    async () => (await send(world.cluster, 'GET', path)).status === 404,
  );
});

async function found(): Promise<RolloutRecord | undefined> {
  const answer = await send(world.cluster, 'GET', path);
  return answer.status === 200 ? decodeRollout(answer.body)?.value : undefined;
}

function settledIn(mode: Mode): Promise<RolloutRecord> {
  let last: RolloutRecord | undefined;
  return waitFor(`everything to be settled in ${mode}`, async () => {
    last = await found();
    const all = (last?.spec.workloads ?? []).flatMap((one) => [one, ...(one.ports ?? [])]);
    const settled = all.length > 0 && all.every(({ phase, servers }) => phase === 'Settled' && servers === mode);
    const said = findCondition(last?.status.conditions, 'Settled')?.status === 'True';
    return settled && said ? last : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; the record was ${JSON.stringify([last?.spec, last?.status])}`);
  });
}

const rounds: readonly Mode[] = ['Strict', 'Permissive', 'Disabled', 'Strict', 'Disabled', 'Permissive'];
const twenty = Array.from({ length: 20 }, (_, index) => rounds[index % rounds.length] ?? 'Strict');

describe('a switch', () => {
  test('goes there and back twenty times', async () => {
    for (const mode of twenty) {
      await world.setMode(mode);
      const { spec } = await settledIn(mode);
      expect(spec.workloads?.map(({ name }) => name)).toEqual([...names()].sort());
      expect(spec.workloads?.[0]).toMatchObject({
        policy: `${NAMESPACE}/default`,
        ports: [{ port: 8080, servers: mode }],
      });
    }
  });

  test('goes on, whenever the leader dies', async () => {
    let killed = 0;
    for (const mode of twenty) {
      await world.setMode(mode);
      let done = false;
      const killing = (async () => {
        while (!done) {
          await new Promise((resolve) => setTimeout(resolve, 20 + Math.random() * 400));
          if (done || Math.random() < 0.3) return;
          await world.killLeader();
          killed += 1;
        }
      })();
      await settledIn(mode).finally(() => {
        done = true;
      });
      await killing;
    }
    expect(killed).toBeGreaterThan(5);
  });

  test('waits for a proxy that says nothing, and says for which, in the record and in the policy', async () => {
    const silent = `${names()[1]}-0`;
    await world.setMode('Disabled');
    await settledIn('Disabled');
    world.proxies.deaf.add(silent);
    await world.setMode('Strict');
    await waitFor('the record to name it', async () => {
      const record = await found();
      const { message = '' } = findCondition(record?.status.conditions, 'Settled') ?? {};
      return message.endsWith(`Waiting for the proxies of ${NAMESPACE}/${silent}`);
    });
    await waitFor('the policy to name it', async () => {
      const { status } = await world.policy();
      const enforced = findCondition(status.conditions, 'Enforced');
      const { acknowledged, total } = status.effective?.proxies ?? {};
      return (
        enforced?.reason === 'ProxiesLag' &&
        enforced.message.includes(`${NAMESPACE}/${silent}`) &&
        acknowledged === 5 &&
        total === 6
      );
    });
    expect((await found())?.spec.workloads?.map(({ clients, phase, servers }) => [servers, clients, phase])).toEqual([
      ['Disabled', 'MutualTLS', 'Clients'],
      ['Disabled', 'MutualTLS', 'Clients'],
    ]);
    world.proxies.hears(silent);
    await settledIn('Strict');
    await waitFor('the policy to be enforced', async () => {
      const { status } = await world.policy();
      expect(status.effective?.proxies).toEqual({ total: 6, acknowledged: 6, enforced: 6 });
      return findCondition(status.conditions, 'Enforced')?.status === 'True';
    });
  });

  test('that a proxy refuses is told with its words', async () => {
    const refusing = `${names()[0]}-1`;
    world.proxies.deaf.add(refusing);
    const uid = world.proxies.proxies.get(refusing)?.uid ?? '';
    world.proxies.refused.push({ proxy: uid, error: 'Error adding listener: no such filter' });
    await world.setMode('Strict');
    await waitFor('the policy to tell', async () => {
      const enforced = findCondition((await world.policy()).status.conditions, 'Enforced');
      return (
        enforced?.reason === 'Refused' &&
        enforced.message.includes(`${NAMESPACE}/${refusing}: Error adding listener: no such filter`)
      );
    });
    world.proxies.refused.length = 0;
    world.proxies.hears(refusing);
    await settledIn('Strict');
  });
});

describe('a record', () => {
  test('keeps what people wrote beside it, and not who wrote which field', async () => {
    await world.send('PATCH', path, { metadata: { annotations: { 'example.com/note': 'mine' } } });
    await world.setMode('Strict');
    await settledIn('Strict');
    const { metadata } = await world.send('GET', path);
    expect(metadata).toMatchObject({ annotations: { 'example.com/note': 'mine' } });
    const size = JSON.stringify(Object(metadata).managedFields ?? []).length;
    expect(size).toBeLessThan(1_000);
  });

  test('that somebody deletes is made anew', async () => {
    await world.setMode('Strict');
    const { uid } = await settledIn('Strict');
    await world.send('DELETE', path);
    expect((await settledIn('Strict')).uid).not.toBe(uid);
  });

  test('that somebody changes to what would cut off is put right, and says so', async () => {
    await world.setMode('Disabled');
    const { spec } = await settledIn('Disabled');
    // Nobody hears of what is written next, so that what is checked is what the leader does with it.
    for (const name of world.proxies.proxies.keys()) world.proxies.deaf.add(name);
    const changed = spec.workloads?.map((entry) => ({ ...entry, servers: 'Strict', clients: 'Plaintext' }));
    await world.send('PATCH', path, { spec: { workloads: changed } });
    await waitFor('it to be put right', async () => {
      const record = await found();
      const right = record?.spec.workloads?.every(({ servers }) => servers === 'Permissive') === true;
      return right && findCondition(record.status.conditions, 'Repaired')?.reason === 'ChangedByHand';
    });
    for (const name of world.proxies.proxies.keys()) world.proxies.hears(name);
    const { status } = await settledIn('Disabled');
    expect(findCondition(status.conditions, 'Repaired')).toBeUndefined();
  });

  test('of another name means nothing', async () => {
    await world.send('POST', collection, {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'MTLSRollout',
      metadata: { name: 'other' },
      spec: {},
    });
    await world.setMode('Strict');
    await settledIn('Strict');
    const { spec } = await world.send('GET', mtlsRolloutKind.path(NAMESPACE, 'other'));
    expect(spec).toEqual({});
    await world.send('DELETE', mtlsRolloutKind.path(NAMESPACE, 'other'));
  });
});
