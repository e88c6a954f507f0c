/**
 * The mode of one port of a pod, and why: pure. The narrowest scope whose policy says something about the port decides, at one scope
 * the oldest policy alone, within a policy a live entry for the port before its mode, a number before a name. The mesh-wide minimum
 * lifts what is under it.
 */
import { DEFAULT_MODE, higher, isBelow, lower, type Mode, type Scope } from '../api/index.ts';
import type { DeclaredPort } from '../inventory/index.ts';
import { byAge, type Labels, nameOfRule, type Policy, type PortRule, scopeOf, selects } from './policy.ts';

/** The one policy of each scope that is heard about a pod. */
export interface Heard {
  readonly workload: Policy | undefined;
  readonly namespace: Policy | undefined;
  readonly mesh: Policy | undefined;
}

export interface Decision {
  readonly mode: Mode;
  /** Who decided; undefined: nobody, it is the default. */
  readonly by: { readonly policy: Policy; readonly scope: Scope; readonly rule: PortRule | undefined } | undefined;
  /** What was asked for, where the mesh-wide minimum lifted it. */
  readonly lifted: { readonly from: Mode; readonly by: Policy } | undefined;
  /** Until when the same is answered, if no policy and no pod changes (ms); Infinity: for ever. */
  readonly until: number;
}

/** @param names that the pod gives to the port. */
export function decideMode(heard: Heard, port: number, names: readonly string[], now: number): Decision {
  const by = firstToSay(heard, port, names, now);
  const asked = by?.rule?.mode ?? by?.policy.mode ?? DEFAULT_MODE;
  const until = by?.rule?.until ?? Number.POSITIVE_INFINITY;
  const { mesh } = heard;
  if (mesh?.minimum === undefined) return { mode: asked, by, lifted: undefined, until };
  // An entry of the mesh-wide policy is an exception from its minimum for everybody.
  const exception = liveRule(mesh, port, names, now);
  const floor = exception === undefined ? mesh.minimum : lower(mesh.minimum, exception.mode);
  const floorUntil = floor === mesh.minimum ? Number.POSITIVE_INFINITY : (exception?.until ?? Number.POSITIVE_INFINITY);
  return {
    mode: higher(asked, floor),
    by,
    lifted: isBelow(asked, floor) ? { from: asked, by: mesh } : undefined,
    until: Math.min(until, floorUntil),
  };
}

function firstToSay({ workload, namespace, mesh }: Heard, port: number, names: readonly string[], now: number) {
  return (
    sayOf(workload, 'Workload', port, names, now) ??
    sayOf(namespace, 'Namespace', port, names, now) ??
    sayOf(mesh, 'Mesh', port, names, now)
  );
}

function sayOf(
  policy: Policy | undefined,
  scope: Scope,
  port: number,
  names: readonly string[],
  now: number,
): Decision['by'] {
  if (policy === undefined) return undefined;
  const rule = liveRule(policy, port, names, now);
  return rule === undefined && policy.mode === undefined ? undefined : { policy, scope, rule };
}

/** The entry that is about the port at present. */
function liveRule({ ports }: Policy, port: number, names: readonly string[], now: number): PortRule | undefined {
  let byName: PortRule | undefined;
  for (const rule of ports) {
    if (rule.until <= now) continue;
    if (rule.port === port) return rule;
    if (byName === undefined && rule.portName !== undefined && names.includes(rule.portName)) byName = rule;
  }
  return byName;
}

export interface Question {
  /** The operator's namespace. */
  readonly meshNamespace: string;
  readonly namespace: string;
  readonly labels: Labels;
  /** What the pod declares. */
  readonly ports: readonly DeclaredPort[];
  /** The container port that is asked about, declared or not. */
  readonly port: number;
  readonly now: number;
}

export type Outcome =
  /** It decides, by an entry for the port or by its mode. */
  | { readonly outcome: 'Decides'; readonly rule: PortRule | undefined }
  /** It decides, and the minimum of the mesh lifts what it says. */
  | { readonly outcome: 'Lifted'; readonly rule: PortRule | undefined; readonly by: string }
  /** Its minimum lifts what another says. */
  | { readonly outcome: 'Lifts'; readonly minimum: Mode }
  /** It says nothing about the port. */
  | { readonly outcome: 'Inherits' }
  /** A policy of a narrower scope has decided. */
  | { readonly outcome: 'Narrower'; readonly by: string }
  /** An older policy of the same scope is heard in its place. */
  | { readonly outcome: 'Overruled'; readonly by: string }
  /** It is for other pods of the namespace. */
  | { readonly outcome: 'NotSelected' };

