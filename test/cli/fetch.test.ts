// `mtls-operator fetch` against a real API server with real RBAC: what is in the directory afterwards, and how it ended.
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { once } from 'node:events';
import {
  chmodSync,
  chownSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { testCa } from '../../src/pki/testing.ts';
import { send } from '../api/control.ts';
import { World } from '../certificate/world.ts';
import { type GuardedDirectory, makeGuardedDirectory } from '../cluster/guardian.ts';
import { run } from '../support/command.ts';
import { waitFor } from '../support/waitFor.ts';
import { type FetchEnd, FetchProgram, type FetchRun } from './fetchProgram.ts';

const docker = ['ca.pem', 'cert.pem', 'key.pem'];
const all = ['ca.crt', 'ca.pem', 'cert.pem', 'key.pem', 'tls.crt', 'tls.key'];
const namespace = 'hosts';

let world: World;
let guarded: GuardedDirectory;
let program: FetchProgram;
/** May get the Secrets `host` and `copy`, and nothing else. */
let kubeconfig: string;
let count = 0;
/** Where the present test writes to. */
let out: string;

beforeAll(async () => {
  world = await World.start();
  guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-fetch-');
  program = await FetchProgram.build(guarded.path);
  await world.cluster.kubectl(['create', 'namespace', namespace]);
  await world.createSimple(namespace, 'host', { outputs: [{ type: 'Docker' }] });
  await world.createSimple(namespace, 'other', { outputs: [{ type: 'Docker' }] });
  for (const name of ['host', 'other']) await world.ready(namespace, name);
  kubeconfig = await account('reader', ['get'], ['host', 'copy', 'missing']);
});

afterAll(async () => {
  await guarded?.remove();
  await world?.[Symbol.asyncDispose]();
});

beforeEach(() => {
  count += 1;
  out = join(guarded.path, `out-${count}`);
});

/** @returns the kubeconfig of a service account with these verbs for these Secrets alone. */
async function account(name: string, verbs: readonly string[], secrets: readonly string[]): Promise<string> {
  const { cluster } = world;
  const names = secrets.map((secret) => `--resource-name=${secret}`);
  await cluster.kubectl(['create', 'serviceaccount', name, '-n', namespace]);
  await cluster.kubectl([
    'create',
    'role',
    name,
    '-n',
    namespace,
    `--verb=${verbs.join(',')}`,
    '--resource=secrets',
    ...names,
  ]);
  const subject = `--serviceaccount=${namespace}:${name}`;
  await cluster.kubectl(['create', 'rolebinding', name, '-n', namespace, `--role=${name}`, subject]);
  const path = await cluster.kubeconfigForServiceAccount({ namespace, name });
  const [verb = '', secret = ''] = [verbs[0], secrets[0]];
  // The API server learns of roles by watching.
  await waitFor('the role to be in force', async () => {
    const answer = await cluster.kubectl(['auth', 'can-i', verb, `secrets/${secret}`, '-n', namespace], {
      kubeconfig: path,
    });
    return answer.trim() === 'yes';
  });
  return path;
}

async function fetchSecret(secret: string, more: readonly string[] = [], options: FetchRun = {}): Promise<FetchEnd> {
  const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--secret', secret, '--out', out];
  return await program.run([...flags, ...more], options);
}

/** What a program finds that reads the directory now. */
function files(): Record<string, string> {
  if (!existsSync(out)) return {};
  const names = readdirSync(out).filter((name) => !name.startsWith('..') && existsSync(join(out, name)));
  return Object.fromEntries(names.sort().map((name) => [name, readFileSync(join(out, name), 'utf8')]));
}

function belongTogether({
  'cert.pem': certificate = '',
  'key.pem': key = '',
  'ca.pem': ca = '',
}: Record<string, string>) {
  const leaf = new X509Certificate(certificate);
  return leaf.checkPrivateKey(createPrivateKey(key)) && ca.startsWith('-----BEGIN CERTIFICATE');
}

const generations = (): string[] => readdirSync(out).filter((name) => /^\.\.2/.test(name));

async function dataOf(name: string): Promise<Record<string, string>> {
  const { object } = await world.secret(namespace, name);
  return Object.fromEntries(
    Object.entries(object.data).map(([key, text]) => [key, Buffer.from(text, 'base64').toString()]),
  );
}

/** A Secret that the operator does not know: what is wrong with it stays wrong. */
async function copy(data: Readonly<Record<string, string>>): Promise<void> {
  const path = `/api/v1/namespaces/${namespace}/secrets`;
  const secret = { metadata: { name: 'copy', namespace }, stringData: data };
  await send(world.cluster, 'DELETE', `${path}/copy`);
  await world.send('POST', path, secret);
}

async function renew(name: string): Promise<void> {
  const { serialNumber } = await world.secret(namespace, name);
  await world.annotate(namespace, name, { 'mtls-operator.io/renew-at': new Date().toISOString().replace(/\.\d+/, '') });
  await world.secretWhen(namespace, name, 'to be renewed', (secret) => secret.serialNumber !== serialNumber);
}

describe('writes', () => {
  test('all files, keys for their owner alone, once', async () => {
    const first = await fetchSecret('host');
    expect(first).toMatchObject({ code: 0, said: expect.stringContaining('wrote') });
    const data = await dataOf('host');
    expect(files()).toEqual(data);
    expect(Object.keys(data).sort()).toEqual(all);
    const modes = all.map((name) => (statSync(join(out, name)).mode & 0o777).toString(8));
    expect(modes).toEqual(['444', '444', '444', '400', '444', '400']);
    const [generation] = generations();

    const second = await fetchSecret('host');
    expect(second).toMatchObject({ code: 0, said: expect.stringContaining('unchanged') });
    expect(generations()).toEqual([generation]);
  });

  test('the files that are named, with the modes and the owner that are asked for; others go', async () => {
    await fetchSecret('host');
    const more = ['--files', docker.join(','), '--mode', '0440', '--public-mode', '0644', '--owner', '65532:65533'];
    expect(await fetchSecret('host', more)).toMatchObject({ code: 0 });
    expect(
      readdirSync(out)
        .filter((name) => !name.startsWith('..'))
        .sort(),
    ).toEqual(docker);
    expect(readdirSync(join(out, '..data')).sort()).toEqual(docker);
    const stats = docker.map((name) => statSync(join(out, name)));
    expect(stats.map(({ mode }) => (mode & 0o777).toString(8))).toEqual(['644', '644', '440']);
    expect(stats.every(({ uid, gid }) => uid === 65532 && gid === 65533)).toBe(true);
    // Who owned the folder could put links in place of the files.
    const folder = statSync(join(out, '..data'));
    expect([folder.uid, folder.mode & 0o777]).toEqual([process.getuid?.(), 0o755]);
  });

  test('the next certificate, and nothing of the last stays', async () => {
    await fetchSecret('host');
    const before = files();
    await renew('host');
    expect(await fetchSecret('host')).toMatchObject({ code: 0, said: expect.stringContaining('wrote') });
    expect(files()).toEqual(await dataOf('host'));
    expect(files()['key.pem']).not.toBe(before['key.pem']);
    // The folder of the last one is a minute young: another run might be filling it.
    for (const old of generations()) await run('touch', ['-d', '2 minutes ago', join(out, old)]);
    await fetchSecret('host');
    expect(generations()).toEqual([readlinkSync(join(out, '..data'))]);
  });

  test('with a server, a token and its roots in place of a kubeconfig', async () => {
    const { cluster } = world;
    const token = await cluster.kubectl(['create', 'token', 'reader', '-n', namespace]);
    const tokenFile = join(guarded.path, 'token');
    writeFileSync(tokenFile, token, { mode: 0o600 });
    const flags = ['--server', cluster.url, '--token-file', tokenFile, '--namespace', namespace, '--secret', 'host'];
    const trusting = [...flags, '--ca', cluster.caFile, '--out', out];
    expect(await program.run(trusting)).toMatchObject({ code: 0 });
    expect(belongTogether(files())).toBe(true);

    writeFileSync(tokenFile, 'of-nobody');
    expect(await program.run(trusting)).toMatchObject({ code: 3, said: expect.stringContaining('renew the token') });
    rmSync(tokenFile);
    const missing = await program.run([...trusting, '--timeout', '2s']);
    expect(missing).toMatchObject({ code: 1, said: expect.stringContaining(tokenFile) });
    // Without --ca the roots are those of Node, which do not vouch for this server.
    writeFileSync(tokenFile, token);
    expect(await program.run([...flags, '--timeout', '2s', '--out', out])).toMatchObject({ code: 2 });
    expect(belongTogether(files())).toBe(true);
  });
});

describe('the last good files stay', () => {
  let good: Record<string, string>;

  beforeEach(async () => {
    await fetchSecret('host');
    good = files();
    expect(Object.keys(good)).toEqual(all);
  });

  const stayed = { said: expect.stringMatching(/stay as they were: their certificate is valid until 20/) };

  test('when the API server cannot be reached', async () => {
    await world.cluster.stopApiServer();
    try {
      expect(await fetchSecret('host', ['--timeout', '2s'])).toMatchObject({ code: 2, ...stayed });
    } finally {
      await world.cluster.startApiServer();
    }
    expect(files()).toEqual(good);
  });

  test('when the Secret is gone', async () => {
    expect(await fetchSecret('missing')).toMatchObject({ code: 3, ...stayed });
    expect(files()).toEqual(good);
  });

  test('when the Secret may not be read', async () => {
    const end = await fetchSecret('other');
    expect(end).toMatchObject({ code: 3, ...stayed });
    expect(end.said).toContain('may not be read');
    expect(files()).toEqual(good);
  });

  test.each<[string, (data: Record<string, string>, other: Record<string, string>) => Record<string, string>, string]>([
    ["has another's key", (data, other) => ({ ...data, 'tls.key': other['tls.key'] ?? '' }), 'is not the key'],
    ["has another's key.pem", (data, other) => ({ ...data, 'key.pem': other['key.pem'] ?? '' }), 'do not say the same'],
    ['has no key', ({ 'tls.key': _, ...data }) => data, 'has no tls.key'],
    ['is cut off', (data) => ({ ...data, 'tls.crt': data['tls.crt']?.slice(0, 300) ?? '' }), 'tls.crt cannot be read'],
  ])('when the Secret %s', async (_, broken, said) => {
    await copy(broken(await dataOf('host'), await dataOf('other')));
    const end = await fetchSecret('copy');
    expect(end).toMatchObject({ code: 4, ...stayed });
    expect(end.said).toContain(said);
    expect(files()).toEqual(good);
  });

  test('when the root is another one', async () => {
    const stranger = await testCa();
    await copy({ ...(await dataOf('host')), 'ca.crt': stranger.certificate.pem });
    const end = await fetchSecret('copy');
    expect(end).toMatchObject({ code: 4, ...stayed });
    expect(end.said).toContain('does not lead to a root in ca.crt');
    expect(files()).toEqual(good);
  });
});

test('on a full disk the files stay, and the next run with room writes the new ones', async () => {
  mkdirSync(out);
  guarded.undo('full-disk', `umount '${out}'`);
  await run('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=0755', 'tmpfs', out]);
  await fetchSecret('host');
  const good = files();
  const filler = join(out, '..filler');
  await run('sh', ['-c', `cat /dev/zero >'${filler}' 2>/dev/null || :`]);
  await renew('host');
  const end = await fetchSecret('host');
  expect(end).toMatchObject({ code: 5, said: expect.stringMatching(/ENOSPC.*belong together.*is valid until 20/) });
  expect(files()).toEqual(good);
  expect(generations()).toEqual([readlinkSync(join(out, '..data'))]);

  rmSync(filler);
  expect(await fetchSecret('host')).toMatchObject({ code: 0 });
  expect(files()).toEqual(await dataOf('host'));
  await run('umount', [out]);
});

