/** What becomes of policies, told in their status by the bundled operator on a real API server, without sidecars. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { findCondition, type MTLSPolicy, mtlsPolicyKind, parseMTLSPolicy } from '../../src/api/index.ts';
import { inventoryRules } from '../../src/api/rbac.ts';
import { conditionTypes, policyReasons } from '../../src/policy/judge.ts';
import { inSeconds, OPERATOR_NAMESPACE, World, waitFor } from '../certificate/world.ts';
import { fencedBlocks } from '../support/markdown.ts';
import { grantToOperator } from '../support/operator.ts';

let world: World;
let namespace: string;

beforeAll(async () => {
  world = await World.start(['--watch-pods']);
});

afterAll(() => world?.[Symbol.asyncDispose]());

beforeEach(async () => {
  namespace = await world.namespace('policies');
  const account = `/api/v1/namespaces/${namespace}/serviceaccounts/default`;
  await waitFor('the service account `default`', () => world.find(account));
});

async function apply(name: string, spec: object, where = namespace): Promise<void> {
  await world.send('POST', mtlsPolicyKind.path(where), {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'MTLSPolicy',
    metadata: { name },
    spec,
  });
}

/** Waits until each of the conditions has its reason, and those without one are not there. */
async function told(
  name: string,
  reasons: Readonly<Record<string, string | undefined>>,
  where = namespace,
): Promise<MTLSPolicy> {
  let last: unknown;
  return await waitFor(`${where}/${name} to have ${JSON.stringify(reasons)}`, async () => {
    const found = await world.find(mtlsPolicyKind.path(where, name));
    if (found === undefined) return undefined;
    const policy = parseMTLSPolicy(found);
    last = policy.status;
    const { conditions } = policy.status;
    const right = Object.entries(reasons).every(([type, reason]) => findCondition(conditions, type)?.reason === reason);
    return right ? policy : undefined;
  }).catch((error: unknown) => {
    throw new Error(`${String(error)}; the status was ${JSON.stringify(last)}`);
  });
}

async function runPod(name: string, labels: Readonly<Record<string, string>>): Promise<void> {
  const ports = [{ containerPort: 8080, name: 'http' }];
  const containers = [{ name: 'main', image: 'registry.invalid/none', ports }];
  await world.send('POST', `/api/v1/namespaces/${namespace}/pods`, {
    metadata: { name, labels },
    spec: { containers },
  });
}

describe('an operator that may not look at pods', () => {
  test('says what it can, that it does not know the pods, and that nothing is enforced; and more when it may', async () => {
    await apply('default', { mode: 'Strict' });
    const { status } = await told('default', {
      Accepted: 'Accepted',
      Effective: 'PodsUnknown',
      Enforced: 'NoSidecars',
    });
    expect(status.effective).toEqual({ scope: 'Namespace', mode: 'Strict' });
    expect(findCondition(status.conditions, 'Enforced')?.message).toContain('installed without sidecars');
    await grantToOperator(world.cluster, 'pods', inventoryRules);
    await told('default', { Effective: 'SelectsNothing' });
  });
});

describe('docs/modes.md', () => {
  test('shows a policy that is taken, and the command that lists it', async () => {
    const blocks = fencedBlocks(await readFile(join(import.meta.dirname, '..', '..', 'docs', 'modes.md'), 'utf8'));
    expect(blocks.map(({ language }) => language)).toEqual(['yaml', 'sh', 'sh']);
    await world.cluster.kubectl(['create', 'namespace', 'shop']);
    await world.cluster.kubectl(['apply', '-f', '-'], { input: blocks[0]?.text ?? '' });
    await told('default', { Accepted: 'Accepted' }, 'shop');
    const [program, ...args] = blocks[1]?.text.trim().split(' ') ?? [];
    expect(program).toBe('kubectl');
    expect(await world.cluster.kubectl(args)).toMatch(
      /^NAME +ACCEPTED +MODE .*\ndefault +True +Strict +Strict +False /,
    );
  });

  test('names every condition and reason there is', async () => {
    const text = await readFile(join(import.meta.dirname, '..', '..', 'docs', 'modes.md'), 'utf8');
    for (const word of [...conditionTypes, ...policyReasons]) expect(text).toContain(`\`${word}\``);
  });
});

