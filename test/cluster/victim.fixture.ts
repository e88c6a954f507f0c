// Started by guardian.test.ts: raises a control plane below the directory given, and an operator if asked, says so, and waits for its end.
import { Supervisor } from '../faults/supervisor.ts';
import { installOperator, startOperatorProcess } from '../support/operator.ts';
import { startCluster } from './index.ts';

const [parentDirectory = '/', how = 'wait'] = process.argv.slice(2);
const cluster = await startCluster({ parentDirectory, controllerManager: how === 'everything' });
if (how === 'operator') {
  await installOperator(cluster);
  await startOperatorProcess(cluster);
}
if (how === 'supervisor') {
  const program = [
    `${import.meta.dirname}/../../src/main.ts`,
    '--kubeconfig',
    cluster.kubeconfig,
    '--health-port',
    '0',
  ];
  new Supervisor({ cluster, program }).start();
}
process.stdout.write('started\n');
if (how === 'exit') process.exit(3);
setInterval(() => {}, 3_600_000);
