/**
 * What an MTLSPolicy comes to, for its status: pure. The catalogue of its conditions and reasons; a message says what is wrong, where, and what to do, and
 * holds no count, so that pods that come and go change no condition.
 */
import { type ConditionStatus, iso, type Mode, type MTLSPolicyStatus, type Scope } from '../api/index.ts';
import { decideMode, type Heard } from './effective.ts';
import { type Answers, decidersIn, type PodClass } from './effectiveIndex.ts';
import { describeEnforcement } from './enforced.ts';
import type { PolicyProxies } from './enforcement.ts';
import { nameOfRule, type Policy, type PortRule } from './policy.ts';

/** In the order in which they stand in status. The first three are always there, the others only where something is to be said. */
export const conditionTypes = [
  'Accepted',
  'Effective',
  'Enforced',
  'Overruled',
  'BelowMinimum',
  'MinimumIgnored',
  'Expired',
  'NotActedUpon',
  'PortNotFound',
  'PortIsServicePort',
] as const;
export type PolicyConditionType = (typeof conditionTypes)[number];

export const policyReasons = [
  'Accepted',
  /** It was stored under an older schema. */
  'SpecInvalid',
  /** An older policy of the same scope is heard in its place. */
  'Overruled',
  'Effective',
  /** No running pod is selected. */
  'SelectsNothing',
  /** Narrower policies decide everywhere, or it says nothing about any port. */
  'DecidesNothing',
  /** The operator does not look at pods. */
  'PodsUnknown',
  'Enforced',
  /** Nothing enforces a mode: there are no sidecars. */
  'NoSidecars',
  /** Some of its pods have none. */
  'PodsWithoutSidecar',
  /** A sidecar does not take its configuration. */
  'Refused',
  /** A sidecar has not acknowledged yet. */
  'ProxiesLag',
  /** The switch is under way. */
  'Switching',
  'MinimumOfMesh',
  'NotMeshWide',
  'EntriesExpired',
  /** A part of the spec that this version does nothing about. */
  'NotThereYet',
  'NotDeclared',
  'PortIsServicePort',
] as const;
export type PolicyReason = (typeof policyReasons)[number];

export interface Verdict {
  readonly type: PolicyConditionType;
  readonly status: ConditionStatus;
  readonly reason: PolicyReason;
  readonly message: string;
}

/** A Service's port that an entry was probably meant for. */
export interface MeantPort {
  readonly service: string;
  /** The container port that it leads to. */
  readonly target: number | string;
}

/** What is known beside the policy itself. */
export interface Sight {
  readonly meshNamespace: string;
  readonly scope: Scope;
  /** Policies for its whole namespace and for the whole mesh, the oldest first. */
  readonly wide: readonly Policy[];
  readonly mesh: readonly Policy[];
  /** Pods of its namespace, or of all for a policy of the mesh; undefined: the operator does not look at pods. */
  readonly pods: readonly (readonly [PodClass, Answers])[] | undefined;
  /** The Service of a selected pod that has such a port. */
  readonly meant: (rule: PortRule) => MeantPort | undefined;
  /** Whether pods of a namespace are to have sidecars. */
  readonly inMesh: (namespace: string) => boolean;
  /** What its sidecars do; undefined: nobody tells any what to do. 'before': it is not known yet. */
  readonly proxies: PolicyProxies | 'before' | 'none' | undefined;
  readonly now: number;
}

export interface Judgement {
  readonly verdicts: readonly Verdict[];
  readonly effective: NonNullable<MTLSPolicyStatus['effective']>;
  /** Whether it is known what its sidecars do. */
  readonly counted: boolean;
  /** When it has to be judged again without being asked (ms); Infinity: never. */
  readonly again: number;
}

/** Of an object that cannot be read. */
export function judgeUnreadable(problem: string): readonly Verdict[] {
  const message = `${problem}. The policy has no effect: apply it again as the present CRD wants it`;
  return [
    { type: 'Accepted', status: 'False', reason: 'SpecInvalid', message },
    { type: 'Effective', status: 'False', reason: 'SpecInvalid', message: 'the policy is not accepted' },
    { type: 'Enforced', status: 'False', reason: 'SpecInvalid', message: 'the policy is not accepted' },
  ];
}

