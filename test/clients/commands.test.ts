// curl and openssl as docs/clients.md says to call them, against the Go server and each other, through renewals and refusals.
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findFreePort } from '../cluster/port.ts';
import type { ExampleProgram } from '../support/exampleProgram.ts';
import { fencedBlocks, linkedFiles } from '../support/markdown.ts';
import { waitFor } from '../support/waitFor.ts';
import { adapted } from './adapted.ts';
import { Fleet } from './fleet.ts';
import { failureOf, shell, Traffic } from './traffic.ts';

const root = join(import.meta.dirname, '..', '..');
const documentation = readFileSync(join(root, 'docs', 'clients.md'), 'utf8');
const wantedRenewals = 3;
const shortLived = { duration: '1m', renewBefore: '50s' }; // a renewal every 7 to 10 s

let fleet: Fleet;
let server: ExampleProgram;
let address: string;

beforeAll(async () => {
  fleet = await Fleet.start('shop');
  await fleet.apply(
    fleet.certificate('web'),
    fleet.certificate('renewed', { dnsNames: ['web.shop.svc'], ...shortLived }),
    fleet.certificate('curl', shortLived),
    fleet.certificate('openssl', shortLived),
    fleet.certificate('good'),
    fleet.certificate('server-only', { usages: ['server auth'] }),
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'foreign' },
      spec: { trustDomain: 'cluster.local', selfSigned: {} },
    },
    fleet.certificate('foreign', { authorityRef: { name: 'foreign' } }),
  );
  server = await fleet.server('go', await fleet.mount('web'));
  address = await server.serving();
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

type Tool = 'curl' | 'openssl';
const tools: readonly Tool[] = ['curl', 'openssl'];
const beginnings = { curl: 'curl -sS', openssl: 'openssl s_client', server: 'openssl s_server' } as const;

function documented(which: keyof typeof beginnings): string {
  const block = fencedBlocks(documentation).find(({ text }) => text.includes(beginnings[which]));
  if (block === undefined) throw new Error(`docs/clients.md has no ${beginnings[which]}`);
  return block.text;
}

/** The script of the documentation, with the files of one of our Secrets and for a server on this machine. */
async function visit(
  tool: Tool,
  directory: string,
  changes: Readonly<Record<string, string>> = {},
  to: string = address,
): Promise<string> {
  const place: Readonly<Record<string, string>> =
    tool === 'curl'
      ? { 'curl -sS': `curl -sS --connect-to ::${to}` }
      : { '-connect web.shop.svc:8443': `-connect ${to} -servername web.shop.svc` };
  const script = adapted(documented(tool), { ...changes, '/var/run/mtls': directory, ...place });
  return await shell(fleet, script, { cwd: root, env: { ...process.env, HOME: fleet.guarded.path } });
}

test('every command in docs/clients.md is one that is run here or in postgresql.test.ts', () => {
  const commands = fencedBlocks(documentation).filter(({ language }) => language === 'sh');
  const known = [...Object.values(beginnings), 'psql "host='];
  expect(commands).toHaveLength(known.length);
  for (const beginning of known) expect(commands.some(({ text }) => text.includes(beginning))).toBe(true);
});

test('docs/clients.md links to files that exist', () => {
  const missing = linkedFiles(documentation).filter((file) => !existsSync(join(root, 'docs', file)));
  expect(missing).toEqual([]);
});

test('the certificate that docs/clients.md shows for clients of the mesh has a SPIFFE ID', async () => {
  const block = fencedBlocks(documentation).find(({ text }) => text.includes('serviceAccountName: cart'));
  await fleet.cluster.kubectl(['apply', '-f', '-'], { input: block?.text ?? '' });
  await fleet.cluster.kubectl(['wait', '--for=condition=Ready', 'wcert/cart', '-n', 'shop', '--timeout=60s']);
  const files = await fleet.secret('shop', 'cart-mtls');
  const { subjectAltName } = new X509Certificate(files['tls.crt'] ?? '');
  expect(subjectAltName).toBe('URI:spiffe://cluster.local/ns/shop/sa/cart');
  expect(files['keystore.p12']).toBeDefined();
});

