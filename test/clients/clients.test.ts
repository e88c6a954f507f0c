// Go, Node, Python and Java, each as server and as client with the files of a mounted Secret. The matrix of all pairs runs in the background, since
// renewals take their time; what is refused is asked of servers and clients of its own meanwhile.
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  buildLeafProfile,
  chainPem,
  generateKeyPair,
  type IssuingCa,
  issueLeaf,
  loadKeyPair,
  parseCertificates,
} from '../../src/pki/index.ts';
import { makeCorporateCa } from '../support/corporateCa.ts';
import { type ExampleProgram, type Language, languages } from '../support/exampleProgram.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';
import { waitFor } from '../support/waitFor.ts';
import { Fleet, NAMESPACE, type SecretFiles } from './fleet.ts';
import { ask, resumes, serve } from './peers.ts';

const wantedRenewals = 5;
/** Java reads keystores. */
const outputs = [{ type: 'PKCS12' }];
const shortLived = { duration: '1m', renewBefore: '50s', outputs }; // a renewal every 7 to 10 s
const dnsName = (name: string) => `${name}.${NAMESPACE}.svc`;

interface Pair {
  readonly name: string;
  readonly server: ExampleProgram;
  readonly serverName: string;
  readonly client: ExampleProgram;
  readonly clientName: string;
}

let fleet: Fleet;
const pairs: Pair[] = [];
const servers = new Map<Language, ExampleProgram>();

beforeAll(async () => {
  fleet = await Fleet.start();
  const authority = (name: string, spec: object) => ({
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'CertificateAuthority',
    metadata: { name },
    spec: { trustDomain: 'cluster.local', ...spec },
  });
  await fleet.apply(
    ...languages.flatMap((language) => [
      fleet.certificate(`${language}-server`, shortLived),
      fleet.certificate(`${language}-client`, shortLived),
    ]),
    fleet.certificate('good', { outputs }),
    fleet.certificate('server-only', { usages: ['server auth'] }),
    fleet.certificate('client-only', { usages: ['client auth'] }),
    authority('foreign', { selfSigned: {} }),
    fleet.certificate('foreign', { authorityRef: { name: 'foreign' }, dnsNames: [dnsName('good')] }),
  );
  await Promise.all(languages.map((language) => startRow(language)));
  const good = await fleet.mount('good');
  for (const language of languages) servers.set(language, await fleet.server(language, good));
});

async function startRow(serverLanguage: Language): Promise<void> {
  const serverName = dnsName(`${serverLanguage}-server`);
  const server = await fleet.server(serverLanguage, await fleet.mount(`${serverLanguage}-server`));
  const address = await server.serving();
  for (const clientLanguage of languages) {
    const directory = await fleet.mount(`${clientLanguage}-client`);
    const client = await fleet.client(clientLanguage, directory, { address, serverName });
    const clientName = dnsName(`${clientLanguage}-client`);
    pairs.push({ name: `${clientLanguage} client, ${serverLanguage} server`, server, serverName, client, clientName });
  }
}

afterAll(async () => {
  await fleet?.[Symbol.asyncDispose]();
});

function serverOf(language: Language): ExampleProgram {
  const server = servers.get(language);
  if (server === undefined) throw new Error(`no ${language} server was started`);
  return server;
}

/** The issuing CA's key, from the operator's namespace: for certificates that the operator itself would never make. */
async function issuingCa(): Promise<IssuingCa & { roots: string }> {
  const files = await fleet.secret(OPERATOR_NAMESPACE, 'default-issuing-1');
  const [certificate, ...above] = parseCertificates(files['tls.crt'] ?? '');
  if (certificate === undefined) throw new Error('no issuing CA');
  const { privateKey } = loadKeyPair(files['tls.key'] ?? '');
  return { certificate, privateKey, chain: [certificate, ...above], roots: files['ca.crt'] ?? '' };
}

const hour = 3_600_000;

async function leafOf(issuer: IssuingCa, name: string, [from, to]: [from: number, to: number]): Promise<SecretFiles> {
  const key = await generateKeyPair({ algorithm: 'ECDSA' });
  const none: readonly string[] = [];
  const profile = buildLeafProfile({
    subject: {},
    dnsNames: [name],
    ipAddresses: none,
    uris: none,
    emailAddresses: none,
    usages: ['server auth', 'client auth'],
    key: { algorithm: 'ECDSA' },
  });
  const leaf = issueLeaf({
    profile,
    key,
    issuer,
    notBefore: new Date(Date.now() + from),
    notAfter: new Date(Date.now() + to),
  });
  return { 'tls.crt': chainPem(leaf, issuer), 'tls.key': key.pem('PKCS8') };
}

