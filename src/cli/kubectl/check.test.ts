import { beforeAll, describe, expect, test } from 'vitest';
import type { ParsedCertificate } from '../../pki/index.ts';
import {
  authority,
  bundleOf,
  certificate,
  definition,
  deployment,
  lease,
  makeRoot,
  NOW,
  namespace,
  OPERATOR,
  pod,
  service,
  soundFacts,
  webhooks,
} from './check/builders.fixture.ts';
import type { CheckFacts, NamedObject } from './check/facts.ts';
import { checkExitCode, checkInstallation } from './check.ts';
import { checkText } from './checkText.ts';

let root: ParsedCertificate;
let other: ParsedCertificate;
let expired: ParsedCertificate;

beforeAll(async () => {
  root = await makeRoot('root');
  other = await makeRoot('other');
  expired = await makeRoot('expired', { from: -48, to: -2 });
});

const checked = (more: Partial<CheckFacts> = {}) => checkInstallation({ ...soundFacts(root), ...more });

/** All that is not ok, as `error Webhook object: message`. */
function troubles(more: Partial<CheckFacts>): string[] {
  return checked(more).findings.flatMap(({ check, message, object, result }) =>
    result === 'ok' ? [] : [`${result} ${check} ${object ?? '-'}: ${message}`],
  );
}

/** The objects with another in the place of the first. */
function withFirst(objects: readonly NamedObject[], change: (object: unknown) => unknown): NamedObject[] {
  return objects.map((one, index) =>
    index > 0 || !('value' in one.found) ? one : { ...one, found: { value: change(one.found.value) } },
  );
}

type Case = [name: string, facts: () => Partial<CheckFacts>, expected: RegExp[]];

function tells(cases: readonly Case[]): void {
  test.each(cases)('%s', (_, facts, expected) => {
    const found = troubles(facts());
    expect(found).toEqual(expected.map((pattern) => expect.stringMatching(pattern)));
  });
}

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

describe('of kinds and admission policies it tells', () => {
  const policies = () => soundFacts(root).admissionPolicies;
  const bindings = () => soundFacts(root).admissionBindings;
  const kinds = (change: Parameters<typeof definition>[1]) => ({
    definitions: withFirst(soundFacts(root).definitions, () => definition(0, change)),
  });
  const name = /workloadcertificates[.]mtls-operator[.]io/.source;
  tells([
    [
      'one that is not there',
      () => ({ definitions: withFirst(soundFacts(root).definitions, () => undefined) }),
      [new RegExp(`^error Kinds customresourcedefinition/${name}: it is not there`)],
    ],
    [
      'one that does not serve our version',
      () =>
        kinds((object) => {
          for (const version of object.spec.versions) version.served = false;
        }),
      [/^error Kinds .*does not serve version v1alpha1/],
    ],
    [
      'one that the API server does not serve, in its words',
      () =>
        kinds((object) => {
          object.status = { conditions: [{ type: 'NamesAccepted', status: 'False', message: 'taken by others' }] };
        }),
      [/^error Kinds .*: the API server does not serve it: taken by others/],
    ],
    [
      'one with another schema',
      () =>
        kinds((object) => {
          for (const { schema } of object.spec.versions) schema.openAPIV3Schema.description = 'another';
        }),
      [/^warning Kinds .*its schema is not that of this version/],
    ],
    [
      'that the operator is of another version, with which nothing is compared',
      () => ({
        ...kinds((object) => {
          for (const { schema } of object.spec.versions) schema.openAPIV3Schema.description = 'another';
        }),
        admissionPolicies: withFirst(policies(), () => ({ spec: { failurePolicy: 'Fail' } })),
        deployments: { value: [deployment('controller', { version: '0.2.0' }), deployment('proxy-api')] },
      }),
      [/^warning Kinds -: the operator is of version 0.2.0 and this plugin of 0.1.0/],
    ],
    [
      'a policy that is not there',
      () => ({ admissionPolicies: withFirst(policies(), () => undefined) }),
      [/^error AdmissionPolicies validatingadmissionpolicy\/serviceaccounts\S+: it is not there/],
    ],
    [
      'a policy that lets in what it cannot judge',
      () => ({ admissionPolicies: withFirst(policies(), () => ({ spec: { failurePolicy: 'Ignore' } })) }),
      [/^error AdmissionPolicies .*failurePolicy is not Fail/],
    ],
    [
      'a policy that is for another operator',
      () => ({
        operatorNamespace: 'elsewhere',
        webhookService: undefined,
        certificates: {
          value: [certificate('mtls-operator-proxy-api', 'elsewhere'), certificate('mtls-proxy-default', 'shop')],
        },
      }),
      [/^warning AdmissionPolicies .*does not say what that of this version says for this operator/],
    ],
    [
      'a binding that is not there',
      () => ({ admissionBindings: withFirst(bindings(), () => undefined) }),
      [/^error AdmissionPolicies validatingadmissionpolicybinding\/serviceaccounts\S+: it is not there/],
    ],
    [
      'a binding that only warns',
      () => ({
        admissionBindings: bindings().map((one, index) =>
          index > 0
            ? one
            : { ...one, found: { value: { spec: { policyName: one.name, validationActions: ['Warn'] } } } },
        ),
      }),
      [/^error AdmissionPolicies .*does not have \S+ deny anything/],
    ],
    [
      'a binding that takes namespaces out',
      () => ({
        admissionBindings: bindings().map((one, index) => {
          const matchResources = { namespaceSelector: { matchLabels: { a: 'b' } }, objectSelector: {} };
          const spec = { policyName: one.name, validationActions: ['Deny'], matchResources };
          return index > 0 ? one : { ...one, found: { value: { spec } } };
        }),
      }),
      [/^error AdmissionPolicies .*its namespaceSelector takes objects out/],
    ],
  ]);
});