test('on a read-only file system it says so, and where there is room for folders it makes all that are missing', async () => {
  const parent = join(out, 'below', 'more');
  expect(await fetchSecret('host', ['--out', parent])).toMatchObject({ code: 0 });
  guarded.undo('read-only', `umount '${out}'`);
  await run('mount', ['-t', 'tmpfs', '-o', 'ro,mode=0755', 'tmpfs', out]);
  const end = await fetchSecret('host', ['--out', parent]);
  expect(end).toMatchObject({
    code: 5,
    said: expect.stringMatching(/cannot make the directory: EROFS: read-only file/),
  });
  await run('umount', [out]);
});

describe('does not touch', () => {
  test('files that came from somewhere else', async () => {
    mkdirSync(out);
    writeFileSync(join(out, 'key.pem'), 'made by hand', { mode: 0o600 });
    expect(await fetchSecret('host')).toMatchObject({ code: 5, said: expect.stringContaining('key.pem came from') });
    expect(files()).toEqual({ 'key.pem': 'made by hand' });
    expect(lstatSync(join(out, 'key.pem')).isSymbolicLink()).toBe(false);
  });

  test.each<[string, (parent: string) => void, string]>([
    ['in which everybody may write', () => chmodSync(out, 0o777), 'chmod go-w'],
    ['in which its group may write', () => chmodSync(out, 0o770), 'chmod g-w'],
    ["that is somebody else's", () => chownSync(out, 65532, 65532), 'belongs to the user 65532'],
    ['below one in which everybody may write', (parent) => chmodSync(parent, 0o777), 'chmod go-w'],
    [
      "below one that is somebody else's, sticky bit or not",
      (parent) => {
        chownSync(parent, 65532, 65532);
        chmodSync(parent, 0o1777);
      },
      'belongs to the user 65532',
    ],
  ])('a directory %s', async (_, open, said) => {
    const parent = out;
    out = join(parent, 'tls');
    mkdirSync(out, { recursive: true });
    open(parent);
    expect(await fetchSecret('host')).toMatchObject({ code: 5, said: expect.stringContaining(said) });
    expect(readdirSync(out)).toEqual([]);
  });

  test("what lies in a directory that is somebody else's, not even by reading", async () => {
    mkdirSync(join(out, '..data'), { recursive: true });
    await run('mkfifo', [join(out, '..data', 'tls.crt')]);
    chownSync(out, 65532, 65532);
    expect(await fetchSecret('host')).toMatchObject({ code: 5 });
  });

  test('a file to which somebody has made a link in place of the marker of the hook', async () => {
    const victim = `${out}.victim`;
    writeFileSync(victim, 'precious');
    mkdirSync(out);
    symlinkSync(victim, join(out, '..hook-due'));
    expect(await fetchSecret('host', ['--hook-shell', 'exit 3'])).toMatchObject({ code: 6 });
    expect(readFileSync(victim, 'utf8')).toBe('precious');
  });

  test('a directory below one with the sticky bit is as good as any', async () => {
    const parent = out;
    out = join(parent, 'tls');
    mkdirSync(out, { recursive: true });
    chmodSync(parent, 0o1777);
    expect(await fetchSecret('host')).toMatchObject({ code: 0 });
  });
});

