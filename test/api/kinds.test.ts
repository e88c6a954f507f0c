import { afterAll, beforeAll } from 'vitest';
import type { Cluster } from '../cluster/index.ts';
import { startClusterWithKinds } from './cluster.ts';
import { testSamples } from './samples.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startClusterWithKinds();
});

afterAll(() => cluster?.stop());

testSamples(() => cluster);
