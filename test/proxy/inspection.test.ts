/** What a real Envoy tells of itself on its pod's loopback address, and that it tells nothing else, does nothing else, and tells it nowhere else. */
import { createPrivateKey } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { acceptedAt } from '../../src/cli/kubectl/proxy/accepts.ts';
import { parseIdentity, parseInbound } from '../../src/cli/kubectl/proxy/answers.ts';
import { type Inbound, inspectionPaths, proxyPorts } from '../../src/envoy/index.ts';
import { parseCertificates } from '../../src/pki/index.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { ports } from './application.ts';
import { Dialer } from './dialer.ts';
import { type Identity, issueIdentity, makeCorporateCa, TRUST_DOMAIN } from './identities.ts';
import { Pod } from './pod.ts';

let identity: Identity;
let pod: Pod;
let dialer: Dialer;

const configuration: Inbound = {
  trustDomain: TRUST_DOMAIN,
  ipv6: true,
  others: 'Permissive',
  ports: [
    { number: ports.plain, mode: 'Strict', serverFirst: false },
    { number: ports.serverFirst, mode: 'Strict', serverFirst: true },
  ],
};

beforeAll(async () => {
  const ca = await makeCorporateCa('Mesh');
  const own = await issueIdentity({ ca, account: 'own' });
  identity = await issueIdentity({ ca, account: 'web' });
  pod = await Pod.start({
    envoy: await findEnvoy(printProgress),
    identity,
    own: { keyPem: own.keyPem, certificatePem: own.chainPem },
    configuration,
  });
  dialer = new Dialer(pod);
});

afterAll(() => pod?.[Symbol.asyncDispose]());

interface Answer {
  readonly status: number;
  readonly body: string;
}

/** As an application of the pod would ask, word for word. */
async function say(request: string, host = '127.0.0.1'): Promise<string> {
  const connection = dialer.open(host, proxyPorts.inspection);
  connection.say(request);
  await waitFor('the end of the answer', () => connection.closed);
  return connection.heard;
}

async function ask(line: string, headers: readonly string[] = []): Promise<Answer> {
  const text = await say([`${line} HTTP/1.1`, 'host: proxy', 'connection: close', ...headers, '', ''].join('\r\n'));
  const [head = '', ...rest] = text.split('\r\n\r\n');
  const body = rest.join('\r\n\r\n');
  const status = Number(/^HTTP\/1\.1 (\d+)/.exec(head)?.[1]);
  return { status, body: /transfer-encoding: chunked/i.test(head) ? unchunked(body) : body };
}

function unchunked(body: string): string {
  let text = '';
  for (let rest = body; ; ) {
    const [size = '0'] = rest.split('\r\n');
    const length = Number.parseInt(size, 16);
    if (!(length > 0)) return text;
    const begin = size.length + 2;
    text += rest.slice(begin, begin + length);
    rest = rest.slice(begin + length + 2);
  }
}

/** By what a document in JSON gives away that it holds the key of the proxy: by name, or by its bytes, in PEM or base64. */
function keysIn(json: string): string[] {
  const { d = '' } = createPrivateKey(identity.keyPem).export({ format: 'jwk' });
  const secret = Buffer.from(d, 'base64url');
  if (secret.length !== 32) throw new Error('it is no key of P-256');
  const found = new Set<string>(/private_?\s?key/i.test(json) ? ['named'] : []);
  JSON.parse(json, (_, value: unknown) => {
    if (typeof value !== 'string') return value;
    const blocks = value.split(/-----[^-]*-----/).map((block) => Buffer.from(block.replaceAll(/\s/g, ''), 'base64'));
    if ([Buffer.from(value), ...blocks].some((bytes) => bytes.includes(secret))) found.add('bytes');
    return value;
  });
  return [...found];
}

