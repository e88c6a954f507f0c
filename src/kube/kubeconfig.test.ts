import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { stringify } from 'yaml';
import { loadConnection } from './config.ts';
import { inClusterSource, isInCluster } from './inCluster.ts';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'kubeconfig-test-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

function write(name: string, content: string): string {
  const path = join(directory, name);
  writeFileSync(path, content, { mode: 0o700 });
  return path;
}

function config(
  parts: { cluster?: object; user?: object; context?: object; name?: string; current?: string } = {},
): object {
  const name = parts.name ?? 'one';
  return {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name, cluster: { server: 'https://api.example.com:6443', ...parts.cluster } }],
    users: [{ name, user: parts.user ?? {} }],
    contexts: [{ name, context: { cluster: name, user: name, ...parts.context } }],
    'current-context': parts.current ?? name,
  };
}

const load = (kubeconfig: string, context?: string) => loadConnection({ kubeconfig, context, env: {} });

async function credentialsOf(user: object, cluster: object = {}) {
  const connection = await load(write('config', stringify(config({ user, cluster }))));
  return connection.credentials();
}

describe('what a kubeconfig says', () => {
  test.each([
    ['YAML', stringify],
    ['JSON', JSON.stringify],
  ])('is read as %s', async (_name, format) => {
    const path = write(
      'config',
      format(config({ context: { namespace: 'shop' }, cluster: { server: 'https://h:6443/' } })),
    );
    expect(await load(path)).toMatchObject({ server: 'https://h:6443', namespace: 'shop', proxyUrl: undefined });
  });

  test('token', async () => {
    expect((await credentialsOf({ token: 'abc\n' })).headers).toEqual({ authorization: 'Bearer abc' });
  });

  test('tokenFile, beside the kubeconfig, read anew each time, before token', async () => {
    const path = write('config', stringify(config({ user: { tokenFile: 'token', token: 'old' } })));
    write('token', 'first\n');
    const connection = await load(path);
    expect((await connection.credentials()).headers).toEqual({ authorization: 'Bearer first' });
    write('token', 'second');
    expect((await connection.credentials()).headers).toEqual({ authorization: 'Bearer second' });
  });

  test('client certificate and authority, as data or as files beside the kubeconfig', async () => {
    write('ca.pem', 'CA');
    write('client.pem', 'CERT');
    const tls = {
      'client-certificate': 'client.pem',
      'client-key-data': Buffer.from('KEY').toString('base64'),
    };
    expect((await credentialsOf(tls, { 'certificate-authority': 'ca.pem' })).tls).toMatchObject({
      ca: 'CA',
      cert: 'CERT',
      key: 'KEY',
    });
  });

  test('the same TLS material is the same object, so that connections stay open; other material is another', async () => {
    write('ca.pem', 'CA');
    const connection = await load(
      write('config', stringify(config({ cluster: { 'certificate-authority': 'ca.pem' } }))),
    );
    const first = await connection.credentials();
    expect((await connection.credentials()).tls).toBe(first.tls);
    write('ca.pem', 'NEW');
    expect((await connection.credentials()).tls).toMatchObject({ ca: 'NEW' });
  });

  test('user and password', async () => {
    const { headers } = await credentialsOf({ username: 'u', password: 'p' });
    expect(headers).toEqual({ authorization: `Basic ${Buffer.from('u:p').toString('base64')}` });
  });

  test('impersonation', async () => {
    const { headers } = await credentialsOf({ token: 't', as: 'jane', 'as-uid': '7', 'as-groups': ['a', 'b', 3] });
    expect(headers).toMatchObject({
      'impersonate-user': 'jane',
      'impersonate-uid': '7',
      'impersonate-group': ['a', 'b'],
    });
  });

  test('insecure-skip-tls-verify, tls-server-name and proxy-url', async () => {
    const cluster = { 'insecure-skip-tls-verify': true, 'tls-server-name': 'kubernetes', 'proxy-url': 'http://p:1' };
    const connection = await load(write('config', stringify(config({ cluster }))));
    expect(connection.proxyUrl).toBe('http://p:1');
    expect((await connection.credentials()).tls).toMatchObject({ insecure: true, servername: 'kubernetes' });
  });

  test('a proxy of the environment', async () => {
    const kubeconfig = write('config', stringify(config()));
    const env = { HTTPS_PROXY: 'http://p:1' };
    expect((await loadConnection({ kubeconfig, env })).proxyUrl).toBe('http://p:1');
    const exempt = { ...env, NO_PROXY: 'example.com' };
    expect((await loadConnection({ kubeconfig, env: exempt })).proxyUrl).toBeUndefined();
  });

  test('another context than the current one', async () => {
    const two = config({ name: 'two', cluster: { server: 'https://two' } });
    const path = write('two', stringify(two));
    expect(await load(path, 'two')).toMatchObject({ server: 'https://two' });
  });
});

