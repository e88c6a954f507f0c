/**
 * Brings the record of a namespace one step on. It is written before anybody is told, in one request that is bound to the version that was read: whoever takes over from a leader that
 * died goes on from there, and a former leader that wakes up is refused.
 */
import { API_VERSION, iso, type MTLSRolloutSpec, mtlsRolloutKind, ROLLOUT_NAME } from '../api/index.ts';
import {
  ApiError,
  type Clock,
  isAlreadyExists,
  isConflict,
  isNotFound,
  type Log,
  mergePatch,
  type ReconcileResult,
  type Store,
  type Transport,
} from '../kube/index.ts';
import type { Answers, EffectiveIndex } from '../policy/index.ts';
import type { Acknowledgements } from './acknowledgements.ts';
import { Draining } from './draining.ts';
import { type Memory, rememberForeign, rememberOwn, stillHolds, switchesOf, switchKey } from './memory.ts';
import { mend } from './mend.ts';
import { planRollout, type WantedWorkload } from './plan.ts';
import type { Proxies } from './proxies.ts';
import { decodeRollout, type RolloutRecord, rolloutKey } from './record.ts';
import { acknowledgedBy, count, phasesOf, type Sources, type Waiting } from './sight.ts';
import { rolloutStatus } from './status.ts';
import type { Tally } from './tally.ts';
import { wantedIn } from './world.ts';

export interface RolloutWorld {
  readonly transport: Pick<Transport, 'request'>;
  readonly clock: Clock;
  readonly log: Log;
  readonly rollouts: Store<RolloutRecord>;
  /** Fed from the same pods. */
  readonly index: Pick<EffectiveIndex, 'answersOf'>;
  readonly acknowledgements: Acknowledgements;
  /** After how many seconds proxies close what is left of older connections: `--drain-time-s` of sidecars. */
  readonly drainSeconds: number;
}

export interface RolloutDependencies extends RolloutWorld {
  readonly proxies: Proxies;
  /** What policies come to in the namespace. */
  readonly onTally: (namespace: string, tally: Tally) => void;
}

/** Why a record is not what its writer left. */
export interface Repair {
  readonly reason: 'RecordUnreadable' | 'ChangedByHand';
  readonly message: string;
}

/** What a namespace needs to have remembered. */
interface State {
  memory: Memory | undefined;
  /** Sent, and perhaps written: the answer may have been lost. */
  attempt: MTLSRolloutSpec | undefined;
  repair: Repair | undefined;
  /** Monotonic: since when nothing but phases is to be written, and when status was last written. */
  phasesSince: number | undefined;
  statusAt: number;
}

/** Beyond the proxies' own drain time, for timers of theirs that begin a little later than acknowledgements come (ms). */
const DRAIN_MARGIN = 1_000;
/** Nobody acts by a phase: while others are on their way, phases wait for each other this long (ms), since the record is written, sent and read whole. */
const PHASES_DEBOUNCE = 500;
/** What is waited for changes with each acknowledgement: it is told once in so long (ms). */
const STATUS_PACE = 2_000;

