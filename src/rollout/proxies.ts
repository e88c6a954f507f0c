/** The pods of the mesh by namespace, as they come and go. */
import type { MeshPod, PodRecord } from '../inventory/index.ts';
import type { Change, Store } from '../kube/index.ts';

export class Proxies {
  /** All pods, for one without a sidecar may belong to a workload of which others have one. */
  readonly #byNamespace = new Map<string, Map<string, PodRecord>>();
  readonly #sidecars = new Map<string, MeshPod>();
  /** How many of them each namespace has. */
  readonly #counts = new Map<string, number>();

  /** @param onChange where something is different that a rollout depends on. */
  constructor(pods: Store<PodRecord>, onChange: (namespace: string, sidecar: boolean) => void) {
    for (const [key, after] of pods.entries()) this.#apply({ key, after });
    pods.subscribe((change) => {
      this.#apply(change);
      const { before, after, key } = change;
      if (meaningOf(before) === meaningOf(after)) return;
      onChange(
        namespaceOf(key),
        [before, after].some((pod) => pod?.mesh?.sidecar !== undefined),
      );
    });
  }

  /** Of a namespace, those without a sidecar too. */
  in(namespace: string): ReadonlyMap<string, PodRecord> {
    return this.#byNamespace.get(namespace) ?? new Map();
  }

  /** Of the whole mesh. */
  all(): Iterable<readonly [key: string, pod: MeshPod]> {
    return this.#sidecars;
  }

  /** With pods in the mesh. */
  namespaces(): Iterable<string> {
    return this.#counts.keys();
  }

  #apply({ key, after }: Change<PodRecord>): void {
    const namespace = namespaceOf(key);
    const pods = this.#byNamespace.get(namespace) ?? new Map<string, PodRecord>();
    if (after?.mesh === undefined) pods.delete(key);
    else pods.set(key, after);
    if (pods.size === 0) this.#byNamespace.delete(namespace);
    else this.#byNamespace.set(namespace, pods);
    const had = this.#sidecars.delete(key) ? 1 : 0;
    const has = after?.mesh?.sidecar === undefined ? 0 : 1;
    if (after?.mesh?.sidecar !== undefined) this.#sidecars.set(key, after.mesh);
    const count = (this.#counts.get(namespace) ?? 0) + has - had;
    if (count === 0) this.#counts.delete(namespace);
    else this.#counts.set(namespace, count);
  }
}

export function namespaceOf(key: string): string {
  return key.slice(0, key.indexOf('/'));
}

/** Most changes of a pod mean nothing to a rollout. */
function meaningOf(pod: PodRecord | undefined): string {
  const { mesh, shape } = pod ?? {};
  if (mesh === undefined || shape === undefined) return '';
  const { ready, sidecar, started, uid, workload } = mesh;
  return JSON.stringify([uid, workload, ready, started, sidecar?.running, shape.labels, shape.ports]);
}
