import { defineConfig } from 'vitest/config';

// Real parts take their time: control planes and certificates that run out.
const real = { testTimeout: 120_000, hookTimeout: 300_000 };

/** What has the whole machine, or shares a daemon, a node's network or the programs' patience with nobody. */
const alone = [
  'test/{chart/{docs,pods},cli/fetch,cluster/guardian,readme,restart/node}.test.ts',
  'test/{demo,docker,faults,image,kind,node,sidecar}/**/*.test.ts',
];

// Three projects, one after another. `unit` stands beside its unit and needs nothing but Node. `real` starts control planes, proxies and clients: two files at a time, since most of what they
// do is to wait. `alone` runs file by file. None of them asserts a timing.
export default defineConfig({
  test: {
    projects: [
      {
        test: {
          name: 'unit',
          include: ['src/**/*.test.ts'],
          testTimeout: 30_000,
          sequence: { groupOrder: 0 },
        },
      },
      {
        test: {
          ...real,
          name: 'real',
          include: ['test/**/*.test.ts'],
          exclude: alone,
          // Twice that of one that has both cores.
          testTimeout: 2 * real.testTimeout,
          maxWorkers: 2,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          ...real,
          name: 'alone',
          include: alone,
          fileParallelism: false,
          maxWorkers: 1,
          sequence: { groupOrder: 2 },
        },
      },
    ],
  },
});