describe('whatever step of a change is its last', () => {
  const crash = join(import.meta.dirname, 'crash.mjs');
  const mark = ['--hook-shell', 'cp -rL "$MTLS_DIRECTORY/..data" "$MTLS_DIRECTORY.seen"'];

  async function step(what: 'kill' | 'full', at: number, secret: string): Promise<FetchEnd> {
    const env = { CRASH: what, CRASH_AT: String(at) };
    return await fetchSecret(secret, ['--files', docker.join(','), ...mark], { env, node: ['--import', crash] });
  }

  test.each<['kill' | 'full', number]>([
    ['kill', -1],
    ['full', 5],
  ])(
    '%s: no key ever stands beside another certificate, and the next run mends all',
    async (what, code) => {
      let [old, next] = [await dataOf('host'), await dataOf('other')];
      let before = 0;
      let after = 0;
      await copy(old);
      expect(await fetchSecret('copy', ['--files', docker.join(',')])).toMatchObject({ code: 0 });
      for (let at = 1; ; at++) {
        rmSync(`${out}.seen`, { recursive: true, force: true });
        await copy(next);
        const end = await step(what, at, 'copy');
        const found = files();
        expect(Object.keys(found)).toEqual(docker);
        expect(belongTogether(found)).toBe(true);
        if (end.code === 0) break;
        expect(end.code).toBe(code);
        if (found['key.pem'] === old['key.pem']) before++;
        else after++;

        const mended = await fetchSecret('copy', ['--files', docker.join(','), ...mark]);
        expect(mended).toMatchObject({ code: 0 });
        expect(files()['key.pem']).toBe(next['key.pem']);
        // The hook has seen it, whichever run it was that put it in place.
        expect(readFileSync(join(`${out}.seen`, 'key.pem'), 'utf8')).toBe(next['key.pem']);
        [old, next] = [next, old];
      }
      expect(before).toBeGreaterThan(10);
      expect(after).toBeGreaterThan(0);
    },
    300_000,
  );

  test('kill, of the very first change: all files or none', async () => {
    await copy(await dataOf('host'));
    for (let at = 1; ; at++) {
      rmSync(out, { recursive: true, force: true });
      const end = await step('kill', at, 'copy');
      expect([[], docker]).toContainEqual(Object.keys(files()));
      if (end.code === 0) break;
      expect(end.code).toBe(-1);
    }
  }, 300_000);
});