describe.each(tools)('%s', (tool) => {
  test('is greeted by its name', async () => {
    expect(await visit(tool, await fleet.mount('good'))).toContain('hello good.shop.svc\n');
  });

  test.each([
    [
      'no certificate',
      'good',
      {
        curl: { '--cert /dev/fd/3 --key /dev/fd/4 ': '' },
        openssl: { '-cert /dev/fd/3 -cert_chain /dev/fd/3 -key /dev/fd/4 ': '' },
      },
    ],
    ['a certificate for servers only', 'server-only', { curl: {}, openssl: {} }],
  ])('is refused with %s', async (_, secretName, changes) => {
    const failedBefore = server.errors.length;
    expect(await failureOf(visit(tool, await fleet.mount(secretName), changes[tool]))).toMatch(/alert/i);
    await waitFor('the server to tell of the refusal', () => server.errors.length > failedBefore);
    expect(server.errors.at(-1)).toMatch(/certificate/);
  });

  test('is refused with a certificate of a foreign CA', async () => {
    const [own, good] = await Promise.all([fleet.secret('shop', 'foreign'), fleet.secret('shop', 'good')]);
    const directory = fleet.directoryWith(`${tool}-foreign`, { ...own, 'ca.crt': good['ca.crt'] ?? '' });
    expect(await failureOf(visit(tool, directory))).toMatch(/alert/i);
  });

  test('refuses a server of a foreign CA', async () => {
    expect(await failureOf(visit(tool, await fleet.mount('foreign')))).toMatch(/verif/i);
  });

  test('refuses a server of another name', async () => {
    const changes = {
      curl: { 'https://web.shop.svc': 'https://other.shop.svc' },
      openssl: { '-verify_hostname web.shop.svc': '-verify_hostname other.shop.svc' },
    };
    expect(await failureOf(visit(tool, await fleet.mount('good'), changes[tool]))).toMatch(/match|mismatch/i);
  });
});

describe('openssl s_server', () => {
  test('serves whom the authority vouches for, and nobody else', async () => {
    const port = await findFreePort();
    const to = `127.0.0.1:${port}`;
    const good = await fleet.mount('good');
    const script = adapted(documented('server'), {
      '/var/run/mtls': await fleet.mount('web'),
      'accept 8443': `accept ${to}`,
    });
    const child = fleet.guarded.launch(['sh', '-c', `exec ${script}`], { stdio: 'ignore', cwd: root });
    await waitFor('s_server to serve', async () => {
      if (child.exitCode !== null) throw new Error(`s_server has ended with code ${child.exitCode}`);
      return (await visit('curl', good, {}, to)).includes('Client certificate');
    });
    const none = { '--cert /dev/fd/3 --key /dev/fd/4 ': '' };
    expect(await failureOf(visit('curl', good, none, to))).toMatch(/alert/i);
    expect(await failureOf(visit('curl', await fleet.mount('server-only'), {}, to))).toMatch(/alert/i);
    expect(child.exitCode).toBeNull();
    child.kill();
    await waitFor('s_server to end', () => child.signalCode !== null);
  });
});

test(`${wantedRenewals} renewals on both sides are followed without a failed handshake`, async () => {
  const renewed = await fleet.server('go', await fleet.mount('renewed'));
  const to = await renewed.serving();
  const directories = { curl: await fleet.mount('curl'), openssl: await fleet.mount('openssl') };
  const traffic = tools.map((tool) => new Traffic(tool, () => visit(tool, directories[tool], {}, to)));
  const serials = (tool: Tool) => renewed.peers.filter(({ name }) => name === `${tool}.shop.svc`);
  const often = () => tools.every((tool) => serials(tool).length > wantedRenewals) && renewed.loads > wantedRenewals;
  try {
    await waitFor(
      'all to be renewed often enough',
      () => traffic.some(({ failures }) => failures.length > 0) || often(),
      {
        timeoutMs: 110_000,
        intervalMs: 250,
      },
    );
  } finally {
    await Promise.all(traffic.map((each) => each.stop()));
  }
  expect(traffic.flatMap(({ failures }) => failures)).toEqual([]);
  expect(await renewed.stop()).toBe(0);
  expect(renewed.errors).toEqual([]);
  expect(renewed.failures).toBe(0);
  for (const tool of tools) expect(new Set(serials(tool).map(({ serial }) => serial)).size).toBe(serials(tool).length);
});
