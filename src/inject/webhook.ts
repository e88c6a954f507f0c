/**
 * The HTTPS server of the webhook. Only the API server calls it, yet anybody in the cluster's network can: whatever comes is bounded in size and time, and nothing that comes ends it.
 */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer, type Server } from 'node:https';
import { type Log, messageOf } from '../kube/index.ts';
import { AdmissionError, parseReview, reviewAnswer } from './admission.ts';
import type { PodNamespace } from './asked.ts';
import { type Injection, inject, type ServerFirstByService } from './inject.ts';
import type { Pod } from './pod.ts';
import type { InjectionSettings } from './settings.ts';

export const INJECTION_PATH = '/inject';

/** An object of the API is at most 3 MiB in a request; the review around it is small. */
const MOST_BYTES = 4 * 1024 * 1024;
/** The API server waits for 10 s at most. */
const LONGEST_REQUEST_MS = 10_000;

/** PEM. */
export interface ServingCertificate {
  readonly key: string;
  readonly cert: string;
}

export interface WebhookOptions {
  readonly host?: string;
  /** 0 takes a free port. */
  readonly port: number;
  readonly certificate: ServingCertificate;
  readonly settings: InjectionSettings;
  /** Labels of a namespace as it is now; undefined: there is none. Rejects where that cannot be told. */
  readonly namespaceOf: (name: string) => Promise<PodNamespace | undefined>;
  readonly serverFirstOf: (pod: Pod, namespace: string) => ServerFirstByService;
  readonly log: Log;
}

export interface Webhook {
  readonly port: number;
  /** Takes effect with the next connection. */
  replaceCertificate(certificate: ServingCertificate): void;
  close(): Promise<void>;
}

/** Resolves when it listens; rejects if its port cannot be had, or key and certificate cannot be used. */
export async function serveWebhook(options: WebhookOptions): Promise<Webhook> {
  const { certificate, host, log, port } = options;
  const server = createServer(
    { ...certificate, minVersion: 'TLSv1.2', requestTimeout: LONGEST_REQUEST_MS, headersTimeout: LONGEST_REQUEST_MS },
    (request, response) => {
      answer(request, options).then(
        ({ status, body }) => send(response, status, body),
        (error: unknown) => {
          log.error({ error: messageOf(error) }, 'a pod could not be judged');
          send(response, 500, { message: 'the pod could not be judged; the log of the webhook says why' });
        },
      );
    },
  );
  // A client that breaks off is none of our business.
  server.on('tlsClientError', (_, socket) => socket.destroy());
  server.on('clientError', (_, socket) => socket.destroy());
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host }, resolve);
  });
  return {
    port: portOf(server),
    replaceCertificate: (next) => server.setSecureContext({ ...next, minVersion: 'TLSv1.2' }),
    close: () =>
      new Promise((resolve, reject) => {
        server.close((error) => (error === undefined ? resolve() : reject(error)));
        server.closeIdleConnections();
      }),
  };
}

interface Answer {
  readonly status: number;
  readonly body: object;
}

async function answer(request: IncomingMessage, options: WebhookOptions): Promise<Answer> {
  const { pathname } = new URL(request.url ?? '/', 'https://webhook');
  if (pathname !== INJECTION_PATH) return { status: 404, body: { message: `there is only ${INJECTION_PATH}` } };
  if (request.method !== 'POST') return { status: 405, body: { message: 'POST an AdmissionReview' } };
  const body = await read(request);
  if (body === undefined) return { status: 413, body: { message: `more than ${MOST_BYTES} bytes` } };
  try {
    const { uid, namespace, pod } = parseReview(body);
    return { status: 200, body: reviewAnswer(uid, await judge(pod, namespace, options)) };
  } catch (error) {
    if (error instanceof AdmissionError) return { status: 400, body: { message: error.message } };
    throw error;
  }
}

async function judge(pod: Pod, namespace: string, options: WebhookOptions): Promise<Injection> {
  const found = await options.namespaceOf(namespace);
  if (found === undefined) return { action: 'Refuse', message: `there is no namespace ${namespace}` };
  return inject(pod, found, options.settings, options.serverFirstOf(pod, namespace));
}

/** undefined: it is too long. */
async function read(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of request) {
    const bytes = Buffer.from(chunk);
    length += bytes.length;
    if (length > MOST_BYTES) return undefined;
    chunks.push(bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, status: number, body: object): void {
  // What is left of a body that is too long is not waited for.
  if (status === 413) response.setHeader('connection', 'close');
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function portOf(server: Server): number {
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('the webhook has no port');
  return address.port;
}