test('several runs at the same time do not get into each other’s way', async () => {
  const [one, two] = [await dataOf('host'), await dataOf('other')];
  for (const data of [one, two, one]) {
    await copy(data);
    const ends = await Promise.all(Array.from({ length: 5 }, () => fetchSecret('copy')));
    expect(ends.map(({ code }) => code)).toEqual([0, 0, 0, 0, 0]);
    expect(files()).toEqual(data);
  }
});

describe('the hook', () => {
  const log = () => (existsSync(`${out}.log`) ? readFileSync(`${out}.log`, 'utf8') : '');

  test('runs after a change, sees the new files, and does not run without one', async () => {
    const hook = ['--hook-shell', 'cat "$MTLS_DIRECTORY/cert.pem" >>"$MTLS_DIRECTORY.log"'];
    await fetchSecret('host', hook);
    expect(log()).toBe(files()['cert.pem']);
    await fetchSecret('host', hook);
    expect(log()).toBe(files()['cert.pem']);
  });

  test('that fails is told, and runs again the next time', async () => {
    mkdirSync(out);
    const hook = ['--hook-shell', `echo ran >>"${out}.log"; exit "$(cat ${out}.code)"`];
    writeFileSync(`${out}.code`, '3');
    const failed = await fetchSecret('host', hook);
    expect(failed).toMatchObject({ code: 6, said: expect.stringContaining('ended with code 3') });
    expect(Object.keys(files())).toEqual(all);
    expect(await fetchSecret('host', hook)).toMatchObject({ code: 6 });
    writeFileSync(`${out}.code`, '0');
    expect(await fetchSecret('host', hook)).toMatchObject({ code: 0 });
    expect(await fetchSecret('host', hook)).toMatchObject({ code: 0 });
    expect(log()).toBe('ran\n'.repeat(3));
  });

  test('that has failed is still due after a change by a run without a hook', async () => {
    const hook = (line: string) => fetchSecret('copy', ['--hook-shell', line]);
    await copy(await dataOf('host'));
    expect(await hook('exit 3')).toMatchObject({ code: 6 });
    await copy(await dataOf('other'));
    expect(await fetchSecret('copy')).toMatchObject({ code: 0, said: expect.stringContaining('wrote') });
    await hook('cp -L "$MTLS_DIRECTORY/key.pem" "$MTLS_DIRECTORY.log"');
    expect(log()).toBe(files()['key.pem']);
  });

  test('sees each change, also one that another run makes while it runs', async () => {
    await copy(await dataOf('host'));
    const slow = `touch "${out}.begun"; until [ -e "${out}.go" ]; do sleep 0.1; done`;
    const first = fetchSecret('copy', ['--hook-shell', slow]);
    await waitFor('the first hook', () => existsSync(`${out}.begun`));
    await copy(await dataOf('other'));
    // This run makes its change, and its hook fails.
    expect(await fetchSecret('copy', ['--hook-shell', 'exit 3'])).toMatchObject({ code: 6 });
    writeFileSync(`${out}.go`, '');
    expect(await first).toMatchObject({ code: 0 });
    await fetchSecret('copy', ['--hook-shell', 'cp -L "$MTLS_DIRECTORY/key.pem" "$MTLS_DIRECTORY.log"']);
    expect(log()).toBe(files()['key.pem']);
  });

  test('that SIGTERM interrupts has an exit code of its own, and runs again', async () => {
    const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--secret', 'host', '--out', out];
    const running = program.start([...flags, '--hook-shell', `touch "${out}.begun"; sleep 600`]);
    const closed = once(running.child, 'close');
    await waitFor('the hook', () => existsSync(`${out}.begun`));
    running.child.kill('SIGTERM');
    expect((await closed)[0]).toBe(7);
    expect(running.said).toMatch(/files are in place, but the hook \S+ was interrupted/);
    expect(running.said).not.toContain('stay as they were');
    expect(await fetchSecret('host', ['--hook-shell', `touch "${out}.again"`])).toMatchObject({ code: 0 });
    expect(existsSync(`${out}.again`)).toBe(true);
  });

  test('is run without a shell', async () => {
    const end = await fetchSecret('host', ['--hook', `touch ${out}.a;touch ${out}.$HOME`]);
    expect(end.code).toBe(0);
    expect(existsSync(`${out}.$HOME`)).toBe(true);
  });

  test('that does not exist is a hook that failed', async () => {
    expect(await fetchSecret('host', ['--hook', '/nowhere/hook'])).toMatchObject({
      code: 6,
      said: expect.stringContaining('could not be run'),
    });
  });

  test('that does not end is ended with all that it has started', async () => {
    const hook = [
      '--hook-shell',
      `sh -c 'echo $$ >${out}.pid; trap "" TERM; exec sleep 600' & wait`,
      '--hook-timeout',
      '1s',
    ];
    expect(await fetchSecret('host', hook)).toMatchObject({
      code: 6,
      said: expect.stringContaining('did not end within 1 s'),
    });
    const pid = Number(readFileSync(`${out}.pid`, 'utf8'));
    await waitFor('its child to be gone', () => !isAlive(pid));
  });
});

