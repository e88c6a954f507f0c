/** The drill of docs/backup.md, with its own commands: back up, lose everything, restore; nobody's certificate or trust changes. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type Cluster, startCluster } from '../cluster/index.ts';
import { makeCorporateCa } from '../support/corporateCa.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { installOperator, startOperatorProcess } from '../support/operator.ts';

const document = join(import.meta.dirname, '..', '..', 'docs', 'backup.md');

async function runBlock(cluster: Cluster, script: string, cwd: string): Promise<void> {
  const path = `${dirname(cluster.binaries.kubectl)}:${process.env['PATH'] ?? ''}`;
  const env = { ...process.env, PATH: path, KUBECONFIG: cluster.kubeconfig };
  await promisify(execFile)('sh', ['-eu', '-c', script], { cwd, env });
}

/** Serial numbers of certificates, and fingerprints of what is trusted: what a restore must not change. */
async function identities(cluster: Cluster): Promise<string> {
  const serials = '{range .items[*]}{.metadata.name}={.status.serialNumber}/{.status.revision} {end}';
  const roots = '{range .items[*]}{.metadata.name}={.status.root.fingerprint}/{.status.issuing.fingerprint} {end}';
  return [
    await cluster.kubectl(['get', 'wcert', '-A', '--sort-by=.metadata.name', '-o', `jsonpath=${serials}`]),
    await cluster.kubectl(['get', 'mca', '--sort-by=.metadata.name', '-o', `jsonpath=${roots}`]),
  ].join('\n');
}

const policy = `
apiVersion: mtls-operator.io/v1alpha1
kind: MTLSPolicy
metadata: {name: default, namespace: shop}
spec: {mode: Strict}
`;

const certificate = (name: string) => `
apiVersion: mtls-operator.io/v1alpha1
kind: WorkloadCertificate
metadata: {name: ${name}, namespace: shop}
spec: {secretName: ${name}-mtls, serviceAccountName: ${name}, dnsNames: [${name}.shop.svc]}
`;

/** What a user has made by hand: a CA of their own, and the password of a keystore. */
async function ownObjects(): Promise<string> {
  const { files } = await makeCorporateCa('Restored');
  const secret = (namespace: string, name: string, stringData: object) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name },
    stringData,
  });
  const outputs = [{ type: 'DER' }, { type: 'PKCS12', passwordSecretRef: { name: 'ledger-password', key: 'text' } }];
  const objects = [
    secret('mtls-system', 'corporate-ca', files),
    secret('shop', 'ledger-password', { text: 'correct horse' }),
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'CertificateAuthority',
      metadata: { name: 'corporate' },
      spec: { trustDomain: 'example.com', provided: { secretName: 'corporate-ca' } },
    },
    {
      apiVersion: 'mtls-operator.io/v1alpha1',
      kind: 'WorkloadCertificate',
      metadata: { name: 'ledger', namespace: 'shop' },
      spec: { secretName: 'ledger', dnsNames: ['ledger.shop.svc'], authorityRef: { name: 'corporate' }, outputs },
    },
  ];
  return objects.map((object) => JSON.stringify(object)).join('\n---\n');
}

test('into a new cluster: the same certificates under the same CA, and renewals go on', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'mtls-restore-'));
  const [backup, restore] = fencedBlocks(await readFile(document, 'utf8'));
  if (backup === undefined || restore === undefined) throw new Error('docs/backup.md has lost its commands');
  try {
    let before = '';
    {
      await using lost = await startCluster();
      await installOperator(lost);
      await using _operator = await startOperatorProcess(lost);
      await lost.kubectl(['create', 'namespace', 'shop']);
      await lost.kubectl(['apply', '-f', '-'], { input: ['web', 'cart', 'db'].map(certificate).join('---') });
      await lost.kubectl(['apply', '-f', '-'], { input: policy });
      await lost.kubectl(['apply', '-f', '-'], { input: await ownObjects() });
      await lost.kubectl(['wait', '--for=condition=Ready', 'wcert', '--all', '-n', 'shop', '--timeout=30s']);
      before = await identities(lost);
      expect(before).toMatch(
        /^cart=[0-9A-F]{32}\/1 db=[0-9A-F]{32}\/1 ledger=[0-9A-F]{32}\/1 web=[0-9A-F]{32}\/1 \ncorporate=[0-9a-f]{64}\/[0-9a-f]{64} default=[0-9a-f]{64}\/[0-9a-f]{64} $/,
      );
      await runBlock(lost, backup.text, directory);
    }
    await using found = await startCluster();
    await installOperator(found);
    await found.kubectl(['create', 'namespace', 'shop']);
    await runBlock(found, restore.text, directory);
    await using _operator = await startOperatorProcess(found);
    await found.kubectl(['wait', '--for=condition=Ready', 'wcert', '--all', '-n', 'shop', '--timeout=30s']);
    await found.kubectl(['wait', '--for=condition=Ready', 'mca', '--all', '--timeout=30s']);
    expect(await identities(found)).toBe(before);
    await found.kubectl(['wait', '--for=condition=Accepted', 'mtlsp/default', '-n', 'shop', '--timeout=30s']);

    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    for (const name of ['web', 'ledger']) {
      await found.kubectl(['annotate', 'wcert', name, '-n', 'shop', `mtls-operator.io/renew-at=${now}`]);
      const renewed = ['--for=jsonpath={.status.revision}=2', `wcert/${name}`];
      await found.kubectl(['wait', ...renewed, '-n', 'shop', '--timeout=30s']);
    }
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
