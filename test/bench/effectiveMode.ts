// The modes of 10,000 pods with 5 ports each under 1,000 policies: from nothing, and after one policy has changed. Nothing but this process is measured.
import { type Mode, modes, parseMTLSPolicy } from '../../src/api/index.ts';
import type { PodShape } from '../../src/inventory/index.ts';
import { EffectiveIndex, type Policy, readPolicy } from '../../src/policy/index.ts';

export interface EffectiveModeResult {
  readonly benchmark: 'effective-mode';
  readonly pods: number;
  readonly ports: number;
  readonly policies: number;
  /** All answers, nothing known before: median and slowest of the rounds, with pods and policies spread over 100 namespaces, and all in one. */
  readonly fromNothingMs: Spread;
  readonly fromNothingInOneNamespaceMs: Spread;
  /** All answers after a change of one policy. */
  readonly afterOneForPodsMs: Spread;
  readonly afterOneOfANamespaceMs: Spread;
  readonly afterOneOfTheMeshMs: Spread;
  readonly afterOneInOneNamespaceMs: Spread;
}

interface Spread {
  readonly median: number;
  readonly slowest: number;
}

const MESH = 'mtls-system';
const PORTS = [8080, 8443, 9090, 9091, 15000].map((number, index) => ({ number, name: `port-${index}` }));
const NOW = Date.UTC(2030, 0, 1);

/** @param pods of which ten make a workload; a tenth as many policies */
export function measureEffectiveMode(pods: number, rounds: number): EffectiveModeResult {
  const spread = scene(pods, 100);
  const single = scene(pods, 1);
  build(spread); // compiled before it counts
  build(single);
  const fromNothing = times(rounds, () => build(spread));
  const fromNothingInOne = times(rounds, () => build(single));
  const index = build(spread);
  const one = build(single);
  const flip = (of: EffectiveIndex, from: Scene, sketch: (mode: Mode) => Policy): Spread =>
    times(rounds * 5, (round) => {
      of.setPolicy(sketch(modes[round % modes.length] ?? 'Strict'));
      askAll(of, from);
    });
  return {
    benchmark: 'effective-mode',
    pods,
    ports: PORTS.length,
    policies: spread.policies.length,
    fromNothingMs: fromNothing,
    fromNothingInOneNamespaceMs: fromNothingInOne,
    afterOneForPodsMs: flip(index, spread, (mode) => policy('ns-0', 'app-0', mode, 'app-0')),
    afterOneOfANamespaceMs: flip(index, spread, (mode) => policy('ns-0', 'default', mode)),
    afterOneOfTheMeshMs: flip(index, spread, (mode) => policy(MESH, 'default', mode)),
    afterOneInOneNamespaceMs: flip(one, single, (mode) => policy('ns-0', 'app-0', mode, 'app-0')),
  };
}

interface Scene {
  readonly policies: readonly Policy[];
  readonly pods: readonly (readonly [key: string, shape: PodShape])[];
}

/** Half of the policies are for a workload each, some for one more with it; one for each namespace, one for the mesh. */
function scene(count: number, namespaces: number): Scene {
  const workloads = Math.ceil(count / 10);
  const of = (workload: number): string => `ns-${workload % namespaces}`;
  const policies = [policy(MESH, 'default', 'Permissive')];
  for (let index = 0; index < namespaces; index++) policies.push(policy(`ns-${index}`, 'default', 'Strict'));
  for (let index = 0; policies.length < count / 10; index++)
    policies.push(policy(of(index), `app-${index}`, modes[index % 3] ?? 'Strict', `app-${index}`));
  const pods = Array.from({ length: count }, (_, index): [string, PodShape] => {
    const workload = index % workloads;
    const namespace = of(workload);
    const labels = {
      app: `app-${workload}`,
      'app.kubernetes.io/name': `app-${workload}`,
      'app.kubernetes.io/instance': 'shop',
      'pod-template-hash': '7d4b9c8f6',
      'statefulset.kubernetes.io/pod-name': `app-${workload}-${index}`,
    };
    return [`${namespace}/app-${workload}-${index}`, { namespace, labels, ports: PORTS }];
  });
  return { policies, pods };
}

function policy(namespace: string, name: string, mode: Mode, app?: string): Policy {
  const spec = {
    ...(app === undefined ? {} : { selector: { matchLabels: { app } } }),
    mode,
    ports: [
      { port: 9090, mode: 'Permissive', reason: 'Prometheus', until: '2031-01-01T00:00:00Z' },
      { portName: 'port-1', mode: 'Strict' },
    ],
  };
  return readPolicy(
    parseMTLSPolicy({ metadata: { namespace, name, creationTimestamp: '2029-01-01T00:00:00Z' }, spec }),
  );
}

function build(from: Scene): EffectiveIndex {
  const index = new EffectiveIndex(MESH);
  for (const [key, shape] of from.pods) index.setPod(key, shape);
  for (const one of from.policies) index.setPolicy(one);
  askAll(index, from);
  return index;
}

function askAll(index: EffectiveIndex, { pods }: Scene): void {
  let answered = 0;
  for (const [key] of pods) answered += index.answersOf(key, NOW)?.ports.length ?? 0;
  if (answered !== pods.length * PORTS.length) throw new Error(`${answered} answers for ${pods.length} pods`);
}

function times(rounds: number, work: (round: number) => void): Spread {
  const taken = Array.from({ length: rounds }, (_, round) => {
    const start = performance.now();
    work(round);
    return performance.now() - start;
  }).sort((a, b) => a - b);
  const twoDigits = (value: number | undefined): number => Math.round((value ?? Number.NaN) * 100) / 100;
  return { median: twoDigits(taken[Math.floor(taken.length / 2)]), slowest: twoDigits(taken.at(-1)) };
}