describe('of what has to run it tells', () => {
  const with_ = (...deployments: ReturnType<typeof deployment>[]) => ({ deployments: { value: deployments } });
  const [controller, proxyApi] = [() => deployment('controller'), () => deployment('proxy-api')];
  tells([
    [
      'a controller without Deployment where one leads',
      () => with_(proxyApi()),
      [/^warning Controller .*though one leads/],
    ],
    [
      'a controller without Deployment where nobody leads',
      () => ({ ...with_(proxyApi()), lease: { value: lease(5, '') } }),
      [/^error Controller -: there is no Deployment/, /^error Leader lease\/mtls-operator: nobody holds/],
    ],
    [
      'replicas that are not ready',
      () => with_(deployment('controller', { ready: 1 }), proxyApi()),
      [/^warning Controller deployment\/mtls-operator-controller: 1 of 2 replicas ready/],
    ],
    [
      'that none is',
      () => with_(controller(), deployment('proxy-api', { ready: 0 })),
      [/^error ProxyApi .*: 0 of 2 replicas ready: no pod of the mesh starts/],
    ],
    [
      'that none is wanted',
      () => with_(deployment('controller', { wanted: 0 }), proxyApi()),
      [/^error Controller .*scaled to 0/],
    ],
    ['that proxy-api is not there', () => with_(controller()), [/^error ProxyApi -: there is no Deployment/]],
    ['a Lease that is not there', () => ({ lease: { value: undefined } }), [/^error Leader .*there is no Lease/]],
    ['a Lease that is none', () => ({ lease: { value: { spec: 'x' } } }), [/^error Leader .*nobody holds/]],
    [
      'a Lease that nobody renews',
      () => ({ lease: { value: lease(600) } }),
      [/^error Leader .*controller-0 renewed it 10m ago/],
    ],
    ['nothing of clocks that differ somewhat', () => ({ lease: { value: lease(74) } }), []],
    ['nothing of clocks that differ the other way', () => ({ lease: { value: lease(-600) } }), []],
  ]);
});

