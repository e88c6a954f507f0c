// `npm run faults`: what the suite does for a minute or two, at length: 1,000 kills, longer faults, clock jumps, and a soak of watches.
import { parseArgs } from 'node:util';
import { printProgress } from '../support/progress.ts';
import { startArena } from './arena.ts';
import { jumpAndComeBack } from './clock.ts';
import { killAgainAndAgain } from './kills.ts';
import { faultAfterFault } from './phases.ts';
import { chooseSeed } from './seed.ts';
import { soak } from './soak.ts';

const usage = `Usage: npm run faults -- [flags]

Runs the operator on a throwaway control plane under every fault there is, while a witness judges each revision of each Secret.

  --kills N          kill -9 of the operator so many times (default 1000; 0 leaves it out)
  --seconds N        length of each phase of faults (default 20; 0 leaves them out)
  --certificates N   certificates that are renewed under them (default 30)
  --soak N           seconds of broken watches, for the memory (default 300; 0 leaves it out)
  --no-clock         leave out the jumps of the clock
  --seed N           repeat a run (default: random, printed)

Ends with exit code 1 if anything was amiss.
`;

const { values } = parseArgs({
  options: {
    kills: { type: 'string', default: '1000' },
    seconds: { type: 'string', default: '20' },
    certificates: { type: 'string', default: '30' },
    soak: { type: 'string', default: '300' },
    clock: { type: 'boolean', default: true },
    seed: { type: 'string' },
    help: { type: 'boolean', default: false },
  },
  allowNegative: true,
});

function number(flag: 'kills' | 'seconds' | 'certificates' | 'soak'): number {
  const text = values[flag];
  if (/^\d{1,7}$/.test(text)) return Number(text);
  throw new Error(`--${flag} is ${JSON.stringify(text)}: give a whole number`);
}

/** More than this (MB) is growth: collections leave about half a MB of noise. */
const allowedGrowth = 3;

async function main(): Promise<number> {
  const [kills, seconds, certificates, soakSeconds] = [
    number('kills'),
    number('seconds'),
    number('certificates'),
    number('soak'),
  ];
  const seed = chooseSeed(values.seed);
  const progress = printProgress;
  const amiss: string[] = [];
  const tell = (title: string, report: object): void => {
    process.stdout.write(`\n${title}\n${JSON.stringify(report, undefined, 2)}\n`);
  };
  await using arena = await startArena(progress);
  if (seconds > 0) {
    const report = await faultAfterFault(arena, {
      seed,
      certificates,
      secondsEach: seconds,
      namespace: 'phases',
      progress,
    });
    tell('Faults of the API server', report);
    amiss.push(...report.violations, ...report.superfluous, ...report.leaks);
    if (report.rewrites + report.restless > 0) amiss.push('Secrets were written without need');
  }
  if (values.clock) {
    const report = await jumpAndComeBack(arena, { certificates, namespace: 'clock', progress });
    tell('Jumps of the clock', report);
    amiss.push(...report.violations, ...report.superfluous, ...report.leaks);
    for (const { hours, count } of report.issued)
      if (count > certificates) amiss.push(`${count} certificates issued when the clock went to ${hours} h`);
  }
  if (soakSeconds > 0) {
    const report = await soak(arena, { seconds: soakSeconds, certificates, namespace: 'soak', progress });
    tell('Memory under broken watches', report);
    if (report.growthMegabytes > allowedGrowth) amiss.push(`the heap has grown by ${report.growthMegabytes} MB`);
  }
  if (kills > 0) {
    const report = await killAgainAndAgain(arena, { kills, seed, namespace: 'kills', progress });
    tell('Kills of the operator', report);
    amiss.push(...report.violations, ...report.leaks, ...report.ends);
    if (report.issuances.superfluous > report.kills) amiss.push(...report.superfluous);
    if (report.rewrites > 0) amiss.push('Secrets were written without need');
  }
  process.stdout.write(
    amiss.length === 0
      ? `\nNothing was amiss (seed ${seed}).\n`
      : `\n${amiss.length} things were amiss (seed ${seed}):\n${amiss.slice(0, 50).join('\n')}\n`,
  );
  return amiss.length === 0 ? 0 : 1;
}

if (values.help) process.stdout.write(usage);
else process.exitCode = await main();
