// gRPC in Go as it stands in examples/grpc, through renewals and refusals.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExampleProgram } from '../support/exampleProgram.ts';
import { goProgram } from '../support/goProgram.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { Fleet, type SecretFiles } from './fleet.ts';
import { ask } from './peers.ts';

const example = join(import.meta.dirname, '..', '..', 'examples', 'grpc');
const wantedRenewals = 3;
const shortLived = { duration: '1m', renewBefore: '50s' }; // a renewal every 7 to 10 s

let fleet: Fleet;
let programs: Readonly<Record<'server' | 'client', string>>;
/** With certificates that are renewed all the time. */
let server: ExampleProgram;
let client: ExampleProgram;
/** For what is refused. */
let picky: ExampleProgram;

beforeAll(async () => {
  programs = {
    server: await goProgram(example, printProgress, 'server'),
    client: await goProgram(example, printProgress, 'client'),
  };
  fleet = await Fleet.start('shop');
  await fleet.apply(
    fleet.certificate('web', shortLived),
    fleet.certificate('client', shortLived),
    fleet.certificate('known'),
    fleet.certificate('unknown'),
    fleet.certificate('server-only', { dnsNames: ['known.shop.svc'], usages: ['server auth'] }),
    fleet.certificate('client-only', { dnsNames: ['known.shop.svc'], usages: ['client auth'] }),
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'foreign' },
      spec: { trustDomain: 'cluster.local', selfSigned: {} },
    },
    fleet.certificate('foreign', { authorityRef: { name: 'foreign' }, dnsNames: ['known.shop.svc'] }),
  );
  server = await serve('web', ['--max-age', '1s']);
  client = await call('client', { address: await server.serving(), serverName: 'web.shop.svc', times: 0 });
  picky = await serve('known', ['--only', 'known.shop.svc']);
});

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

async function serve(secretName: string, more: readonly string[] = []): Promise<ExampleProgram> {
  const args = ['--certs', await fleet.mount(secretName), '--listen', '127.0.0.1:0', ...more];
  const program = fleet.launch('the gRPC server', [programs.server, ...args]);
  await program.serving();
  return program;
}

interface Call {
  readonly address: string;
  readonly serverName: string;
  /** 0: until it is stopped. */
  readonly times: number;
}

async function call(secretName: string, { address, serverName, times }: Call): Promise<ExampleProgram> {
  const names = ['--connect', address, '--server-name', serverName];
  const args = ['--certs', await fleet.mount(secretName), ...names, '--times', String(times)];
  return fleet.launch('the gRPC client', [programs.client, ...args]);
}

/** One call. @returns the client after its end */
async function callOnce(secretName: string, to: ExampleProgram, serverName: string): Promise<ExampleProgram> {
  const caller = await call(secretName, { address: await to.serving(), serverName, times: 1 });
  await caller.ended();
  return caller;
}

test('a client of the authority whose name is expected is served', async () => {
  const caller = await callOnce('known', picky, 'known.shop.svc');
  expect(caller.errors).toEqual([]);
  expect(caller.code).toBe(0);
  expect(caller.handshakes).toBe(1);
});

describe('the server refuses a client with', () => {
  test.each([
    ['a certificate of a foreign CA', 'foreign', /unknown authority/],
    ['a certificate for servers only', 'server-only', /incompatible key usage/],
  ])('%s', async (_, secretName, told) => {
    const failedBefore = picky.errors.length;
    const caller = await callOnceWithRootsOfKnown(secretName);
    expect(caller.handshakes).toBe(0);
    expect(caller.code).toBe(1);
    await waitFor('the server to tell of the refusal', () => picky.errors.length > failedBefore);
    expect(picky.errors.at(-1)).toMatch(told);
  });

  test('no certificate', async () => {
    const failedBefore = picky.errors.length;
    const answer = await ask(await picky.serving(), undefined);
    expect(answer.body).toBeUndefined();
    expect(answer.error).toMatch(/certificate required/i);
    await waitFor('the server to tell of the refusal', () => picky.errors.length > failedBefore);
    expect(picky.errors.at(-1)).toMatch(/didn't provide a certificate/);
  });

  test('another name, on each call', async () => {
    const caller = await callOnce('unknown', picky, 'known.shop.svc');
    expect(caller.code).toBe(1);
    expect(caller.errors).toEqual([expect.stringMatching(/PermissionDenied.*unknown\.shop\.svc may not call/)]);
  });

  /** A client that trusts the server and comes with a certificate that it should not have. */
  async function callOnceWithRootsOfKnown(secretName: string): Promise<ExampleProgram> {
    const [own, known]: SecretFiles[] = await Promise.all([
      fleet.secret('shop', secretName),
      fleet.secret('shop', 'known'),
    ]);
    const directory = fleet.directoryWith(`${secretName}-trusting`, { ...own, 'ca.crt': known?.['ca.crt'] ?? '' });
    const names = ['--connect', await picky.serving(), '--server-name', 'known.shop.svc', '--times', '1'];
    const caller = fleet.launch('the gRPC client', [programs.client, '--certs', directory, ...names]);
    await caller.ended();
    return caller;
  }
});

describe('the client refuses a server with', () => {
  test('another name', async () => {
    const caller = await callOnce('known', picky, 'other.shop.svc');
    expect(caller.code).toBe(1);
    expect(caller.errors).toEqual([expect.stringMatching(/certificate is valid for known\.shop\.svc, not other/)]);
  });

  test.each([
    ['a certificate of a foreign CA', 'foreign', /unknown authority/],
    ['a certificate for clients only', 'client-only', /incompatible key usage/],
  ])('%s', async (_, secretName, told) => {
    const impostor = await serve(secretName);
    const caller = await callOnce('known', impostor, 'known.shop.svc');
    expect(caller.code).toBe(1);
    expect(caller.errors).toEqual([expect.stringMatching(told)]);
    await impostor.stop();
  });
});

test(`${wantedRenewals} renewals on both sides are followed by one channel without a failed call or handshake`, async () => {
  await waitFor(
    'both sides to be renewed often enough, past the end of their first certificates',
    () => {
      if ([client, server].some(({ exited, errors }) => exited || errors.length > 0)) return true; // told below
      return [client, server].every(
        ({ peers }) => peers.length > wantedRenewals && Date.parse(peers[0]?.notAfter ?? '') < Date.now(),
      );
    },
    { timeoutMs: 110_000, intervalMs: 250 },
  );
  const told = () => [client, server].map(({ errors, stray }) => [...errors, stray]);
  expect(told()).toEqual([[''], ['']]);
  expect(await client.stop()).toBe(0);
  expect(told()).toEqual([[''], ['']]);
  for (const { peers } of [client, server]) {
    expect(new Set(peers.map(({ serial }) => serial)).size).toBe(peers.length);
  }
  expect(server.handshakes).toBeGreaterThan(wantedRenewals);
});