describe('of the authority and what hangs on it, it tells', () => {
  const hooks = (...args: Parameters<typeof webhooks>) => ({ webhooks: { value: webhooks(...args) } });
  const proxyApi = (more: Parameters<typeof certificate>[2]) => ({
    certificates: {
      value: [certificate('mtls-operator-proxy-api', OPERATOR, more), certificate('mtls-proxy-default', 'shop')],
    },
  });
  const name = `mtls-operator-proxy-api.${OPERATOR}.svc`;
  const [valid, dnsNames] = [() => bundleOf(root), [name]];
  const garbage = Buffer.from('not PEM').toString('base64');
  tells([
    [
      'that it is not there',
      () => ({ authority: { value: undefined } }),
      [/^error Authority certificateauthority\/default: it is not there/],
    ],
    [
      'that nobody has looked at it',
      () => ({ authority: { value: {} } }),
      [/^error Authority .*nobody has looked at it yet/],
    ],
    [
      'why it does not sign',
      () => ({ authority: { value: authority([root], [{ type: 'Ready', status: 'False', reason: 'KeyMissing' }]) } }),
      [/^error Authority .*: KeyMissing: said/],
    ],
    [
      'that it nears its end',
      () => ({
        authority: {
          value: authority(
            [root],
            [
              { type: 'Ready', status: 'True' },
              { type: 'Expiring', status: 'True' },
            ],
          ),
        },
      }),
      [/^warning Authority .*: said/],
    ],
    ['webhooks that are not there', () => ({ webhooks: { value: undefined } }), [/^error Webhook .*it is not there/]],
    [
      'a webhook that was taken out',
      () => {
        const { webhooks: all } = webhooks(valid()) as { webhooks: object[] };
        return { webhooks: { value: { webhooks: all.slice(1) } } };
      },
      [/^error Webhook .*no webhook namespace.injection.mtls-operator.io/],
    ],
    [
      'a webhook that fails open',
      () =>
        hooks(valid(), (entry) =>
          String(entry['name']).startsWith('pod') ? { ...entry, failurePolicy: 'Ignore' } : entry,
        ),
      [/^warning Webhook .*the failurePolicy of pod.injection.mtls-operator.io is not Fail/],
    ],
    ['roots that are not there', () => hooks(''), [/^error Webhook .*caBundle is empty.*\(namespace\S+, pod\S+\)$/]],
    ['roots that cannot be read', () => hooks(garbage), [/^error Webhook .*no certificates that can be read/]],
    [
      'roots that have expired',
      () => hooks(bundleOf(root, expired)),
      [/^error Webhook .*expired: CN=expired 120m ago/],
    ],
    ['roots of another', () => hooks(bundleOf(other)), [/^error Webhook .*not the roots of the authority/]],
    [
      'roots of another beside ours',
      () => hooks(bundleOf(root, other)),
      [/^error Webhook .*not the roots of the authority/],
    ],
    [
      'nothing of roots where the authority does not name any',
      () => ({ ...hooks(bundleOf(other)), authority: { value: authority([]) } }),
      [],
    ],
    [
      'that the Service is not there',
      () => ({
        webhookService: {
          namespace: OPERATOR,
          name: 'mtls-operator-proxy-api',
          exists: { value: false },
          endpoints: { value: 0 },
        },
      }),
      [/^error WebhookService service\/mtls-operator-proxy-api: the webhooks name it/],
    ],
    [
      'that the Service leads nowhere',
      () => ({
        webhookService: {
          namespace: OPERATOR,
          name: 'mtls-operator-proxy-api',
          exists: { value: true },
          endpoints: { value: 0 },
        },
      }),
      [/^error WebhookService .*no endpoint that is ready/],
    ],
    [
      'that proxy-api has no certificate',
      () => ({ certificates: { value: [certificate('mtls-proxy-default', 'shop')] } }),
      [/^error ProxyApiCertificate .*it is not there/],
    ],
    [
      'why that is not Ready',
      () => proxyApi({ ready: false, reason: 'NameDenied', dnsNames }),
      [/^error ProxyApiCertificate .*not Ready: NameDenied: said/],
    ],
    [
      'that it has expired',
      () => proxyApi({ notAfter: NOW - 1, dnsNames }),
      [/^error ProxyApiCertificate .*expired 0s ago/],
    ],
    [
      'that it is for another name',
      () => proxyApi({ dnsNames: [`other.${OPERATOR}.svc`, `*.${name}`] }),
      [new RegExp(`^error ProxyApiCertificate .*it is not for ${name}`)],
    ],
    ['nothing of one that is for any name of the namespace', () => proxyApi({ dnsNames: [`*.${OPERATOR}.svc`] }), []],
  ]);
});