describe('exec plugins', () => {
  test('are run with KUBERNETES_EXEC_INFO, their answer is kept until it expires, and dropped when it was refused', async () => {
    const count = join(directory, 'count');
    const plugin = write(
      'plugin.mjs',
      `#!/usr/bin/env node
import { appendFileSync, readFileSync } from 'node:fs';
appendFileSync(${JSON.stringify(count)}, 'x');
const info = JSON.parse(process.env.KUBERNETES_EXEC_INFO);
const token = [info.kind, info.spec.interactive, info.spec.cluster.server, readFileSync(${JSON.stringify(count)}, 'utf8').length].join('|');
console.log(JSON.stringify({ apiVersion: info.apiVersion, kind: 'ExecCredential', status: { token, expirationTimestamp: new Date(Date.now() + 3600e3) } }));
`,
    );
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin, provideClusterInfo: true };
    const connection = await load(write('config', stringify(config({ user: { exec } }))));
    const authorization = 'Bearer ExecCredential|false|https://api.example.com:6443|';
    expect((await connection.credentials()).headers).toEqual({ authorization: `${authorization}1` });
    expect((await connection.credentials()).headers).toEqual({ authorization: `${authorization}1` });
    expect((await connection.credentials({ fresh: true })).headers).toEqual({ authorization: `${authorization}2` });
  });

  test('that fail say so, with what they said', async () => {
    const plugin = write('plugin.sh', '#!/bin/sh\necho "please log in" >&2\nexit 3\n');
    const exec = { apiVersion: 'client.authentication.k8s.io/v1', command: plugin };
    const connection = await load(write('config', stringify(config({ user: { exec } }))));
    await expect(connection.credentials()).rejects.toThrow('the exec plugin of user "one" failed: please log in');
  });
});

describe('several files', () => {
  test('are merged as kubectl does: the first mention of a name wins', async () => {
    const a = write('a', stringify(config({ name: 'one', cluster: { server: 'https://first' } })));
    const b = write('b', stringify(config({ name: 'one', cluster: { server: 'https://second' } })));
    const env = { KUBECONFIG: `${a}:${join(directory, 'missing')}:${b}` };
    expect(await loadConnection({ env })).toMatchObject({ server: 'https://first' });
  });
});

describe('what is wrong', () => {
  test.each([
    ['no file', undefined, 'cannot read kubeconfig'],
    ['no object', 'just text', 'is not a YAML object'],
    ['broken YAML', 'users:\n- name: "SECRET-KEY\n  x: {', 'is not valid YAML'],
    ['broken JSON', '{"users": [{"user": {"token": "SECRET-KEY" ', 'is not valid JSON'],
    ['no current context', stringify({ ...config(), 'current-context': '' }), 'sets no current-context'],
    ['an unknown context', stringify(config({ current: 'two' })), 'has no context "two"; it has: one'],
    ['an unknown cluster', stringify(config({ context: { cluster: 'x' } })), 'has no cluster "x"; it has: one'],
    ['an unknown user', stringify(config({ context: { user: 'x' } })), 'has no user "x"; it has: one'],
    ['no server', stringify(config({ cluster: { server: '' } })), 'has no server URL'],
    ['a server that is no URL', stringify(config({ cluster: { server: 'api:6443' } })), 'has no server URL'],
  ])('%s', async (_name, content, message) => {
    const path = content === undefined ? join(directory, 'missing') : write('config', content);
    const error: unknown = await load(path).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(Error);
    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain('SECRET');
  });

  test.each([
    ['an empty token file', '', 'is empty'],
    ['a token with a line break in it', 'SEC\nRET', 'holds characters'],
  ])('%s', async (_name, token, message) => {
    write('token', token);
    const connection = await load(write('config', stringify(config({ user: { tokenFile: 'token' } }))));
    const error: unknown = await connection.credentials().catch((e: unknown) => e);
    expect(String(error)).toContain(message);
    expect(String(error)).not.toContain('SEC');
  });
});

describe('in a pod', () => {
  const env = { KUBERNETES_SERVICE_HOST: '10.96.0.1', KUBERNETES_SERVICE_PORT: '443' };

  test('the service account is used, its files read anew each time', async () => {
    write('token', 'one\n');
    write('ca.crt', 'CA');
    write('namespace', 'mtls-system');
    const connection = await inClusterSource({ env, directory });
    expect(connection).toMatchObject({ server: 'https://10.96.0.1:443', namespace: 'mtls-system' });
    const first = await connection.credentials();
    expect(first).toEqual({ headers: { authorization: 'Bearer one' }, tls: { ca: 'CA' } });
    write('token', 'two');
    const second = await connection.credentials();
    expect(second.headers).toEqual({ authorization: 'Bearer two' });
    expect(second.tls).toBe(first.tls);
  });

  test('an IPv6 address gets its brackets', async () => {
    const v6 = { ...env, KUBERNETES_SERVICE_HOST: 'fd00::1' };
    expect(await inClusterSource({ env: v6, directory })).toMatchObject({ server: 'https://[fd00::1]:443' });
  });

  test('is recognised by the variables that the kubelet sets', () => {
    expect(isInCluster(env)).toBe(true);
    expect(isInCluster({ KUBERNETES_SERVICE_HOST: 'x' })).toBe(false);
  });
});
