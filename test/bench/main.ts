/** `npm run bench -- [sign|effective-mode|issue|latency|renewals|memory|inventory|failover|node|switch|proxy|push|all] [--count N] [--rounds N] [--proxies N] [--services N] [--cpu-prof DIR] [--json]` */
import { parseArgs } from 'node:util';
import { printProgress } from '../support/progress.ts';
import { measureEffectiveMode } from './effectiveMode.ts';
import { measureFailover } from './failover.ts';
import { measureInventory } from './inventory.ts';
import { measureIssuing } from './issue.ts';
import { measureLatency } from './latency.ts';
import { measureMemory } from './memory.ts';
import { measureNode } from './node.ts';
import { measureProxy, proxyGoals } from './proxy.ts';
import { measurePush, pushGoals } from './push.ts';
import { measureRenewals } from './renewals.ts';
import { measureSigning } from './sign.ts';
import { measureSwitch, switchGoals } from './switch.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    count: { type: 'string' },
    rounds: { type: 'string' },
    proxies: { type: 'string', default: '1000' },
    services: { type: 'string', default: '1000' },
    destinations: { type: 'string', default: '50' },
    'cpu-prof': { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const count = (standard: number): number => (values.count === undefined ? standard : Number(values.count));

const benchmarks: Readonly<Record<string, () => Promise<object>>> = {
  sign: () => measureSigning(),
  'effective-mode': async () => measureEffectiveMode(count(10_000), Number(values.rounds ?? 10)),
  issue: () => measureIssuing(count(300), Number(values.rounds ?? 5)),
  latency: () => measureLatency(count(200)),
  renewals: () => measureRenewals(count(5000)),
  memory: () => measureMemory(count(10_000)),
  inventory: () => measureInventory(count(20_000)),
  failover: () => measureFailover(count(200)),
  node: () => measureNode(count(1000), Number(values.rounds ?? 20)),
  switch: () =>
    measureSwitch(
      {
        proxies: Number(values.proxies),
        services: Number(values.services),
        destinations: Number(values.destinations),
        profiles: values['cpu-prof'],
      },
      Number(values.rounds ?? 3),
    ),
  proxy: () => measureProxy(Number(values.rounds ?? 7)),
  push: () => measurePush(Number(values.rounds ?? 100)),
};

/** What has to be reached, printed beside what was measured. */
const goals: Readonly<Record<string, string>> = {
  'effective-mode': 'from nothing ≤ 500 ms, after one policy has changed ≤ 10 ms',
  inventory: 'resident ≤ 200 MB with 20,000 pods',
  switch: switchGoals,
  proxy: proxyGoals,
  push: pushGoals,
};

const wanted = positionals.length === 0 || positionals.includes('all') ? Object.keys(benchmarks) : positionals;
for (const name of wanted) {
  const measure = benchmarks[name];
  if (measure === undefined)
    throw new Error(`there is no benchmark "${name}": choose from ${Object.keys(benchmarks).join(', ')}, all`);
  printProgress(`${name} ...`);
  const result = await measure();
  const goal = goals[name];
  if (values.json) process.stdout.write(`${JSON.stringify({ ...result, ...(goal === undefined ? {} : { goal }) })}\n`);
  else process.stdout.write(table({ ...result, ...(goal === undefined ? {} : { goal }) }));
}

function table(result: object): string {
  const rows = Object.entries(result).map(
    ([key, value]) => `  ${key.padEnd(42)} ${typeof value === 'object' ? JSON.stringify(value) : String(value)}`,
  );
  return `${rows.join('\n')}\n\n`;
}
