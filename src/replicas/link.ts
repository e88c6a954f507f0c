/** The leader's stream to one replica of proxy-api: opened again for as long as the replica is there. */
import { Client, type ClientReadableStream, credentials, type ServiceError } from '@grpc/grpc-js';
import { type Clock, type Log, messageOf, type Random, sleep } from '../kube/index.ts';
import { parseCertificate } from '../pki/index.ts';
import { REPORTS_PATH, type Report, reportSchema } from './reports.ts';

/** PEM: who the leader is, and whom it trusts. */
export interface LeaderIdentity {
  readonly key: string;
  readonly chain: string;
  readonly roots: string;
}

export interface LinkOptions {
  /** Of the replica's pod. */
  readonly name: string;
  /** As in `10.0.0.1:15012`. */
  readonly target: string;
  /** undefined while there is none yet. */
  readonly identity: () => LeaderIdentity | undefined;
  /** Who the replica has to be; undefined while the trust domain is not known. */
  readonly spiffeId: () => string | undefined;
  readonly onReport: (report: Report) => void;
  /** What was told counts no more. */
  readonly onLost: () => void;
  readonly clock: Clock;
  readonly random: Random;
  readonly log: Log;
}

const FIRST_PAUSE = 100;
const LONGEST_PAUSE = 5_000;

/** Listens until the signal aborts. */
export async function listen(options: LinkOptions, signal: AbortSignal): Promise<void> {
  const { clock, identity, log, name, onLost, random } = options;
  let failures = 0;
  while (!signal.aborted) {
    const own = identity();
    const expected = options.spiffeId();
    if (own !== undefined && expected !== undefined) {
      const heard = (): void => {
        failures = 0;
      };
      const problem = await once({ ...options, expected, heard }, own, signal);
      onLost();
      if (signal.aborted) return;
      if (problem !== undefined && failures === 1)
        log.warn({ replica: name, error: problem }, 'a replica of proxy-api cannot be heard');
    }
    const pause = Math.min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** failures) * (0.5 + random());
    failures += 1;
    try {
      await sleep(clock, pause, signal);
    } catch {
      return;
    }
  }
}

/** @returns why the stream has ended. */
function once(
  options: Pick<LinkOptions, 'onReport' | 'target'> & { readonly expected: string; readonly heard: () => void },
  { chain, key, roots }: LeaderIdentity,
  signal: AbortSignal,
): Promise<string | undefined> {
  const { expected, heard, onReport, target } = options;
  const [root, own, leaf] = [roots, key, chain].map((pem) => Buffer.from(pem));
  const secure = credentials.createSsl(root, own, leaf, {
    checkServerIdentity: (_, { raw }) => {
      const { uris } = parseCertificate(raw);
      const right = uris.length === 1 && uris[0] === expected;
      return right ? undefined : new Error(`it shows ${uris.join(', ').slice(0, 400)}, expected ${expected}`);
    },
  });
  const client = new Client(target, secure, {
    // Each link has a connection of its own, with the certificate of the hour.
    'grpc.use_local_subchannel_pool': 1,
    'grpc.max_receive_message_length': 64 * 1024 * 1024,
    // One that hangs is not heard.
    'grpc.keepalive_time_ms': 5_000,
    'grpc.keepalive_timeout_ms': 3_000,
    // An address, not a name.
    'grpc.ssl_target_name_override': 'proxy-api',
    'grpc.default_authority': 'proxy-api',
  });
  return new Promise((resolve) => {
    const call: ClientReadableStream<Report> = client.makeServerStreamRequest(
      REPORTS_PATH,
      () => Buffer.alloc(0),
      (bytes: Buffer) => reportSchema.parse(JSON.parse(bytes.toString('utf8'))),
      {},
    );
    const stop = (): void => call.cancel();
    const end = (problem: string | undefined): void => {
      signal.removeEventListener('abort', stop);
      client.close();
      resolve(problem);
    };
    signal.addEventListener('abort', stop, { once: true });
    call.on('data', (report: Report) => {
      heard();
      onReport(report);
    });
    call.once('error', (error: ServiceError) => end(messageOf(error)));
    call.once('end', () => end(undefined));
    if (signal.aborted) stop();
  });
}
