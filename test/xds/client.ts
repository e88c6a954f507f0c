/** A client of the configuration server that says and does what a test wants, well-behaved or not. */
import {
  Client,
  type ClientDuplexStream,
  type ClientReadableStream,
  credentials,
  type StatusObject,
} from '@grpc/grpc-js';
import * as z from 'zod';
import {
  acknowledgedBy,
  type ProxyReport,
  REPORTS_PATH,
  type RecordReport,
  reportSchema,
} from '../../src/replicas/index.ts';
import { decode, encode } from '../../src/xds/envoyApi.ts';
import { DELTA_PATH } from '../../src/xds/protocol.ts';
import type { Identity } from '../proxy/identities.ts';
import { waitFor } from '../support/waitFor.ts';

export const LISTENER = 'type.googleapis.com/envoy.config.listener.v3.Listener';
export const ENDPOINTS = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
const PREFIX = 'type.googleapis.com/envoy.service.discovery.v3.Delta';

export const CLUSTER = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';

const responseSchema = z.object({
  type_url: z.string(),
  nonce: z.string(),
  resources: z.array(z.object({ name: z.string(), version: z.string(), resource: z.looseObject({}) })).default([]),
  removed_resources: z.array(z.string()).default([]),
});
export type ResponseSeen = z.output<typeof responseSchema>;

/** What tests look at in resources. */
const bodySchema = z.object({
  type: z.string().default(''),
  filter_chains: z.array(z.object({ name: z.string().default('') })).default([]),
  load_assignment: z.object({ endpoints: z.array(z.unknown()).default([]) }).default({ endpoints: [] }),
  endpoints: z
    .array(
      z.object({
        lb_endpoints: z
          .array(
            z.object({
              endpoint: z.object({
                address: z.object({ socket_address: z.object({ address: z.string(), port_value: z.number() }) }),
              }),
              metadata: z.object({
                filter_metadata: z.object({ 'envoy.transport_socket_match': z.object({ peer: z.string() }) }),
              }),
            }),
          )
          .default([]),
      }),
    )
    .default([]),
});
type Body = z.output<typeof bodySchema>;

function clientOf(port: number, identity: Identity): Client {
  const [roots, key, chain] = [identity.rootsPem, identity.keyPem, identity.chainPem].map((pem) => Buffer.from(pem));
  // The server's name is not in its certificate: who it is, is its SPIFFE ID.
  const secure = credentials.createSsl(roots, key, chain, { checkServerIdentity: () => undefined });
  return new Client(`127.0.0.1:${port}`, secure, { 'grpc.use_local_subchannel_pool': 1 });
}

export class TestProxy {
  readonly #held = new Map<string, { readonly version: string; readonly body: Body; readonly told: number }>();
  #follows = false;
  readonly responses: ResponseSeen[] = [];
  ended: StatusObject | undefined;
  readonly #client: Client;
  readonly #call: ClientDuplexStream<object, Buffer>;

  constructor(port: number, identity: Identity) {
    this.#client = clientOf(port, identity);
    this.#call = this.#client.makeBidiStreamRequest(
      DELTA_PATH,
      (fields: object) => Buffer.from(encode({ '@type': `${PREFIX}DiscoveryRequest`, ...fields })),
      (bytes: Buffer) => bytes,
    );
    this.#call.on('data', (bytes: Buffer) => {
      const response = responseSchema.parse(decode(`${PREFIX}DiscoveryResponse`, bytes));
      if (this.#follows) this.#take(response);
      else this.responses.push(response);
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

  /** From now on it takes whatever it is sent, and says so. */
  follow(): void {
    this.#follows = true;
    for (const response of this.responses.splice(0)) this.#take(response);
  }

  has(type: string, name: string): boolean {
    return this.#held.has(`${type} ${name}`);
  }

  get<T>(type: string, name: string, read: (body: Body) => T): T {
    const found = this.#held.get(`${type} ${name}`);
    if (found === undefined) throw new Error(`it has no ${name}`);
    return read(found.body);
  }

  /** As in `10.0.0.1:8080 spiffe://…`. */
  endpoints(name: string): string[] {
    const found = this.#held.get(`${ENDPOINTS} ${name}`);
    return (found?.body.endpoints ?? []).flatMap(({ lb_endpoints: list }) =>
      list.map(({ endpoint, metadata }) => {
        const { address, port_value: port } = endpoint.address.socket_address;
        return `${address}:${port} ${metadata.filter_metadata['envoy.transport_socket_match'].peer}`;
      }),
    );
  }

  /** How often it was told of what it has. */
  told(type: string, name: string): number {
    return this.#held.get(`${type} ${name}`)?.told ?? 0;
  }

  /** By `type name`. */
  versions(): Map<string, string> {
    return new Map([...this.#held].map(([key, { version }]) => [key, version]));
  }

  #take({ nonce, removed_resources: removed, resources, type_url: type }: ResponseSeen): void {
    for (const { name, resource, version } of resources) {
      const told = this.told(type, name) + 1;
      this.#held.set(`${type} ${name}`, { version, body: bodySchema.parse(resource), told });
    }
    for (const name of removed) this.#held.delete(`${type} ${name}`);
    this.say({ type_url: type, response_nonce: nonce });
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

/** The leader's end of the reports. */
export class ReportListener {
  ended: StatusObject | undefined;
  readonly #client: Client;
  readonly #call: ClientReadableStream<Buffer>;
  readonly #proxies = new Map<string, ProxyReport>();
  readonly #records = new Map<string, RecordReport>();
  #told = 0;

  constructor(port: number, identity: Identity) {
    this.#client = clientOf(port, identity);
    this.#call = this.#client.makeServerStreamRequest(
      REPORTS_PATH,
      () => Buffer.alloc(0),
      (bytes: Buffer) => bytes,
      {},
    );
    this.#call.on('data', (bytes: Buffer) => {
      const { gone, proxies, records, told } = reportSchema.parse(JSON.parse(bytes.toString('utf8')));
      this.#told = told ?? this.#told;
      for (const report of records) this.#records.set(report.namespace, report);
      for (const report of proxies) this.#proxies.set(report.uid, report);
      for (const uid of gone) this.#proxies.delete(uid);
    });
    this.#call.on('error', () => {});
    this.#call.on('status', (status: StatusObject) => {
      this.ended = status;
    });
  }

  knows(uid: string): boolean {
    return this.#proxies.has(uid);
  }

  refusal(uid: string): string | undefined {
    return this.#proxies.get(uid)?.refused;
  }

  /** Whether a proxy has taken everything that the record of a namespace at this version comes to. */
  hasTaken(uid: string, namespace: string, resourceVersion: string): boolean {
    const record = this.#records.get(namespace);
    const proxy = this.#proxies.get(uid);
    const acknowledged = proxy && acknowledgedBy(proxy, this.#told);
    return record?.resourceVersion === resourceVersion && acknowledged !== undefined && acknowledged >= record.state;
  }

  close(): void {
    this.#call.cancel();
    this.#client.close();
  }
}
