import { describe, expect, test } from 'vitest';
import type { CertificateStatus } from './certificateStatus.ts';
import { readCertificate } from './certificateStatus.ts';
import { listProxies, type ProxyFacts } from './proxies.ts';
import { proxiesText } from './proxiesText.ts';
import { readPolicyTrouble, readRollout } from './rolloutRecord.ts';
import { type CheckedPod, readPod } from './sidecarPod.ts';

const now = Date.UTC(2031, 0, 1);
const text = { allNamespaces: false, output: 'text' };

function pod(name: string, image = 'envoy:v2'): CheckedPod {
  const running = { state: { running: {} }, started: true, ready: true, restartCount: 0 };
  const found = readPod({
    metadata: { namespace: 'shop', name, uid: `uid-${name}`, resourceVersion: '1' },
    spec: { containers: [], initContainers: [{ name: 'mtls-proxy', image }], serviceAccountName: 'web' },
    status: { initContainerStatuses: [{ name: 'mtls-proxy', ...running }] },
  });
  if (found === undefined) throw new Error('no pod');
  return found;
}

function facts(more: Partial<ProxyFacts> = {}): ProxyFacts {
  return {
    pods: [pod('web')],
    rollouts: { value: [] },
    policies: { value: [] },
    certificates: { value: [] },
    injectedImage: { value: 'envoy:v2' },
    operatorNamespace: 'mtls-system',
    now,
    ...more,
  };
}

const moving = (phase: string, since: string) => ({
  target: 'Strict',
  servers: 'Permissive',
  clients: 'MutualTLS',
  phase,
  since,
});

function rollout(entry: object, others: readonly unknown[] = [], name = 'default') {
  const found = readRollout({
    metadata: { namespace: 'shop', name },
    spec: { workloads: [...others, { kind: 'Pod', name: 'web', ...entry }] },
  });
  return { value: found === undefined ? [] : [found] };
}

function certificate(status: object, name = 'mtls-proxy-web'): { value: CertificateStatus[] } {
  const found = readCertificate({ metadata: { namespace: 'shop', name }, spec: { serviceAccountName: 'web' }, status });
  return { value: found === undefined ? [] : [found] };
}

describe('a proxy', () => {
  test.each<[string, Partial<ProxyFacts>, boolean | null]>([
    ['is what is injected now', {}, false],
    ['is another', { injectedImage: { value: 'envoy:v3' } }, true],
    ['cannot be compared where there is no proxy-api', { injectedImage: { value: undefined } }, null],
    ['cannot be compared where that may not be read', { injectedImage: { missing: 'list deployments.apps' } }, null],
  ])('%s', (_, more, outdated) => {
    expect(listProxies(facts(more)).proxies[0]?.outdated).toBe(outdated);
  });

  test.each<[string, Partial<ProxyFacts>, boolean | null, RegExp]>([
    ['is settled', { rollouts: rollout(moving('Settled', '2030-01-01T00:00:00Z')) }, false, / Permissive +Settled +/],
    [
      'lags since its phase began',
      { rollouts: rollout(moving('Draining', '2030-12-31T20:00:00Z')) },
      true,
      / Permissive +Draining for 4h to Strict +/,
    ],
    [
      'lags as long as the slowest of its ports',
      {
        rollouts: rollout({
          ...moving('Clients', '2030-12-31T23:00:00Z'),
          ports: [{ port: 9090, ...moving('Waiting', '2030-12-29T00:00:00Z') }],
        }),
      },
      true,
      / Permissive +Waiting for 3d to Strict \(port 9090\) +/,
    ],
    [
      'has its mode beside an entry that cannot be read',
      { rollouts: rollout(moving('Settled', '2030-01-01T00:00:00Z'), [{ kind: 'Pod', name: 'bad', phase: 7 }, null]) },
      false,
      / Permissive +Settled +/,
    ],
    [
      'has no mode in an object of another name',
      { rollouts: rollout(moving('Settled', '2030-01-01T00:00:00Z'), [], 'other') },
      null,
      / <unknown> +<unknown> +/,
    ],
    ['has no mode where there is no record', {}, null, / <unknown> +<unknown> +/],
  ])('%s', (_, more, lagging, line) => {
    const list = listProxies(facts(more));
    expect(list.proxies[0]?.lagging).toBe(lagging);
    expect(proxiesText(list, text, now)).toMatch(line);
  });

  test.each<[string, Partial<ProxyFacts>, string, string]>([
    ['lasts', { certificates: certificate({ notAfter: '2031-01-01T23:59:00Z' }) }, 'Valid', 'for 23h'],
    [
      'ends this moment',
      { certificates: certificate({ notAfter: '2031-01-01T00:00:00Z' }) },
      'Expired',
      'expired 0s ago',
    ],
    ['has ended', { certificates: certificate({ notAfter: '2030-12-20T00:00:00Z' }) }, 'Expired', 'expired 12d ago'],
    ['was never issued', { certificates: certificate({}) }, 'NotIssued', 'not issued'],
    ['has a status that is none', { certificates: certificate({ notAfter: 'soon' }) }, 'NotIssued', 'not issued'],
    ['is another’s', { certificates: certificate({}, 'mtls-proxy-api') }, 'Missing', 'missing'],
    ['may not be read', { certificates: { missing: 'list workloadcertificates' } }, 'Unknown', '<unknown>'],
  ])('has a certificate that %s', (_, more, state, said) => {
    const list = listProxies(facts(more));
    expect(list.proxies[0]?.certificate.state).toBe(state);
    expect(proxiesText(list, text, now).split('\n')[1]).toMatch(new RegExp(` ${said}$`));
  });
});

test('proxies are sorted by namespace and name, and pods without sidecar are none', () => {
  const without = { ...pod('a'), sidecar: undefined };
  const elsewhere = { ...pod('z'), namespace: 'bank' };
  const list = listProxies(facts({ pods: [pod('web-2'), without, pod('web-1'), elsewhere] }));
  const names = list.proxies.map(({ name, namespace }) => `${namespace}/${name}`);
  expect(names).toEqual(['bank/z', 'shop/web-1', 'shop/web-2']);
});

test('what policies say of sidecars that do as they should is not repeated', () => {
  const policy = (reason: string) =>
    readPolicyTrouble({
      metadata: { namespace: 'shop', name: 'default' },
      status: {
        conditions: [
          { type: 'Enforced', status: 'False', reason, message: 'm', lastTransitionTime: '2031-01-01T00:00:00Z' },
        ],
      },
    })?.condition.reason;
  expect(['Refused', 'ProxiesLag', 'NoSidecars', 'Enforced'].map(policy)).toEqual([
    'Refused',
    'ProxiesLag',
    undefined,
    undefined,
  ]);
  expect(readPolicyTrouble({ metadata: {}, status: { conditions: 'none' } })).toBeUndefined();
});
