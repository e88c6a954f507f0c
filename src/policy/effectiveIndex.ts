/**
 * The effective modes of all pods, kept as pods and policies come and go. Pods for which the same policies speak and that declare the same
 * ports have the same answers: these are worked out once for all of them, when they are asked for.
 */
import type { Scope } from '../api/index.ts';
import type { DeclaredPort, PodShape } from '../inventory/index.ts';
import { type Decision, decideMode, namesOf } from './effective.ts';
import { byAge, type Labels, type Policy, scopeOf, selects } from './policy.ts';

/** Pods that are the same to policies. */
export interface PodClass {
  readonly namespace: string;
  /** Policies that select them, the oldest first. */
  readonly workload: readonly Policy[];
  readonly ports: readonly DeclaredPort[];
  /** How many they are. */
  readonly pods: number;
}

/** What holds for the pods of a class. */
export interface Answers {
  /** In the order of the ports of the pods. */
  readonly ports: readonly Decision[];
  /** Of ports that the pods do not declare and a policy has an entry for, by number. */
  readonly named: ReadonlyMap<number, Decision>;
  /** Of every port that is not declared and has no entry. */
  readonly others: Decision;
  /** When it was worked out, and until when it holds (ms). */
  readonly from: number;
  readonly until: number;
}

/** Policies by which the ports of such pods are in their mode: those that decide, and the one whose minimum lifts what these say. */
export function decidersIn({ named, others, ports }: Answers): ReadonlySet<Policy> {
  const found = new Set<Policy>();
  for (const { by, lifted } of [...ports, ...named.values(), others]) {
    if (by !== undefined) found.add(by.policy);
    if (lifted !== undefined) found.add(lifted.by);
  }
  return found;
}

interface Class {
  readonly key: string;
  readonly namespace: string;
  readonly workload: readonly Policy[];
  readonly ports: readonly DeclaredPort[];
  pods: number;
  answers: Answers | undefined;
}

interface Pod {
  readonly shape: PodShape;
  class: Class | undefined;
}

/** Above this many changed policies every pod of the namespace is looked at once, instead of once for each. */
const FEW = 8;
/** No port has this number: what is said of it holds for all that nobody names. */
const NO_PORT = 0;
const NONE: readonly Policy[] = [];
const NOTHING_NAMED: ReadonlyMap<number, Decision> = new Map();

class NamespaceIndex {
  readonly pods = new Map<string, Pod>();
  readonly classes = new Map<string, Class>();
  /** Without a selector, the oldest first. */
  readonly wide: Policy[] = [];
  /** With one, by the first label that they ask for. */
  readonly #byLabel = new Map<string, Map<string, Policy[]>>();
  readonly #selecting = new Map<string, Policy>();
  /** Keys of policies with a selector that have come, gone or changed since pods were last classed. */
  readonly #changed = new Set<string>();
  /** Keys of pods that have come or changed since. */
  readonly #unclassed = new Set<string>();

  get empty(): boolean {
    return this.pods.size === 0 && this.wide.length === 0 && this.#selecting.size === 0;
  }