describe('of sidecars it tells', () => {
  const pods = (...all: ReturnType<typeof pod>[]) => ({ pods: { value: all } });
  const own = (more: Parameters<typeof certificate>[2]) => ({
    certificates: {
      value: [
        certificate('mtls-operator-proxy-api', OPERATOR, { dnsNames: [`mtls-operator-proxy-api.${OPERATOR}.svc`] }),
        certificate('mtls-proxy-default', 'shop', more),
      ],
    },
  });
  const hour = 3_600_000;
  const waiting = { waiting: { reason: 'ImagePullBackOff' } };
  tells([
    [
      'one that has waited for long, and for what',
      () => pods(pod('web', { started: false, state: waiting })),
      [/^warning SidecarsStarted pod\/web: .*in 60m: Waiting \(ImagePullBackOff\)/],
    ],
    ['nothing of one that is new', () => pods(pod('web', { started: false, state: waiting, ageHours: 0.05 })), []],
    [
      'nothing of one that is about to go',
      () => pods(pod('web', { started: false, state: waiting, image: 'old', deleting: true })),
      [],
    ],
    [
      'which workloads are outdated, each once',
      () =>
        pods(
          pod('web-1', { image: 'envoy:v1', owner: ['Deployment', 'web'] }),
          pod('web-2', { image: 'envoy:v0', owner: ['Deployment', 'web'] }),
          pod('web-3', { owner: ['Deployment', 'web'] }),
          pod('db-0', { image: 'envoy:v1', owner: ['StatefulSet', 'db'] }),
        ),
      [
        /^warning SidecarVersions deployment\/web: 2 pods with a sidecar envoy:v0, envoy:v1; .* now is envoy:v2/,
        /^warning SidecarVersions statefulset\/db: 1 pod with/,
      ],
    ],
    [
      'a certificate that is not there',
      () => ({ certificates: { value: own({}).certificates.value.slice(0, 1) } }),
      [/^error SidecarCertificates workloadcertificate\/mtls-proxy-default: it is not there, and the sidecars of web/],
    ],
    [
      'one that was never issued',
      () => own({ notAfter: undefined, ready: false, reason: 'NotPermitted' }),
      [/^error SidecarCertificates .*none has been issued: NotPermitted: said/],
    ],
    [
      'one that has expired',
      () => own({ notAfter: NOW }),
      [/^error SidecarCertificates .*expired 0s ago: nobody speaks mutual TLS with web/],
    ],
    [
      'one that should have been renewed long ago',
      () => own({ renewal: NOW - 9 * hour, notAfter: NOW + 8 * hour }),
      [/^warning SidecarCertificates .*expires in 8h and should have been renewed 9h ago/],
    ],
    [
      'nothing of one that is about to be renewed',
      () => own({ renewal: NOW - 7 * hour, notAfter: NOW + 8 * hour }),
      [],
    ],
    [
      'one that is not Ready',
      () => own({ ready: false, reason: 'SecretConflict' }),
      [/^warning SidecarCertificates .*not Ready: SecretConflict/],
    ],
  ]);

  test.each<[string, string, string]>([
    ['Deployment', 'web', 'kubectl rollout restart deployment/web -n shop'],
    ['StatefulSet', 'db', 'kubectl rollout restart statefulset/db -n shop'],
    ['DaemonSet', 'agent', 'kubectl rollout restart daemonset/agent -n shop'],
    ['Job', 'once', 'wait for job/once to end, or delete it and make it anew'],
    ['ReplicaSet', 'web', 'delete the pods of replicaset/web in namespace shop, so that it makes others'],
  ])('how the pods of a %s are made anew', (kind, name, advice) => {
    const { findings } = checked(pods(pod('any', { image: 'envoy:v1', owner: [kind, name] })));
    expect(findings.find(({ check }) => check === 'SidecarVersions')?.advice).toBe(advice);
  });
});

