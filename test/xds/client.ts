/** A client of the configuration server that says and does what a test wants, well-behaved or not. */
import { Client, type ClientDuplexStream, credentials, type StatusObject } from '@grpc/grpc-js';
import * as z from 'zod';
import { decode, encode } from '../../src/xds/envoyApi.ts';
import { DELTA_PATH } from '../../src/xds/protocol.ts';
import type { Identity } from '../proxy/identities.ts';
import { waitFor } from '../support/waitFor.ts';

const PREFIX = 'type.googleapis.com/envoy.service.discovery.v3.Delta';

export const CLUSTER = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

const responseSchema = z.object({
  type_url: z.string(),
  nonce: z.string(),
  resources: z.array(z.object({ name: z.string(), version: z.string() })).default([]),
  removed_resources: z.array(z.string()).default([]),
});
export type ResponseSeen = z.output<typeof responseSchema>;

export class TestProxy {
  readonly responses: ResponseSeen[] = [];
  ended: StatusObject | undefined;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<object, Buffer>;

  constructor(port: number, identity: Identity) {
    const [roots, key, chain] = [identity.rootsPem, identity.keyPem, identity.chainPem].map((pem) => Buffer.from(pem));
    // The server's name is not in its certificate: who it is, is its SPIFFE ID.
    const secure = credentials.createSsl(roots, key, chain, { checkServerIdentity: () => undefined });
    this.#client = new Client(`127.0.0.1:${port}`, secure, { 'grpc.use_local_subchannel_pool': 1 });
    this.#call = this.#client.makeBidiStreamRequest(
      DELTA_PATH,
      (fields: object) => Buffer.from(encode({ '@type': `${PREFIX}DiscoveryRequest`, ...fields })),
      (bytes: Buffer) => bytes,
    );
    this.#call.on('data', (bytes: Buffer) => {
      this.responses.push(responseSchema.parse(decode(`${PREFIX}DiscoveryResponse`, bytes)));
    });
    this.#call.on('error', () => {});
    this.#call.on('status', (status: StatusObject) => {
      this.ended = status;
    });
  }

  say(fields: object): void {
    this.#call.write(fields);
  }

  /** Asks for all clusters, as the pod that it says to be. */
  begin(id: string, cluster = 'shop/web-0'): void {
    this.say({ node: { id, cluster }, type_url: CLUSTER });
  }

  async next(): Promise<ResponseSeen> {
    await waitFor('a response', () => {
      if (this.ended !== undefined) throw new Error(`the stream has ended: ${this.ended.details}`);
      return this.responses.length > 0;
    });
    const [first] = this.responses.splice(0, 1);
    if (first === undefined) throw new Error('there is none');
    return first;
  }

  /** @returns name of the code and details. */
  async end(): Promise<{ readonly code: number; readonly details: string }> {
    await waitFor('the stream to end', () => this.ended !== undefined);
    const { code, details } = this.ended ?? { code: -1, details: '' };
    return { code, details };
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}
