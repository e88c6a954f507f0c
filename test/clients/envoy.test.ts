// Envoy with the output EnvoySDS and the configuration of examples/envoy, through renewals, a change of roots and refusals.
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { connect, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { asRecord, asString } from '../../src/kube/index.ts';
import { findFreePort } from '../cluster/port.ts';
import { type CorporateCa, makeCorporateCa } from '../support/corporateCa.ts';
import { findEnvoy } from '../support/envoy.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { adapted } from './adapted.ts';
import { Fleet, NAMESPACE, type SecretFiles } from './fleet.ts';
import { ask } from './peers.ts';

const example = join(import.meta.dirname, '..', '..', 'examples', 'envoy', 'envoy.yaml');
const wantedRenewals = 3;
const shortLived = { duration: '1m', renewBefore: '50s' }; // a renewal every 7 to 10 s

let fleet: Fleet;
let own: CorporateCa;
let foreign: CorporateCa;
let program: Server;
/** What clients connect to. */
let address: string;
let admin: string;
let envoyExited: () => boolean;
let envoyLog = '';

/** Puts a CA into the Secret of an authority. @param roots what goes into ca.crt. */
async function bring(name: string, ca: CorporateCa, roots: string = ca.files['ca.crt']): Promise<void> {
  const metadata = { name: `${name}-ca`, namespace: OPERATOR_NAMESPACE };
  await fleet.apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData: { ...ca.files, 'ca.crt': roots } });
}

const authority = (name: string): object => ({
  apiVersion: 'mtls-operator.io/v1alpha1',
  kind: 'CertificateAuthority',
  metadata: { name },
  spec: { trustDomain: 'cluster.local', provided: { secretName: `${name}-ca` } },
});

beforeAll(async () => {
  const envoy = await findEnvoy(printProgress);
  fleet = await Fleet.start();
  [own, foreign] = await Promise.all([makeCorporateCa('Own'), makeCorporateCa('Foreign')]);
  await bring('own', own);
  await bring('foreign', foreign);
  const signedBy = (name: string, more: object = {}) => ({ authorityRef: { name }, ...more });
  await fleet.apply(
    authority('own'),
    authority('foreign'),
    fleet.certificate('envoy', signedBy('own', { ...shortLived, outputs: [{ type: 'EnvoySDS' }] })),
    fleet.certificate('client', signedBy('own')),
    fleet.certificate('server-only', signedBy('own', { usages: ['server auth'] })),
    fleet.certificate('foreign', signedBy('foreign')),
  );
  program = createServer((request, response) => response.end(String(request.headers['x-forwarded-client-cert'])));
  await new Promise<void>((resolve) => program.listen(0, '127.0.0.1', resolve));
  const bound = program.address();
  if (bound === null || typeof bound === 'string') throw new Error('not bound to a port');
  const [port, adminPort] = [await findFreePort(), await findFreePort()];
  [address, admin] = [`127.0.0.1:${port}`, `http://127.0.0.1:${adminPort}`];

  const directory = await fleet.mount('envoy');
  const config = adapted(readFileSync(example, 'utf8'), {
    '/var/run/mtls': directory,
    '0.0.0.0': '127.0.0.1',
    'port_value: 8443': `port_value: ${port}`,
    'port_value: 9901': `port_value: ${adminPort}`,
    'port_value: 8080': `port_value: ${bound.port}`,
  });
  const file = join(fleet.guarded.path, 'envoy.yaml');
  writeFileSync(file, config);
  const child = fleet.guarded.launch([envoy, '-c', file, '--concurrency', '1', '--disable-hot-restart', '-l', 'warn'], {
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => {
    envoyLog = (envoyLog + text).slice(-4000);
  });
  envoyExited = () => child.exitCode !== null || child.signalCode !== null;
  await waitFor('Envoy to serve', async () => {
    if (envoyExited()) throw new Error(`Envoy has ended: ${envoyLog}`);
    const { body } = await ask(address, await client());
    return body !== undefined;
  });
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
  program?.close();
});

const client = (): Promise<SecretFiles> => fleet.secret(NAMESPACE, 'client');

/** One value of Envoy's statistics. */
async function stat(name: string): Promise<string | undefined> {
  const text = await (await fetch(`${admin}/stats?filter=${encodeURIComponent(`^${name}$`)}`)).text();
  return /: "?([^"\n]*)"?\n/.exec(text)?.[1];
}