  add(policy: Policy): void {
    if (policy.selector === undefined) {
      insert(this.wide, policy);
      return;
    }
    this.#selecting.set(policy.key, policy);
    this.#changed.add(policy.key);
    insert(this.#bucketOf(policy), policy);
  }

  remove(policy: Policy): void {
    if (policy.selector === undefined) {
      take(this.wide, policy);
      return;
    }
    this.#selecting.delete(policy.key);
    this.#changed.add(policy.key);
    take(this.#bucketOf(policy), policy);
  }

  addPod(key: string, shape: PodShape): void {
    this.removePod(key);
    this.pods.set(key, { shape, class: undefined });
    this.#unclassed.add(key);
  }

  removePod(key: string): void {
    this.#unclassed.delete(key);
    const pod = this.pods.get(key);
    if (pod === undefined) return;
    this.pods.delete(key);
    this.#leave(pod);
  }

  forgetAnswers(): void {
    for (const one of this.classes.values()) one.answers = undefined;
  }

  /** Brings every pod into its class. */
  settle(): void {
    const changed = [...this.#changed];
    this.#changed.clear();
    if (changed.length > FEW) {
      this.#unclassed.clear();
      for (const pod of this.pods.values()) this.#class(pod);
      return;
    }
    if (changed.length > 0) {
      const concerned = new Set<Class>();
      for (const one of this.classes.values()) {
        if (one.workload.some(({ key }) => changed.includes(key))) concerned.add(one);
      }
      const present = changed.flatMap((key) => this.#selecting.get(key) ?? []);
      for (const pod of this.pods.values()) {
        if (pod.class === undefined) continue;
        const { labels } = pod.shape;
        if (concerned.has(pod.class) || present.some((policy) => selects(policy, labels))) this.#class(pod);
      }
    }
    for (const key of this.#unclassed) {
      const pod = this.pods.get(key);
      if (pod !== undefined) this.#class(pod);
    }
    this.#unclassed.clear();
  }

  #class(pod: Pod): void {
    const { namespace, labels, ports } = pod.shape;
    this.#leave(pod);
    const workload = this.#speakingFor(labels);
    const key = classKey(workload, ports);
    let found = this.classes.get(key);
    // A policy that was replaced has the same name and says something else.
    if (found === undefined || found.workload.some((policy, index) => policy !== workload[index])) {
      found = { key, namespace, workload, ports, pods: 0, answers: undefined };
      this.classes.set(key, found);
    }
    found.pods += 1;
    pod.class = found;
  }

  #leave(pod: Pod): void {
    const { class: left } = pod;
    if (left === undefined) return;
    pod.class = undefined;
    left.pods -= 1;
    if (left.pods === 0 && this.classes.get(left.key) === left) this.classes.delete(left.key);
  }

  #speakingFor(labels: Labels): readonly Policy[] {
    if (this.#selecting.size === 0) return NONE;
    let found: Policy[] | undefined;
    for (const key of Object.keys(labels)) {
      const bucket = this.#byLabel.get(key)?.get(labels[key] ?? '');
      if (bucket === undefined) continue;
      for (const policy of bucket) {
        if (!selects(policy, labels)) continue;
        if (found === undefined) found = [policy];
        else found.push(policy);
      }
    }
    if (found === undefined) return NONE;
    return found.length > 1 ? found.sort(byAge) : found;
  }

  #bucketOf({ selector }: Policy): Policy[] {
    const [key, value] = selector?.[0] ?? ['', ''];
    const values = this.#byLabel.get(key) ?? new Map<string, Policy[]>();
    this.#byLabel.set(key, values);
    const bucket = values.get(value) ?? [];
    values.set(value, bucket);
    return bucket;
  }
}

export class EffectiveIndex {
  readonly #meshNamespace: string;
  readonly #policies = new Map<string, Policy>();
  readonly #namespaces = new Map<string, NamespaceIndex>();
  readonly #mesh: Policy[] = [];

  /** @param meshNamespace the operator's. */
  constructor(meshNamespace: string) {
    this.#meshNamespace = meshNamespace;
  }

  get(policy: string): Policy | undefined {
    return this.#policies.get(policy);
  }

