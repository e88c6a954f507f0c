/** A user of the API server who goes round every fault: straight to it, as admin, again and again until it answers. */
import { Agent, request } from 'node:https';
import { GROUP, VERSION } from '../../src/api/index.ts';
import { asRecord } from '../../src/kube/index.ts';
import type { Cluster } from '../cluster/index.ts';
import { waitFor } from '../support/waitFor.ts';

export class Client implements Disposable {
  readonly #cluster: Cluster;
  readonly #agent: Agent;

  constructor(cluster: Cluster) {
    this.#cluster = cluster;
    this.#agent = new Agent({ keepAlive: true, ca: cluster.caPem });
  }

  /** Makes the object, or finds that it is there already. */
  async create(path: string, object: object): Promise<void> {
    await this.#persist(`POST ${path}`, async () => {
      const status = await this.#send('POST', path, object);
      return status < 300 || status === 409;
    });
  }

  async patch(path: string, patch: object): Promise<void> {
    await this.#persist(`PATCH ${path}`, async () => (await this.#send('PATCH', path, patch)) < 300);
  }

  /** Deletes the object, or finds that it is gone. */
  async delete(path: string): Promise<void> {
    await this.#persist(`DELETE ${path}`, async () => {
      const status = await this.#send('DELETE', path);
      return status < 300 || status === 404;
    });
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }

  async #persist(what: string, attempt: () => Promise<boolean>): Promise<void> {
    await waitFor(`the API server to take ${what}`, attempt, { timeoutMs: 60_000, intervalMs: 100 });
  }

  #send(method: string, path: string, body?: object): Promise<number> {
    const { promise, resolve, reject } = Promise.withResolvers<number>();
    const asked = request(`${this.#cluster.url}${path}`, {
      method,
      agent: this.#agent,
      timeout: 5_000,
      headers: {
        authorization: `Bearer ${this.#cluster.token}`,
        'content-type': method === 'PATCH' ? 'application/merge-patch+json' : 'application/json',
      },
    });
    asked.on('error', reject);
    asked.on('timeout', () => asked.destroy(new Error('no answer within 5 s')));
    asked.on('response', (answer) => {
      answer.setEncoding('utf8');
      let text = '';
      answer.on('data', (chunk: string) => {
        text += chunk;
      });
      answer.on('error', reject);
      answer.on('end', () => {
        const status = answer.statusCode ?? 0;
        if (status < 300 || status === 404 || status === 409) resolve(status);
        else reject(new Error(`${method} ${path}: ${status} ${messageIn(text)}`));
      });
    });
    asked.end(body === undefined ? undefined : JSON.stringify(body));
    return promise;
  }
}

function messageIn(text: string): string {
  try {
    return String(asRecord(JSON.parse(text))['message']);
  } catch {
    return text.slice(0, 200);
  }
}

/** Path of a WorkloadCertificate, or of all of a namespace. */
export function certificatePath(namespace: string, name = ''): string {
  return `/apis/${GROUP}/${VERSION}/namespaces/${namespace}/workloadcertificates${name === '' ? '' : `/${name}`}`;
}
