import { startKindCluster } from '../kind/cluster.ts';
import { printProgress } from '../support/progress.ts';
import { testEndToEnd } from './suite.ts';

testEndToEnd(() => startKindCluster(printProgress));