  setPolicy(policy: Policy): void {
    this.deletePolicy(policy.key);
    this.#policies.set(policy.key, policy);
    if (this.scopeOf(policy) === 'Mesh') {
      insert(this.#mesh, policy);
      this.#forgetAll();
    } else {
      const at = this.#namespaceOf(policy.namespace);
      at.add(policy);
      if (policy.selector === undefined) at.forgetAnswers();
    }
  }

  deletePolicy(key: string): void {
    const policy = this.#policies.get(key);
    if (policy === undefined) return;
    this.#policies.delete(key);
    if (this.scopeOf(policy) === 'Mesh') {
      take(this.#mesh, policy);
      this.#forgetAll();
    } else {
      const at = this.#namespaceOf(policy.namespace);
      at.remove(policy);
      if (policy.selector === undefined) at.forgetAnswers();
      this.#drop(policy.namespace, at);
    }
  }

  /** @param key namespace/name of the pod. */
  setPod(key: string, shape: PodShape): void {
    this.#namespaceOf(shape.namespace).addPod(key, shape);
  }

  deletePod(key: string): void {
    const namespace = key.slice(0, key.indexOf('/'));
    const at = this.#namespaces.get(namespace);
    if (at === undefined) return;
    at.removePod(key);
    this.#drop(namespace, at);
  }

  /** The modes of a pod's ports; undefined: there is no such pod. */
  answersOf(key: string, now: number): Answers | undefined {
    const at = this.#namespaces.get(key.slice(0, key.indexOf('/')));
    const pod = at?.pods.get(key);
    if (at === undefined || pod === undefined) return undefined;
    at.settle();
    return pod.class === undefined ? undefined : this.#answers(pod.class, now);
  }

  /** The classes of pods in a namespace, or in all of them, with their answers. */
  *classes(now: number, namespace?: string): Generator<readonly [PodClass, Answers]> {
    for (const [name, at] of this.#namespaces) {
      if (namespace !== undefined && name !== namespace) continue;
      at.settle();
      for (const one of at.classes.values()) yield [one, this.#answers(one, now)];
    }
  }

  /** The pods of a namespace, or of all of them. */
  *pods(namespace?: string): Generator<PodShape> {
    for (const [name, at] of this.#namespaces) {
      if (namespace !== undefined && name !== namespace) continue;
      for (const { shape } of at.pods.values()) yield shape;
    }
  }

  /** Policies of the namespace without a selector, the oldest first. */
  wide(namespace: string): readonly Policy[] {
    return namespace === this.#meshNamespace ? NONE : (this.#namespaces.get(namespace)?.wide ?? NONE);
  }

  /** Policies for the whole mesh, the oldest first. */
  mesh(): readonly Policy[] {
    return this.#mesh;
  }

  scopeOf(policy: Policy): Scope {
    return scopeOf(policy, this.#meshNamespace);
  }

  #answers(of: Class, now: number): Answers {
    // A clock that was set back makes live again what had ended.
    if (of.answers !== undefined && of.answers.from <= now && now < of.answers.until) return of.answers;
    const heard = { workload: of.workload[0], namespace: this.wide(of.namespace)[0], mesh: this.#mesh[0] };
    const ports = of.ports.map(({ number }) => decideMode(heard, number, namesOf(of.ports, number), now));
    const others = decideMode(heard, NO_PORT, [], now);
    const named = new Map<number, Decision>();
    for (const policy of [heard.workload, heard.namespace, heard.mesh]) {
      for (const { port, until } of policy?.ports ?? []) {
        if (port === undefined || until <= now || named.has(port) || of.ports.some(({ number }) => number === port))
          continue;
        named.set(port, decideMode(heard, port, [], now));
      }
    }
    const until = [...ports, ...named.values()].reduce(
      (earliest, decision) => Math.min(earliest, decision.until),
      others.until,
    );
    of.answers = { ports, named: named.size === 0 ? NOTHING_NAMED : named, others, from: now, until };
    return of.answers;
  }

  #namespaceOf(namespace: string): NamespaceIndex {
    const found = this.#namespaces.get(namespace) ?? new NamespaceIndex();
    this.#namespaces.set(namespace, found);
    return found;
  }

  #drop(namespace: string, at: NamespaceIndex): void {
    if (at.empty) this.#namespaces.delete(namespace);
  }

  #forgetAll(): void {
    for (const at of this.#namespaces.values()) at.forgetAnswers();
  }
}

function classKey(workload: readonly Policy[], ports: readonly DeclaredPort[]): string {
  let key = '';
  for (const { number, name } of ports) key += `${number} ${name ?? ''},`;
  for (const policy of workload) key += `/${policy.key}`;
  return key;
}

/** Keeps the order by age. */
function insert(list: Policy[], policy: Policy): void {
  const index = list.findIndex((other) => byAge(policy, other) < 0);
  if (index < 0) list.push(policy);
  else list.splice(index, 0, policy);
}

function take(list: Policy[], policy: Policy): void {
  const index = list.indexOf(policy);
  if (index >= 0) list.splice(index, 1);
}
