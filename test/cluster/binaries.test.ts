import { createHash } from 'node:crypto';
import {
  appendFileSync,
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer, type Server } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isIntact, putIntoCache } from '../support/cache.ts';
import { run } from '../support/command.ts';
import { goPlatform } from '../support/go.ts';
import { noProgress } from '../support/progress.ts';
import { findOrBuildBinaries, programFromEnvironment, suitsServer } from './binaries.ts';
import { envtestPrograms, fetchEnvtest } from './envtest.ts';
import { findFreePort } from './port.ts';
import { parseVersions, readVersions } from './versions.ts';

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'mtls-binaries-'));
});

afterEach(() => rmSync(directory, { recursive: true }));

function program(path: string, text = '#!/bin/sh\n'): string {
  writeFileSync(path, text);
  chmodSync(path, 0o755);
  return path;
}

describe('versions', () => {
  test('all of them stand in go.mod', () => {
    expect(readVersions()).toEqual({
      kubernetes: expect.stringMatching(/^v1\.\d+\.\d+$/),
      etcd: expect.stringMatching(/^v3\.\d+\.\d+$/),
      go: expect.stringMatching(/^1\.\d+/),
    });
  });

  test('one that is missing is named', () => {
    expect(() => parseVersions('go 1.26.0\nrequire k8s.io/kubernetes v1.37.2\n')).toThrow(/etcd/);
  });
});

describe('binaries of the environment', () => {
  test('TEST_ASSET_* comes before KUBEBUILDER_ASSETS', () => {
    const own = program(join(directory, 'my-server'));
    const folder = join(directory, 'assets');
    mkdirSync(folder);
    const theirs = program(join(folder, 'kube-apiserver'));
    const env = { KUBEBUILDER_ASSETS: folder };
    expect(programFromEnvironment('kube-apiserver', { ...env, TEST_ASSET_KUBE_APISERVER: own })).toBe(own);
    expect(programFromEnvironment('kube-apiserver', env)).toBe(theirs);
  });

  test('what KUBEBUILDER_ASSETS lacks comes from elsewhere', () => {
    expect(programFromEnvironment('kube-controller-manager', { KUBEBUILDER_ASSETS: directory })).toBeUndefined();
  });

  test('a variable that names nothing is an error, not a reason to build', () => {
    const missing = join(directory, 'missing');
    expect(() => programFromEnvironment('etcd', { TEST_ASSET_ETCD: missing })).toThrow(/TEST_ASSET_ETCD is .*missing/);
    expect(() => programFromEnvironment('etcd', { KUBEBUILDER_ASSETS: missing })).toThrow(
      /KUBEBUILDER_ASSETS is .*missing/,
    );
  });

  test('when all are given nothing is looked for elsewhere', async () => {
    const given = program(join(directory, 'any'));
    const env = {
      TEST_ASSET_ETCD: given,
      TEST_ASSET_KUBE_APISERVER: given,
      TEST_ASSET_KUBE_CONTROLLER_MANAGER: given,
      TEST_ASSET_KUBECTL: given,
    };
    const found = await findOrBuildBinaries(noProgress, { env });
    expect(found).toEqual({ etcd: given, kubeApiserver: given, kubeControllerManager: given, kubectl: given });
  });
});

test.each([
  ['v1.37.0', 'v1.37.2', true],
  ['v1.36.9', 'v1.37.2', true],
  ['v1.38.0-alpha.1', 'v1.37.2', true],
  ['v1.35.0', 'v1.37.2', false],
  ['v1.39.0', 'v1.37.2', false],
  ['v1.32.4-vendor', 'v1.37.2', false],
  ['v2.37.0', 'v1.37.2', false],
  ['unknown', 'v1.37.2', false],
])('kubectl %s against a server %s: %j', (kubectl, server, answer) => {
  expect(suitsServer(kubectl, server)).toBe(answer);
});