function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

describe('--watch follows renewals until it is told to end', () => {
  test.each([
    ['with permission to watch', 'watcher', ['get', 'watch'], '10m', false],
    ['without it, by reading', 'poller', ['get'], '1s', true],
  ])('%s', async (_, name, verbs, interval, told) => {
    const allowed = await account(name, verbs, ['host']);
    const flags = ['--kubeconfig', allowed, '--namespace', namespace, '--secret', 'host', '--out', out];
    const running = program.start([...flags, '--watch', '--interval', interval]);
    try {
      await waitFor('the first files', () => Object.keys(files()).length === all.length);
      if (told) await waitFor('it to say so', () => running.said.includes('may not be watched'));
      for (let renewal = 1; renewal <= 2; renewal++) {
        await renew('host');
        const data = await dataOf('host');
        await waitFor('the new files', () => files()['key.pem'] === data['key.pem']);
        expect(files()).toEqual(data);
      }
      expect(running.said.includes('may not be watched')).toBe(told);
    } finally {
      running.child.kill('SIGTERM');
    }
    const [code] = await once(running.child, 'close');
    expect(code).toBe(0);
  });

  test('and runs a hook that has failed again', async () => {
    writeFileSync(`${out}.code`, '3');
    const hook = ['--hook-shell', `echo ran >>'${out}.log'; exit "$(cat '${out}.code')"`];
    const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--secret', 'host', '--out', out, ...hook];
    const running = program.start([...flags, '--watch', '--interval', '1s']);
    const runs = () => (existsSync(`${out}.log`) ? readFileSync(`${out}.log`, 'utf8').split('\n').length - 1 : 0);
    try {
      await waitFor('it to fail twice', () => runs() >= 2);
      writeFileSync(`${out}.code`, '0');
      await waitFor('it to succeed', () => !readdirSync(out).some((name) => name.startsWith('..hook-due')));
    } finally {
      running.child.kill('SIGTERM');
      await once(running.child, 'close');
    }
    expect(running.said).toContain('ended with code 3');
  });

  test('and does not run a hook that has failed at each look, but at once for new files', async () => {
    await copy(await dataOf('host'));
    const hook = ['--hook-shell', `sha256sum <"$MTLS_DIRECTORY/key.pem" >>'${out}.log'; exit 3`];
    const watcher = await account('patient', ['get', 'watch'], ['copy']);
    const flags = ['--kubeconfig', watcher, '--namespace', namespace, '--secret', 'copy', '--out', out, ...hook];
    const running = program.start([...flags, '--watch', '--interval', '10m']);
    const runs = () => (existsSync(`${out}.log`) ? readFileSync(`${out}.log`, 'utf8').split('\n').slice(0, -1) : []);
    try {
      await waitFor('it to fail', () => runs().length === 1);
      const path = `/api/v1/namespaces/${namespace}/secrets/copy`;
      const data = await dataOf('host');
      const put = (stringData: object) =>
        world.send('PUT', path, { metadata: { name: 'copy', namespace }, stringData });
      // News, but no new files: it looks, and leaves the hook alone.
      await put({ ...data, more: 'x' });
      await delay(3_000); // longer than it settles before it looks
      await put(await dataOf('other'));
      await waitFor('it to run for the new files', () => new Set(runs()).size === 2);
      expect(runs()).toHaveLength(2);
    } finally {
      running.child.kill('SIGTERM');
      await once(running.child, 'close');
    }
  });

  test('lives through an API server that is gone for a while', async () => {
    const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--secret', 'host', '--out', out];
    const running = program.start([...flags, '--watch', '--interval', '1s', '--timeout', '1s']);
    try {
      await waitFor('the first files', () => Object.keys(files()).length === all.length);
      await world.cluster.stopApiServer();
      await waitFor('it to say so', () => running.said.includes('cannot be reached'));
      await world.cluster.startApiServer();
      await renew('host');
      const data = await dataOf('host');
      await waitFor('the new files', () => files()['key.pem'] === data['key.pem']);
      // Said once, not at each look.
      expect(running.said.split('cannot be reached').length).toBeLessThan(5);
    } finally {
      running.child.kill('SIGTERM');
      await once(running.child, 'close');
    }
  });
});

test('SIGTERM in the middle is told by an exit code of its own', async () => {
  await world.cluster.stopApiServer();
  try {
    const flags = ['--kubeconfig', kubeconfig, '--namespace', namespace, '--secret', 'host', '--out', out];
    const running = program.start(flags);
    const closed = once(running.child, 'close');
    await waitFor('it to have begun', () => existsSync(out));
    running.child.kill('SIGTERM');
    expect((await closed)[0]).toBe(7);
  } finally {
    await world.cluster.startApiServer();
  }
});
