/** Which mode each port of a pod has, and what became of every policy that could have said something about it. Pure. */
import { iso, type Mode, type Scope } from '../../api/index.ts';
import type { ServiceRecord } from '../../inventory/index.ts';
import {
  type Considered,
  describeOutcome,
  type Effective,
  effectiveMode,
  type Policy,
  type PolicyRecord,
} from '../../policy/index.ts';
import { CliError } from '../end.ts';
import type { ProxyFacts } from './proxy/facts.ts';
import { describeLoaded, type LoadedPort, type ProxyExplanation } from './proxy/loaded.ts';
import type { Subject, UnprotectedPort } from './subject.ts';

/** What is printed with `-o json`: names stay as they are from version to version. */
export interface Explanation {
  readonly object: string;
  readonly namespace: string;
  readonly ports: readonly PortExplanation[];
  readonly unprotected: readonly UnprotectedPort[];
  /** What the proxy of the pod has loaded; null: it is a workload, or the pod has none. */
  readonly proxy: ProxyExplanation | null;
  readonly notes: readonly string[];
}

export interface PortExplanation {
  /** null: every port that the pod does not declare and no policy names. */
  readonly port: number | null;
  readonly names: readonly string[];
  readonly declared: boolean;
  readonly mode: Mode;
  /** null: no policy is about it, it is the default. */
  readonly decidedBy: DecidedBy | null;
  /** null: the minimum of the mesh lifts nothing. */
  readonly liftedFrom: Mode | null;
  /** Until when that is so, if nobody changes anything; null: for ever. */
  readonly until: string | null;
  /** The narrowest scope first, the oldest first within it. */
  readonly policies: readonly ConsideredPolicy[];
  /** What the proxy takes there, as it says itself; null: that is not known. */
  readonly loaded: LoadedPort | null;
}

export interface DecidedBy {
  readonly policy: string;
  readonly scope: Scope;
  /** Index in spec.ports; null: by its mode. */
  readonly entry: number | null;
}

export interface ConsideredPolicy {
  readonly policy: string;
  readonly scope: Scope;
  readonly outcome: Considered['outcome'];
  readonly detail: string;
}

export interface ExplainQuestion {
  /** Policies of the pod's namespace and of the operator's. */
  readonly policies: readonly PolicyRecord[];
  /** Services of the pod's namespace; undefined: they may not be read. */
  readonly services: readonly ServiceRecord[] | undefined;
  /** The operator's namespace. */
  readonly meshNamespace: string;
  /** Number or name of the one port that is asked about; undefined: all. */
  readonly port: string | undefined;
  /** Whether the operator is in that namespace; undefined: that may not be read. */
  readonly operatorFound: boolean | undefined;
  /** undefined: there is none. */
  readonly proxy: ProxyFacts | undefined;
  readonly now: number;
}

/** @throws CliError usage, where the port has a name that the pod does not give to any. */
export function explain(subject: Subject, question: ExplainQuestion): Explanation {
  const { object, namespace, ports, unprotected } = subject;
  const policies = question.policies.flatMap(({ content }) => ('policy' in content ? [content.policy] : []));
  const wanted =
    question.port === undefined ? everyPort(subject, policies, question) : [portOf(subject, question.port)];
  const explained = wanted.map((port) => explainPort(subject, policies, port, question));
  const loaded = question.proxy && describeLoaded(explained, question.proxy);
  return {
    object,
    namespace,
    ports: explained.map((port, index) => ({ ...port, loaded: loaded?.ports[index] ?? null })),
    unprotected,
    proxy: loaded?.proxy ?? null,
    notes: [
      ...(subject.sidecar === false && !subject.hostNetwork && !subject.ended
        ? ['the pod has no sidecar: nothing enforces a mode, and its traffic stays as it is']
        : []),
      ...(subject.ended ? ['the pod has ended: nobody speaks to it any more'] : []),
      ...(subject.hostNetwork ? ['the pod has the network of its host, where no sidecar can stand between'] : []),
      ...(question.operatorFound === false ? [noOperator(question.meshNamespace)] : []),
      ...unheard(question.policies),
      ...wanted.flatMap((port) => (port === undefined ? [] : strayPort(subject, port, question.services))),
      ...(ports.length === 0 && question.port === undefined ? ['the pod declares no TCP port'] : []),
      ...(loaded?.notes ?? []),
    ],
  };
}

