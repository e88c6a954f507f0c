import { describe, expect, test } from 'vitest';
import { annotations } from '../../../api/index.ts';
import { applyPatch, pod, settings, shop } from '../../../inject/builders.fixture.ts';
import { inject } from '../../../inject/index.ts';
import { askedSidecar } from './sidecar.ts';

/** As injection makes it, and kubelet says that its proxy is. */
function injected(state: object = { running: {} }, metadata: object = {}) {
  const before = pod({ serviceAccountName: 'web' }, { namespace: 'shop', resourceVersion: '1', ...metadata });
  const decision = inject(before, shop, settings);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  const status = {
    phase: 'Running',
    initContainerStatuses: [{ name: 'mtls-proxy', started: true, ready: true, state }],
  };
  return { ...applyPatch(before, decision.patch), status };
}

describe('a sidecar', () => {
  test('can be asked where it runs and was made to be', () => {
    expect(askedSidecar(injected())).toEqual({
      namespace: 'shop',
      name: 'web',
      account: 'web',
      workload: { kind: 'Pod', name: 'web' },
      excluded: [],
      obstacle: undefined,
    });
  });

  test('is known with the ports before which it does not stand', () => {
    const made = injected({ running: {} }, { annotations: { [annotations.excludeInboundPorts]: '9090' } });
    expect(askedSidecar(made)).toMatchObject({ excluded: [9090] });
  });

  test.each<[string, object, string]>([
    ['waits', injected({ waiting: { reason: 'ImagePullBackOff' } }), 'it does not run (Waiting: ImagePullBackOff)'],
    ['has ended', injected({ terminated: { exitCode: 1 } }), 'it does not run (Terminated)'],
    ['has not been seen', injected({}), 'it does not run (Pending)'],
  ])('cannot be asked where it %s', (_, made, obstacle) => {
    expect(askedSidecar(made)).toMatchObject({ obstacle });
  });

  test.each<[string, (text: string) => string[]]>([
    ['starts with another configuration', (text) => ['--config-yaml', text.replace('15020', '15099')]],
    ['has none', () => []],
    ['has one that is no JSON', () => ['--config-yaml', '{']],
    ['has one that is none', () => ['--config-yaml', '[]']],
    ['has nothing behind the flag', () => ['--config-yaml']],
  ])('is from before where it %s', (_, args) => {
    const text = JSON.stringify(injected());
    const made: unknown = JSON.parse(text, (name, value: unknown) =>
      name === 'args' && Array.isArray(value) && value[0] === '--config-yaml' ? args(String(value[1])) : value,
    );
    expect(askedSidecar(made)).toMatchObject({
      obstacle: expect.stringContaining('from before proxies could be asked'),
    });
  });
});

test('a pod without a sidecar is not asked', () => {
  expect(askedSidecar(pod({}, { namespace: 'shop', resourceVersion: '1' }))).toBeUndefined();
});