export function judge(policy: Policy, sight: Sight): Judgement {
  const { mesh, now, scope, wide } = sight;
  const selected = sight.pods?.filter(([{ workload }]) => scope !== 'Workload' || workload.includes(policy));
  const instead = overruling(policy, sight, selected);
  const unheard = instead.length > 0 && !instead.includes(undefined);
  const heard: Heard = {
    workload: scope === 'Workload' ? policy : undefined,
    namespace: scope === 'Mesh' ? undefined : scope === 'Namespace' ? policy : wide[0],
    mesh: scope === 'Mesh' ? policy : mesh[0],
  };
  const deciding = selected?.filter(([, answers]) => decidersIn(answers).has(policy));
  const pods = deciding?.reduce((sum, [of]) => sum + of.pods, 0);
  // Counted by what it said before, they may all act by that.
  const proxies =
    typeof sight.proxies === 'object' && sight.proxies.policy !== policy.version ? 'before' : sight.proxies;
  const others = new Set(instead.flatMap((one) => one?.key ?? []));
  const verdicts = [
    accepted(policy, scope, unheard ? others : new Set()),
    unheard ? ineffective(others) : effect(policy, scope, selected, pods),
    describeEnforcement(proxies, unheard, typeof proxies === 'object' ? bareIn(deciding ?? [], proxies, sight) : []),
    ...(!unheard && others.size > 0 ? [partlyOverruled(others)] : []),
    ...(unheard ? [] : belowMinimum(policy, heard, now)),
    ...minimumIgnored(policy, sight),
    ...expired(policy, now),
    ...(sight.proxies === undefined ? [] : notActedUpon(policy, now)),
    ...(unheard || selected === undefined || selected.length === 0 ? [] : strayPorts(policy, selected, sight)),
  ];
  const ends = [...policy.ports.map(({ until }) => until), ...policy.exceptionsUntil].filter((until) => until > now);
  const next = Math.min(Number.POSITIVE_INFINITY, ...ends);
  // What the mesh excepts from its minimum ends, too.
  const meshEnds = (mesh[0]?.ports ?? []).map(({ until }) => until).filter((until) => until > now);
  return {
    verdicts,
    counted: proxies !== 'before',
    effective: {
      scope,
      ...(unheard ? {} : { mode: decideMode(heard, 0, [], now).mode }),
      ...(pods === undefined ? {} : { pods }),
      ...(next === Number.POSITIVE_INFINITY ? {} : { nextChange: iso(next) }),
      ...(typeof proxies === 'object' ? { proxies: countsOf(proxies) } : {}),
    },
    again: Math.min(next, ...meshEnds),
  };
}

const countsOf = ({ acknowledged, enforced, total }: PolicyProxies) => ({ total, acknowledged, enforced });

/**
 * Namespaces in which some of these pods have no sidecar. A policy for the whole mesh is for whoever is to be in it: what runs in a namespace that asks for no sidecars, as the operator itself
 * does, is nothing that it could be enforced for.
 */
function bareIn(deciding: NonNullable<Sight['pods']>, { sidecarsIn }: PolicyProxies, sight: Sight): string[] {
  const found = new Map<string, number>();
  for (const [{ namespace, pods }] of deciding) {
    if (sight.scope === 'Mesh' && !sight.inMesh(namespace)) continue;
    found.set(namespace, (found.get(namespace) ?? 0) + pods);
  }
  return [...found].flatMap(([namespace, pods]) => (pods > (sidecarsIn[namespace] ?? 0) ? [namespace] : []));
}

