import { defineConfig } from 'vitest/config';

// Not part of `npm test`: the names end in another way. A file is the suite on one kind of cluster.
export default defineConfig({
  test: {
    include: ['test/e2e/*.e2e.ts'],
    testTimeout: 240_000,
    hookTimeout: 600_000,
    fileParallelism: false,
    bail: 1, // each scenario begins with what the one before has left
  },
});