describe('the cache', () => {
  let file: string;
  beforeEach(async () => {
    file = join(directory, 'etcd');
    await putIntoCache(program(join(directory, 'finished'), 'the program'), file, 'go');
  });

  test('knows what was put', async () => {
    expect(await isIntact(file, false)).toBe(true);
    expect(await isIntact(file, true)).toBe(true);
  });

  test.each([
    ['grew', () => appendFileSync(file, '!')],
    ['was overwritten', () => writeFileSync(file, 'the pr0gram')],
    ['went missing', () => rmSync(file)],
    ['lost its manifest', () => rmSync(`${file}.json`)],
    ['has half a manifest', () => writeFileSync(`${file}.json`, readFileSync(`${file}.json`).subarray(0, 40))],
  ])('does not use a program that %s', async (_, damage) => {
    damage();
    expect(await isIntact(file, false)).toBe(false);
  });

  test('a change that kept size and time is found when digests are asked for', async () => {
    const { mtimeMs } = JSON.parse(readFileSync(`${file}.json`, 'utf8'));
    writeFileSync(file, 'the pr0gram');
    utimesSync(file, mtimeMs / 1000, mtimeMs / 1000);
    expect(await isIntact(file, true)).toBe(false);
  });

  test('a copy with other times is compared once, then known', async () => {
    const now = new Date();
    utimesSync(file, now, now);
    expect(await isIntact(file, false)).toBe(true);
    expect(JSON.parse(readFileSync(`${file}.json`, 'utf8')).mtimeMs).toBe(now.getTime());
  });
});

describe('the release archive', () => {
  let server: Server;
  let base: string;
  const files = new Map<string, Buffer>();

  beforeEach(async () => {
    files.clear();
    server = createServer((request, response) => {
      const body = files.get(request.url ?? '');
      response.writeHead(body === undefined ? 404 : 200).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const address = server.address();
    base = `http://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}`;
  });

  afterEach(() => {
    server.close();
    server.closeAllConnections();
  });

  const name = `envtest-v1.37.2-${goPlatform()}.tar.gz`;

  async function publish(hash?: string): Promise<void> {
    const folder = join(directory, 'source', 'controller-tools', 'envtest');
    mkdirSync(folder, { recursive: true });
    for (const each of envtestPrograms) program(join(folder, each), each);
    writeFileSync(join(directory, 'source', 'stranger'), 'not asked for');
    const archive = join(directory, 'archive.tar.gz');
    await run('tar', ['-czf', archive, '-C', join(directory, 'source'), 'controller-tools', 'stranger']);
    const bytes = readFileSync(archive);
    const digest = hash ?? createHash('sha512').update(bytes).digest('hex');
    const index = `releases:\n  v1.37.2:\n    ${name}:\n      hash: ${digest}\n      selfLink: ${base}/archive\n`;
    files.set('/archive', bytes).set('/index', Buffer.from(index));
  }

  function target(): string {
    const path = join(directory, 'target');
    mkdirSync(path);
    return path;
  }

  test('is unpacked when its digest is the one of the index', async () => {
    await publish();
    const into = target();
    const found = await fetchEnvtest('v1.37.2', into, noProgress, `${base}/index`);
    expect(readFileSync(found?.kubectl ?? '', 'utf8')).toBe('kubectl');
    expect(() => readFileSync(join(into, 'stranger'))).toThrow();
  });

  test('is refused when it is not', async () => {
    await publish('ab'.repeat(64));
    await expect(fetchEnvtest('v1.37.2', target(), noProgress, `${base}/index`)).rejects.toThrow(/SHA-512/);
  });

  test.each([
    ['an index without the version', 'v1.36.0', '/index', /envtest has none of Kubernetes v1\.36\.0/],
    ['no index', 'v1.37.2', '/nothing', /HTTP 404/],
  ])('%s is said in one line', async (_, version, path, line) => {
    await publish();
    const lines: string[] = [];
    expect(await fetchEnvtest(version, target(), (text) => lines.push(text), base + path)).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(line)]);
  });

  test('a host that cannot be reached is said in one line', async () => {
    const lines: string[] = [];
    const nowhere = `http://127.0.0.1:${await findFreePort()}/index`;
    expect(await fetchEnvtest('v1.37.2', target(), (text) => lines.push(text), nowhere)).toBeUndefined();
    expect(lines).toEqual([expect.stringMatching(/127\.0\.0\.1:\d+: not reachable, ECONNREFUSED/)]);
  });
});
