/** The drill of docs/backup.md, with its own commands: back up, lose everything, restore; nobody's certificate or trust changes. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { type Cluster, startCluster } from '../cluster/index.ts';
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
      await lost.kubectl(['wait', '--for=condition=Ready', 'wcert', '--all', '-n', 'shop', '--timeout=30s']);
      before = await identities(lost);
      expect(before).toMatch(
        /^cart=[0-9A-F]{32}\/1 db=[0-9A-F]{32}\/1 web=[0-9A-F]{32}\/1 \ndefault=[0-9a-f]{64}\/[0-9a-f]{64} $/,
      );
      await runBlock(lost, backup.text, directory);
    }
    await using found = await startCluster();
    await installOperator(found);
    await found.kubectl(['create', 'namespace', 'shop']);
    await runBlock(found, restore.text, directory);
    await using _operator = await startOperatorProcess(found);
    await found.kubectl(['wait', '--for=condition=Ready', 'wcert', '--all', '-n', 'shop', '--timeout=30s']);
    await found.kubectl(['wait', '--for=condition=Ready', 'mca/default', '--timeout=30s']);
    expect(await identities(found)).toBe(before);
    await found.kubectl(['wait', '--for=condition=Accepted', 'mtlsp/default', '-n', 'shop', '--timeout=30s']);

    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    await found.kubectl(['annotate', 'wcert', 'web', '-n', 'shop', `mtls-operator.io/renew-at=${now}`]);
    await found.kubectl(['wait', '--for=jsonpath={.status.revision}=2', 'wcert/web', '-n', 'shop', '--timeout=30s']);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
});
