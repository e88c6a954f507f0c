// PostgreSQL as it stands in examples/postgresql, with the loop of examples/shell that has it reload, and psql as docs/clients.md says to call it.
import type { ChildProcess } from 'node:child_process';
import { chmodSync, copyFileSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Command } from '../cluster/guardian.ts';
import { findFreePort } from '../cluster/port.ts';
import { run } from '../support/command.ts';
import { copiedInto, findPostgres, type Programs } from '../support/debian.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { adapted } from './adapted.ts';
import { containerOf } from './container.ts';
import { Fleet } from './fleet.ts';
import { postgresSerial } from './peers.ts';
import { podUser } from './podUser.ts';
import { failureOf, shell, Traffic, untilAllHaveSeen } from './traffic.ts';

const root = join(import.meta.dirname, '..', '..');
const example = (file: string) => join(root, 'examples', 'postgresql', file);
const wantedRenewals = 3;
const shortLived = { duration: '1m', renewBefore: '50s' }; // a renewal every 7 to 10 s
const user = podUser();

let fleet: Fleet;
let programs: Programs;
let env: NodeJS.ProcessEnv;
let server: ChildProcess;
let port: number;
/** Of the server's files in this test. */
let places: Readonly<Record<'config' | 'socket' | 'data', string>>;
let log = '';

beforeAll(async () => {
  const found = await findPostgres(printProgress);
  fleet = await Fleet.start('shop');
  const guarded = fleet.guarded.path;
  chmodSync(guarded, 0o711); // whoever the server runs as finds its files in here
  programs = copiedInto(join(guarded, 'debian'), found);
  port = await findFreePort();
  env = {
    ...programs.env,
    PATH: `${programs.directory}:${process.env['PATH']}`,
    HOME: guarded, // no .postgresql of somebody's
    LC_ALL: 'C',
    // Where the server is, whatever it is called.
    PGHOSTADDR: '127.0.0.1',
    PGPORT: String(port),
    PGCONNECT_TIMEOUT: '10',
  };
  const objects = await fleet.applyExample(example('postgresql.yaml'), shortLived);
  await fleet.apply(
    fleet.certificate('probe'),
    fleet.certificate('stranger', { commonName: 'stranger.shop.svc', usages: ['client auth'] }),
    fleet.certificate('server-only', {
      dnsNames: ['orders.shop.svc'],
      commonName: 'orders.shop.svc',
      usages: ['server auth'],
    }),
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'foreign' },
      spec: { trustDomain: 'cluster.local', selfSigned: {} },
    },
    fleet.certificate('foreign', {
      authorityRef: { name: 'foreign' },
      dnsNames: ['orders.shop.svc'],
      commonName: 'orders.shop.svc',
    }),
  );
  places = {
    config: user.directory(join(guarded, 'config')),
    socket: user.directory(join(guarded, 'socket')),
    data: user.directory(join(guarded, 'data')),
  };
  const mounted = await fleet.mount('db-mtls', user.access);
  for (const [file, changes] of Object.entries({
    'pg_hba.conf': {},
    'pg_ident.conf': { 'pod     postgres': `pod     ${user.name}` },
    'postgresql.conf': {
      "'*'": "'127.0.0.1'",
      'port = 5432': `port = ${port}`,
      '/var/run/postgresql': places.socket,
      '/etc/shop': places.config,
      '/var/run/mtls': mounted,
    },
  })) {
    const target = join(places.config, file);
    writeFileSync(target, adapted(readFileSync(example(file), 'utf8'), changes));
    chmodSync(target, 0o644);
  }
  copyFileSync(join(root, 'examples', 'shell', 'on-change.sh'), join(places.config, 'on-change.sh'));
  await asServersUser('initdb', '-D', places.data, '-U', 'postgres', '--auth=reject', '--no-sync');

  const args = containerOf(objects, 'postgres').args.map((word) => word.replace('/etc/shop', places.config));
  server = launch([join(programs.directory, args[0] ?? ''), ...args.slice(1), '-D', places.data]);
  await waitFor('PostgreSQL to serve', async () => {
    if (ended(server)) throw new Error(`PostgreSQL has ended: ${log}`);
    return (await asSuperuser('select 1')) === '1';
  });
  const reload = containerOf(objects, 'reload');
  const [first = '', ...words] = reload.command.map((word) =>
    word.replace('/etc/shop', places.config).replace('/var/run/mtls', mounted),
  );
  const variables = Object.fromEntries(reload.env.map(({ name, value }) => [name, value]));
  launch([first, ...words], { ...env, ...variables, PGHOST: places.socket, PGHOSTADDR: undefined });
  await asSuperuser('create role orders login; create role reporting login; create database shop');
});

