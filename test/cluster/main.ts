import { parseArgs } from 'node:util';
import { type Node, startClusterWithNode } from '../node/index.ts';
import { untilInterrupted } from '../support/interrupt.ts';
import { printProgress } from '../support/progress.ts';
import { type Cluster, findOrBuildBinaries, startCluster } from './index.ts';

const usage = `Usage: npm run cluster [-- flags]

Runs a throwaway Kubernetes control plane in the foreground, until Ctrl-C. It never touches your own kubeconfig.

  --node                    also a node that runs pods: needs root, installs Debian's runc and nftables where they are missing
  --no-controller-manager   only etcd and the API server
  --verify                  compare the digests of the cached binaries first
`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      node: { type: 'boolean', default: false },
      'no-controller-manager': { type: 'boolean', default: false },
      verify: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(usage);
    return;
  }
  if (values.verify) await findOrBuildBinaries(printProgress, { verify: true });
  if (values.node && values['no-controller-manager']) throw new Error('a node needs the controller manager');
  const started = performance.now();
  const { cluster, node } = values.node
    ? await startClusterWithNode({ log: printProgress })
    : { cluster: await startCluster({ log: printProgress, controllerManager: !values['no-controller-manager'] }) };
  const seconds = ((performance.now() - started) / 1000).toFixed(1);
  process.stdout.write(`${introduction(cluster, seconds)}${node === undefined ? '' : aboutNode(cluster, node)}\n`);
  process.stdout.write('Ctrl-C stops it and leaves nothing behind.\n');
  await untilInterrupted();
  printProgress('Stopping the test cluster...');
  await cluster.stop();
}

function introduction(cluster: Cluster, seconds: string): string {
  const { kubeconfig, url, auditLog, binaries } = cluster;
  return `
The test cluster serves at ${url} (started in ${seconds} s). You are its admin with this kubeconfig:

  ${kubeconfig}

Try, in another terminal:

  ${binaries.kubectl} --kubeconfig ${kubeconfig} get namespaces
  npm run operator -- --kubeconfig ${kubeconfig}

Every request is in ${auditLog}.`;
}

function aboutNode(cluster: Cluster, node: Node): string {
  return `

Its node runs pods, from images that are brought to it, since it reaches no registry. To bring an OCI archive:

  ${node.importCommand} <image.tar

Pods and Services can be reached from this machine by their addresses (${node.addresses.block}). Names of Services end in .svc.cluster.local.
The logs of kubelet, containerd and the others are in ${cluster.directory}/log.`;
}

main().catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
});
