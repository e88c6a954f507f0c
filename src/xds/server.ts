/**
 * The configuration server of proxies: delta ADS over mutual TLS. Whoever comes is hostile until it has shown a certificate of the mesh and a claim that the inventory bears out.
 */
import { createServer, type Socket } from 'node:net';
import {
  type Server as GrpcServer,
  Server,
  ServerCredentials,
  ServerInterceptingCall,
  type ServiceDefinition,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { type Clock, type Log, messageOf, TokenBucket } from '../kube/index.ts';
import { Handshakes } from './handshakes.ts';
import { Interests } from './interests.ts';
import { addressOf, spiffeIdOf } from './peer.ts';
import { DELTA_PATH, decodeRequest, encodeResponse, type ProxyRequest } from './protocol.ts';
import { type ProxyCall, type ProxyClaim, type ProxySource, ProxyStream } from './proxyStream.ts';

/** PEM: who the server is, and whom it trusts. */
export interface ServerIdentity {
  readonly key: string;
  /** Leaf and intermediates. */
  readonly chain: string;
  readonly roots: string;
}

/** Why a proxy is not configured. */
export interface Refusal {
  readonly refused: string;
  /** Whether it may be another matter soon: an inventory is a moment behind the world. */
  readonly soon: boolean;
}

/** What else is served to whoever has shown a certificate: who that is, each method judges itself. */
export interface ServedMethod {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

export interface XdsServerOptions {
  readonly host?: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly identity: ServerIdentity;
  readonly admit: (claim: ProxyClaim) => ProxySource | Refusal;
  /** Number of the state that sources speak of at present: it has grown whenever `changed` is called. */
  readonly state: () => number;
  /** A proxy has come or answered, or has been told something. */
  readonly heard?: (stream: ProxyStream) => void;
  /** Whoever is current has everything of the state of this number. */
  readonly told?: (state: number) => void;
  /** Its stream has ended. */
  readonly gone?: (stream: ProxyStream) => void;
  /** What a name is about: changes are told by that. Left out: the name itself. */
  readonly subjectOf?: (name: string) => string | undefined;
  readonly more?: readonly ServedMethod[];
  readonly clock: Clock;
  readonly log: Log;
  /** How many handshakes a second. A core makes about a thousand. */
  readonly handshakesPerSecond?: number;
  /** How long a connection lives, give or take a tenth, so that proxies spread over replicas that came later (ms). */
  readonly connectionAgeMs?: number;
}

export interface XdsServer {
  readonly port: number;
  /** Those that are open, in no order. */
  streams(): ReadonlySet<ProxyStream>;
  /**
   * What proxies are to have may have changed: each of them is told, in slices that leave time for others. A change is told at once; those that follow each other closely are gathered.
   * @param subjects about which something else may be told now, those by which sources are told of themselves included; left out: about anything.
   */
  changed(subjects?: Iterable<string>): void;
  /** For connections from now on; the open ones go on. */
  replaceIdentity(identity: ServerIdentity): void;
  close(): Promise<void>;
}

const HALF_HOUR = 30 * 60 * 1000;

/**
 * From the beginning of one look at what has changed to the next, at least (ms). A mesh-wide switch or the start of a Deployment is hundreds of changes in a second: a response of its own
 * to each proxy for each of them would cost more than all that is told.
 */
const LOOK_EVERY = 50;

/** And for each proxy that was told something (ms): about twice what a response and its answer cost, so that there is time for everything else. */
const REST_FOR_EACH = 0.5;

/** How many streams are looked at before others have their turn. */
const SLICE = 25;

/** Resolves when it listens; rejects if its port cannot be had, or key and certificate cannot be used. */
export async function serveXds(options: XdsServerOptions): Promise<XdsServer> {
  const { clock, connectionAgeMs = HALF_HOUR, handshakesPerSecond = 200, host, port } = options;
  const hub = new Hub(options);
  const handshakes = new Handshakes<Socket>({
    clock,
    perSecond: handshakesPerSecond,
    burst: handshakesPerSecond,
    mostWaiting: 10_000,
    proofWithin: 10_000,
    letIn: (socket) => injector.injectConnection(socket),
  });
  const grpc: GrpcServer = new Server({
    // What an Envoy asks for is small, but for the first words of one that comes back: all names that it may have, twice, and the versions that it has.
    'grpc.max_receive_message_length': 4 * 1024 * 1024,
    'grpc.max_connection_age_ms': connectionAgeMs,
    'grpc.max_connection_age_grace_ms': 1000,
    // A node that vanished is noticed.
    'grpc.keepalive_time_ms': 30_000,
    'grpc.keepalive_timeout_ms': 10_000,
    'grpc.max_concurrent_streams': 4,
    // Its own bookkeeping for debuggers grows with every connection.
    'grpc.enable_channelz': 0,
    interceptors: [
      (_, call) => {
        handshakes.prove(call.getPeer());
        return new ServerInterceptingCall(call);
      },
    ],
  });
  const injectorFor = ({ chain, key, roots }: ServerIdentity) =>
    grpc.createConnectionInjector(
      ServerCredentials.createSsl(
        Buffer.from(roots),
        [{ private_key: Buffer.from(key), cert_chain: Buffer.from(chain) }],
        true,
      ),
    );
  let injector = injectorFor(options.identity);
  const own: ServedMethod = {
    definition: service,
    implementation: { deltaAggregatedResources: (call: ProxyCall) => hub.serve(call) },
  };
  for (const { definition, implementation } of [own, ...(options.more ?? [])])
    grpc.addService(definition, implementation);
  const listener = createServer({ noDelay: true }, (socket: Socket) => handshakes.offer(socket));
  await new Promise<void>((resolve, reject) => {
    listener.once('error', reject);
    listener.listen({ port, host }, resolve);
  });
  const address = listener.address();
  if (address === null || typeof address === 'string') throw new Error('the configuration server has no port');
  return {
    port: address.port,
    streams: () => hub.streams,
    changed: (subjects) => hub.changed(subjects),
    replaceIdentity: (identity) => {
      injector = injectorFor(identity);
    },
    close: async () => {
      const closed = new Promise<void>((resolve) => listener.close(() => resolve()));
      hub.close();
      grpc.forceShutdown();
      handshakes.close();
      await closed;
    },
  };
}

const service: ServiceDefinition = {
  deltaAggregatedResources: {
    path: DELTA_PATH,
    requestStream: true,
    responseStream: true,
    requestDeserialize: decodeRequest,
    // This server is no client.
    requestSerialize: () => Buffer.alloc(0),
    // Bytes are made when they can be sent: what waits for a slow proxy is resources that all of them share.
    responseSerialize: encodeResponse,
    responseDeserialize: (bytes: Buffer) => bytes,
  },
};

const itself = (name: string): string => name;

/** A stream that may have to be told something. */
interface Concerned {
  readonly stream: ProxyStream;
  /** That may mean something else; undefined: anything may. */
  readonly names: readonly string[] | undefined;
  /** The proxy may be to have something else of its own. */
  readonly itself: boolean;
}

/** All streams of this replica. */
class Hub {
  readonly streams = new Set<ProxyStream>();
  readonly #options: XdsServerOptions;
  readonly #complaints: TokenBucket;
  readonly #calls = new Map<ProxyStream, ProxyCall>();
  /** By what the proxy says to be: there is one of each. */
  readonly #byNode = new Map<string, ProxyStream>();
  /** Subjects of which nobody has been told yet what has changed; 'anything': more than can be named. undefined: there is no news. */
  #news: 'anything' | Set<string> | undefined;
  #looking = false;
  #nextLook = Number.NEGATIVE_INFINITY;
  /** By what they ask for. */
  readonly #named: Interests<ProxyStream>;
  /** By what they are. */
  readonly #own = new Interests<ProxyStream>(itself);
  /** Number of the newest state of which everybody has been told what concerns them. */
  #told: number;

  constructor(options: XdsServerOptions) {
    this.#options = options;
    this.#named = new Interests(options.subjectOf ?? itself);
    this.#told = options.state();
    this.#complaints = new TokenBucket(options.clock, 20, 1000);
  }

  serve(call: ProxyCall): void {
    let stream: ProxyStream | undefined;
    call.on('data', (request: ProxyRequest) => {
      try {
        stream ??= this.#open(call, request);
        if (stream === undefined) return;
        const reason = stream.take(request);
        const warning = stream.takeWarning();
        if (warning !== undefined) this.#options.log.warn({ ...stream.claim, reason: warning }, 'a proxy is told less');
        if (reason === undefined) this.#options.heard?.(stream);
        else this.#end(call, stream, status.RESOURCE_EXHAUSTED, reason);
      } catch (error) {
        // A defect of ours, met by one proxy: the others go on.
        this.#options.log.error({ error: messageOf(error), proxy: stream?.claim.cluster }, 'a proxy cannot be served');
        this.#end(call, stream, status.INTERNAL, 'it cannot be served; the log of proxy-api says why');
      }
    });
    const gone = (): void => {
      if (stream !== undefined) this.#forget(stream);
      call.end();
    };
    call.on('end', gone).on('cancelled', gone).on('error', gone);
  }

  changed(subjects?: Iterable<string>): void {
    if (subjects === undefined) this.#news = 'anything';
    else if (this.#news !== 'anything') {
      this.#news ??= new Set();
      for (const subject of subjects) this.#news.add(subject);
    }
    if (!this.#looking) this.#lookSoon();
  }

  close(): void {
    for (const [stream, call] of [...this.#calls]) this.#end(call, stream, status.UNAVAILABLE, 'this replica ends');
  }

  #lookSoon(): void {
    this.#looking = true;
    const { clock } = this.#options;
    const wait = this.#nextLook - clock.monotonic();
    // What has come with it, in one piece from the API server, is told with it.
    if (wait <= 0) setImmediate(() => this.#begin());
    else clock.setTimer(wait, () => this.#begin());
  }

  #begin(): void {
    const { clock, state } = this.#options;
    const news = this.#news ?? [];
    this.#news = undefined;
    const concerned = this.#concerned(news);
    this.#nextLook = clock.monotonic() + Math.max(LOOK_EVERY, REST_FOR_EACH * concerned.length);
    // What changes while streams are looked at is for the next time.
    this.#look(concerned, 0, state());
  }

  #concerned(news: 'anything' | Iterable<string>): Concerned[] {
    if (news === 'anything') return [...this.streams].map((stream) => ({ stream, names: undefined, itself: true }));
    const own = this.#own.concerned(news);
    const named = this.#named.concerned(news);
    const all = new Set([...named.keys(), ...own.keys()]);
    return [...all].map((stream) => ({ stream, names: named.get(stream) ?? [], itself: own.has(stream) }));
  }

  #look(concerned: readonly Concerned[], from: number, state: number): void {
    const next = from + SLICE;
    for (const one of concerned.slice(from, next)) this.#tell(one);
    if (next < concerned.length) {
      setImmediate(() => this.#look(concerned, next, state));
      return;
    }
    this.#told = state;
    this.#options.told?.(state);
    this.#looking = false;
    if (this.#news !== undefined) this.#lookSoon();
  }

  #tell({ itself, names, stream }: Concerned): void {
    const call = this.#calls.get(stream);
    if (call === undefined) return;
    try {
      const ended = stream.changed(names, itself);
      if (ended !== undefined) this.#end(call, stream, status.PERMISSION_DENIED, ended);
      else this.#options.heard?.(stream);
    } catch (error) {
      this.#options.log.error({ error: messageOf(error), proxy: stream.claim.cluster }, 'a proxy cannot be told');
      // What it has not been told it must not count as having.
      this.#end(call, stream, status.INTERNAL, 'it cannot be told of a change; the log of proxy-api says why');
    }
  }

  /** @returns undefined where the call has been ended. */
  #open(call: ProxyCall, { node }: ProxyRequest): ProxyStream | undefined {
    if (node === undefined) {
      this.#end(call, undefined, status.INVALID_ARGUMENT, 'the first request says who asks (node)');
      return undefined;
    }
    const claim = { ...node, spiffeId: spiffeIdOf(call), address: addressOf(call) };
    const admitted = this.#options.admit(claim);
    if ('refused' in admitted) {
      const { refused, soon } = admitted;
      if (this.#complaints.take()) this.#options.log.warn({ ...claim, reason: refused }, 'a proxy is refused');
      this.#end(call, undefined, soon ? status.UNAVAILABLE : status.PERMISSION_DENIED, refused);
      return undefined;
    }
    const stream: ProxyStream = new ProxyStream({
      claim,
      call,
      source: admitted,
      state: this.#options.state(),
      told: () => this.#told,
      interest: {
        begins: (name) => this.#named.add(stream, name),
        ends: (name) => this.#named.delete(stream, name),
      },
    });
    const before = this.#byNode.get(claim.id);
    const callBefore = before === undefined ? undefined : this.#calls.get(before);
    // It has come back before its end was noticed.
    if (callBefore !== undefined) this.#end(callBefore, before, status.ABORTED, 'a newer stream has taken its place');
    this.streams.add(stream);
    this.#calls.set(stream, call);
    this.#byNode.set(claim.id, stream);
    for (const subject of admitted.subjects) this.#own.add(stream, subject);
    return stream;
  }

  #end(call: ProxyCall, stream: ProxyStream | undefined, code: status, details: string): void {
    if (stream !== undefined) this.#forget(stream);
    // Not destroy(): the client would not hear why.
    call.emit('error', { code, details });
  }

  #forget(stream: ProxyStream): void {
    if (!this.streams.delete(stream)) return;
    this.#calls.delete(stream);
    for (const name of stream.interests()) this.#named.delete(stream, name);
    for (const subject of stream.source.subjects) this.#own.delete(stream, subject);
    if (this.#byNode.get(stream.claim.id) === stream) this.#byNode.delete(stream.claim.id);
    this.#options.gone?.(stream);
  }
}