afterAll(async () => {
  if (server !== undefined && !ended(server)) {
    server.kill('SIGINT'); // "fast": it ends its own children
    await waitFor('PostgreSQL to end', () => ended(server));
  }
  await fleet?.[Symbol.asyncDispose]();
});

const ended = (child: ChildProcess): boolean => child.exitCode !== null || child.signalCode !== null;

function launch(command: Command, environment: NodeJS.ProcessEnv = env): ChildProcess {
  const child = fleet.guarded.launch(user.command(command), { stdio: ['ignore', 'pipe', 'pipe'], env: environment });
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (part: string) => {
      log += part;
    });
  }
  return child;
}

async function asServersUser(program: string, ...args: readonly string[]): Promise<string> {
  const [first, ...words] = user.command([join(programs.directory, program), ...args]);
  const { PGHOSTADDR: _, ...rest } = env;
  const { stdout } = await run(first, words, { env: rest, cwd: fleet.guarded.path });
  return stdout.trim();
}

const asSuperuser = (sql: string): Promise<string> =>
  asServersUser(
    'psql',
    '-XqAt',
    '-h',
    places.socket,
    '-U',
    'postgres',
    ...sql.split('; ').flatMap((s) => ['-c', s]),
    'postgres',
  );

/** The command of docs/clients.md with the files of one of our Secrets. */
async function psql(secretName: string, changes: Readonly<Record<string, string>> = {}): Promise<string> {
  const documented = fencedBlocks(readFileSync(join(root, 'docs', 'clients.md'), 'utf8')).find(({ text }) =>
    text.includes('psql "host=db.shop.svc'),
  );
  const mounted = await fleet.mount(secretName);
  const script = adapted(documented?.text ?? '', { '/var/run/mtls': mounted, psql: 'psql -XAt', ...changes });
  return (await shell(fleet, script, { cwd: root, env })).trim();
}

test('a commonName that is a name of the namespace is mapped to a role', async () => {
  expect(await psql('orders-mtls')).toMatch(/^orders\|\/CN=orders\.shop\.svc\|\d+$/);
});

test('a commonName that is a role takes a rule in the authority', async () => {
  await fleet.apply({
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata: { name: 'reporting', namespace: 'shop' },
    spec: { secretName: 'reporting-mtls', commonName: 'reporting', usages: ['client auth'] },
  });
  const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].reason}';
  const reason = () => fleet.cluster.kubectl(['get', 'wcert', 'reporting', '-n', 'shop', '-o', path]);
  await waitFor('the name to be denied', async () => (await reason()) === 'NamesDenied');
  await fleet.applyExample(example('roles.yaml'), shortLived);
  const answer = await psql('reporting-mtls', { 'user=orders': 'user=reporting' });
  expect(answer).toMatch(/^reporting\|\/CN=reporting\|\d+$/);
});

