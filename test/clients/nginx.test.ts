// nginx as it stands in examples/nginx, with the loop of examples/shell that has it reload: through renewals and refusals.
import type { ChildProcess } from 'node:child_process';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findFreePort } from '../cluster/port.ts';
import { copiedInto, findNginx } from '../support/debian.ts';
import type { ExampleProgram } from '../support/exampleProgram.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { adapted } from './adapted.ts';
import { containerOf } from './container.ts';
import { Fleet } from './fleet.ts';
import { ask } from './peers.ts';
import { podUser } from './podUser.ts';

const examples = join(import.meta.dirname, '..', '..', 'examples');
const wantedRenewals = 3;
const shortLived = { duration: '1m', renewBefore: '50s' }; // a renewal every 7 to 10 s

let fleet: Fleet;
let nginx: ChildProcess;
let address: string;
let client: ExampleProgram;
let logFile: string;
/** How much of the log is older than the first answer: the loop may have looked before nginx was there. */
let logged: number;

beforeAll(async () => {
  const programs = await findNginx(printProgress);
  fleet = await Fleet.start('shop');
  const user = podUser();
  const guarded = fleet.guarded.path;
  chmodSync(guarded, 0o711); // whoever nginx runs as finds its files in here
  const { directory, env } = copiedInto(join(guarded, 'debian'), programs);

  const objects = await fleet.applyExample(join(examples, 'nginx', 'nginx.yaml'), shortLived);
  await fleet.apply(
    fleet.certificate('other', { commonName: 'other.shop.svc' }),
    fleet.certificate('nameless'),
    fleet.certificate('server-only', { commonName: 'server-only.shop.svc', usages: ['server auth'] }),
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'foreign' },
      spec: { trustDomain: 'cluster.local', selfSigned: {} },
    },
    fleet.certificate('foreign', {
      authorityRef: { name: 'foreign' },
      dnsNames: ['client.shop.svc'],
      commonName: 'client.shop.svc',
    }),
  );
  const port = await findFreePort();
  address = `127.0.0.1:${port}`;
  const mounted = await fleet.mount('web-mtls', user.access);
  const tmp = user.directory(join(guarded, 'tmp'));
  const config = join(guarded, 'nginx.conf');
  const text = readFileSync(join(examples, 'nginx', 'nginx.conf'), 'utf8');
  writeFileSync(
    config,
    adapted(text, { '/var/run/mtls': mounted, '/tmp/': `${tmp}/`, 'listen 8443': `listen ${address}` }),
    { mode: 0o644 },
  );
  const loop = join(guarded, 'on-change.sh');
  writeFileSync(loop, readFileSync(join(examples, 'shell', 'on-change.sh')), { mode: 0o644 });
  const [shell, flag, inPod = ''] = containerOf(objects, 'nginx').command;
  expect([shell, flag]).toEqual(['sh', '-c']);
  const script = adapted(inPod, {
    '/var/run/mtls': mounted,
    '/etc/shop/nginx.conf': config,
    '/etc/shop/on-change.sh': loop,
  });
  logFile = join(tmp, 'log');
  // A file, since nginx opens /dev/stdout by its name, which it could not if that were one of Node's sockets.
  nginx = fleet.guarded.launch(user.command(['sh', '-c', `exec >${logFile} 2>&1\n${script}`]), {
    stdio: 'ignore',
    env: { ...env, PATH: `${directory}:${process.env['PATH']}` },
  });
  await waitFor('nginx to serve', async () => {
    if (exited()) throw new Error(`nginx has ended: ${log()}`);
    return (await ask(address, undefined)).body !== undefined;
  });
  logged = log().length;
  client = await fleet.client('go', await fleet.mount('client-mtls'), { address, serverName: 'web.shop.svc' });
});

afterAll(async () => {
  // The loop beside it, too: it has the same process group.
  if (nginx?.pid !== undefined && !exited()) process.kill(-nginx.pid, 'SIGTERM');
  await fleet?.[Symbol.asyncDispose]();
});

/** What nginx and the loop beside it have said. */
const log = (): string => readFileSync(logFile, 'utf8');

const exited = (): boolean => nginx.exitCode !== null || nginx.signalCode !== null;

const secret = (name: string) => fleet.secret('shop', name);

test('a client whose commonName is known is let in', async () => {
  expect(await ask(address, await secret('client-mtls'))).toEqual({ body: 'hello CN=client.shop.svc\n' });
});

test.each([
  ['no certificate', undefined, '400 No required SSL certificate was sent'],
  ['a certificate of a foreign CA', 'foreign', '400 The SSL certificate error'],
  ['a certificate for servers only', 'server-only', '400 The SSL certificate error'],
  ['another name', 'other', 'not for CN=other.shop.svc'],
  ['no commonName', 'nameless', 'not for '],
])('a client with %s is refused', async (_, name, refusal) => {
  const { body } = await ask(address, name === undefined ? undefined : await secret(name));
  expect(body).toContain(refusal);
  expect(body).not.toContain('hello');
});

test('a client that expects another name refuses it', async () => {
  const target = { address, serverName: 'other.shop.svc', times: 1 };
  const stranger = await fleet.client('go', await fleet.mount('client-mtls'), target);
  expect(await stranger.ended()).toBe(1);
  expect(stranger.errors).toEqual([expect.stringMatching(/certificate is valid for web\.shop\.svc, not other/)]);
});

test(`${wantedRenewals} renewals on both sides are followed without a failed request`, async () => {
  await waitFor(
    'nginx to be renewed often enough, past the end of its first certificate',
    () => {
      if (exited() || client.exited || client.errors.length > 0) return true; // told below
      const [first] = client.peers;
      return client.peers.length > wantedRenewals && Date.parse(first?.notAfter ?? '') < Date.now();
    },
    { timeoutMs: 110_000, intervalMs: 250 },
  );
  expect(exited()).toBe(false);
  expect(client.errors).toEqual([]);
  expect(await client.stop()).toBe(0);
  expect(client.failures).toBe(0);
  expect(client.loads).toBeGreaterThan(wantedRenewals);
  const serials = client.peers.map(({ serial }) => serial);
  expect(new Set(serials).size).toBe(serials.length);
  expect(log()).toMatch(/on-change: done for .*: nginx/);
  expect(log().slice(logged)).not.toMatch(/\[(?:error|crit|alert|emerg)\]/);
});

test('the loop that reloads ends with nginx', async () => {
  nginx.kill('SIGQUIT');
  await waitFor('all processes of the container to have ended', () => {
    try {
      process.kill(-(nginx.pid ?? 0), 0);
      return false;
    } catch {
      return true;
    }
  });
});
