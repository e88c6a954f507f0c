/** Service accounts of which pods with a sidecar exist: an index over the store of pods, kept by its changes. */
import type { PodRecord } from '../inventory/index.ts';
import type { Change } from '../kube/index.ts';
import { sidecarCertificate, type WantedCertificate } from './wanted.ts';

interface Entry {
  readonly wanted: WantedCertificate;
  pods: number;
}

/** namespace/name of a WorkloadCertificate. */
export const certificateKey = ({ namespace, name }: Pick<WantedCertificate, 'namespace' | 'name'>): string =>
  `${namespace}/${name}`;

export class SidecarAccounts {
  /** By namespace/account. */
  readonly #entries = new Map<string, Entry>();
  readonly #byCertificate = new Map<string, WantedCertificate>();

  /** @returns the keys of certificates that are needed from now on, or no longer. */
  apply({ key, before, after }: Change<PodRecord>): readonly string[] {
    const [was, is] = [accountOf(before), accountOf(after)];
    if (was === is) return [];
    const namespace = key.slice(0, key.indexOf('/'));
    const changed: string[] = [];
    if (is !== undefined) {
      const begun = this.#add(namespace, is);
      if (begun !== undefined) changed.push(begun);
    }
    if (was !== undefined) {
      const ended = this.#remove(namespace, was);
      if (ended !== undefined) changed.push(ended);
    }
    return changed;
  }

  /** @param key of a certificate. @returns undefined where no pod needs it. */
  get(key: string): WantedCertificate | undefined {
    return this.#byCertificate.get(key);
  }

  /** Of all certificates that pods need. */
  keys(): IterableIterator<string> {
    return this.#byCertificate.keys();
  }

  #add(namespace: string, account: string): string | undefined {
    const entry = this.#entries.get(`${namespace}/${account}`);
    if (entry !== undefined) {
      entry.pods += 1;
      return undefined;
    }
    const wanted = sidecarCertificate(namespace, account);
    this.#entries.set(`${namespace}/${account}`, { wanted, pods: 1 });
    const key = certificateKey(wanted);
    this.#byCertificate.set(key, wanted);
    return key;
  }

  #remove(namespace: string, account: string): string | undefined {
    const entry = this.#entries.get(`${namespace}/${account}`);
    if (entry === undefined) return undefined;
    entry.pods -= 1;
    if (entry.pods > 0) return undefined;
    this.#entries.delete(`${namespace}/${account}`);
    const key = certificateKey(entry.wanted);
    this.#byCertificate.delete(key);
    return key;
  }
}

function accountOf(pod: PodRecord | undefined): string | undefined {
  return pod?.mesh?.sidecar === undefined ? undefined : pod.mesh.account;
}