export type Considered = Outcome & {
  readonly policy: string;
  readonly scope: Scope;
  /** Entries that are about the port and have ended. */
  readonly expired: readonly PortRule[];
};

export interface Effective extends Decision {
  /** Every policy of the namespace and of the mesh, the narrowest scope first and the oldest first within it. */
  readonly considered: readonly Considered[];
}

const narrowestFirst: readonly Scope[] = ['Workload', 'Namespace', 'Mesh'];

/** The mode of a port and what became of each policy that could have said something about it. */
export function effectiveMode(policies: Iterable<Policy>, question: Question): Effective {
  const { meshNamespace, namespace, labels, port, now } = question;
  const names = namesOf(question.ports, port);
  const byScope: Record<Scope, Policy[]> = { Workload: [], Namespace: [], Mesh: [] };
  for (const policy of policies) {
    const scope = scopeOf(policy, meshNamespace);
    if (scope === 'Mesh' || policy.namespace === namespace) byScope[scope].push(policy);
  }
  for (const scope of narrowestFirst) byScope[scope].sort(byAge);
  const first = (scope: Scope) => byScope[scope].find((policy) => selects(policy, labels));
  const heard: Heard = { workload: first('Workload'), namespace: first('Namespace'), mesh: first('Mesh') };
  const heardOf = { Workload: heard.workload, Namespace: heard.namespace, Mesh: heard.mesh };
  const decision = decideMode(heard, port, names, now);

  function outcomeOf(policy: Policy, scope: Scope): Outcome {
    if (!selects(policy, labels)) return { outcome: 'NotSelected' };
    const instead = heardOf[scope];
    if (instead !== undefined && instead !== policy) return { outcome: 'Overruled', by: instead.key };
    const { by, lifted } = decision;
    if (by?.policy === policy) {
      if (lifted === undefined) return { outcome: 'Decides', rule: by.rule };
      return { outcome: 'Lifted', rule: by.rule, by: lifted.by.key };
    }
    if (lifted?.by === policy) return { outcome: 'Lifts', minimum: decision.mode };
    if (by !== undefined && narrowestFirst.indexOf(by.scope) < narrowestFirst.indexOf(scope))
      return { outcome: 'Narrower', by: by.policy.key };
    return { outcome: 'Inherits' };
  }

  const considered = narrowestFirst.flatMap((scope) =>
    byScope[scope].map((policy) => ({
      policy: policy.key,
      scope,
      expired: policy.ports.filter((rule) => rule.until <= now && isAbout(rule, port, names)),
      ...outcomeOf(policy, scope),
    })),
  );
  return { ...decision, considered };
}

export function isAbout(rule: PortRule, port: number, names: readonly string[]): boolean {
  return rule.port === port || (rule.portName !== undefined && names.includes(rule.portName));
}

export function namesOf(ports: readonly DeclaredPort[], port: number): string[] {
  return ports.flatMap(({ number, name }) => (number === port && name !== undefined ? [name] : []));
}

/** One sentence for `explain`, without the policy's name. */
export function describeOutcome(considered: Considered): string {
  const expired = considered.expired.map((rule) => `${nameOfRule(rule)} has ended`);
  return [sentenceOf(considered), ...expired].join('; ');
}

function sentenceOf(considered: Considered): string {
  const said = (rule: PortRule | undefined): string =>
    rule === undefined ? 'its mode' : `its entry ${nameOfRule(rule)}`;
  switch (considered.outcome) {
    case 'Decides':
      return `decides by ${said(considered.rule)}`;
    case 'Lifted':
      return `decides by ${said(considered.rule)}, which is under the minimum of ${considered.by}`;
    case 'Lifts':
      return `its minimum lifts the mode to ${considered.minimum}`;
    case 'Inherits':
      return 'says nothing about this port';
    case 'Narrower':
      return `${considered.by} has a narrower scope`;
    case 'Overruled':
      return `${considered.by} is older and has the same scope`;
    case 'NotSelected':
      return 'is for other pods';
  }
}
