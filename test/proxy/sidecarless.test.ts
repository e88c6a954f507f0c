// Programs without a sidecar: the mesh clients of examples/ in Go, Node, Python and Java, before a real Envoy with an application behind it, in the modes that tell them apart.

import { readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer as createTlsServer } from 'node:tls';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Mode } from '../../src/api/index.ts';
import type { Inbound } from '../../src/envoy/index.ts';
import { type Command, type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { findEnvoy } from '../support/envoy.ts';
import { ExampleProgram, exampleCommand, type Language, languages } from '../support/exampleProgram.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { writeAtomically } from '../support/mount.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { ports } from './application.ts';
import { type CorporateCa, issueIdentity, makeCorporateCa, secretFiles, TRUST_DOMAIN } from './identities.ts';
import { leafWith } from './oddLeaf.ts';
import { Pod } from './pod.ts';

const root = join(import.meta.dirname, '..', '..');

type Files = ReadonlyMap<string, Buffer>;

const web = `spiffe://${TRUST_DOMAIN}/ns/shop/sa/web`;

let guarded: GuardedDirectory;
let mesh: CorporateCa;
let stranger: CorporateCa;
let pod: Pod;
/** Of a client of the mesh. */
let good: Files;
/** Of a client that another authority vouches for, and which trusts the mesh. */
let foreign: Files;
/** Of a client of the mesh that trusts another authority. */
let distrustful: Files;
const commands = new Map<Language, Command>();

function inbound(mode: Mode): Inbound {
  const declared = (number: number) => ({ number, mode, serverFirst: false });
  return {
    trustDomain: TRUST_DOMAIN,
    ipv6: true,
    others: mode,
    ports: [declared(ports.http), declared(ports.https)],
  };
}

beforeAll(async () => {
  const envoy = await findEnvoy(printProgress);
  for (const language of languages) commands.set(language, await exampleCommand(language, 'meshclient', printProgress));
  guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-sidecarless-');
  mesh = await makeCorporateCa('Mesh');
  stranger = await makeCorporateCa('Stranger');
  const cart = await issueIdentity({ ca: mesh, account: 'cart' });
  good = await secretFiles(cart);
  distrustful = await secretFiles(cart, stranger.files['ca.crt']);
  foreign = await secretFiles(await issueIdentity({ ca: stranger, account: 'cart' }), mesh.files['ca.crt']);
  const own = await issueIdentity({ ca: stranger, account: 'own' });
  pod = await Pod.start({
    envoy,
    identity: await issueIdentity({ ca: mesh, account: 'web', dnsNames: [] }),
    own: { keyPem: own.keyPem, certificatePem: own.chainPem },
    configuration: inbound('Permissive'),
  });
});

afterAll(async () => {
  await pod?.[Symbol.asyncDispose]();
  await guarded?.remove();
});

let mounts = 0;

function mount(files: Files): string {
  mounts += 1;
  const directory = join(guarded.path, `mount-${mounts}`);
  writeAtomically(directory, files);
  return directory;
}

interface Visit {
  readonly directory: string;
  readonly address?: string;
  /** Who the server has to be. */
  readonly server?: string;
  readonly more?: readonly string[];
}

function launch(language: Language, { directory, address, server = web, more = [] }: Visit): ExampleProgram {
  const command = commands.get(language);
  if (command === undefined) throw new Error(`there is no mesh client in ${language}`);
  const to = address ?? `${pod.ipv4}:${ports.http}`;
  const args = ['--certs', directory, '--connect', to, '--server', server, '--path', '/orders', ...more];
  return ExampleProgram.launch(`the mesh client in ${language}`, guarded, [...command, ...args]);
}

/** What one visit comes to. */
async function visit(language: Language, of: Visit) {
  const program = launch(language, of);
  const code = await program.ended();
  expect(program.stray).toBe('');
  return { code, answers: program.answers, errors: program.errors };
}

const answered = { code: 0, answers: ['200 asked for /orders'], errors: [] };
const failed = (error: RegExp) => ({ code: 1, answers: [], errors: [expect.stringMatching(error)] });

const mutual = `tcp.inbound_${ports.http}_mtls.downstream_cx_total`;
const applications = (port: number) => `tcp.inbound_${port}_application_tls.downstream_cx_total`;

/**
 * What a visit to a server of the test's own comes to, and what that server heard.
 * @param names the subject alternative names of its certificate, of which some are such as the operator never issues
 */
async function visitServer(language: Language, names: string) {
  let heard = '';
  const server = createTlsServer(await leafWith(names, mesh, guarded.path), (socket) => {
    socket.setEncoding('latin1').on('data', (text: string) => {
      heard += text;
      socket.end('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello');
    });
    socket.on('error', () => socket.destroy());
  });
  server.on('tlsClientError', () => {}); // the client refuses: that is what it is for
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  let result: Awaited<ReturnType<typeof visit>>;
  try {
    const bound = server.address();
    if (bound === null || typeof bound === 'string') throw new Error('not bound to a port');
    result = await visit(language, { directory: mount(good), address: `127.0.0.1:${bound.port}` });
  } finally {
    // With all connections: nothing more will be heard.
    await new Promise((resolve) => server.close(resolve));
  }
  return { result, heard };
}

/** By how much Envoy's number rises meanwhile; one that is not there yet is 0. */
async function rise<T>(names: readonly string[], act: () => Promise<T>): Promise<{ result: T; rises: number[] }> {
  const read = () => Promise.all(names.map(async (name) => (await pod.stat(name)) ?? 0));
  const before = await read();
  const result = await act();
  const after = await read();
  return { result, rises: after.map((value, index) => value - (before[index] ?? 0)) };
}

test.each([
  ['go', 'go/mtls/mesh.go'],
  ['js', 'node/meshclient.mjs'],
  ['python', 'python/meshclient.py'],
  ['java', 'java/MeshClient.java'],
])('docs/clients.md shows %s as it stands in examples/%s', (language, file) => {
  const text = readFileSync(join(root, 'docs', 'clients.md'), 'utf8');
  const [block, ...more] = fencedBlocks(text).filter((one) => one.language === language);
  expect(more).toEqual([]);
  expect(block?.text).toContain('mtls-operator');
  expect(readFileSync(join(root, 'examples', file), 'utf8')).toContain(block?.text);
});

describe.each(languages)('in %s', (language) => {
  describe.each(['Permissive', 'Strict'] as const)('%s', (mode) => {
    beforeAll(() => pod.configure(inbound(mode)));

    test('answers a client with the marker, and counts it as mutual TLS', async () => {
      const { result, rises } = await rise([mutual], () => visit(language, { directory: mount(good) }));
      expect(result).toEqual(answered);
      expect(rises).toEqual([1]);
    });

    test('gives the application no connection of a client with a foreign certificate', async () => {
      const { result, rises } = await rise(['cluster.inbound.upstream_cx_total', mutual], () =>
        visit(language, { directory: mount(foreign) }),
      );
      expect(result).toEqual(failed(/./));
      expect(rises).toEqual([0, 1]);
    });
  });

  test('without the marker it is answered where the port is Strict', async () => {
    await pod.configure(inbound('Strict'));
    const { result, rises } = await rise([mutual], () =>
      visit(language, { directory: mount(good), more: ['--unmarked'] }),
    );
    expect(result).toEqual(answered);
    expect(rises).toEqual([1]);
  });

  describe('without the marker, where the port is Permissive', () => {
    beforeAll(() => pod.configure(inbound('Permissive')));

    test('its TLS is passed to an application that has none', async () => {
      const { result, rises } = await rise([mutual, applications(ports.http)], () =>
        visit(language, { directory: mount(good), more: ['--unmarked'] }),
      );
      expect(result).toEqual(failed(/./));
      expect(rises).toEqual([0, 1]);
    });

    test("its TLS is passed to an application that has its own, and it refuses that application's certificate", async () => {
      const { result, rises } = await rise([applications(ports.https)], () =>
        visit(language, {
          directory: mount(good),
          address: `${pod.ipv4}:${ports.https}`,
          more: ['--unmarked'],
        }),
      );
      expect(result).toEqual(failed(/certif|unknown authority|self-signed/i));
      expect(rises).toEqual([1]);
    });
  });

  describe('the client', () => {
    test.each([`${web}-2`, web.slice(0, -1), `spiffe://${TRUST_DOMAIN}/ns/shop/sa/other`, 'web.shop.svc', ''])(
      'refuses a pod that is not "%s"',
      async (server) => {
        await pod.configure(inbound('Strict'));
        expect(await visit(language, { directory: mount(good), server })).toEqual(failed(/for .*\/sa\/web.*not for /));
      },
    );

    test('refuses a pod that its roots do not vouch for', async () => {
      expect(await visit(language, { directory: mount(distrustful) })).toEqual(failed(/certif|unknown authority/i));
    });

    test('asks a server whose certificate has that one SPIFFE ID', async () => {
      const { result, heard } = await visitServer(language, `URI:${web}`);
      expect(result).toEqual({ code: 0, answers: ['200 hello'], errors: [] });
      expect(heard).toContain('GET /orders HTTP/1.1\r\n');
    });

    test.each([
      ['has two SPIFFE IDs', `URI:${web},URI:spiffe://${TRUST_DOMAIN}/ns/shop/sa/other`],
      ['has none', 'DNS:mesh'],
      ['has it as a DNS name', `DNS:${web}`],
      // As Node writes names, one after the other, this would be three.
      ['has it within a DNS name', `DNS:"web.shop.svc, URI:${web}, DNS:mesh"`],
    ])('sends nothing to a server whose certificate %s', async (_, names) => {
      const { result, heard } = await visitServer(language, names);
      expect(result).toEqual(failed(/not for spiffe:/));
      expect(heard).toBe('');
    });

    test('goes by the files as they are when it makes a connection', async () => {
      const directory = mount(good);
      const client = launch(language, { directory, more: ['--times', '0'] });
      try {
        const outcomes: ('answer' | 'failed')[] = [];
        client.onLine(({ msg }) => {
          if (msg === 'answer' || msg === 'failed') outcomes.push(msg);
        });
        const next = (outcome: 'answer' | 'failed') =>
          waitFor(`the next ${outcome}`, () => {
            if (client.exited) throw new Error(`it has ended: ${client.stray}`);
            return outcomes.at(-1) === outcome;
          });
        await next('answer');
        writeAtomically(directory, await secretFiles(await issueIdentity({ ca: mesh, account: 'cart' })));
        await waitFor('the renewed certificate to be loaded', () => client.loads === 2);
        const served = outcomes.length;
        await waitFor('answers by it', () => outcomes.length >= served + 3);
        expect(client.errors).toEqual([]);
        // Envoy tells by its refusal that the new certificate is the one which is shown.
        writeAtomically(directory, foreign);
        await next('failed');
        writeAtomically(directory, distrustful);
        await waitFor('a refusal by the client', () => client.errors.some((error) => /certificate/i.test(error)));
        writeAtomically(directory, good);
        await next('answer');
      } finally {
        await client.stop();
      }
    });
  });
});
