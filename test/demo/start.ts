// `npm start`: a newcomer sees certificates being made, mounted, used and renewed, on a control plane that exists for this only.
import { delimiter, dirname } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { untilInterrupted } from '../support/interrupt.ts';
import type { Progress } from '../support/progress.ts';
import { clock, grouped, renewalHeader, renewalRow, Screen, seconds, shortSerial } from './format.ts';
import { Pair, type Who } from './pair.ts';
import { Stage, type Step } from './stage.ts';
import { problemsOf, wantedRenewals } from './verdict.ts';

const usage = `Usage: npm start [-- --once]

Raises a throwaway Kubernetes control plane, runs the operator on it, applies examples/, and has a Go server and a Go client do mutual TLS with
certificates that live for a minute. Then it stays up, for you to look around with kubectl, until Ctrl-C. Never touches your own kubeconfig.

  --once   end after three renewals on both sides: with code 0, or 1 if any handshake failed or a renewal was missed
`;

/** Renewals come every 15 s at the latest: three of them in three minutes, or never. */
const patienceMs = 180_000;
const sides: readonly Who[] = ['server', 'client'];

const screen = new Screen(process.stdout);
const undo: (() => Promise<void>)[] = [];

const progress: Progress = (line) => screen.line(screen.dim(`    ${line}`));

