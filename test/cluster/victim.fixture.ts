// Started by guardian.test.ts: raises a control plane below the directory given, says so, and waits for its end.
import { startCluster } from './index.ts';

const [parentDirectory = '/', how = 'wait'] = process.argv.slice(2);
await startCluster({ parentDirectory, controllerManager: how === 'everything' });
process.stdout.write('started\n');
if (how === 'exit') process.exit(3);
setInterval(() => {}, 3_600_000);
