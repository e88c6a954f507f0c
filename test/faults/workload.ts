/** WorkloadCertificates that live for a minute and are renewed every quarter of it, of every sort. */
import { GROUP, VERSION } from '../../src/api/index.ts';
import { type Client, certificatePath } from './client.ts';

/** The shortest life there is. 45 s before its end it is due: an operator that is held up has those 45 s to make up for it. */
export const shortLife = { duration: '1m', renewBefore: '45s' };

/** Sorts that take turns. RSA is left out: making its keys would be most of what two cores do here. */
const sorts: readonly ((name: string, namespace: string) => object)[] = [
  () => ({}),
  (name) => ({ serviceAccountName: name }),
  () => ({ privateKey: { rotationPolicy: 'Never' } }),
  () => ({ privateKey: { algorithm: 'Ed25519' }, outputs: [{ type: 'CombinedPEM' }, { type: 'DER' }] }),
  () => ({ secretTemplate: { labels: { app: 'web' }, annotations: { note: 'kept' } } }),
  () => ({ deletionPolicy: 'Delete' }),
  () => ({ outputs: [{ type: 'PKCS12' }, { type: 'JKS' }, { type: 'EnvoySDS' }] }),
];

export class Workload {
  readonly namespace: string;
  readonly #client: Client;
  readonly #names: string[] = [];
  #made = 0;

  constructor(client: Client, namespace: string) {
    this.#client = client;
    this.namespace = namespace;
  }

  /** How many there are now. */
  get count(): number {
    return this.#names.length;
  }

  /** How many have been made so far. */
  get made(): number {
    return this.#made;
  }

  async createNamespace(): Promise<void> {
    const object = { apiVersion: 'v1', kind: 'Namespace', metadata: { name: this.namespace } };
    await this.#client.create('/api/v1/namespaces', object);
  }

  async add(life: { readonly duration: string; readonly renewBefore?: string } = shortLife): Promise<string> {
    const name = `w${this.#made}`;
    const sort = sorts[this.#made % sorts.length];
    this.#made += 1;
    await this.#client.create(certificatePath(this.namespace), {
      apiVersion: `${GROUP}/${VERSION}`,
      kind: 'WorkloadCertificate',
      metadata: { namespace: this.namespace, name },
      spec: {
        secretName: name,
        dnsNames: [`${name}.${this.namespace}.svc`],
        ...life,
        ...sort?.(name, this.namespace),
      },
    });
    this.#names.push(name);
    return name;
  }

  /** Asks for one more name in one of them: it has to be issued anew. */
  async edit(random: () => number): Promise<void> {
    const name = this.#names[Math.floor(random() * this.#names.length)];
    if (name === undefined) return;
    const dnsNames = [`${name}.${this.namespace}.svc`, `v${Math.floor(random() * 1e9)}.${this.namespace}.svc`];
    await this.#client.patch(certificatePath(this.namespace, name), { spec: { dnsNames } });
  }

  /** Takes all of them away, so that whatever comes next on the same cluster finds nothing to do. */
  async removeAll(): Promise<void> {
    while (this.#names.length > 0) await this.remove();
  }

  /** Takes the oldest away. */
  async remove(): Promise<void> {
    const name = this.#names.shift();
    if (name !== undefined) await this.#client.delete(certificatePath(this.namespace, name));
  }
}