const expiredLeaf = async () => leafOf(await issuingCa(), dnsName('good'), [-2 * hour, -hour]);

describe.each(languages)('a %s server', (language) => {
  test('serves a client of its authority', async () => {
    const answer = await ask(await serverOf(language).serving(), await fleet.secret(NAMESPACE, 'good'));
    expect(answer).toEqual({ body: `hello ${dnsName('good')}\n` });
  });

  test.each([
    ['no certificate', async () => undefined],
    ['a certificate of a foreign CA', () => fleet.secret(NAMESPACE, 'foreign')],
    ['a certificate that has expired', expiredLeaf],
    ['a certificate for servers only', () => fleet.secret(NAMESPACE, 'server-only')],
  ])('refuses a client with %s', async (_, files) => {
    const server = serverOf(language);
    const failedBefore = server.errors.length;
    const answer = await ask(await server.serving(), await files());
    expect(answer.body).toBeUndefined();
    expect(answer.error).toBeDefined();
    await waitFor('the server to tell of the refusal', () => server.errors.length > failedBefore);
    expect(server.errors.at(-1)).toMatch(/cert|purpose|key usage/i);
    expect(server.peers.map(({ name }) => name)).toEqual([dnsName('good')]);
  });

  test('resumes no session, so that every connection shows a certificate that is valid now', async () => {
    expect(await resumes(await serverOf(language).serving(), await fleet.secret(NAMESPACE, 'good'))).toBe(false);
  });
});

describe.each(languages)('a %s client', (language) => {
  const visit = async (address: string, serverName = dnsName('good')): Promise<ExampleProgram> => {
    const target = { address, serverName, times: 1 };
    const client = await fleet.client(language, await fleet.mount('good'), target);
    await client.ended();
    return client;
  };

  test('visits a server of its authority', async () => {
    const client = await visit(await serverOf('go').serving());
    expect(client.errors).toEqual([]);
    expect(client.code).toBe(0);
    expect(client.handshakes).toBe(1);
  });

  test('refuses a server whose certificate has another name', async () => {
    const client = await visit(await serverOf('go').serving(), 'other.clients.svc');
    expect(client.errors).toEqual([expect.stringMatching(/certificate/i)]);
    expect(client.code).toBe(1);
  });

  test.each([
    ['a certificate of a foreign CA', () => fleet.secret(NAMESPACE, 'foreign'), 'good'],
    ['a certificate that has expired', expiredLeaf, 'good'],
    ['a certificate for clients only', () => fleet.secret(NAMESPACE, 'client-only'), 'client-only'],
  ])('refuses a server with %s', async (_, files, name) => {
    await using server = await serve(await files());
    const client = await visit(server.address, dnsName(name));
    expect(client.errors).toEqual([expect.stringMatching(/certificat|key usage/i)]);
    expect(client.handshakes).toBe(0);
    expect(client.code).toBe(1);
  });
});

test('a changed ca.crt is followed without a restart, both when a root comes and when it goes', async () => {
  const [own, other] = await Promise.all([makeCorporateCa('Own'), makeCorporateCa('Other')]);
  const bring = async (roots: string): Promise<void> => {
    const stringData = { ...own.files, 'ca.crt': roots };
    const metadata = { name: 'rolling-ca', namespace: OPERATOR_NAMESPACE };
    await fleet.apply({ apiVersion: 'v1', kind: 'Secret', metadata, stringData });
  };
  await bring(own.files['ca.crt']);
  await fleet.apply(
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'rolling' },
      spec: { trustDomain: 'example.com', provided: { secretName: 'rolling-ca' } },
    },
    fleet.certificate('rolling', { authorityRef: { name: 'rolling' }, outputs }),
  );
  const directory = await fleet.mount('rolling');
  const stranger = await leafOf(other.issuer, dnsName('stranger'), [-hour, hour]);
  await using strangersServer = await serve(stranger);
  const target = { address: strangersServer.address, serverName: dnsName('stranger'), everyMs: 200 };
  const programs = await Promise.all(
    languages.map(async (language) => ({
      server: await fleet.server(language, directory),
      client: await fleet.client(language, directory, target),
    })),
  );
  const untilAll = (what: string, trusted: boolean) =>
    waitFor(what, async () => {
      const looks = programs.map(async ({ server, client }) => {
        if (client.exited || server.exited) throw new Error(client.stray + server.stray);
        const { body } = await ask(await server.serving(), stranger);
        if ((body !== undefined) !== trusted) return false;
        return trusted ? client.handshakes > 0 : client.errors.length > 0;
      });
      return (await Promise.all(looks)).every(Boolean);
    });

  await untilAll('the stranger to be refused', false);
  expect(programs.map(({ client }) => client.handshakes)).toEqual(languages.map(() => 0));
  await bring(own.files['ca.crt'] + other.files['ca.crt']);
  await untilAll('the stranger to be trusted', true);
  await bring(own.files['ca.crt']);
  for (const { client } of programs) client.errors.length = 0;
  await untilAll('the stranger to be refused again', false);
  await Promise.all(programs.map(({ client }) => client.stop()));
});

