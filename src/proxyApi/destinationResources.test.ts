import { describe, expect, test } from 'vitest';
import { destinationName, type Endpoint, serviceEndpoints } from '../envoy/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import { service, serviceObject, slice, sliceObject } from '../mesh/builders.fixture.ts';
import { Destinations } from '../mesh/index.ts';
import { encodeResource } from '../xds/index.ts';
import { podRecord } from './builders.fixture.ts';
import { RenderedDestinations } from './destinationResources.ts';
import { Encodings } from './encodings.ts';

const SERVICE = '10.96.0.1';
const name = destinationName(SERVICE, 80);
const somewhere = { node: '', zone: '' };

/** A Service with these endpoints, and pods that become known one after another. */
class World {
  readonly #destinations = new Destinations();
  readonly #pods = new Map<string, PodRecord>();
  readonly rendered = new RenderedDestinations({
    destinations: this.#destinations,
    pod: (key) => this.#pods.get(key),
    inRanges: (address) => address.startsWith('10.'),
    modes: () => undefined,
    encodings: new Encodings(),
    trustDomain: 'cluster.local',
  });

  constructor(endpoints: readonly object[]) {
    const [web, one] = [service(serviceObject({})), slice(sliceObject('web-1', { endpoints }))];
    this.#destinations.applyService({ key: 'shop/web', after: web });
    this.#destinations.applySlice({ key: 'shop/web-1', after: one });
  }

  /** @returns the addresses at which something else is told now. */
  learn(key: string, after: PodRecord | undefined): string[] {
    if (after === undefined) this.#pods.delete(key);
    else this.#pods.set(key, after);
    const addresses = [
      ...this.#destinations.applyPod(after === undefined ? { key } : { key, after }),
      ...this.rendered.awaiting(key),
    ];
    this.rendered.forget(addresses);
    return addresses;
  }

  expect(...endpoints: readonly Endpoint[]): void {
    const wanted = encodeResource(name, serviceEndpoints(name, endpoints));
    expect(this.rendered.get(name, somewhere)?.endpoints?.version).toBe(wanted.version);
  }
}

const endpointOf = (address: string, pod?: string): object => ({
  addresses: [address],
  ...(pod === undefined ? {} : { targetRef: { kind: 'Pod', name: pod, namespace: 'shop' } }),
});
const plaintext = (address: string): Endpoint => ({ address, port: 8080, peer: undefined });
const mutual = (address: string): Endpoint => ({
  address,
  port: 8080,
  peer: { spiffeId: 'spiffe://cluster.local/ns/shop/sa/web', serverFirstPort: undefined },
});

describe('an endpoint', () => {
  test('that is a pod of which nothing is known yet is dialled by nobody, and by mutual TLS as soon as its sidecar is known', () => {
    const world = new World([endpointOf('10.1.0.1', 'web-1'), endpointOf('10.1.0.2', 'web-2')]);
    world.learn('shop/web-1', podRecord('10.1.0.1'));
    world.expect(mutual('10.1.0.1'));
    expect(world.learn('shop/web-2', podRecord('10.1.0.2'))).toContain(SERVICE);
    world.expect(mutual('10.1.0.1'), mutual('10.1.0.2'));
  });

  test('at an address that another pod had before is nobody’s until its own pod is known to have it', () => {
    const world = new World([endpointOf('10.1.0.1', 'web-2')]);
    world.learn('shop/web-1', podRecord('10.1.0.1', { sidecar: false }));
    world.expect();
    world.learn('shop/web-2', podRecord('10.1.0.9'));
    world.expect();
    world.learn('shop/web-1', undefined);
    world.learn('shop/web-2', podRecord('10.1.0.1'));
    world.expect(mutual('10.1.0.1'));
  });

  test('that is a pod with the network of its host is dialled in plaintext as soon as that is known', () => {
    const world = new World([endpointOf('10.0.0.1', 'agent')]);
    world.expect();
    expect(world.learn('shop/agent', { ...podRecord('10.0.0.1'), mesh: undefined })).toEqual([SERVICE]);
    world.expect(plaintext('10.0.0.1'));
    expect(world.rendered.awaiting('shop/agent')).toEqual([]);
  });

  test('of a network that is none of the mesh is dialled in plaintext, whatever pod it is said to be', () => {
    const world = new World([endpointOf('192.0.2.1', 'web-1'), endpointOf('192.0.2.2', 'agent')]);
    world.learn('shop/web-1', podRecord('10.1.0.1'));
    world.expect(plaintext('192.0.2.1'), plaintext('192.0.2.2'));
  });

  test('of which nobody says that it is a pod is dialled as who has its address', () => {
    const world = new World([endpointOf('10.1.0.1'), endpointOf('192.0.2.1')]);
    world.expect(plaintext('10.1.0.1'), plaintext('192.0.2.1'));
    expect(world.learn('shop/web-1', podRecord('10.1.0.1'))).toContain(SERVICE);
    world.expect(mutual('10.1.0.1'), plaintext('192.0.2.1'));
  });
});
