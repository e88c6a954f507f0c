/** What `kubectl mtls explain` says of a pod, and what a peer of it sees. */
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { Plugin } from '../cli/plugin.ts';
import type { Cluster, User } from '../cluster/index.ts';
import { openTls } from '../proxy/clients.ts';
import { fencedBlocks } from '../support/markdown.ts';

const explanation = z.object({
  ports: z.array(
    z.object({
      port: z.number().nullable(),
      mode: z.string(),
      loaded: z.object({ accepts: z.string(), agrees: z.boolean() }).nullable(),
    }),
  ),
  proxy: z.object({
    unread: z.string().nullable(),
    certificate: z.object({ state: z.string(), serialNumber: z.string(), spiffeId: z.string() }).nullable(),
    roots: z.array(z.object({ subject: z.string(), fingerprint: z.string() })),
  }),
  notes: z.array(z.string()),
});
export type Explained = z.output<typeof explanation>;

export class Explainer implements AsyncDisposable {
  readonly #cluster: Cluster;
  readonly #plugin: Plugin;
  readonly #namespace: string;

  private constructor(cluster: Cluster, plugin: Plugin, namespace: string) {
    this.#cluster = cluster;
    this.#plugin = plugin;
    this.#namespace = namespace;
  }

  static async install(cluster: Cluster, namespace: string): Promise<Explainer> {
    return new Explainer(cluster, await Plugin.install(cluster), namespace);
  }

  /** @param as who asks; left out: who may do everything */
  async explain(pod: string, port: number, as?: User): Promise<Explained> {
    const words = ['explain', `pod/${pod}`, '-n', this.#namespace, '--port', String(port)];
    return explanation.parse(await this.#plugin.json(words, as === undefined ? {} : { as }));
  }

  /** What a peer with the identity of that account is shown by TLS. */
  async serialShownTo(account: string, pod: string, port: number): Promise<string> {
    const get = async (...words: readonly string[]): Promise<string> =>
      await this.#cluster.kubectl(['get', '-n', this.#namespace, ...words]);
    const part = async (name: string): Promise<string> => {
      const path = `jsonpath={.data.${name.replace('.', '\\.')}}`;
      return Buffer.from(await get('secret', `mtls-proxy-${account}`, '-o', path), 'base64').toString('utf8');
    };
    const [address, keyPem, chainPem] = await Promise.all([
      get('pod', pod, '-o', 'jsonpath={.status.podIP}'),
      part('tls.key'),
      part('tls.crt'),
    ]);
    const identity = { keyPem, chainPem, rootsPem: '', sds: {} };
    const socket = openTls({ address, port }, { identity });
    try {
      await once(socket, 'secureConnect');
      return socket.getPeerCertificate().serialNumber;
    } finally {
      socket.destroy();
    }
  }

  /** Somebody with the role that docs/cli.md shows, and no other. */
  async viewer(): Promise<User> {
    const blocks = fencedBlocks(await readFile(join(import.meta.dirname, '..', '..', 'docs', 'cli.md'), 'utf8'));
    const role = blocks.find(({ text }) => text.includes('name: mtls-viewer'))?.text ?? '';
    await this.#cluster.kubectl(['apply', '-f', '-'], { input: role });
    const words = ['create', 'clusterrolebinding', 'mtls-viewer', '--clusterrole=mtls-viewer', '--user=viewer'];
    await this.#cluster.kubectl(words);
    return { name: 'viewer' };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#plugin[Symbol.asyncDispose]();
  }
}
