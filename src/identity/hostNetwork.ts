/**
 * Tells of pods that asked for the mesh and have the network of their host: injection leaves them alone, and nobody would see that. One event for each pod and each leader.
 */
import { injectionValues, labels } from '../api/index.ts';
import { asked, type MeshScope } from '../inject/index.ts';
import type { PodRecord } from '../inventory/index.ts';
import { type Change, type EventRecorder, type Store, splitKey } from '../kube/index.ts';

export interface HostNetworkOptions extends MeshScope {
  readonly events: EventRecorder;
  readonly pods: Store<PodRecord>;
  /** undefined: not known yet. */
  readonly namespaceLabels: (namespace: string) => Readonly<Record<string, string>> | undefined;
}

export class HostNetworkPods {
  readonly #options: HostNetworkOptions;
  /** Those with the network of their host, by their key, and the UID of the one that was told of. */
  readonly #told = new Map<string, string | undefined>();
  #running = false;

  constructor(options: HostNetworkOptions) {
    this.#options = options;
    options.pods.subscribe((change) => this.#changed(change));
  }

  /** Works until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    const aborted = new Promise<void>((resolve) => {
      if (signal.aborted) resolve();
      else signal.addEventListener('abort', () => resolve(), { once: true });
    });
    this.#running = true;
    for (const key of this.#told.keys()) this.#tell(key);
    await aborted;
    this.#running = false;
  }

  /** Its labels may say something else. */
  namespaceChanged(namespace: string): void {
    for (const key of this.#told.keys()) if (splitKey(key).namespace === namespace) this.#tell(key);
  }

  #changed({ after, key }: Change<PodRecord>): void {
    if (after?.hostNetworkUid === undefined) {
      this.#told.delete(key);
      return;
    }
    if (!this.#told.has(key)) this.#told.set(key, undefined);
    this.#tell(key);
  }

  #tell(key: string): void {
    const { events, namespaceLabels, pods } = this.#options;
    const record = pods.get(key);
    const uid = record?.hostNetworkUid;
    if (!this.#running || record === undefined || uid === undefined || this.#told.get(key) === uid) return;
    const { name, namespace = '' } = splitKey(key);
    const ofNamespace = namespaceLabels(namespace);
    if (ofNamespace === undefined) return;
    const found = asked(record.shape?.labels ?? {}, { name: namespace, labels: ofNamespace }, this.#options);
    if (!found.asked) return;
    this.#told.set(key, uid);
    events.record({
      regarding: { apiVersion: 'v1', kind: 'Pod', namespace, name, uid },
      // Where all namespaces are in the mesh these are many and nobody asked for them in particular: they must not stand in the way of failures.
      type: found.by === 'Label' ? 'Warning' : 'Normal',
      reason: 'HostNetwork',
      action: 'Inject',
      note,
    });
  }
}

const note =
  'The pod has the network of its host (hostNetwork: true), in which no sidecar can stand between: it stays without one. It speaks plaintext, and what is Strict refuses it. ' +
  'Where it can do without, take hostNetwork off its template; where others have to admit it, give their ports an entry with mode Permissive in their MTLSPolicy; to have it out of the mesh ' +
  `knowingly, and this said no more, label its template ${labels.injection}=${injectionValues.disabled}`;
