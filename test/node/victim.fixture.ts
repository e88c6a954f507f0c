// Started by cleanup.test.ts: raises a cluster with a node below the directory given, runs a pod on it, says so, and waits for its end.
import { makeProbeImage, startClusterWithNode } from './index.ts';
import { mounting, Pods, probePod } from './pods.ts';

const [parentDirectory = '/'] = process.argv.slice(2);
const { cluster, node } = await startClusterWithNode({ parentDirectory });
await node.load(await makeProbeImage());
const pods = new Pods(cluster);
const secret = { apiVersion: 'v1', kind: 'Secret', metadata: { name: 's' }, stringData: { value: 'one' } };
await pods.apply(secret, probePod('reader', ['watch', '/mnt/value'], mounting('s')));
await pods.says('reader', 'one');
process.stdout.write('started\n');
setInterval(() => {}, 3_600_000);