/** Who is heard in its place: by group of pods, undefined where it is heard itself. */
function overruling(
  policy: Policy,
  { mesh, scope, wide }: Sight,
  selected: Sight['pods'],
): readonly (Policy | undefined)[] {
  const other = (first: Policy | undefined) => (first === policy ? undefined : first);
  if (scope === 'Mesh') return [other(mesh[0])];
  if (scope === 'Namespace') return [other(wide[0])];
  return selected?.map(([{ workload }]) => other(workload[0])) ?? [];
}

const names = (keys: Iterable<string>): string => {
  const all = [...keys].sort();
  return all.length > 5 ? `${all.slice(0, 5).join(', ')} and ${all.length - 5} more` : all.join(', ');
};

const reach: Readonly<Record<Scope, string>> = {
  Mesh: 'for the whole mesh',
  Namespace: 'for the whole namespace',
  Workload: 'for the same pods',
};

function accepted(policy: Policy, scope: Scope, others: ReadonlySet<string>): Verdict {
  if (others.size === 0)
    return { type: 'Accepted', status: 'True', reason: 'Accepted', message: 'the policy is taken into account' };
  const message =
    `${names(others)} ${others.size > 1 ? 'are' : 'is'} ${reach[scope]}, too, and older: at one scope the oldest policy decides alone. Put what ` +
    `${policy.key} says into the older one, or delete one of them`;
  return { type: 'Accepted', status: 'False', reason: 'Overruled', message };
}

function ineffective(others: ReadonlySet<string>): Verdict {
  return { type: 'Effective', status: 'False', reason: 'Overruled', message: `${names(others)} decides in its place` };
}

function partlyOverruled(others: ReadonlySet<string>): Verdict {
  const message =
    `for some of its pods an older policy with a selector decides in its place: ${names(others)}. Let their selectors select different pods, or ` +
    'put all into one policy';
  return { type: 'Overruled', status: 'True', reason: 'Overruled', message };
}

function effect(policy: Policy, scope: Scope, selected: Sight['pods'], pods: number | undefined): Verdict {
  const type = 'Effective';
  if (selected === undefined) {
    const message =
      'the operator does not look at pods, and cannot say whether the policy is for any: set watchPods.enabled in its Helm chart (--watch-pods)';
    return { type, status: 'Unknown', reason: 'PodsUnknown', message };
  }
  if (selected.length === 0) {
    const labels = policy.selector?.map(([key, value]) => `${key}=${value}`).join(',');
    const none =
      labels === undefined
        ? `no pod runs ${scope === 'Mesh' ? 'anywhere' : 'in the namespace'}`
        : `no running pod has ${labels}`;
    const message = `${none}${labels === undefined ? '' : `: compare "kubectl get pods -n ${policy.namespace} --show-labels"`}`;
    return { type, status: 'False', reason: 'SelectsNothing', message };
  }
  if (pods === 0) {
    const message =
      'no port of any pod has its mode from this policy: narrower policies decide, or it says nothing about the ports that there are';
    return { type, status: 'False', reason: 'DecidesNothing', message };
  }
  return { type, status: 'True', reason: 'Effective', message: 'the policy decides the mode of ports of running pods' };
}

/** Whatever pods there are: what it says and what becomes of it. */
function belowMinimum(policy: Policy, heard: Heard, now: number): Verdict[] {
  const { mesh } = heard;
  if (mesh?.minimum === undefined || mesh === policy) return [];
  // As if it were the narrowest: what it says itself is asked about.
  const alone: Heard = { workload: policy, namespace: undefined, mesh };
  const said: { readonly what: string; readonly mode: Mode; readonly becomes: Mode | undefined }[] = [];
  const note = (what: string, mode: Mode, port: number, portNames: readonly string[]): void => {
    const { lifted, mode: becomes } = decideMode(alone, port, portNames, now);
    if (lifted !== undefined) said.push({ what, mode, becomes });
  };
  if (policy.mode !== undefined) note('mode', policy.mode, 0, []);
  for (const rule of live(policy, now))
    note(nameOfRule(rule), rule.mode, rule.port ?? 0, rule.portName === undefined ? [] : [rule.portName]);
  if (said.length === 0) return [];
  const list = said.map(({ what, mode, becomes }) => `${what}: ${mode} becomes ${becomes}`).join('; ');
  const message = `the minimum of ${mesh.key} is ${mesh.minimum}. ${list}. Write at least the minimum, or have the port excepted in ${mesh.key}`;
  return [{ type: 'BelowMinimum', status: 'True', reason: 'MinimumOfMesh', message }];
}