export function createRolloutReconciler(dependencies: RolloutDependencies) {
  const { acknowledgements, clock, index, log, onTally, proxies, rollouts, transport } = dependencies;
  const states = new Map<string, State>();
  const draining = new Draining(dependencies.drainSeconds * 1000 + DRAIN_MARGIN);
  const sources: Sources = { acknowledgements, draining, proxies };

  return async function reconcile(namespace: string, signal: AbortSignal): Promise<ReconcileResult> {
    const now = clock.now();
    const at = clock.monotonic();
    const pods = proxies.in(namespace);
    // What is counted in the end is what was planned by: policies may have changed meanwhile.
    const answers = new Map<string, Answers>();
    const { until, workloads } = wantedIn(pods, (key) => {
      const found = index.answersOf(key, now);
      if (found !== undefined) answers.set(key, found);
      return found;
    });
    const record = rollouts.get(rolloutKey(namespace));
    if (workloads.length === 0) {
      onTally(namespace, new Map());
      states.delete(namespace);
      draining.next(namespace, new Set(), at);
      if (record !== undefined && !record.deleting) await remove(record, signal);
      return {};
    }
    const state = stateOf(namespace);
    const { memory, present } = recall(state, record);
    const acknowledged = acknowledgedBy(namespace, memory, record, at, sources);
    const next = planRollout(present, workloads, acknowledged, iso(now));
    const differs = record === undefined || record.problem !== undefined || !isSame(record.spec, next);
    let again = until;
    const later = (ms: number): void => {
      again = Math.min(again, now + Math.ceil(ms));
    };
    const wait = differs ? phasesWait(state, record, next) : 0;
    if (wait > 0) later(wait);
    else {
      state.phasesSince = undefined;
      if (differs && !(await write(namespace, state, record, next, signal))) return { requeueAt: now + STATUS_PACE };
    }
    const after = rollouts.get(rolloutKey(namespace));
    // As it is written: the end of a wait that is not written yet must not be forgotten.
    const unsettled = [...phasesOf(after?.spec ?? next)].flatMap(([key, phase]) => (phase === 'Settled' ? [] : [key]));
    const drained = draining.next(namespace, new Set(unsettled), at);
    if (drained !== undefined) later(drained);
    if (after !== undefined) {
      const { tally, waiting } = count(namespace, after, next, state.memory, answers, sources);
      onTally(namespace, tally);
      const statusWait = await say(after, state, { spec: next, workloads, ...waiting }, signal);
      if (statusWait > 0) later(statusWait);
    }
    return again === Number.POSITIVE_INFINITY ? {} : { requeueAt: again };
  };

  function stateOf(namespace: string): State {
    const found = states.get(namespace);
    if (found !== undefined) return found;
    const fresh: State = {
      memory: undefined,
      attempt: undefined,
      repair: undefined,
      phasesSince: undefined,
      statusAt: Number.NEGATIVE_INFINITY,
    };
    states.set(namespace, fresh);
    return fresh;
  }

  /** What to plan from. `memory` is undefined where proxies are told something else, so that whatever they acknowledge proves nothing about it. */
  function recall(
    state: State,
    record: RolloutRecord | undefined,
  ): { memory: Memory | undefined; present: MTLSRolloutSpec } {
    const { memory } = state;
    // Somebody has deleted it, which tells proxies nothing: they go on by what it was.
    if (record === undefined) return { memory: undefined, present: memory?.spec ?? {} };
    if (memory !== undefined && record.problem === undefined && stillHolds(memory, record))
      return { memory, present: record.spec };
    const ours = state.attempt !== undefined && record.problem === undefined && isSame(record.spec, state.attempt);
    const present = ours ? record.spec : mend(record.spec, memory?.spec, record.problem !== undefined);
    if (present === record.spec) {
      state.memory = rememberForeign(record);
      return { memory: state.memory, present };
    }
    state.repair = repairOf(record);
    log.warn({ namespace: record.namespace, problem: record.problem }, 'the record of a rollout is put right');
    return { memory: undefined, present };
  }

  /** How long nothing need be written, as only phases differ (ms). */
  function phasesWait(state: State, record: RolloutRecord | undefined, next: MTLSRolloutSpec): number {
    const urgent =
      record === undefined ||
      record.problem !== undefined ||
      !isSame(withoutPhases(record.spec), withoutPhases(next)) ||
      [...phasesOf(next)].every(([, phase]) => phase === 'Settled');
    if (urgent) return 0;
    state.phasesSince ??= clock.monotonic();
    return state.phasesSince + PHASES_DEBOUNCE - clock.monotonic();
  }

  /** @returns false where somebody else has made a record meanwhile: its own event tells. */
  async function write(
    namespace: string,
    state: State,
    record: RolloutRecord | undefined,
    spec: MTLSRolloutSpec,
    signal: AbortSignal,
  ): Promise<boolean> {
    state.attempt = spec;
    // Fields are written by nobody else. Who wrote which of them would take more room than they do, and a record has to fit into an object.
    const metadata = { name: ROLLOUT_NAME, namespace, managedFields: [{}] };
    const head = { apiVersion: API_VERSION, kind: mtlsRolloutKind.kind, spec };
    try {
      const answer =
        record === undefined
          ? await transport.request({
              method: 'POST',
              path: mtlsRolloutKind.path(namespace),
              body: { ...head, metadata },
              signal,
            })
          : await transport.request({
              method: 'PUT',
              path: mtlsRolloutKind.path(namespace, ROLLOUT_NAME),
              body: {
                ...head,
                metadata: { ...record.kept, ...metadata, uid: record.uid, resourceVersion: record.resourceVersion },
              },
              signal,
            });
      const written = decodeRollout(answer);
      if (written === undefined) throw new Error('the API server answered with another object');
      // Bound to the version that was read: what was remembered of that still holds for what is the same now.
      const before = state.memory !== undefined && record !== undefined && stillHolds(state.memory, record);
      state.memory = rememberOwn(before ? state.memory : undefined, written.value);
      state.attempt = undefined;
      rollouts.observe(written.key, written.value);
      return true;
    } catch (error) {
      // A refusal wrote nothing. Without an answer it may be there: then it is ours, and no change by hand.
      if (error instanceof ApiError) state.attempt = undefined;
      if (record === undefined && isAlreadyExists(error)) return false;
      throw error;
    }
  }

  /** Bound to what was read: a record that somebody has changed or made anew is looked at again first. */
  async function remove(record: RolloutRecord, signal: AbortSignal): Promise<void> {
    const { namespace, resourceVersion, uid } = record;
    const path = mtlsRolloutKind.path(namespace, ROLLOUT_NAME);
    try {
      await transport.request({ method: 'DELETE', path, body: { preconditions: { uid, resourceVersion } }, signal });
    } catch (error) {
      if (!isNotFound(error)) throw error;
    }
    rollouts.observeDeleted(rolloutKey(namespace));
  }

  /** @returns in how long it has to be said again (ms); 0: all is said. */
  async function say(
    record: RolloutRecord,
    state: State,
    told: Waiting & { readonly spec: MTLSRolloutSpec; readonly workloads: readonly WantedWorkload[] },
    signal: AbortSignal,
  ): Promise<number> {
    const { generation, namespace, resourceVersion, status, uid } = record;
    const { replicas, silent, spec, workloads } = told;
    const inRecord = new Set((spec.workloads ?? []).map(({ kind, name }) => switchKey(kind, name)));
    const leftOut = workloads.map(({ kind, name }) => switchKey(kind, name)).filter((key) => !inRecord.has(key));
    const { repair } = state;
    const now = clock.monotonic();
    const shown = { spec, generation, silent, replicas, leftOut, repair };
    const after = rolloutStatus(status, shown, iso(clock.now()));
    const patch = mergePatch(status, after);
    if (patch === undefined) return 0;
    const settled = (of: typeof status) => of.conditions?.find(({ type }) => type === 'Settled')?.status;
    const left = state.statusAt + STATUS_PACE - now;
    if (left > 0 && settled(status) === settled(after)) return left;
    const path = mtlsRolloutKind.path(namespace, ROLLOUT_NAME, 'status');
    // Bound to the version, too: a former leader must not come by the present version through the answer, and go on from it.
    const body = { metadata: { uid, resourceVersion }, status: patch };
    try {
      const decoded = decodeRollout(await transport.request({ method: 'PATCH', path, body, signal }));
      if (decoded !== undefined) rollouts.observe(decoded.key, decoded.value);
    } catch (error) {
      if (!isNotFound(error) && !isConflict(error)) throw error;
      return STATUS_PACE;
    }
    state.statusAt = now;
    state.repair = undefined;
    return 0;
  }
}

function repairOf({ problem }: RolloutRecord): Repair {
  if (problem !== undefined) {
    const message = `the record could not be read: ${problem}. What nobody knew of it any more has begun anew by taking plaintext and mutual TLS alike`;
    return { reason: 'RecordUnreadable', message };
  }
  const message =
    'the record was changed by hand to what proxies could not be told at once without cutting somebody off: write an MTLSPolicy instead';
  return { reason: 'ChangedByHand', message };
}

/** What proxies are told, and what people are told beside how far it is. */
function withoutPhases(spec: MTLSRolloutSpec): unknown {
  return [...switchesOf(spec)].map(([key, { clients, servers }]) => [key, clients, servers]);
}

function isSame(one: unknown, other: unknown): boolean {
  return mergePatch({ one }, { one: other }) === undefined;
}
