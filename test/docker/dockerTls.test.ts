// docs/docker.md with a real dockerd: every block in it is run, in its order; then who gets in and who does not, and a renewal while containers run.
import { execFile } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { World } from '../certificate/world.ts';
import { machinePath } from '../node/machine.ts';
import { type CommandLine, commandLine } from '../support/commandLine.ts';
import { goProgram } from '../support/goProgram.ts';
import { fencedBlocks, linkedFiles } from '../support/markdown.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type Dockerd, startDockerd } from './dockerd.ts';
import { docker, dockerd as dockerdPath } from './machine.ts';

const root = join(import.meta.dirname, '..', '..');
const markdown = readFileSync(join(root, 'docs', 'docker.md'), 'utf8');
const examples = join(root, 'examples', 'docker-daemon');
const blocks = fencedBlocks(markdown);

const byName = 'tcp://build-1.docker.example.com:2376';
const image = 'localhost/pause';

let world: World;
let dockerd: Dockerd;
let shell: CommandLine;
/** What install.sh takes for the root of the host. */
let host: string;
let supervisor: Supervisor;

beforeAll(async () => {
  [world, dockerd] = [await World.start(), await startDockerd({ progress: printProgress })];
  const context = join(dockerd.directory, 'image');
  mkdirSync(context);
  copyFileSync(await goProgram(join(root, 'test', 'node', 'pause'), printProgress), join(context, 'pause'));
  writeFileSync(join(context, 'Dockerfile'), 'FROM scratch\nCOPY pause /\nENTRYPOINT ["/pause"]\n');
  await dockerd.docker(['build', `--tag=${image}`, context]);
  await enter(['ip', 'address', 'add', '192.0.2.10/32', 'dev', 'lo']);
  await enter(['ip', 'address', 'add', '192.0.2.11/32', 'dev', 'lo']);
  const hosts = join(dockerd.directory, 'hosts');
  writeFileSync(hosts, '127.0.0.1 localhost\n192.0.2.10 build-1.docker.example.com build-2.docker.example.com\n');
  await enter(['mount', '--bind', hosts, '/etc/hosts']);

  host = join(dockerd.directory, 'host');
  const programs = join(dockerd.directory, 'programs');
  mkdirSync(programs);
  const quoted = (words: readonly string[]) => words.map((word) => `'${word}'`).join(' ');
  const script = (name: string, text: string): string => {
    const path = join(programs, name);
    writeFileSync(path, `#!/bin/sh\nset -eu\n${text}`, { mode: 0o755 });
    return path;
  };
  supervisor = new Supervisor(dockerd, join(dockerd.directory, 'supervisor'));
  shell = commandLine(
    dockerd.directory,
    world.cluster,
    {
      // Debian's client, in the daemon's network.
      docker: script('docker', `exec ${quoted(dockerd.enter([docker]))} "$@"\n`),
      // There is no systemd on a machine for tests: this does what it would do with the units.
      systemctl: script('systemctl', supervisor.systemctl(host)),
    },
    { DESTDIR: host, DOCKER_HOST: dockerd.host },
  );
  shell.env['PATH'] = `${shell.env['PATH']}:${machinePath}`;
});

afterAll(async () => {
  await supervisor?.end();
  await dockerd?.remove();
  await world?.[Symbol.asyncDispose]();
});

async function enter(command: readonly [string, ...string[]]): Promise<void> {
  const [program, ...args] = dockerd.enter(command);
  await new Promise<void>((resolve, reject) =>
    execFile(program, args, (error) => (error === null ? resolve() : reject(error))),
  );
}

/** What an init system does for dockerd and for the unit of the example: it starts what the unit says, and restarts dockerd when it is asked to. */
class Supervisor {
  readonly #dockerd: Dockerd;
  readonly #folder: string;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();
  restarts = 0;

  constructor(daemon: Dockerd, folder: string) {
    this.#dockerd = daemon;
    this.#folder = folder;
    mkdirSync(folder);
    this.#running = this.#serve();
  }