test('the program behind learns from Envoy who the client is', async () => {
  const { body } = await ask(address, await client());
  expect(body).toMatch(/^Hash=[0-9a-f]{64};/);
  expect(body?.split(';')).toContain(`DNS=client.${NAMESPACE}.svc`);
});

test.each([
  ['no certificate', undefined],
  ['a certificate of a foreign CA', 'foreign'],
  ['a certificate for servers only', 'server-only'],
])('a client with %s is refused', async (_, name) => {
  const answer = await ask(address, name === undefined ? undefined : await fleet.secret(NAMESPACE, name));
  expect(answer.body).toBeUndefined();
  expect(answer.error).toBeDefined();
});

test('a root that comes is followed, and so is its going', async () => {
  const isTaken = async () => (await ask(address, await fleet.secret(NAMESPACE, 'foreign'))).body !== undefined;
  expect(await isTaken()).toBe(false);
  await bring('own', own, own.files['ca.crt'] + foreign.files['ca.crt']);
  await waitFor('the foreign client to be taken', isTaken);
  await bring('own', own);
  await waitFor('the foreign client to be refused again', async () => !(await isTaken()));
  expect((await ask(address, await client())).body).toBeDefined();
});

test(`${wantedRenewals} renewals are followed without a restart, a failed request or a broken connection`, async () => {
  const files = await client();
  const [host = '', port] = address.split(':');
  const open = async (): Promise<TLSSocket> => {
    const options = { host, port: Number(port), key: files['tls.key'], cert: files['tls.crt'], ca: files['ca.crt'] };
    const socket = connect({ ...options, servername: `envoy.${NAMESPACE}.svc` });
    await new Promise<void>((resolve, reject) => socket.once('secureConnect', resolve).once('error', reject));
    return socket;
  };
  const serials: string[] = [];
  const problems: string[] = [];
  // A connection from before the first renewal, on which something is asked all the time.
  const long = await open();
  let answers = 0;
  long.setEncoding('utf8').on('data', (text: string) => {
    answers += text.split('HTTP/1.1 200').length - 1;
  });
  for (const event of ['error', 'close']) long.on(event, () => problems.push(`the long connection: ${event}`));
  let asked = 0;
  await waitFor(
    'Envoy to be renewed often enough',
    async () => {
      long.write('GET / HTTP/1.1\r\nHost: envoy\r\n\r\n');
      asked++;
      const socket = await open().catch((error: unknown) => problems.push(String(error)));
      if (typeof socket === 'number') return false;
      const { serialNumber } = socket.getPeerCertificate();
      socket.destroy();
      if (serials.at(-1) !== serialNumber) serials.push(serialNumber);
      return serials.length > wantedRenewals;
    },
    { timeoutMs: 110_000, intervalMs: 100 },
  );
  expect(problems).toEqual([]);
  expect(new Set(serials).size).toBe(serials.length);
  await waitFor('all answers on the long connection', () => answers === asked);
  long.removeAllListeners('close').destroy();
  // The version that Envoy has loaded is that of the Secret.
  await waitFor('Envoy to have loaded what the Secret holds', async () => {
    const response: unknown = JSON.parse((await fleet.secret(NAMESPACE, 'envoy'))['sds-workload.json'] ?? '{}');
    return (await stat('.*sds\\.workload\\.version_text')) === asString(asRecord(response)['version_info']);
  });
  expect(await stat('.*sds\\.workload\\.update_rejected')).toBe('0');
  expect(envoyExited()).toBe(false);
});
