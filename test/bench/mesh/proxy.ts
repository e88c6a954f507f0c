/** One of many simulated proxies: it asks as an Envoy does, takes whatever it is sent, says so, and counts. */
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from 'node:http2';
import type { SecureContext } from 'node:tls';
import { DELTA_PATH } from '../../../src/xds/protocol.ts';
import { decodeResponse, encodeRequest, type Heard, Messages, type Said } from './wire.ts';

const CLUSTERS = 'type.googleapis.com/envoy.config.cluster.v3.Cluster';
const ENDPOINTS = 'type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment';
const LISTENERS = 'type.googleapis.com/envoy.config.listener.v3.Listener';

export interface ProxyOptions {
  readonly node: { readonly id: string; readonly cluster: string };
  readonly context: SecureContext;
  /** What its application dials beyond its own namespace: names of clusters. */
  readonly destinations: readonly string[];
}

/** Envoy's windows: a response is not cut into pieces that wait for each other. */
const STREAM_WINDOW = 16 * 1024 * 1024;
const CONNECTION_WINDOW = 24 * 1024 * 1024;

/** Milliseconds of the one clock that all processes of this machine share. */
export const now = (): number => Number(process.hrtime.bigint()) / 1e6;

export class SimulatedProxy {
  readonly #options: ProxyOptions;
  readonly #held = new Map([CLUSTERS, ENDPOINTS, LISTENERS].map((type) => [type, new Map<string, string>()]));
  readonly #asked = new Set<string>();
  #session: ClientHttp2Session | undefined;
  #stream: ClientHttp2Stream | undefined;
  #listening = false;
  /** Where the server listens. */
  port = 0;
  /** Since `mark`. */
  messages = 0;
  resources = 0;
  bytes = 0;
  /** When it acknowledged something last; 0: nothing yet. */
  lastAcknowledged = 0;
  /** Why its stream has ended. */
  ended: string | undefined;

  constructor(options: ProxyOptions) {
    this.#options = options;
  }

  mark(): void {
    this.messages = 0;
    this.resources = 0;
    this.bytes = 0;
    this.lastAcknowledged = 0;
  }

  /** Whether it has its listeners, everything that it dials, and the endpoints of all of that. */
  get complete(): boolean {
    const [clusters, endpoints] = [this.#heldOf(CLUSTERS), this.#heldOf(ENDPOINTS)];
    return (
      this.#heldOf(LISTENERS).has('inbound') &&
      this.#options.destinations.every((name) => clusters.has(name)) &&
      [...clusters.keys()].every((name) => !isDestination(name) || endpoints.has(name))
    );
  }

  /** How many destinations it knows. */
  get known(): number {
    return this.#heldOf(ENDPOINTS).size;
  }

  /** @param cold it forgets what it has first. */
  open(cold: boolean): void {
    this.close();
    if (cold) for (const held of this.#held.values()) held.clear();
    this.#asked.clear();
    this.#listening = false;
    this.ended = undefined;
    const { context, node } = this.#options;
    // No session of TLS is taken up again: the dear case.
    const session = connect(`https://127.0.0.1:${this.port}`, {
      secureContext: context,
      checkServerIdentity: () => undefined,
      settings: { initialWindowSize: STREAM_WINDOW, enablePush: false },
    });
    this.#session = session;
    const failed = (error?: Error): void => {
      if (this.#session !== session) return;
      this.ended ??= error?.message ?? 'the connection has ended';
    };
    session.on('error', failed).on('close', () => failed());
    session.on('connect', () => session.setLocalWindowSize(CONNECTION_WINDOW));
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: 'POST',
      [constants.HTTP2_HEADER_PATH]: DELTA_PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: 'application/grpc',
      [constants.HTTP2_HEADER_TE]: 'trailers',
    });
    this.#stream = stream;
    const messages = new Messages();
    stream.on('data', (chunk: Buffer) => {
      this.bytes += chunk.length;
      for (const message of messages.take(chunk)) this.#take(decodeResponse(message));
    });
    stream.on('trailers', (trailers) => {
      this.ended ??= String(trailers['grpc-message']);
    });
    stream.on('error', failed).on('close', () => failed());
    const clusters = this.#heldOf(CLUSTERS);
    if (clusters.size === 0) {
      this.#say({ node, type: CLUSTERS });
      return;
    }
    // What it has from before, it says at once and of every type.
    this.#say({ node, type: CLUSTERS, subscribe: ['*', ...this.#options.destinations], versions: clusters });
    // The last stream may have ended before it had the endpoints of all clusters.
    const endpoints = this.#heldOf(ENDPOINTS);
    const asked = [...clusters.keys()].filter(isDestination);
    for (const name of asked) this.#asked.add(name);
    if (asked.length > 0) this.#say({ type: ENDPOINTS, subscribe: asked, versions: endpoints });
    this.#listening = true;
    this.#say({ type: LISTENERS, versions: this.#heldOf(LISTENERS) });
  }

  close(): void {
    const session = this.#session;
    this.#session = undefined;
    session?.destroy();
  }

  #take({ nonce, removed, resources, type }: Heard): void {
    this.messages += 1;
    this.resources += resources.length;
    const held = this.#heldOf(type);
    for (const [name, version] of resources) held.set(name, version);
    for (const name of removed) held.delete(name);
    this.#say({ type, nonce });
    this.lastAcknowledged = now();
    if (type !== CLUSTERS) return;
    const fresh = resources.map(([name]) => name).filter((name) => isDestination(name) && !this.#asked.has(name));
    for (const name of fresh) this.#asked.add(name);
    if (fresh.length > 0) this.#say({ type: ENDPOINTS, subscribe: fresh });
    if (this.#listening) return;
    // Listeners when there are clusters, then whatever the application dials.
    this.#listening = true;
    this.#say({ type: LISTENERS });
    if (this.#options.destinations.length > 0) this.#say({ type: CLUSTERS, subscribe: this.#options.destinations });
  }

  #say(said: Said): void {
    this.#stream?.write(encodeRequest(said));
  }

  #heldOf(type: string): Map<string, string> {
    const found = this.#held.get(type);
    if (found === undefined) throw new Error(`nobody asked for ${type}`);
    return found;
  }
}

function isDestination(name: string): boolean {
  return name.startsWith('dst|');
}