test('a Secret that is deleted under load is made anew, and its server goes on with that', async () => {
  const [pair] = pairs.filter(({ serverName }) => serverName === dnsName('node-server'));
  if (pair === undefined) throw new Error('no Node server was started');
  const before = new Set(pair.client.peers.map(({ serial }) => serial));
  await fleet.cluster.kubectl(['delete', 'secret', 'node-server', '-n', NAMESPACE]);
  const made = await waitFor('a new Secret', async () => await fleet.secret(NAMESPACE, 'node-server'));
  const [leaf] = parseCertificates(made['tls.crt'] ?? '');
  expect(before).not.toContain(leaf?.serialNumber);
  await waitFor('the client to see it', () => pair.client.peers.some(({ serial }) => serial === leaf?.serialNumber));
});

test('Java goes on with JKS stores under a password of the user’s, and under another one when that changes', async () => {
  const password = (text: string): object => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'jks-password', namespace: NAMESPACE },
    stringData: { password: text },
  });
  const spec = { outputs: [{ type: 'JKS', alias: 'java', passwordSecretRef: { name: 'jks-password' } }] };
  await fleet.apply(password('the first one'), fleet.certificate('jks', spec));
  const stores = await fleet.mount('jks');
  const more = ['--kind', 'jks', '--password-file', join(await fleet.mount('jks-password'), 'password')];
  const server = await fleet.server('java', stores, more);
  const target = { address: await server.serving(), serverName: dnsName('jks'), more };
  const client = await fleet.client('java', stores, target);
  await waitFor('connections under the first password', () => client.handshakes > 0 && server.handshakes > 0);
  await fleet.apply(password('the second one'));
  // The operator reads passwords every five minutes, and with any look at the certificate.
  await fleet.apply({ ...fleet.certificate('jks', { ...spec, secretTemplate: { labels: { password: 'second' } } }) });
  await waitFor('both to read the stores under the second password', () => client.loads > 1 && server.loads > 1);
  const before = client.handshakes;
  await waitFor('connections under the second password', () => client.handshakes > before);
  expect(await client.stop()).toBe(0);
  expect([...client.errors, ...server.errors]).toEqual([]);
});

test(`all ${languages.length ** 2} pairs go through ${wantedRenewals} renewals on both sides without a failed handshake`, async () => {
  const seen = (program: ExampleProgram, name: string) => program.peers.filter((peer) => peer.name === name);
  const sides = ({ server, serverName, client, clientName }: Pair) => [
    seen(client, serverName),
    seen(server, clientName),
  ];
  await waitFor(
    'every pair to be renewed often enough, past the end of the first certificates',
    () => {
      const broken = pairs.find(({ client, server }) => client.exited || server.exited);
      if (broken !== undefined) throw new Error(`${broken.name}: ${broken.client.stray}${broken.server.stray}`);
      return pairs.every((pair) =>
        sides(pair).every(
          // Whoever still used the first one would be refused by now.
          (peers) => peers.length > wantedRenewals && Date.parse(peers[0]?.notAfter ?? '') < Date.now(),
        ),
      );
    },
    { timeoutMs: 110_000, intervalMs: 250 },
  );
  // Clients first, between two connections, so that the end is no failure.
  const codes = await Promise.all(pairs.map(({ client }) => client.stop()));
  const report = pairs.map(({ name, client, server }) => ({ name, errors: [...client.errors, ...server.errors] }));
  expect(report).toEqual(pairs.map(({ name }) => ({ name, errors: [] })));
  expect(codes).toEqual(pairs.map(() => 0));
  for (const { client, server } of pairs) {
    expect(client.failures + server.failures).toBe(0);
    expect(client.handshakes).toBeGreaterThan(wantedRenewals);
  }
  for (const pair of pairs) {
    for (const peers of sides(pair)) {
      // Nobody falls back to a certificate that has been replaced.
      expect(new Set(peers.map(({ serial }) => serial)).size).toBe(peers.length);
    }
  }
});
