import { defineConfig } from 'vitest/config';

// Two projects: `unit` stands beside its unit and needs nothing but Node; `real` starts a control plane, proxies and clients.
// The real files run one after another: they share two cores with kube-apiserver and etcd, and none of them asserts a timing.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['src/**/*.test.ts'], testTimeout: 30_000 } },
      {
        test: {
          name: 'real',
          include: ['test/**/*.test.ts'],
          testTimeout: 120_000,
          hookTimeout: 300_000,
          fileParallelism: false,
          maxWorkers: 1,
        },
      },
    ],
  },
});
