/** The leader's own certificate, with which it asks proxy-api: read from its Secret whenever that changes, and held in memory. */
import * as z from 'zod';
import type { SecretRecord } from '../certificate/index.ts';
import { type Log, messageOf, resourcePath, SECRETS, type Store, type Transport } from '../kube/index.ts';
import type { LeaderIdentity } from '../replicas/index.ts';

export interface LeaderIdentityOptions {
  readonly transport: Pick<Transport, 'request'>;
  readonly secrets: Store<SecretRecord>;
  readonly namespace: string;
  /** Of the Secret. */
  readonly name: string;
  readonly log: Log;
}

const base64 = z.base64().transform((text) => Buffer.from(text, 'base64').toString('utf8'));
const secretSchema = z.object({ data: z.object({ 'tls.crt': base64, 'tls.key': base64, 'ca.crt': base64 }) });

const DEADLINE = 10_000;

export class LeaderIdentitySource {
  readonly #options: LeaderIdentityOptions;
  #current: LeaderIdentity | undefined;

  constructor(options: LeaderIdentityOptions) {
    this.#options = options;
  }

  /** undefined until the Secret is there. */
  get current(): LeaderIdentity | undefined {
    return this.#current;
  }

  /** Follows the Secret until the signal aborts. What was read last stays in use while it cannot be read. */
  async run(signal: AbortSignal): Promise<void> {
    const { log, name, namespace, secrets } = this.#options;
    const own = `${namespace}/${name}`;
    let reading = this.#read(signal);
    const stop = secrets.subscribe(({ key, before, after }) => {
      if (key !== own || after === undefined || before?.dataDigest === after.dataDigest) return;
      // In their order: an older answer must not come last.
      reading = reading.then(() => this.#read(signal));
    });
    if (!signal.aborted)
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
    stop();
    await reading;
    log.debug({ secret: own }, 'the own certificate is followed no more');
  }

  async #read(signal: AbortSignal): Promise<void> {
    const { log, name, namespace, secrets, transport } = this.#options;
    if (!secrets.has(`${namespace}/${name}`)) return;
    try {
      const path = resourcePath(SECRETS, namespace, name);
      const found = await transport.request({
        method: 'GET',
        path,
        signal: AbortSignal.any([signal, AbortSignal.timeout(DEADLINE)]),
      });
      const { data } = secretSchema.parse(found);
      this.#current = { key: data['tls.key'], chain: data['tls.crt'], roots: data['ca.crt'] };
    } catch (error) {
      // A message of the schema names fields, never what is in them.
      if (!signal.aborted) log.error({ secret: name, error: messageOf(error) }, 'the own certificate cannot be read');
    }
  }
}
