/**
 * The bundle, as users run it, with kubeconfigs that need what it loads only then: a bundler may take the names out of a package that is imported late, and
 * nothing but the bundle itself shows it.
 */
import { once } from 'node:events';
import { readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { stringify } from 'yaml';
import * as z from 'zod';
import { buildOperator, operatorEnvironment, operatorNodeFlags } from '../../build.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { installOperator, operatorUser, startOperatorProcess } from '../support/operator.ts';

const kubeconfigSchema = z.looseObject({
  clusters: z.tuple([z.looseObject({ cluster: z.looseObject({ server: z.string() }) })]),
  users: z.tuple([
    z.looseObject({
      user: z.looseObject({ 'client-certificate-data': z.string(), 'client-key-data': z.string() }),
    }),
  ]),
});
type Kubeconfig = z.output<typeof kubeconfigSchema>;

let cluster: Cluster;
let bundle: string;
let original: Kubeconfig;

beforeAll(async () => {
  [bundle, cluster] = await Promise.all([buildOperator(), startCluster({ controllerManager: false })]);
  await installOperator(cluster);
  const text = await readFile(await cluster.kubeconfigFor(operatorUser), 'utf8');
  original = kubeconfigSchema.parse(JSON.parse(text));
});
afterAll(async () => {
  await cluster?.stop();
});

/** Resolves when the bundled operator leads and has judged every certificate of the cluster. */
async function leads(name: string, text: string): Promise<void> {
  const kubeconfig = join(cluster.directory, name);
  await writeFile(kubeconfig, text, { mode: 0o600 });
  await using operator = await startOperatorProcess(cluster, {
    kubeconfig,
    env: operatorEnvironment,
    program: [...operatorNodeFlags, bundle],
    flags: ['--no-leader-elect'],
  });
  expect(operator.log.map(({ msg }) => msg)).toContain('judged every certificate');
}

test('reads a kubeconfig in YAML', async () => {
  await leads('yaml', `# as people write it\n${stringify(original)}`);
});

test('goes through the proxy that the kubeconfig names', async () => {
  const tunnels: string[] = [];
  const proxy = createServer().on('connect', ({ url = '' }, client, head) => {
    tunnels.push(url);
    const [host = '', port = ''] = url.split(':');
    const upstream = connect(Number(port), host, () => {
      client.write('HTTP/1.1 200 Connection established\r\n\r\n');
      upstream.write(head);
      upstream.pipe(client).pipe(upstream);
    });
    for (const socket of [client, upstream]) socket.on('error', () => [client, upstream].map((end) => end.destroy()));
  });
  await once(proxy.listen(0, '127.0.0.1'), 'listening');
  try {
    const [entry] = original.clusters;
    const { port } = z.custom<AddressInfo>((address) => typeof address === 'object').parse(proxy.address());
    const clusters = [{ ...entry, cluster: { ...entry.cluster, 'proxy-url': `http://127.0.0.1:${port}` } }];
    await leads('proxy', JSON.stringify({ ...original, clusters }));
    expect(new Set(tunnels)).toEqual(new Set([new URL(entry.cluster.server).host]));
  } finally {
    proxy.close();
    proxy.closeAllConnections();
  }
});

test('asks an exec plugin for credentials', async () => {
  const [entry] = original.users;
  const pem = (data: string): string => Buffer.from(data, 'base64').toString('utf8');
  const credential = join(cluster.directory, 'credential.json');
  const apiVersion = 'client.authentication.k8s.io/v1';
  const status = {
    clientCertificateData: pem(entry.user['client-certificate-data']),
    clientKeyData: pem(entry.user['client-key-data']),
  };
  await writeFile(credential, JSON.stringify({ apiVersion, kind: 'ExecCredential', status }), { mode: 0o600 });
  const exec = { apiVersion, command: 'cat', args: [credential], interactiveMode: 'Never' };
  await leads('exec', JSON.stringify({ ...original, users: [{ ...entry, user: { exec } }] }));
});
