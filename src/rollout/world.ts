/** What policies ask of the workloads of a namespace: pure, from its pods and the modes of their ports. */
import type { PodRecord, WorkloadName } from '../inventory/index.ts';
import type { Answers, Decision } from '../policy/index.ts';
import { byKindAndName, type WantedWorkload } from './plan.ts';
import { together, type Wanted } from './together.ts';

export interface WantedWorld {
  /** Sorted by kind and name. */
  readonly workloads: readonly WantedWorkload[];
  /** Until when the same is asked for, if no policy and no pod changes (ms); Infinity: for ever. */
  readonly until: number;
}

/** Above this many entries in a record, ports that are asked to be as the others have none of their own: an object has to fit into the API server's limit of about 1.5 MB. */
const MOST_ENTRIES = 4000;

interface Gathered extends WorkloadName {
  fresh: boolean;
  sidecars: boolean;
  /** By identity: pods that are the same to policies share their answers. */
  readonly answers: Map<Answers, readonly number[]>;
}

/**
 * The pods of one workload may differ: in the middle of a rolling update the new ones have other labels or ports, so that other policies speak for them. A record has one mode for a port
 * of all of them, since a client does not know which pods are old; so what they do not agree upon is Permissive (`together`) until the last old one is gone, and only then goes on.
 * @param pods of one namespace, those without a sidecar too.
 * @param answersOf by the key of a pod that has not ended.
 */
export function wantedIn(
  pods: Iterable<readonly [key: string, pod: PodRecord]>,
  answersOf: (pod: string) => Answers | undefined,
): WantedWorld {
  const gathered = new Map<string, Gathered>();
  for (const [key, { mesh, shape }] of pods) {
    if (mesh === undefined || shape === undefined) continue;
    const { kind, name } = mesh.workload;
    const id = `${kind}/${name}`;
    const workload = gathered.get(id) ?? { kind, name, fresh: true, sidecars: false, answers: new Map() };
    gathered.set(id, workload);
    // Pods from before injection count, too: their clients are about to open connections to the new ones.
    if (mesh.ready || mesh.started) workload.fresh = false;
    if (mesh.sidecar === undefined) continue;
    workload.sidecars = true;
    const answers = answersOf(key);
    // Without them the workload would seem to be gone, and its clients be told so.
    if (answers === undefined) throw new Error(`the modes of pod ${key} are not known`);
    if (!workload.answers.has(answers)) {
      const declared = shape.ports.map(({ number }) => number);
      workload.answers.set(answers, declared);
    }
  }
  let until = Number.POSITIVE_INFINITY;
  const workloads: WantedWorkload[] = [];
  for (const { answers, fresh, kind, name, sidecars } of gathered.values()) {
    if (!sidecars) continue;
    for (const one of answers.keys()) until = Math.min(until, one.until);
    workloads.push({ kind, name, fresh, ...askedOf(answers) });
  }
  workloads.sort(byKindAndName);
  const entries = workloads.reduce((sum, { ports }) => sum + 1 + ports.size, 0);
  return { workloads: entries > MOST_ENTRIES ? workloads.map(withoutCommon) : workloads, until };
}

function askedOf(answers: Gathered['answers']): Pick<WantedWorkload, 'others' | 'ports'> {
  const numbers = new Set<number>();
  for (const [{ named }, declared] of answers) {
    for (const port of declared) numbers.add(port);
    for (const port of named.keys()) numbers.add(port);
  }
  const ports = [...numbers].sort((one, other) => one - other);
  return {
    others: together([...answers.keys()].map(({ others }) => wantedBy(others))),
    ports: new Map(
      ports.map((port) => {
        const decisions = [...answers].map(
          ([{ named, others, ports: of }, declared]) => of[declared.indexOf(port)] ?? named.get(port) ?? others,
        );
        return [port, together(decisions.map(wantedBy))] as const;
      }),
    ),
  };
}

const wantedBy = ({ by, lifted, mode }: Decision): Wanted => ({ mode, policy: (lifted?.by ?? by?.policy)?.key });

function withoutCommon(workload: WantedWorkload): WantedWorkload {
  const { mode } = workload.others;
  return { ...workload, ports: new Map([...workload.ports].filter(([, asked]) => asked.mode !== mode)) };
}
