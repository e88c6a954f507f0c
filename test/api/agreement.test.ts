import { afterAll, beforeAll } from 'vitest';
import type { Cluster } from '../cluster/index.ts';
import { testAgreement } from './agreement.ts';
import { startClusterWithKinds } from './cluster.ts';

let cluster: Cluster;

beforeAll(async () => {
  cluster = await startClusterWithKinds();
});

afterAll(() => cluster?.stop());

testAgreement(() => cluster, Number(process.env['AGREEMENT_RUNS'] ?? 400));