/** What the pod declares, what the policies that are heard name beyond that, and last, as undefined, all others. */
function everyPort(subject: Subject, policies: readonly Policy[], question: ExplainQuestion): (number | undefined)[] {
  const { considered } = askAbout(subject, policies, undefined, question);
  const heard = new Set(
    considered.flatMap(({ policy, outcome }) => (outcome === 'NotSelected' || outcome === 'Overruled' ? [] : [policy])),
  );
  const named = policies
    .filter(({ key }) => heard.has(key))
    .flatMap((policy) => policy.ports.filter(({ until }) => until > question.now))
    .flatMap(({ port }) => port ?? []);
  const numbers = new Set([...subject.ports.map(({ number }) => number), ...named]);
  return [...[...numbers].sort((one, other) => one - other), undefined];
}

function portOf({ object, ports }: Subject, asked: string): number {
  if (/^\d+$/.test(asked)) return Number(asked);
  const found = ports.find(({ name }) => name === asked);
  if (found !== undefined) return found.number;
  const names = ports.flatMap(({ name }) => name ?? []);
  const known = names.length === 0 ? 'its ports have no names' : `its ports are called ${names.join(', ')}`;
  throw new CliError('usage', `${object} has no port ${JSON.stringify(asked)}: ${known}; any number may be given`);
}

/** No container listens on port 0: it stands for all that nobody is about. */
const ANY_OTHER = 0;

function askAbout(
  { labels, namespace, ports }: Subject,
  policies: readonly Policy[],
  port: number | undefined,
  { meshNamespace, now }: ExplainQuestion,
): Effective {
  return effectiveMode(policies, { meshNamespace, namespace, labels, ports, port: port ?? ANY_OTHER, now });
}

function explainPort(
  subject: Subject,
  policies: readonly Policy[],
  port: number | undefined,
  question: ExplainQuestion,
): Omit<PortExplanation, 'loaded'> {
  const effective = askAbout(subject, policies, port, question);
  const declared = subject.ports.filter(({ number }) => number === port);
  return {
    port: port ?? null,
    names: [...new Set(declared.flatMap(({ name }) => name ?? []))],
    declared: declared.length > 0,
    mode: effective.mode,
    decidedBy: decidedBy(effective),
    liftedFrom: effective.lifted?.from ?? null,
    until: effective.until === Number.POSITIVE_INFINITY ? null : iso(effective.until),
    policies: effective.considered.map((considered) => ({
      policy: considered.policy,
      scope: considered.scope,
      outcome: considered.outcome,
      detail: describeOutcome(considered),
    })),
  };
}

function decidedBy({ by }: Effective): DecidedBy | null {
  return by === undefined ? null : { policy: by.policy.key, scope: by.scope, entry: by.rule?.index ?? null };
}

function noOperator(namespace: string): string {
  return `no operator runs in namespace ${namespace}, where policies for the whole mesh are looked for: give its namespace with --operator-namespace`;
}

function unheard(records: readonly PolicyRecord[]): string[] {
  return records.flatMap(({ content, namespace, name }) =>
    'problem' in content ? [`${namespace}/${name} cannot be read and has no effect: ${content.problem}`] : [],
  );
}

/** Modes are for container ports; people know the ports of their Services. */
function strayPort({ labels, ports }: Subject, port: number, services: readonly ServiceRecord[] | undefined): string[] {
  if (ports.some(({ number }) => number === port)) return [];
  const said = `no container declares port ${port}: what is said of it holds for a process that listens there all the same`;
  const service = services?.find(
    ({ selector, ports: its }) =>
      selector !== undefined &&
      Object.entries(selector).every(([key, value]) => labels[key] === value) &&
      its.some((one) => one.port === port && one.target !== port),
  );
  if (service === undefined) return [said];
  const target = service.ports.find((one) => one.port === port)?.target;
  return [`${said}; ${port} is a port of Service ${service.name}, behind which is container port ${target}`];
}
