import { describe, expect, test } from 'vitest';
import type { PodRecord } from '../inventory/index.ts';
import { Store, silentLog } from '../kube/index.ts';
import type { MeshEndpointSlice, MeshService } from '../mesh/index.ts';
import { podRecord } from './builders.fixture.ts';
import { MeshState, type NodeRecord } from './meshState.ts';
import { decodeRollout, type RecordedModes } from './recordedModes.ts';

function recordOf(mode: 'Strict' | 'Permissive', resourceVersion: string): RecordedModes {
  const modes = { target: mode, servers: mode, clients: 'MutualTLS', phase: 'Settled', since: '2030-01-01T00:00:00Z' };
  const decoded = decodeRollout({
    metadata: { namespace: 'shop', name: 'default', resourceVersion },
    spec: { workloads: [{ kind: 'Deployment', name: 'web', ...modes }] },
  });
  if (decoded === undefined) throw new Error('it is no record');
  return decoded.value;
}

/** With one pod of the mesh, in a namespace that is Strict. */
class World {
  readonly #stores = {
    pods: new Store<PodRecord>(),
    services: new Store<MeshService>(),
    slices: new Store<MeshEndpointSlice>(),
    rollouts: new Store<RecordedModes>(),
    nodes: new Store<NodeRecord>(),
  };
  readonly pods = this.#stores.pods.writer();
  readonly rollouts = this.#stores.rollouts.writer();
  readonly told: string[] = [];
  readonly state = new MeshState(this.#stores, {
    trustDomain: 'cluster.local',
    ranges: [],
    log: silentLog,
    onChange: (subjects) => this.told.push(...subjects),
    onRecord: ({ resourceVersion }) => this.reported.push(resourceVersion),
    onRecordGone: (namespace) => this.reported.push(`${namespace} gone`),
  });
  readonly reported: string[] = [];

  constructor() {
    this.pods.apply('shop/web-1', podRecord('10.1.0.1'));
    this.rollouts.apply('shop/default', recordOf('Strict', '5'));
    this.told.splice(0);
  }

  get servers(): string | undefined {
    return this.state.modes('shop')?.workloads.get('Deployment/web')?.others.servers;
  }
}

describe('a record that is deleted', () => {
  test('is what proxies go on by, as long as there are any: else whoever deletes it would open what is Strict', () => {
    const world = new World();
    world.rollouts.applyDeleted('shop/default', '6');
    expect([world.servers, world.told, world.reported]).toEqual(['Strict', [], ['5', 'shop gone']]);
    world.pods.apply('shop/web-2', podRecord('10.1.0.2'));
    world.pods.applyDeleted('shop/web-1', '7');
    expect(world.servers).toBe('Strict');
    world.pods.applyDeleted('shop/web-2', '8');
    expect(world.servers).toBeUndefined();
  });

  test('gives way to the one that comes after it, of which they are told what is not as it was', () => {
    const world = new World();
    world.rollouts.applyDeleted('shop/default', '6');
    world.rollouts.apply('shop/default', recordOf('Permissive', '7'));
    expect(world.servers).toBe('Permissive');
    expect(world.told).toContain('namespace shop');
    expect(world.reported.at(-1)).toBe('7');
    world.pods.applyDeleted('shop/web-1', '8');
    expect(world.servers).toBe('Permissive');
  });
});
