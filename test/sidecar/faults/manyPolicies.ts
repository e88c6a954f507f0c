/** More policies than anybody should write for one namespace, each wrong in some way, with what is to be said of it. */
import { API_VERSION, mtlsPolicyKind } from '../../../src/api/index.ts';
import { send } from '../../api/control.ts';
import type { Cluster } from '../../cluster/index.ts';

/** The only pods there are this many policies are about. */
const lone = { matchLabels: { app: 'lone' } };
const past = '2026-01-01T00:00:00Z';
const reason = 'to see what comes of it';

/** As in `Accepted=False/Overruled`. */
type Words = readonly string[];

interface Wrong {
  readonly name: string;
  readonly spec: object;
  /** In its conditions. */
  readonly said: Words;
}

/** Its name is the smallest: of those that were made in the same second it is heard. */
const heard: Wrong = {
  name: 'a-first',
  spec: {
    selector: lone,
    mode: 'Permissive',
    ports: [
      { portName: 'nobody-has-it', mode: 'Strict', reason },
      { port: 9999, mode: 'Strict', reason },
      { port: 8080, mode: 'Strict', reason, until: past },
    ],
  },
  said: [
    'Accepted=True/Accepted',
    'Effective=True/Effective',
    'PortNotFound=True/NotDeclared',
    'Expired=True/EntriesExpired',
  ],
};

type Sort = (number: number) => Omit<Wrong, 'name'>;

const sorts: readonly (readonly [sort: string, of: Sort])[] = [
  [
    'contradicts',
    (number) => ({
      spec: { selector: lone, mode: number % 2 === 0 ? 'Strict' : 'Disabled' },
      said: ['Accepted=False/Overruled', 'Effective=False/Overruled', 'Enforced=False/Overruled'],
    }),
  ],
  [
    'selects-nothing',
    (number) => ({
      spec: { selector: { matchLabels: { app: `nobody-${number}` } }, mode: 'Strict' },
      said: ['Accepted=True/Accepted', 'Effective=False/SelectsNothing', 'Enforced=False/NoSidecars'],
    }),
  ],
  [
    'unknown-ports',
    (number) => ({
      spec: { ports: [{ portName: `nobody-${number}`, mode: 'Strict', reason }] },
      // One of them is heard, and says nothing about any port that there is.
      said: number === 0 ? ['Accepted=True/Accepted', 'PortNotFound=True/NotDeclared'] : ['Accepted=False/Overruled'],
    }),
  ],
  [
    'expired',
    () => ({
      spec: { selector: lone, ports: [{ port: 8080, mode: 'Strict', reason, until: past }] },
      said: ['Accepted=False/Overruled', 'Expired=True/EntriesExpired'],
    }),
  ],
];

/** The oldest first. */
export function wrongPolicies(count: number): readonly Wrong[] {
  const each = Math.ceil((count - 1) / sorts.length);
  const others = Array.from({ length: each }, (_, number) =>
    sorts.map(([sort, of]) => ({ name: `${sort}-${String(number).padStart(4, '0')}`, ...of(number) })),
  );
  return [heard, ...others.flat()].slice(0, count);
}

const AT_ONCE = 16;

/** The first ones first, since the oldest is heard; then in any order, as fast as it goes. */
export async function createAll(cluster: Cluster, namespace: string, policies: readonly Wrong[]): Promise<void> {
  const create = async ({ name, spec }: Wrong): Promise<void> => {
    const body = { apiVersion: API_VERSION, kind: mtlsPolicyKind.kind, metadata: { name }, spec };
    const { status, body: answer } = await send(cluster, 'POST', mtlsPolicyKind.path(namespace), body);
    if (status !== 201) throw new Error(`${name} is not made: ${JSON.stringify(answer)}`);
  };
  const left = [...policies];
  for (const first of left.splice(0, 1 + sorts.length)) await create(first);
  const one = async (): Promise<void> => {
    for (let next = left.shift(); next !== undefined; next = left.shift()) await create(next);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, one));
}

/** @returns names of those of which not all is said, with what is. */
export function unsaid(policies: readonly Wrong[], present: ReadonlyMap<string, Words>): string[] {
  return policies.flatMap(({ name, said }) => {
    const words = present.get(name) ?? [];
    return said.every((word) => words.includes(word)) ? [] : [`${name}: ${words.join(', ')}`];
  });
}
