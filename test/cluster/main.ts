import { printProgress } from '../support/progress.ts';
import { startCluster } from './index.ts';

const cluster = await startCluster({ log: printProgress });
console.log(`The test cluster runs. Its kubeconfig:\n\n  ${cluster.kubeconfig}\n\nTry:\n
  ${cluster.binaries.kubectl} --kubeconfig ${cluster.kubeconfig} get namespaces\n\nCtrl-C ends it and leaves nothing behind.`);
const hold = setInterval(() => {}, 3_600_000);
const stop = () => {
  clearInterval(hold);
  void cluster.stop();
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
