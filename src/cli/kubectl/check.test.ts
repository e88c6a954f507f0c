import { describe, expect, test } from 'vitest';
import { deployment, lease, namespace, OPERATOR, pod } from './check/builders.fixture.ts';
import type { CheckFacts } from './check/facts.ts';
import { checked, tells } from './check/judging.fixture.ts';
import { checkExitCode } from './check.ts';
import { checkText } from './checkText.ts';

test('a sound installation has nothing but good findings, one for each check', () => {
  const { findings, result } = checked();
  expect(findings.filter((one) => one.result !== 'ok')).toEqual([]);
  expect(result).toBe('ok');
  expect(findings.map(({ check }) => check)).toEqual([
    ...['Kinds', 'AdmissionPolicies', 'Controller', 'Leader', 'Authority', 'ProxyApi', 'Webhook', 'WebhookService'],
    ...['ProxyApiCertificate', 'SidecarsStarted', 'SidecarVersions', 'SidecarCertificates', 'Namespaces'],
    ...['PodsWithoutSidecar', 'MeshRanges'],
  ]);
});

test('whoever is told of something wrong is told what to do', () => {
  const facts = {
    lease: { value: undefined },
    webhooks: { value: undefined },
    pods: { value: [pod('a', { image: 'b' })] },
  };
  const wrong = checked(facts).findings.filter(({ result }) => result !== 'ok');
  expect(wrong.length).toBeGreaterThan(2);
  expect(wrong.filter(({ advice }) => advice === null || advice === '')).toEqual([]);
});

describe('without mesh', () => {
  const bare = (): Partial<CheckFacts> => ({
    deployments: { value: [deployment('controller', { flags: new Map() })] },
    webhooks: { value: undefined },
    webhookService: undefined,
    pods: { value: [pod('web', { image: null, absence: { why: 'NotInMesh' } })] },
    namespaces: { value: [{ name: 'shop', labels: {}, deleting: false }] },
  });
  tells([
    ['nothing is missed', bare, []],
    [
      'a namespace that asks for it is told of what is missing',
      () => ({ ...bare(), namespaces: { value: [namespace('shop')] } }),
      [/^error ProxyApi/, /^error Webhook/],
    ],
    [
      'a sidecar that is left over is told of it, too',
      () => ({ ...bare(), pods: { value: [pod('web')] } }),
      [/^error ProxyApi/, /^error Webhook/],
    ],
  ]);
});

describe('what may not be read', () => {
  const permission = { missing: 'list pods in all namespaces' };

  test('is named by every check that needs it, and the others are made', () => {
    const { findings } = checked({ pods: permission });
    expect(findings.filter(({ missingPermission }) => missingPermission !== null).map(({ check }) => check)).toEqual([
      'SidecarsStarted',
      'SidecarVersions',
      'SidecarCertificates',
      'PodsWithoutSidecar',
      'MeshRanges',
    ]);
    expect(findings.find(({ check }) => check === 'Webhook')?.result).toBe('ok');
  });

  test('is named once by a check that needs it several times', () => {
    const missing = 'get customresourcedefinitions.apiextensions.k8s.io';
    const definitions = ['one', 'two'].map((name) => ({ name, found: { missing } }));
    expect(
      checked({ definitions }).findings.filter(({ missingPermission }) => missingPermission === missing),
    ).toHaveLength(1);
  });

  test.each<[string, Partial<CheckFacts>, number]>([
    ['everything was read and is sound', {}, 0],
    ['there are warnings', { lease: { value: lease(5) }, pods: { value: [pod('web', { image: 'old' })] } }, 0],
    ['there are errors', { lease: { value: undefined } }, 1],
    ['something may not be read', { pods: permission }, 3],
    ['there are errors beside what may not be read', { pods: permission, lease: { value: undefined } }, 1],
  ])('has its part in the exit code: %s', (_, more, code) => {
    expect(checkExitCode(checked(more))).toBe(code);
  });
});

test('the text has a line for each finding, what to do below it, and the sum', () => {
  const text = checkText(
    checked({ lease: { value: undefined }, pods: { value: [pod('web', { image: 'a\u001b[2J' })] } }),
  );
  const lines = text.split('\n');
  expect(lines.find((line) => line.includes('Leader'))).toBe(
    `error     Leader                lease/mtls-operator in namespace ${OPERATOR}: there is no Lease: no operator has ever led here`,
  );
  expect(lines).toContain(`${' '.repeat(32)}-> see that the controller runs, and what it logs`);
  expect(text).not.toContain('\u001b');
  expect(lines.slice(-2)).toEqual(['1 error, 1 warning', '']);
});
