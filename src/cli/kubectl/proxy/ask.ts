/** Asks a proxy what it has loaded: by a connection to its pod's loopback address, as `kubectl port-forward` makes one, with the rights of whoever runs it. */
import { randomBytes } from 'node:crypto';
import { request } from 'node:http';
import type { Duplex } from 'node:stream';
import { inspectionPaths, proxyPorts } from '../../../envoy/index.ts';
import { containerNames } from '../../../inject/index.ts';
import {
  ApiError,
  isStatus,
  messageOf,
  PortForwardError,
  portForward,
  TransportError,
  type UpgradingTransport,
} from '../../../kube/index.ts';
import { AnswerError, parseIdentity, parseInbound } from './answers.ts';
import type { Asked } from './facts.ts';

interface PodReference {
  readonly namespace: string;
  readonly name: string;
}

/** For both questions. */
const DEADLINE_MS = 15_000;
/** A port takes some 6 KB of the answer: this is for thousands of them. */
const MAX_ANSWER_BYTES = 32 * 1024 * 1024;

/** @throws the signal's reason */
export async function askProxy(transport: UpgradingTransport, pod: PodReference, signal: AbortSignal): Promise<Asked> {
  const late = AbortSignal.timeout(DEADLINE_MS);
  const either = AbortSignal.any([signal, late]);
  const ask = (path: string) => visit(transport, pod, path, either);
  try {
    const inbound = parseInbound(await ask(inspectionPaths.inbound));
    return { inbound, identity: parseIdentity(await ask(inspectionPaths.identity)) };
  } catch (error) {
    signal.throwIfAborted();
    return { unread: late.aborted ? `it has not answered within ${DEADLINE_MS / 1000} s` : whyNot(error, pod) };
  }
}

async function visit(
  transport: UpgradingTransport,
  { name, namespace }: PodReference,
  path: string,
  signal: AbortSignal,
): Promise<string> {
  const port = proxyPorts.inspection;
  const stream = await portForward(transport, {
    namespace,
    pod: name,
    port,
    deadlineMs: DEADLINE_MS,
    signal,
    randomBytes,
  });
  try {
    return await get(stream, path, signal);
  } finally {
    // What it says from now on is about a connection that nobody reads.
    stream.on('error', () => {}).destroy();
  }
}

/** The body of a 200. @throws AnswerError where it is none, or too large, else what has befallen the connection */
async function get(connection: Duplex, path: string, signal: AbortSignal): Promise<string> {
  return await new Promise((resolve, reject) => {
    const headers = { host: 'localhost', connection: 'close' };
    const asked = request({ createConnection: () => connection, method: 'GET', path, headers, signal }, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer
        .on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) answer.destroy(new AnswerError(`it is larger than ${MAX_ANSWER_BYTES} bytes`));
          else chunks.push(chunk);
        })
        .on('error', reject)
        .on('end', () => {
          if (answer.statusCode === 200) resolve(Buffer.concat(chunks).toString('utf8'));
          else reject(new AnswerError(`it is HTTP ${answer.statusCode}`));
        });
    });
    asked.on('error', reject).end();
  });
}

function whyNot(error: unknown, { name, namespace }: PodReference): string {
  if (isStatus(error, 403))
    return `you lack the permission to get and create pods/portforward in namespace ${namespace}`;
  if (error instanceof AnswerError)
    return `its answer is none of a proxy of this version (${error.message}): use the plugin of the version of your operator`;
  if (error instanceof PortForwardError && error.message.includes('connection refused'))
    return `it does not listen: kubectl logs -n ${namespace} ${name} -c ${containerNames.proxy} may say why`;
  if (error instanceof PortForwardError) return `kubelet cannot connect to it: ${error.message}`;
  if (error instanceof ApiError || error instanceof TransportError) return error.message;
  return `the connection to it broke off: ${messageOf(error)}`;
}
