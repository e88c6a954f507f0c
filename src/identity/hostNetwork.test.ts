import { afterEach, describe, expect, test } from 'vitest';
import { decodePod, type PodRecord } from '../inventory/index.ts';
import { type EventInput, Store } from '../kube/index.ts';
import { HostNetworkPods } from './hostNetwork.ts';

const INJECTION = 'mtls-operator.io/injection';
const stoppers: AbortController[] = [];

afterEach(() => {
  for (const stopper of stoppers.splice(0)) stopper.abort();
});

class Stage {
  readonly events: EventInput[] = [];
  readonly namespaces = new Map<string, Readonly<Record<string, string>>>([
    ['shop', { [INJECTION]: 'enabled' }],
    ['plain', {}],
    ['kube-system', {}],
  ]);
  readonly pods = new Store<PodRecord>();
  readonly #writer = this.pods.writer();
  readonly reporter: HostNetworkPods;
  #version = 1;

  constructor(everyNamespace = false) {
    this.reporter = new HostNetworkPods({
      events: { record: (event) => this.events.push(event), drain: async () => {} },
      pods: this.pods,
      namespaceLabels: (name) => this.namespaces.get(name),
      operatorNamespace: 'mtls-system',
      everyNamespace,
    });
  }

  lead(): void {
    const stopper = new AbortController();
    stoppers.push(stopper);
    void this.reporter.run(stopper.signal);
  }

  put(namespace: string, name: string, pod: { uid?: string; labels?: object; spec?: object; phase?: string } = {}) {
    const { labels = {}, phase = 'Running', spec = { hostNetwork: true }, uid = `uid-${name}` } = pod;
    this.#version += 1;
    const metadata = { namespace, name, uid, labels, resourceVersion: String(this.#version) };
    const { key, value } = decodePod({ metadata, spec, status: { phase } });
    this.#writer.apply(key, value);
  }

  remove(key: string): void {
    this.#version += 1;
    this.#writer.applyDeleted(key, String(this.#version));
  }

  get told(): (string | undefined)[] {
    return this.events.map(({ regarding }) => regarding.uid);
  }
}

describe('a pod with the network of its host', () => {
  test('in a namespace that asked for the mesh is told of, with what it means and what to do', () => {
    const stage = new Stage();
    stage.lead();
    stage.put('shop', 'agent');
    expect(stage.events).toEqual([
      {
        regarding: { apiVersion: 'v1', kind: 'Pod', namespace: 'shop', name: 'agent', uid: 'uid-agent' },
        type: 'Warning',
        reason: 'HostNetwork',
        action: 'Inject',
        note: expect.stringContaining('label its template mtls-operator.io/injection=disabled'),
      },
    ]);
    // The recorder would cut it.
    expect(Buffer.byteLength(stage.events[0]?.note ?? '')).toBeLessThan(1_024);
  });

  test('is told of once, however often it changes', () => {
    const stage = new Stage();
    stage.lead();
    for (let change = 0; change < 3; change++) stage.put('shop', 'agent');
    stage.reporter.namespaceChanged('shop');
    expect(stage.told).toEqual(['uid-agent']);
  });

  test('is told of again where it is another one of the same name', () => {
    const stage = new Stage();
    stage.lead();
    stage.put('shop', 'agent');
    stage.put('shop', 'agent', { uid: 'second' });
    stage.remove('shop/agent');
    stage.put('shop', 'agent', { uid: 'third' });
    expect(stage.told).toEqual(['uid-agent', 'second', 'third']);
  });

  test('is told of by the leader alone, with those that were there before', () => {
    const stage = new Stage();
    stage.put('shop', 'agent');
    expect(stage.told).toEqual([]);
    stage.lead();
    expect(stage.told).toEqual(['uid-agent']);
  });

  test('is told of when its namespace is known, or asks', () => {
    const stage = new Stage();
    stage.lead();
    stage.put('late', 'agent');
    stage.put('plain', 'other');
    expect(stage.told).toEqual([]);
    stage.namespaces.set('late', { [INJECTION]: 'enabled' });
    stage.reporter.namespaceChanged('late');
    expect(stage.told).toEqual(['uid-agent']);
    stage.namespaces.set('plain', { [INJECTION]: 'enabled' });
    stage.reporter.namespaceChanged('plain');
    expect(stage.told).toEqual(['uid-agent', 'uid-other']);
  });

  test('that asks for itself is told of', () => {
    const stage = new Stage();
    stage.lead();
    stage.put('plain', 'agent', { labels: { [INJECTION]: 'enabled' } });
    expect(stage.events).toMatchObject([{ type: 'Warning' }]);
  });

  test('is no cause for a warning where nobody asked for it in particular', () => {
    const stage = new Stage(true);
    stage.lead();
    stage.put('plain', 'agent');
    expect(stage.events).toMatchObject([{ type: 'Normal', reason: 'HostNetwork' }]);
  });
});

test.each([
  ['has a network of its own', 'shop', { spec: {} }],
  ['is knowingly out of the mesh', 'shop', { labels: { [INJECTION]: 'disabled' } }],
  ['is in a namespace that did not ask', 'plain', {}],
  ['belongs to the cluster itself', 'kube-system', { labels: { [INJECTION]: 'enabled' } }],
  ['has ended', 'shop', { phase: 'Succeeded' }],
])('nothing is told of a pod that %s', (_, namespace, pod) => {
  const stage = new Stage();
  stage.lead();
  stage.put(namespace, 'agent', pod);
  expect(stage.told).toEqual([]);
});
