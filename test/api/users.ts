/** What tests of permissions do as this user or that. */
import type { Cluster, KubectlOptions } from '../cluster/index.ts';

export const certificate = (name: string, spec: object): object => ({
  apiVersion: 'mtls-operator.io/v1alpha1',
  kind: 'WorkloadCertificate',
  metadata: { name, namespace: 'shop' },
  spec: { secretName: name, dnsNames: ['web.shop.svc'], ...spec },
});

export class Users {
  readonly #cluster: () => Cluster;

  constructor(cluster: () => Cluster) {
    this.#cluster = cluster;
  }

  put(verb: 'create' | 'replace', object: object, as: KubectlOptions): Promise<string> {
    return this.#cluster().kubectl([verb, '-f', '-'], { ...as, input: JSON.stringify(object) });
  }

  async may(as: KubectlOptions, verb: string, resource: string, ...where: string[]): Promise<boolean> {
    const answer = this.#cluster().kubectl(['auth', 'can-i', verb, resource, ...where], as);
    // kubectl ends with 1 for "no".
    return answer.then(
      (text) => text.trim() === 'yes',
      () => false,
    );
  }

  /** A role of this name in namespace shop, and who has it. */
  async grant(name: string, subject: string, ...rule: string[]): Promise<void> {
    await this.#cluster().kubectl(['create', 'role', name, '-n', 'shop', ...rule]);
    await this.#cluster().kubectl(['create', 'rolebinding', name, '-n', 'shop', `--role=${name}`, subject]);
  }
}

/** The rights to write certificates, for `grant`. */
export const writing = ['--verb=create,get,update', '--resource=workloadcertificates.mtls-operator.io'];