  systemctl(destination: string): string {
    const place = (path: string): string => `sed -e 's# /\\(etc\\|usr/local/lib\\)/# ${destination}/\\1/#g' '${path}'`;
    const pidFile = join(dirname(this.#dockerd.directory), 'pid');
    const unit = `${destination}/etc/systemd/system/dockerd-tls.service`;
    return `
case "$*" in
  daemon-reload) ;;
  'enable --now dockerd-tls.timer' | 'start dockerd-tls.service')
    sh -c "$(${place(unit)} | sed -n '/^ExecStart=/,/[^\\\\]$/p' | sed 's/^ExecStart=//')" ;;
  'is-active docker')
    if [ -e '${pidFile}' ]; then echo active; else echo inactive; exit 3; fi ;;
  'restart docker' | 'start docker')
    rm -f '${this.#folder}/done'
    touch '${this.#folder}/wanted'
    for attempt in $(seq 600); do if [ -e '${this.#folder}/done' ]; then exit 0; fi; sleep 0.1; done
    exit 1 ;;
  *) echo "systemctl $*?" >&2; exit 1 ;;
esac
`;
  }

  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #serve(): Promise<void> {
    const { signal } = this.#ending;
    while (!signal.aborted) {
      const wanted = join(this.#folder, 'wanted');
      try {
        await waitFor('a restart to be asked for', () => existsSync(wanted), { timeoutMs: 3_600_000, signal });
      } catch {
        return;
      }
      rmSync(wanted);
      await this.#dockerd.stop();
      await this.#dockerd.start(daemonFlags());
      this.restarts += 1;
      writeFileSync(join(this.#folder, 'done'), '');
    }
  }
}

/** As installed: daemon.json, and the command of listen.conf without the socket that systemd opens, with its paths below the folder of the host. */
function daemonFlags(): string[] {
  const drop = readFileSync(join(host, 'etc/systemd/system/docker.service.d/listen.conf'), 'utf8').replaceAll(
    '\\\n',
    '',
  );
  const [program, ...flags] = /^ExecStart=(\S.*)$/m.exec(drop)?.[1]?.split(/\s+/) ?? [];
  expect(program).toBe(dockerdPath);
  expect(flags.join(' ')).toContain('-H tcp://');
  const text = flags.join('\n').replace('-H\nfd://\n', '').replaceAll('/etc/docker/', `${host}/etc/docker/`);
  return [`--config-file=${join(host, 'etc/docker/daemon.json')}`, ...text.split('\n')];
}

async function fails(script: string): Promise<string> {
  return await shell.run(script).then(
    () => 'it did not fail',
    (error: Error) => error.message,
  );
}

const call = (server: string, directory: string): string =>
  `DOCKER_HOST=${server} DOCKER_TLS_VERIFY=1 DOCKER_CERT_PATH='${directory}' docker version --format '{{.Server.Version}}'`;

/** A folder for a client, made of files of others. */
function clientFolder(name: string, files: Readonly<Record<string, string>>): string {
  const folder = join(dockerd.directory, 'clients', name);
  mkdirSync(folder, { recursive: true });
  for (const [file, source] of Object.entries(files)) copyFileSync(source, join(folder, file));
  return folder;
}

const home = (): string => shell.env['HOME'] ?? '';
const client = (): string => join(home(), '.docker');
const daemonFiles = (): string => join(host, 'etc/docker/tls');
const serial = (file: string): string => new X509Certificate(readFileSync(file)).serialNumber;

/** The certificate that dockerd shows. */
async function shown(): Promise<string> {
  const [program, ...args] = dockerd.enter(['openssl', 's_client', '-connect', '192.0.2.10:2376']);
  const text = await new Promise<string>((resolve) => {
    execFile(program, args, (_, stdout) => resolve(stdout)).stdin?.end();
  });
  const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/.exec(text)?.[0] ?? '';
  return new X509Certificate(pem).serialNumber;
}

async function renew(name: string): Promise<void> {
  const options = { holder: name, authority: 'docker' };
  const before = await world.secret('docker', `${name}-tls`, options);
  const now = new Date().toISOString().replace(/\.\d+/, '');
  await world.annotate('docker', name, { 'mtls-operator.io/renew-at': now });
  const renewed = ({ serialNumber }: { serialNumber: string }) => serialNumber !== before.serialNumber;
  await world.secretWhen('docker', `${name}-tls`, 'to be renewed', renewed, options);
}

describe('the blocks, one after the other', () => {
  test('are all of a kind that can be run', () => {
    expect(blocks.length).toBeGreaterThan(3);
    expect(blocks.filter(({ language }) => language !== 'sh')).toEqual([]);
  });

  test.each(blocks.map((block) => ({ ...block, title: block.text.split('\n')[0] ?? '' })))(
    '$title',
    async ({ text }) => {
      // The controller manager makes the token a moment after its Secret.
      if (text.includes('kubeconfig.sh')) {
        const token = ['get', 'secret', '-n', 'docker', '-o', 'jsonpath={.items[*].data.token}'];
        await waitFor('the tokens', async () => (await world.cluster.kubectl(token)).split(' ').length === 2);
      }
      await shell.run(text);
    },
  );

  test('the hook has restarted dockerd with the files that fetch has brought', async () => {
    expect(supervisor.restarts).toBe(1);
    expect(await shown()).toBe(serial(join(daemonFiles(), 'cert.pem')));
  });

  test('links lead to files that exist', () => {
    expect(linkedFiles(markdown).filter((file) => !existsSync(join(root, 'docs', file)))).toEqual([]);
  });

  test('name every file of the example', () => {
    const named = readdirSync(examples).filter(
      (file) => markdown.includes(file) || readFileSync(join(examples, 'install.sh'), 'utf8').includes(file),
    );
    expect(named.sort()).toEqual(readdirSync(examples).sort());
  });
});

describe('the daemon accepts', () => {
  test('a client certificate, by DNS name and by address', async () => {
    const version = (await dockerd.docker(['version', '--format', '{{.Server.Version}}'])).stdout;
    for (const server of [byName, 'tcp://192.0.2.10:2376'])
      expect(await shell.run(call(server, client()))).toBe(version);
  });
});

describe('refused is', () => {
  test('a certificate for servers', async () => {
    expect(await fails(call(byName, daemonFiles()))).toMatch(/bad certificate|incompatible key usage/);
  });

  test('a client without certificate', async () => {
    const folder = clientFolder('none', { 'ca.pem': join(client(), 'ca.pem') });
    expect(await fails(call(byName, folder))).toMatch(/bad certificate|certificate required/);
  });

  test("a client of another authority, and another authority's daemon", async () => {
    await world.cluster.kubectl(['create', 'namespace', 'elsewhere']);
    await world.createSimple('elsewhere', 'stranger', { outputs: [{ type: 'Docker' }] });
    await world.ready('elsewhere', 'stranger');
    const out = join(dockerd.directory, 'stranger');
    const fetching = `node dist/main.js fetch --kubeconfig '${world.cluster.kubeconfig}' --namespace elsewhere --secret stranger --out '${out}'`;
    await shell.run(fetching.replace('node', `'${process.execPath}'`));
    const [theirs, ours] = [(name: string) => join(out, name), (name: string) => join(client(), name)];
    const stranger = clientFolder('stranger', {
      'ca.pem': ours('ca.pem'),
      'cert.pem': theirs('cert.pem'),
      'key.pem': theirs('key.pem'),
    });
    expect(await fails(call(byName, stranger))).toMatch(/bad certificate|unknown certificate authority/);
    const distrusting = clientFolder('distrusting', {
      'ca.pem': theirs('ca.pem'),
      'cert.pem': ours('cert.pem'),
      'key.pem': ours('key.pem'),
    });
    expect(await fails(call(byName, distrusting))).toContain('certificate signed by unknown authority');
  });

  test('a daemon by a name or an address that is not its own', async () => {
    expect(await fails(call('tcp://build-2.docker.example.com:2376', client()))).toContain(
      'not build-2.docker.example.com',
    );
    expect(await fails(call('tcp://192.0.2.11:2376', client()))).toContain('not 192.0.2.11');
  });

  test('plaintext', async () => {
    expect(await fails(`DOCKER_HOST=${byName} docker version`)).toContain('HTTP request to an HTTPS server');
  });

  test('a WorkloadCertificate of this authority in another namespace', async () => {
    const spec = { secretName: 'thief', dnsNames: ['thief.elsewhere.svc'], authorityRef: { name: 'docker' } };
    await expect(world.create('elsewhere', 'thief', spec)).rejects.toThrow('is for the namespace docker alone');
  });
});

describe('a renewal', () => {
  const state = async (): Promise<string> =>
    (await dockerd.docker(['inspect', '--format={{.State.Running}} {{.State.Pid}} {{.State.StartedAt}}', 'worker']))
      .stdout;
  const run = 'systemctl start dockerd-tls.service';

  test('of the daemon: dockerd is restarted with the new certificate, and containers run on', async () => {
    await dockerd.docker(['run', '--detach', '--name=worker', image]);
    const before = await state();
    expect(before).toMatch(/^true /);
    const old = await shown();
    const restarts = supervisor.restarts;
    await renew('dockerd-build-1');
    await shell.run(run);
    expect(supervisor.restarts).toBe(restarts + 1);
    expect(await shown()).toBe(serial(join(daemonFiles(), 'cert.pem')));
    expect(await shown()).not.toBe(old);
    expect(await state()).toBe(before);
    await shell.run(call(byName, client()));
    // Nothing new: nothing is restarted.
    await shell.run(run);
    expect(supervisor.restarts).toBe(restarts + 1);
  });

  test('of the client: its next call shows the new certificate', async () => {
    const old = serial(join(client(), 'cert.pem'));
    await renew('docker-client-ci');
    const fetching = blocks.find(({ text }) => text.includes('--out ~/.docker'))?.text ?? '';
    await shell.run(fetching);
    expect(serial(join(client(), 'cert.pem'))).not.toBe(old);
  });

  test('is put off where restarting dockerd would end its containers', async () => {
    const config = join(host, 'etc/docker/daemon.json');
    const text = readFileSync(config, 'utf8');
    writeFileSync(config, text.replace('"live-restore": true', '"live-restore": false'));
    await dockerd.stop();
    await dockerd.start(daemonFlags());
    await dockerd.docker(['start', 'worker']);
    const restarts = supervisor.restarts;
    await renew('dockerd-build-1');
    expect(await fails(run)).toMatch(/exit code 6[\s\S]*without live-restore/);
    expect(supervisor.restarts).toBe(restarts);

    writeFileSync(config, text);
    await dockerd.stop();
    await dockerd.start(daemonFlags());
    // The hook is still due.
    await shell.run(run);
    expect(supervisor.restarts).toBe(restarts + 1);
  });
});

describe('the hook', () => {
  const hook = (): string =>
    `DOCKERD_CONFIG='${host}/etc/docker/daemon.json' '${host}/usr/local/lib/mtls-operator/restart-dockerd'`;

  test('starts a daemon that is down', async () => {
    await dockerd.stop();
    const starts = supervisor.restarts;
    await shell.run(hook());
    expect(supervisor.restarts).toBe(starts + 1);
    expect(await shown()).toBe(serial(join(daemonFiles(), 'cert.pem')));
  });

  test('does not restart one that runs and does not answer', async () => {
    const restarts = supervisor.restarts;
    expect(await fails(`DOCKER_HOST=unix://${dockerd.directory}/nowhere ${hook()}`)).toContain(
      'does not answer, and is active',
    );
    expect(supervisor.restarts).toBe(restarts);
  });
});

describe('install.sh', () => {
  /** @returns the folder that it takes for the root of a host with this daemon.json. */
  function hostWith(name: string, config: string): string {
    const folder = join(dockerd.directory, name);
    mkdirSync(join(folder, 'etc/docker'), { recursive: true });
    writeFileSync(join(folder, 'etc/docker/daemon.json'), config);
    return folder;
  }
  const install = (folder: string): string =>
    `DESTDIR='${folder}' sh examples/docker-daemon/install.sh ~/ci.kubeconfig`;
  const content = (folder: string): string[] => readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();

  test('leaves another daemon.json as it is, and no port is open without TLS', async () => {
    const config = '{ "log-driver": "local" }';
    const folder = hostWith('with-config', config);
    await shell.run(install(folder));
    expect(readFileSync(join(folder, 'etc/docker/daemon.json'), 'utf8')).toBe(config);
    const drop = readFileSync(join(folder, 'etc/systemd/system/docker.service.d/listen.conf'), 'utf8').replaceAll(
      '\\\n',
      '',
    );
    for (const line of drop.split('\n').filter((text) => text.includes('tcp://')))
      expect(line).toContain(' --tlsverify ');
  });

  test.each([
    ['hosts', '{ "hosts": ["unix:///var/run/docker.sock"] }', 'has hosts'],
    ['TLS', '{ "tlsverify": false, "tlscert": "/etc/ssl/cert.pem" }', 'has tlsverify, tlscert'],
    ['what is no JSON', '{', 'cannot be read'],
  ])('installs nothing where daemon.json has %s', async (what, config, said) => {
    const folder = hostWith(`with-${what.replaceAll(' ', '-')}`, config);
    const before = content(folder);
    expect(await fails(install(folder))).toContain(said);
    expect(content(folder)).toEqual(before);
  });

  test.each([
    ['dockerd', ['node', 'dirname', 'realpath'], 'no dockerd'],
    ['node', ['dockerd', 'dirname', 'realpath'], 'no node'],
  ])('installs nothing where there is no %s', async (missing, present, said) => {
    const folder = hostWith(`without-${missing}`, '{}');
    const before = content(folder);
    const bin = join(dockerd.directory, `bin-without-${missing}`);
    mkdirSync(bin);
    for (const program of present) await shell.run(`ln -s "$(command -v ${program})" '${bin}/'`);
    expect(await fails(install(folder).replace(' sh ', ` PATH='${bin}' /bin/sh `))).toContain(said);
    expect(content(folder)).toEqual(before);
  });

  test('installs nothing where Node is too old', async () => {
    const folder = hostWith('old-node', '{}');
    const before = content(folder);
    const bin = join(dockerd.directory, 'bin-old-node');
    mkdirSync(bin);
    // A real Node of another version needs a download: this one says that it is, as an older one would.
    const old = `Object.defineProperty(process.versions, "node", { value: "22.1.0" });`;
    writeFileSync(join(bin, 'old.cjs'), old);
    writeFileSync(join(bin, 'node'), `#!/bin/sh\nexec '${process.execPath}' --require '${bin}/old.cjs' "$@"\n`, {
      mode: 0o755,
    });
    expect(await fails(install(folder).replace(' sh ', ` PATH="${bin}:$PATH" sh `))).toContain('Node 24 or newer');
    expect(content(folder)).toEqual(before);
  });
});

test('kubeconfig.sh: the token is for its owner alone, also where the file was there before', async () => {
  const file = join(home(), 'known.kubeconfig');
  writeFileSync(file, '', { mode: 0o644 });
  const script = 'sh examples/docker-daemon/kubeconfig.sh docker docker-client-ci-token';
  await shell.run(`umask 022; ${script} '${file}'`);
  for (const path of [file, join(home(), 'ci.kubeconfig')])
    expect((statSync(path).mode & 0o777).toString(8)).toBe('600');
  expect(readFileSync(file, 'utf8')).toBe(readFileSync(join(home(), 'ci.kubeconfig'), 'utf8'));
  expect(await fails(`${script} >'${file}'`)).toContain('NAMESPACE SECRET FILE');
});

test('the tokens of the hosts open nothing but the one Secret of each', async () => {
  const { cluster } = world;
  const kubeconfig = join(host, 'etc/mtls-operator/dockerd.kubeconfig');
  const may = async (...what: readonly string[]): Promise<string> =>
    (await cluster.kubectl(['auth', 'can-i', ...what, '-n', 'docker'], { kubeconfig }).catch(() => 'no')).trim();
  expect(await may('get', 'secrets/dockerd-build-1-tls')).toBe('yes');
  for (const secret of ['docker-client-ci-tls', 'docker-client-ci-token', 'dockerd-build-1-token'])
    expect(await may('get', `secrets/${secret}`)).toBe('no');
  for (const verb of ['list', 'watch', 'create']) expect(await may(verb, 'secrets')).toBe('no');
});