const step: Step = async (what, work) => {
  const started = performance.now();
  screen.bottom(`  … ${what}`);
  const [result, told] = await work().catch((error: unknown) => {
    throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`, { cause: error });
  });
  screen.bottom('');
  const took = seconds(performance.now() - started);
  screen.line(`  ${screen.green('✓')} ${what.padEnd(26)}${told} ${screen.dim(`(${took})`)}`);
  return result;
};

async function run(once: boolean, interrupted: Promise<unknown>): Promise<number> {
  screen.line();
  screen.line(screen.bold('mtls-operator, on a Kubernetes control plane of its own. Your kubeconfig is not touched.'));
  screen.line();
  const stage = await Stage.raise(step, progress, undo);
  let told = false;
  const pair = await step('Go server and Go client', async () => {
    const { guarded, cluster } = stage;
    const onRenewal = (row: Parameters<typeof renewalRow>[0]): void => {
      if (told) return;
      screen.line(`  ${renewalRow(row)}`);
    };
    const started = await Pair.start({ guarded, kubeconfig: cluster.kubeconfig, progress, onRenewal });
    undo.push(() => started.stop());
    return [started, 'examples/go, with the files of their Secrets'];
  });
  screen.line();
  screen.line(screen.bold('Mutual TLS under load: a new connection every 10 ms, certificates of one minute'));
  screen.line();
  screen.line(`  ${screen.dim(renewalHeader)}`);
  await watch(pair, stage);
  told = true;
  const passed = verdict(pair, stage);
  if (once) {
    screen.line();
    return passed ? 0 : 1;
  }
  howToGoOn(stage);
  const over = new AbortController();
  await Promise.race([interrupted, goOn(pair, stage, over.signal)]);
  over.abort();
  screen.bottom('');
  screen.line();
  const total = `${grouped(pair.handshakes)} handshakes, ${grouped(pair.failures)} failures`;
  screen.line(`${total}, ${pair.renewals('server')} and ${pair.renewals('client')} renewals.`);
  return passed && pair.failures === 0 && problemOf(pair, stage) === undefined ? 0 : 1;
}

/** Until both sides have been renewed often enough, or something is wrong. */
async function watch(pair: Pair, stage: Stage): Promise<void> {
  let toldAt = performance.now();
  for (;;) {
    const now = performance.now();
    const enough = sides.every((who) => pair.renewals(who) >= wantedRenewals);
    if (enough || problemOf(pair, stage) !== undefined || now - pair.startedAt > patienceMs) break;
    const state = `${clock(now - pair.startedAt)}  ${grouped(pair.handshakes)} handshakes, ${grouped(pair.failures)} failures, waiting for the next renewal`;
    screen.bottom(`  ${state}`);
    if (!screen.live && now - toldAt >= 10_000) {
      screen.line(`  ${state}`);
      toldAt = now;
    }
    await delay(200);
  }
  await delay(1_200); // the programs count once a second: so that what they tell includes the last renewal
  screen.bottom('');
}

function problemOf(pair: Pair, { operator }: Stage): string | undefined {
  if (operator.exited) return `the operator has ended: ${operator.lines.at(-1) ?? ''}`;
  return pair.broken;
}

function verdict(pair: Pair, stage: Stage): boolean {
  const { handshakes, failures, firstError } = pair;
  const renewals = { server: pair.renewals('server'), client: pair.renewals('client') };
  const problems = problemsOf({ handshakes, failures, firstError, renewals, broken: problemOf(pair, stage) });
  screen.line();
  screen.line(screen.bold('What happened'));
  screen.line();
  const fact = (name: string, text: string): void => screen.line(`  ${name.padEnd(12)}${text}`);
  fact(
    'handshakes',
    `${grouped(pair.handshakes)} in ${seconds(performance.now() - pair.startedAt)}, each with both certificates verified`,
  );
  fact('failures', grouped(pair.failures));
  for (const who of sides) {
    const { certificates, leastLeft } = pair.history(who);
    const serials = certificates.map(({ serial }) => shortSerial(serial)).join(' → ');
    fact(who, `${pair.renewals(who)} renewals: ${serials}`);
    if (Number.isFinite(leastLeft)) {
      fact('', `${certificates[0]?.name ?? ''}, lives 60 s, replaced when it had ${seconds(leastLeft)} left or more`);
    }
  }
  screen.line();
  for (const text of problems) screen.line(`  ${screen.red('✗')} ${text}`);
  if (problems.length === 0)
    screen.line(`  ${screen.green('✓')} Neither program was restarted, and no handshake failed.`);
  return problems.length === 0;
}

function howToGoOn({ cluster }: Stage): void {
  const { kubectl } = cluster.binaries;
  const folder = dirname(kubectl);
  const found = (process.env['PATH'] ?? '').split(delimiter).includes(folder);
  const lines = [
    `export KUBECONFIG=${cluster.kubeconfig}`,
    ...(found ? [] : [`export PATH=${folder}:$PATH`]),
    'kubectl get wcert -A                             # every certificate: Ready, its Secret, when it expires',
    'kubectl describe wcert -n demo server            # its conditions and times',
    'kubectl get mca default -o yaml                  # the authority that signs',
    'kubectl explain wcert.spec                       # every field',
    'kubectl delete secret -n demo server-mtls        # a new one is there at once, and no handshake fails',
    'kubectl apply -f examples/first-certificate.yaml # change it, and see the Secret follow',
  ];
  screen.line();
  screen.line(screen.bold('It all goes on until Ctrl-C. In another terminal:'));
  screen.line();
  for (const line of lines) screen.line(`  ${line}`);
  screen.line();
}

/** Keeps the bottom line up to date; ends only if something breaks. */
async function goOn(pair: Pair, stage: Stage, over: AbortSignal): Promise<void> {
  let failures = pair.failures;
  while (!over.aborted) {
    const problem = problemOf(pair, stage);
    if (problem !== undefined) {
      screen.line(`  ${screen.red('✗')} ${problem}`);
      return;
    }
    if (pair.failures > failures) {
      failures = pair.failures;
      screen.line(`  ${screen.red('✗')} ${grouped(failures)} failures: ${pair.firstError ?? '?'}`);
    }
    const renewals = pair.renewals('server') + pair.renewals('client');
    screen.bottom(
      `  ${clock(performance.now() - pair.startedAt)}  ${grouped(pair.handshakes)} handshakes, ${grouped(failures)} failures, ${renewals} renewals`,
    );
    await delay(500, undefined, { ref: false });
  }
}

/** Removes everything, the last that came first. What cannot be removed now goes with this process: guardians see to that. */
async function cleanUp(): Promise<void> {
  for (const work of undo.splice(0).reverse()) {
    await work().catch((error: unknown) => screen.line(error instanceof Error ? error.message : String(error)));
  }
}

const { values } = parseArgs({
  options: { once: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
});
if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}
const interrupted = untilInterrupted();
const EARLY = 130; // interrupted while it was being raised or watched: there is no verdict
const outcome = run(values.once, interrupted).catch(async (error: unknown) => {
  // Ctrl-C reaches programs that we wait for, too, and their end may be noticed before ours: that is no failure.
  if (await Promise.race([interrupted, delay(200)])) return EARLY;
  screen.bottom('');
  screen.line(`  ${screen.red('✗')} ${error instanceof Error ? error.message : String(error)}`);
  return 1;
});
const stoppedEarly = interrupted.then(async () => Promise.race([outcome, delay(1_000).then(() => EARLY)]));
const code = await Promise.race([outcome, stoppedEarly]);
screen.bottom('');
screen.line(screen.dim('Removing the control plane and everything else…'));
await cleanUp();
process.exit(code);