describe('the proxy', () => {
  test('tells what it takes at each port', async () => {
    const { body, status } = await ask(`GET ${inspectionPaths.inbound}`);
    expect(status).toBe(200);
    const { active, refused, waiting } = parseInbound(body);
    const chains = active?.chains ?? [];
    expect([ports.plain, ports.serverFirst, ports.other, null].map((port) => acceptedAt(chains, port))).toEqual([
      'MutualTLS',
      'MutualTLS',
      'MutualTLSAndPlaintext',
      'MutualTLSAndPlaintext',
    ]);
    expect({ version: active?.version, refused, waiting }).toEqual({
      version: '1',
      refused: undefined,
      waiting: undefined,
    });
  });

  test('tells which certificate it shows, and which roots it trusts', async () => {
    const { body, status } = await ask(`GET ${inspectionPaths.identity}`);
    expect(status).toBe(200);
    const { chain, roots } = parseIdentity(body);
    const fingerprints = (all: ReturnType<typeof parseCertificates> = []) => all.map(({ fingerprint }) => fingerprint);
    expect(fingerprints([...(chain ?? [])])).toEqual(fingerprints(parseCertificates(identity.chainPem)));
    expect(fingerprints([...(roots ?? [])])).toEqual(fingerprints(parseCertificates(identity.rootsPem)));
  });

  test('tells nothing of a private key, in no form', async () => {
    // The check finds it where it is.
    expect(keysIn(identity.sds['sds-workload.json'] ?? '')).toEqual(['named', 'bytes']);
    for (const path of Object.values(inspectionPaths)) {
      const { body } = await ask(`GET ${path}`);
      expect(keysIn(body)).toEqual([]);
      // Not even that there is one, redacted.
      expect(body).not.toMatch(/redacted/i);
    }
  });

  const { identity: byIdentity, inbound } = inspectionPaths;
  const refused = [
    'GET /',
    'GET /certs',
    'GET /config_dump',
    'GET /config_dump?resource=dynamic_active_secrets',
    'GET /server_info',
    'GET /stats',
    'GET /clusters',
    'GET /logging',
    'GET /memory',
    'GET /ready',
    `GET ${inbound}/`,
    `GET ${inbound}?`,
    `GET ${inbound}?include_eds`,
    `GET ${byIdentity}?mask=configs`,
    `GET ${byIdentity}&mask=configs`,
    `GET ${byIdentity}%3Fmask`,
    `GET ${byIdentity}/../config_dump`,
    `GET /${byIdentity}`,
    `GET /x/..${byIdentity}`,
    `GET ${byIdentity.toUpperCase()}`,
    'GET /quitquitquit',
    'POST /quitquitquit',
    'POST /healthcheck/fail',
    'POST /drain_listeners',
    'POST /logging?level=trace',
    'POST /reset_counters',
    `POST ${inbound}`,
    `PUT ${inbound}`,
    `DELETE ${byIdentity}`,
    `HEAD ${byIdentity}`,
    `OPTIONS ${byIdentity}`,
    `QUERY ${byIdentity}`,
  ];

  test('answers nothing else, and nothing that is almost it', async () => {
    const answers = await Promise.all(refused.map(async (line) => [line, (await ask(line)).status] as const));
    // 400: what is no HTTP to Envoy.
    expect(answers.filter(([, status]) => status !== 404 && status !== 400)).toEqual([]);
  });

  test.each([
    ['another path', 'x-envoy-original-path: /quitquitquit'],
    ['another method', 'x-http-method-override: POST'],
    ['another protocol', 'upgrade: websocket'],
  ])('is not talked into %s', async (_, header) => {
    const { body, status } = await ask(`GET ${byIdentity}`, [header]);
    if (status === 200) expect(parseIdentity(body).chain?.[0]?.uris).toEqual(['spiffe://cluster.local/ns/shop/sa/web']);
    else expect([400, 403, 404]).toContain(status);
  });

  test('takes nothing that comes with a question', async () => {
    const body = 'x'.repeat(100);
    const text = [
      `GET ${inbound} HTTP/1.1`,
      'host: proxy',
      'connection: close',
      `content-length: ${body.length}`,
      '',
      body,
    ];
    expect(await say(text.join('\r\n'))).toMatch(/^HTTP\/1\.1 413 /);
  });

  test('answers many at once, one after the other', async () => {
    const answers = await Promise.all(Array.from({ length: 8 }, () => ask(`GET ${byIdentity}`)));
    expect(answers.map(({ status }) => status)).toEqual(answers.map(() => 200));
  });

  test('has done nothing of it', async () => {
    expect(await pod.stat('server.live')).toBe(1);
    expect(parseInbound((await ask(`GET ${inbound}`)).body).active?.chains.length).toBeGreaterThan(0);
  });

  test('tells it on the loopback address alone: not at the addresses of the pod, not even to the pod itself', async () => {
    for (const host of [pod.ipv4, pod.ipv6])
      expect(await say(`GET ${inbound} HTTP/1.1\r\nhost: x\r\n\r\n`, host)).toBe('');
  });

  test('tells what it has now: another mode after a switch, and no listener where it has none', async () => {
    const accepted = async (): Promise<string | undefined> => {
      const { active } = parseInbound((await ask(`GET ${inbound}`)).body);
      return active && acceptedAt(active.chains, ports.other);
    };
    await pod.configure({ ...configuration, others: 'Strict' });
    expect(await accepted()).toBe('MutualTLS');
    await pod.configure(undefined);
    expect(await accepted()).toBeUndefined();
  });
});
