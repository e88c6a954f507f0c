import { z } from 'zod';
import {
  createMetrics,
  createTransport,
  loadConnection,
  runLeaderElection,
  silentLog,
  sleep,
  systemClock,
  withSignals,
} from '../../src/kube/index.ts';

// The process behind elector.ts: says "leading" and "outcome …" on its standard output.
const options = z
  .object({
    kubeconfig: z.string(),
    namespace: z.string(),
    identity: z.string(),
    leaseDurationMs: z.number(),
    renewDeadlineMs: z.number(),
    retryPeriodMs: z.number(),
  })
  .parse(JSON.parse(process.argv[2] ?? ''));

const metrics = createMetrics({ process: false });
const transport = createTransport({
  connection: await loadConnection({ kubeconfig: options.kubeconfig }),
  clock: systemClock,
  random: Math.random,
  metrics,
  log: silentLog,
  userAgent: 'mtls-operator-test',
});
const outcome = await runLeaderElection({
  ...options,
  transport,
  name: 'lease',
  clock: systemClock,
  random: Math.random,
  log: silentLog,
  metrics,
  signal: withSignals(),
  lead: async (signal) => {
    process.stdout.write('leading\n');
    await sleep(systemClock, 1e9, signal).catch(() => {});
  },
});
process.stdout.write(`outcome ${outcome}\n`);
await transport.close();