function minimumIgnored(policy: Policy, { meshNamespace, scope }: Sight): Verdict[] {
  if (policy.minimum === undefined || scope === 'Mesh') return [];
  const message = `minimum has no effect in namespace ${policy.namespace}: it is for a policy in namespace ${meshNamespace} without a selector`;
  return [{ type: 'MinimumIgnored', status: 'True', reason: 'NotMeshWide', message }];
}

function expired(policy: Policy, now: number): Verdict[] {
  const since = (until: number): string => `since ${iso(until)}`;
  const over = [
    ...policy.ports.filter(({ until }) => until <= now).map((rule) => `${nameOfRule(rule)} ${since(rule.until)}`),
    ...policy.exceptionsUntil.flatMap((until, index) => (until <= now ? [`exceptions[${index}] ${since(until)}`] : [])),
  ];
  if (over.length === 0) return [];
  const message = `entries have ended and have no effect: ${over.join(', ')}. Take them out, or write a later until`;
  return [{ type: 'Expired', status: 'True', reason: 'EntriesExpired', message }];
}

/** Whoever relies on it has to know: otherwise somebody is cut off in silence. Without sidecars nothing is acted upon, and `Enforced` says that. */
function notActedUpon(policy: Policy, now: number): Verdict[] {
  const strict = policy.mode === 'Strict' || live(policy, now).some(({ mode }) => mode === 'Strict');
  const parts = [
    ...(policy.exceptionsUntil.some((until) => until > now)
      ? [
          'exceptions: peers without a certificate are refused by Strict ports all the same; give these ports the mode Permissive',
        ]
      : []),
    ...(strict && policy.guarded
      ? [
          'guard: a change to Strict waits for sidecars alone, and cuts off whoever still speaks plaintext; look for such peers first',
        ]
      : []),
  ];
  if (parts.length === 0) return [];
  const message = `this version of the operator does nothing about ${parts.join('. Nor about ')}`;
  return [{ type: 'NotActedUpon', status: 'True', reason: 'NotThereYet', message }];
}

function strayPorts(policy: Policy, selected: NonNullable<Sight['pods']>, { meant, now }: Sight): Verdict[] {
  const unknown: string[] = [];
  const services: string[] = [];
  for (const rule of live(policy, now)) {
    const declared = selected.some(([{ ports }]) =>
      ports.some(({ number, name }) => (rule.port === undefined ? name === rule.portName : number === rule.port)),
    );
    if (declared) continue;
    const service = meant(rule);
    if (service !== undefined) {
      services.push(
        `${nameOfRule(rule)} is a port of Service ${service.service}, behind which is container port ${service.target}`,
      );
    } else {
      const effectOf =
        rule.port === undefined ? 'has no effect' : 'holds only for a process that listens there undeclared';
      unknown.push(`${nameOfRule(rule)} ${effectOf}`);
    }
  }
  const verdicts: Verdict[] = [];
  if (unknown.length > 0) {
    const message = `no selected pod declares these container ports: ${unknown.join('; ')}. Compare with containers[].ports of the pods`;
    verdicts.push({ type: 'PortNotFound', status: 'True', reason: 'NotDeclared', message });
  }
  if (services.length > 0) {
    const message = `modes are for container ports, not for ports of Services: ${services.join('; ')}. Write the container port`;
    verdicts.push({ type: 'PortIsServicePort', status: 'True', reason: 'PortIsServicePort', message });
  }
  return verdicts;
}

function live(policy: Policy, now: number): PortRule[] {
  return policy.ports.filter(({ until }) => until > now);
}
