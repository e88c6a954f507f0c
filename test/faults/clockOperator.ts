/**
 * The operator in a process whose clock can be moved: everything else is as in src/main.ts. Node's own clock cannot be set for one process, and the machine's must
 * not be; the operator takes its clock from outside, so this is where a test hands it another.
 *
 * Messages of the parent: `{jump: ms}` puts the wall clock so far from the machine's; `{measure: true}` is answered with the memory in use after a full
 * garbage collection (run with --expose-gc).
 *
 * Usage: node clockOperator.ts KUBECONFIG [how many times faster time passes]
 */
import { hostname } from 'node:os';
import { setImmediate } from 'node:timers/promises';
import { pino } from 'pino';
import { type Clock, isRecord, loadConnection, systemClock, withSignals } from '../../src/kube/index.ts';
import { startOperator } from '../../src/operator.ts';
import { OPERATOR_NAMESPACE } from '../support/operator.ts';

const [kubeconfig = '', speedText = '1'] = process.argv.slice(2);
const speed = Number(speedText);
const startedAt = Date.now();
let offset = 0;

const clock: Clock = {
  now: () => startedAt + (Date.now() - startedAt) * speed + offset,
  monotonic: () => systemClock.monotonic() * speed,
  setTimer: (ms, fn) => systemClock.setTimer(ms / speed, fn),
};

process.on('message', (message) => {
  if (!isRecord(message)) return;
  if (typeof message['jump'] === 'number') offset = message['jump'];
  if (message['measure'] === true) void measure();
});

async function measure(): Promise<void> {
  for (let round = 0; round < 5; round++) {
    await setImmediate();
    globalThis.gc?.();
  }
  process.send?.({ ...process.memoryUsage() });
}

const log = pino({ base: null, timestamp: pino.stdTimeFunctions.isoTime });
const operator = await startOperator(
  {
    connection: await loadConnection({ kubeconfig }),
    clock,
    random: Math.random,
    log,
    namespace: OPERATOR_NAMESPACE,
    namespaces: 'all',
    clusterDomain: 'cluster.local',
    defaultAuthority: { trustDomain: 'cluster.local' },
    identity: `${hostname()}_${process.pid}`,
    leaderElection: false,
    workers: 16,
    maxRestarts: 10,
    watchPods: false,
    mesh: undefined,
    healthPort: 0,
    healthHost: '127.0.0.1',
    version: 'clock test',
  },
  withSignals(log),
);
process.exit((await operator.ended) === 'lost' ? 1 : 0);