describe('the server refuses', () => {
  test.each([
    ['no certificate', 'orders-mtls', { 'sslcert=/dev/fd/3 sslkey=/dev/fd/4 ': '' }, /requires a valid client cert/],
    [
      'a certificate of a foreign CA',
      'foreign',
      { 'verify-full': 'require', ' sslrootcert=/dev/fd/5': '' },
      /unknown ca/,
    ],
    ['a certificate for servers only', 'server-only', {}, /alert unsupported certificate/],
    ['a name that is mapped to another role', 'stranger', {}, /certificate authentication failed for user "orders"/],
    [
      'another role than the name is mapped to',
      'orders-mtls',
      { 'user=orders': 'user=reporting' },
      /authentication failed/,
    ],
    ['the superuser', 'orders-mtls', { 'user=orders': 'user=postgres' }, /certificate authentication failed/],
    ['a connection without TLS', 'orders-mtls', { 'verify-full': 'disable' }, /no pg_hba.conf entry/],
  ])('%s', async (_, secretName, changes, message) => {
    expect(await failureOf(psql(secretName, changes))).toMatch(message);
  });
});

describe('the client refuses', () => {
  test.each([
    [
      'a server of another name',
      'orders-mtls',
      { 'host=db.shop.svc': 'host=other.shop.svc' },
      /does not match host name/,
    ],
    ['a server of a foreign CA', 'foreign', {}, /certificate verify failed/],
  ])('%s', async (_, secretName, changes, message) => {
    expect(await failureOf(psql(secretName, changes))).toMatch(message);
  });
});

test('a server whose key others may read does not start', async () => {
  const key = join(places.config, 'open.key');
  writeFileSync(key, (await fleet.secret('shop', 'db-mtls'))['tls.key'] ?? '');
  chmodSync(key, 0o644);
  const config = ['-c', `config_file=${places.config}/postgresql.conf`, '-c', `ssl_key_file=${key}`];
  const data = user.directory(join(fleet.guarded.path, 'data2'));
  await asServersUser('initdb', '-D', data, '-U', 'postgres', '--auth=reject', '--no-sync');
  const failure = asServersUser('postgres', ...config, '-c', `port=${await findFreePort()}`, '-D', data);
  expect(await failureOf(failure)).toContain('has group or world access');
});

test(`${wantedRenewals} renewals on both sides are followed without a failed connection, and open ones go on`, async () => {
  const probe = await fleet.secret('shop', 'probe');
  const withFiles = ['sh', join(root, 'examples', 'shell', 'with-files.sh'), await fleet.mount('orders-mtls')] as const;
  const files = 'sslcert=/dev/fd/3 sslkey=/dev/fd/4 sslrootcert=/dev/fd/5';
  const conninfo = `host=db.shop.svc dbname=shop user=orders sslmode=verify-full ${files}`;
  // From before the first renewal, on which something is asked all the time.
  const session = fleet.guarded.launch([...withFiles, 'psql', '-XqAt', conninfo], { stdio: 'pipe', env });
  const backends: string[] = [];
  const complaints: string[] = [];
  if (session.stdout !== null) createInterface({ input: session.stdout }).on('line', (line) => backends.push(line));
  if (session.stderr !== null) createInterface({ input: session.stderr }).on('line', (line) => complaints.push(line));
  let asked = 0;
  const logged = log.length;

  const failed = await untilAllHaveSeen(wantedRenewals + 1, [
    new Traffic('the serial number of the client, as the server sees it', () => psql('orders-mtls')),
    new Traffic('the serial number of the server', async () => {
      session.stdin?.write('select pg_backend_pid();\n');
      asked++;
      return await postgresSerial(port, probe);
    }),
  ]);
  expect(failed).toEqual([]);
  await waitFor('all answers on the open connection', () => backends.length === asked);
  expect(new Set(backends).size).toBe(1);
  expect(complaints).toEqual([]);
  session.stdin?.end();
  expect(log).toMatch(/on-change: done for .*: psql/);
  expect(log.slice(logged)).not.toMatch(
    /could not accept SSL|SSL configuration was not reloaded|could not load|FATAL|PANIC/,
  );
});