describe('status', () => {
  test('follows pods and Services', async () => {
    await apply('web', {
      selector: { matchLabels: { app: 'web' } },
      mode: 'Strict',
      ports: [{ port: 80, mode: 'Permissive' }],
    });
    await told('web', { Effective: 'SelectsNothing', PortNotFound: undefined });
    await runPod('web-1', { app: 'web' });
    await told('web', { Effective: 'Effective', PortNotFound: 'NotDeclared' });
    await world.send('POST', `/api/v1/namespaces/${namespace}/services`, {
      metadata: { name: 'web' },
      spec: { selector: { app: 'web' }, ports: [{ port: 80, targetPort: 'http' }] },
    });
    const { status } = await told('web', { PortIsServicePort: 'PortIsServicePort', PortNotFound: undefined });
    expect(status.effective?.pods).toBe(1);
    await world.send('DELETE', `/api/v1/namespaces/${namespace}/pods/web-1?gracePeriodSeconds=0`);
    await told('web', { Effective: 'SelectsNothing', PortIsServicePort: undefined });
  });

  test('of a loser names the older policy, until that is gone', async () => {
    await apply('first', { mode: 'Strict' });
    // Times of the API server are whole seconds.
    const second = Math.floor(Date.now() / 1000);
    await waitFor('the next second', () => Math.floor(Date.now() / 1000) > second);
    await apply('a-second', { mode: 'Disabled' });
    const { status } = await told('a-second', { Accepted: 'Overruled', Effective: 'Overruled' });
    expect(findCondition(status.conditions, 'Accepted')?.message).toContain(
      `${namespace}/first is for the whole namespace`,
    );
    await told('first', { Accepted: 'Accepted' });
    await world.send('DELETE', mtlsPolicyKind.path(namespace, 'first'));
    await told('a-second', { Accepted: 'Accepted' });
  });

  test('tells by itself when an entry has ended', async () => {
    await apply('default', { mode: 'Strict', ports: [{ port: 9090, mode: 'Permissive', until: inSeconds(4) }] });
    const before = await told('default', { Accepted: 'Accepted', Expired: undefined });
    expect(before.status.effective?.nextChange).toBeDefined();
    const after = await told('default', { Expired: 'EntriesExpired' });
    expect(after.metadata.generation).toBe(before.metadata.generation);
    expect(after.status.effective?.nextChange).toBeUndefined();
  });

  test('tells what the minimum of the mesh makes of a policy, and when that goes', async () => {
    await apply('default', { mode: 'Disabled' });
    await told('default', { Accepted: 'Accepted', BelowMinimum: undefined });
    await apply('mesh', { minimum: 'Permissive' }, OPERATOR_NAMESPACE);
    const { status } = await told('default', { BelowMinimum: 'MinimumOfMesh' });
    expect(status.effective?.mode).toBe('Permissive');
    await told('mesh', { Accepted: 'Accepted', Enforced: 'NoSidecars' }, OPERATOR_NAMESPACE);
    await world.send('DELETE', mtlsPolicyKind.path(OPERATOR_NAMESPACE, 'mesh'));
    await told('default', { BelowMinimum: undefined });
  });

  test('is not written again by an operator that starts', async () => {
    await apply('default', { mode: 'Strict' });
    const { metadata } = await told('default', { Accepted: 'Accepted', Effective: 'SelectsNothing' });
    await world.restartOperator();
    await apply('later', { selector: { matchLabels: { app: 'x' } }, mode: 'Strict' });
    await told('later', { Effective: 'SelectsNothing' });
    expect((await told('default', { Effective: 'SelectsNothing' })).metadata.resourceVersion).toBe(
      metadata.resourceVersion,
    );
  });
});