describe('of namespaces and their pods it tells', () => {
  const level = (value: string) => ({ 'pod-security.kubernetes.io/enforce': value });
  const plain = (why: 'NotInMesh' | 'OptedOut' | 'HostNetwork' | 'Earlier', name = 'plain') =>
    pod(name, { image: null, absence: { why }, owner: ['Deployment', name], hostNetwork: why === 'HostNetwork' });
  const refused = pod('plain', { image: null, absence: { why: 'Refused', message: 'runs as user 1337' } });
  tells([
    [
      'one that refuses its own pods',
      () => ({ namespaces: { value: [namespace('shop', level('baseline'))] } }),
      [/^error Namespaces namespace\/shop: .*Pod Security baseline/],
    ],
    [
      'nothing of one that lets them in',
      () => ({ namespaces: { value: [namespace('shop', level('privileged'))] } }),
      [],
    ],
    [
      'nothing of one that does not ask',
      () => ({
        namespaces: {
          value: [namespace('shop', { ...level('restricted'), 'mtls-operator.io/injection': 'disabled' })],
        },
      }),
      [],
    ],
    [
      'nothing of the operator’s own',
      () => ({
        namespaces: {
          value: [namespace(OPERATOR, level('restricted')), namespace('kube-system', level('restricted'))],
        },
      }),
      [],
    ],
    [
      'one that is in the mesh as all are',
      () => ({
        namespaces: { value: [{ name: 'shop', labels: level('restricted'), deleting: false }] },
        deployments: {
          value: [deployment('controller'), deployment('proxy-api', { flags: new Map([['every-namespace', '']]) })],
        },
      }),
      [/^error Namespaces namespace\/shop/],
    ],
    [
      'pods that were made too early',
      () => ({ pods: { value: [plain('Earlier')] } }),
      [/^warning PodsWithoutSidecar deployment\/plain: 1 pod without sidecar: made before/],
    ],
    [
      'pods on the network of their host',
      () => ({ pods: { value: [plain('HostNetwork')] } }),
      [/^warning PodsWithoutSidecar deployment\/plain: .*network of their host/],
    ],
    [
      'pods that could not be made now',
      () => ({ pods: { value: [refused] } }),
      [/^warning PodsWithoutSidecar pod\/plain: .*refused now: runs as user 1337/],
    ],
    [
      'that a namespace refuses pods only once',
      () => ({ pods: { value: [refused] }, namespaces: { value: [namespace('shop', level('baseline'))] } }),
      [/^error Namespaces/],
    ],
    [
      'nothing wrong of pods that nobody wants in the mesh',
      () => ({ pods: { value: [plain('NotInMesh'), plain('OptedOut', 'out')] } }),
      [],
    ],
  ]);

  test('who has opted out', () => {
    const { findings } = checked({ pods: { value: [plain('OptedOut')] } });
    expect(findings).toContainEqual(
      expect.objectContaining({
        check: 'PodsWithoutSidecar',
        result: 'ok',
        message: '1 pod without sidecar, as their label says: Deployment/plain in shop',
      }),
    );
  });
});

describe('of addresses it tells', () => {
  const ranges = (written: string) => ({
    deployments: {
      value: [deployment('controller'), deployment('proxy-api', { flags: new Map([['mesh-ranges', written]]) })],
    },
  });
  tells([
    [
      'pods with a sidecar that are outside',
      () => ({ pods: { value: [pod('web', { address: '192.0.2.7' })] } }),
      [/^error MeshRanges .*1 pod with a sidecar outside of .*: shop\/web 192.0.2.7$/],
    ],
    [
      'pods without sidecar that are outside',
      () => ({ pods: { value: [pod('web', { address: '2001:db8::7', image: null })] } }),
      [/^warning MeshRanges .*1 pod without sidecar outside of .*: shop\/web 2001:db8::7$/],
    ],
    [
      'nothing of pods with the address of their host',
      () => ({ pods: { value: [pod('web', { address: '192.0.2.7', image: null, hostNetwork: true })] } }),
      [],
    ],
    [
      'Services that are outside, by the address that is',
      () => ({ services: { value: [service('web', '10.96.0.9', '2001:db8::9'), service('headless', 'None')] } }),
      [/^error MeshRanges .*1 Service outside of .*: shop\/web 2001:db8::9$/],
    ],
    [
      'ranges that are none',
      () => ranges('10.0.0.0/8,10.96.0.0'),
      [/^error MeshRanges .*--mesh-ranges has "10.96.0.0", which is no CIDR/],
    ],
  ]);
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
