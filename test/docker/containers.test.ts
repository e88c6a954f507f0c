// examples/containers with Docker: a Go server and a Go client in two containers on a bridge network, with certificates that `fetch` has brought from the cluster.
import { copyFileSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { World } from '../certificate/world.ts';
import { FetchProgram } from '../cli/fetchProgram.ts';
import { machinePath } from '../node/machine.ts';
import { CommandError, run } from '../support/command.ts';
import { goProgram } from '../support/goProgram.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Dockerd, startDockerd } from './dockerd.ts';
import { docker } from './machine.ts';

const root = join(import.meta.dirname, '..', '..');
const example = join(root, 'examples', 'containers');
const image = 'localhost/greetings';

const lineSchema = z.looseObject({ msg: z.string() });
type Line = z.output<typeof lineSchema>;

let world: World;
let dockerd: Dockerd;
let program: FetchProgram;
/** Below it the files of each container. */
let certificates: string;

beforeAll(async () => {
  [world, dockerd] = [await World.start(), await startDockerd({ progress: printProgress })];
  program = await FetchProgram.build(dockerd.directory);
  certificates = join(dockerd.directory, 'certificates');
  await world.cluster.kubectl(['apply', '-f', join(example, 'certificates.yaml')]);
  for (const name of ['greeter', 'visitor']) {
    await world.ready('containers', name);
    await bring(name);
  }
  const context = join(dockerd.directory, 'image');
  mkdirSync(context);
  copyFileSync(join(example, 'Dockerfile'), join(context, 'Dockerfile'));
  for (const role of ['server', 'client']) {
    const path = await goProgram(join(root, 'examples', 'go'), printProgress, role);
    expect(basename(path)).toBe(role);
    copyFileSync(path, join(context, role));
  }
  await dockerd.docker(['build', `--tag=${image}`, context]);
  const programs = join(dockerd.directory, 'programs');
  mkdirSync(programs);
  symlinkSync(docker, join(programs, 'docker'));
  const env = { PATH: `${programs}:${machinePath}`, HOME: dockerd.directory, DOCKER_HOST: dockerd.host };
  await run('sh', [join(example, 'docker.sh'), certificates], { env });
});

afterAll(async () => {
  await dockerd?.remove();
  await world?.[Symbol.asyncDispose]();
});

/** The flags are those of the comment in docker.sh. */
async function bring(name: string): Promise<void> {
  const script = readFileSync(join(example, 'docker.sh'), 'utf8');
  const [, written = ''] = /mtls-operator fetch (.*--out DIR\/greeter .*)/.exec(script) ?? [];
  const flags = written.replaceAll('greeter', name).replace('DIR', certificates).split(' ');
  expect(flags).toContain(`${name}-mtls`);
  expect(await program.run(['--kubeconfig', world.cluster.kubeconfig, ...flags])).toMatchObject({ code: 0 });
}

async function lines(container: string): Promise<Line[]> {
  const { stdout } = await dockerd.docker(['logs', container]);
  return stdout
    .trim()
    .split('\n')
    .filter(Boolean)
    .map((line) => lineSchema.parse(JSON.parse(line)));
}

const last = async (container: string, msg: string): Promise<Line | undefined> =>
  (await lines(container)).findLast((line) => line.msg === msg);

/** One connection from a container of its own. @returns what was wrong with it, '' if nothing */
async function visit(files: string, name: string, connect = 'greeter:8443'): Promise<string> {
  const volume = `--volume=${join(certificates, files)}:/var/run/mtls:ro`;
  const flags = ['run', '--rm', '--network=greetings', `--name=${name}`, volume, image];
  try {
    await dockerd.docker([...flags, '/client', '-connect', connect, '-times', '1']);
    return '';
  } catch (error) {
    if (error instanceof CommandError) return error.output;
    throw error;
  }
}

test('they greet each other by the names of their containers', async () => {
  await waitFor('the client to be greeted', async () => Number((await last('visitor', 'count'))?.['handshakes']) > 5);
  expect(await last('visitor', 'peer')).toMatchObject({ name: 'greeter' });
  expect(await last('greeter', 'peer')).toMatchObject({ name: 'visitor' });
  expect(await visit('visitor', 'again')).toBe('');
});

describe('refused is', () => {
  test('a server by another name than that of its container', async () => {
    const volume = `--volume=${join(certificates, 'greeter')}:/var/run/mtls:ro`;
    await dockerd.docker(['run', '--detach', '--network=greetings', '--name=welcomer', volume, image, '/server']);
    await waitFor('it to serve', async () => (await last('welcomer', 'serving')) !== undefined);
    expect(await visit('visitor', 'mistaken', 'welcomer:8443')).toContain('valid for greeter, not welcomer');
  });

  test('a client with a certificate for servers', async () => {
    expect(await visit('greeter', 'posing')).toContain('bad certificate');
  });

  test('a client of another authority, which refuses the server in turn', async () => {
    await world.createAuthority('foreign', {
      trustDomain: 'foreign.example.com',
      selfSigned: {},
    });
    await world.create('containers', 'stranger', {
      secretName: 'stranger-mtls',
      dnsNames: ['stranger.containers.svc'],
      authorityRef: { name: 'foreign' },
      usages: ['client auth'],
    });
    await world.ready('containers', 'stranger');
    await bring('stranger');
    expect(await visit('stranger', 'stranger')).toContain('unknown authority');
    // With the roots of the server: then it is the server that refuses.
    const mixed = join(certificates, 'mixed');
    mkdirSync(mixed);
    for (const [file, owner] of [
      ['tls.crt', 'stranger'],
      ['tls.key', 'stranger'],
      ['ca.crt', 'visitor'],
    ] as const) {
      writeFileSync(join(mixed, file), readFileSync(join(certificates, owner, file)), { mode: 0o444 });
    }
    expect(await visit('mixed', 'mixed')).toMatch(/unknown certificate authority|bad certificate/);
  });

  test('a client without certificate', async () => {
    const address = (
      await dockerd.docker(['inspect', '--format={{.NetworkSettings.Networks.greetings.IPAddress}}', 'greeter'])
    ).stdout.trim();
    const [command, ...args] = dockerd.enter([
      'openssl',
      's_client',
      '-connect',
      `${address}:8443`,
      '-CAfile',
      join(certificates, 'visitor', 'ca.crt'),
      '-verify_hostname',
      'greeter',
      '-verify_return_error',
      '-ign_eof',
    ]);
    const end = await run(command, args).then(
      ({ stdout, stderr }) => stdout + stderr,
      (error: CommandError) => error.output,
    );
    expect(end).toContain('certificate required');
  });

  test('a single-label name that no rule allows', async () => {
    await world.create('containers', 'postman', { secretName: 'postman', dnsNames: ['postman'] });
    await world.reason('containers', 'postman', 'Ready', 'NamesDenied');
  });
});

test('a renewal reaches both while they run, and no connection fails', async () => {
  const before = { greeter: await last('visitor', 'peer'), visitor: await last('greeter', 'peer') };
  const failures = Number((await last('visitor', 'count'))?.['failures']);
  for (const name of ['greeter', 'visitor'] as const) {
    const secret = await world.secret('containers', `${name}-mtls`, { holder: name });
    const now = new Date().toISOString().replace(/\.\d+/, '');
    await world.annotate('containers', name, { 'mtls-operator.io/renew-at': now });
    const renewed = ({ serialNumber }: { serialNumber: string }) => serialNumber !== secret.serialNumber;
    await world.secretWhen('containers', `${name}-mtls`, 'to be renewed', renewed, { holder: name });
    await bring(name);
  }
  await waitFor(
    'the client to see the new server',
    async () => (await last('visitor', 'peer'))?.['serial'] !== before.greeter?.['serial'],
  );
  await waitFor(
    'the server to see the new client',
    async () => (await last('greeter', 'peer'))?.['serial'] !== before.visitor?.['serial'],
  );
  expect(Number((await last('visitor', 'count'))?.['failures'])).toBe(failures);
});
