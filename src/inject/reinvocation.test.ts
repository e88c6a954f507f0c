/** The webhook is called again where others have changed a pod after it. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { annotations } from '../api/index.ts';
import { applyPatch, pod, settings, shop } from './builders.fixture.ts';
import { inject, recordOf } from './inject.ts';
import type { Pod } from './pod.ts';

function injected(of: Pod): Pod {
  const decision = inject(of, shop, settings);
  if (decision.action !== 'Inject') throw new Error(JSON.stringify(decision));
  return applyPatch(of, decision.patch);
}

const initNames = (of: Pod) => (of.spec.initContainers ?? []).map(({ name }) => name);

describe('injecting twice', () => {
  const handler = fc.oneof(
    fc.record({
      httpGet: fc.record({ path: fc.string(), port: fc.constantFrom<number | string>(80, 'http', 'none') }),
    }),
    fc.record({ tcpSocket: fc.record({ port: fc.constantFrom<number | string>(80, 'http') }) }),
    fc.record({ grpc: fc.record({ port: fc.constant(9000) }) }),
    fc.record({ exec: fc.record({ command: fc.array(fc.string()) }) }),
  );
  const container = fc.record(
    {
      name: fc.constantFrom('a', 'b', 'c', '__proto__', 'constructor'),
      ports: fc.constant([{ containerPort: 80, name: 'http' }]),
      startupProbe: handler,
      livenessProbe: handler,
      readinessProbe: handler,
      lifecycle: fc.record({ preStop: handler, postStart: handler }, { requiredKeys: [] }),
    },
    { requiredKeys: ['name'] },
  );
  const containers = fc.uniqueArray(container, { selector: ({ name }) => name, minLength: 1, maxLength: 3 });
  const anyPod = fc
    .record({
      containers,
      initContainers: fc.option(
        fc.uniqueArray(fc.record({ name: fc.constantFrom('x', 'y') }), { selector: ({ name }) => name }),
      ),
      volumes: fc.option(fc.array(fc.record({ name: fc.constantFrom('v', 'w') }))),
    })
    .map(({ containers: of, initContainers, volumes }) =>
      pod({ containers: of, ...(initContainers && { initContainers }), ...(volumes && { volumes }) }),
    );

  test('is injecting once', () => {
    fc.assert(
      fc.property(anyPod, (of) => {
        const once = injected(of);
        expect(inject(once, shop, settings)).toEqual({ action: 'Inject', patch: [] });
      }),
      { numRuns: 300 },
    );
  });

  test('takes up what another webhook has added in between', () => {
    const once = injected(pod({ containers: [{ name: 'main' }] }));
    const probe = { httpGet: { path: '/', port: 80 } };
    once.spec.containers.push({ name: 'added', readinessProbe: probe });
    const twice = injected(once);
    expect(initNames(twice)).toEqual(['mtls-init', 'mtls-proxy']);
    expect(twice.spec.containers[1]?.readinessProbe?.httpGet?.path).toBe('/probe/added/readinessProbe');
    expect(recordOf(twice)?.probes).toEqual({ 'added/readinessProbe': probe });
  });

  test('leaves what others have made of our containers in between, but for mounts', () => {
    const once = injected(pod());
    const token = { name: 'kube-api-access', mountPath: '/var/run/secrets/kubernetes.io/serviceaccount' };
    const others = { image: 'mirror.example/envoy', imagePullPolicy: 'Always', resources: { limits: { cpu: '1' } } };
    const [init, proxy] = (once.spec.initContainers ?? []).map((one) => ({ ...one, ...others }));
    if (init === undefined || proxy === undefined) throw new Error('there are none');
    once.spec.initContainers = [init, { ...proxy, volumeMounts: [token] }];
    const again = injected(once).spec.initContainers;
    expect(again).toMatchObject([others, others]);
    expect(JSON.stringify(again)).not.toContain('kube-api-access');
  });

  test('writes them anew where something else is asked for since', () => {
    const once = injected(pod());
    const proxy = once.spec.initContainers?.find(({ name }) => name === 'mtls-proxy');
    Object.assign(proxy ?? {}, { image: 'envoy:old' });
    once.metadata.annotations = { ...once.metadata.annotations, [annotations.proxyCpuLimit]: '2' };
    expect(injected(once).spec.initContainers?.[1]).toMatchObject({ image: 'envoy:test' });
  });

  test('never throws, whatever stands in the annotations', () => {
    const keys = Object.values(annotations);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...keys), fc.oneof(fc.string(), fc.json())), (found) => {
        const { action } = inject(pod({}, { annotations: found }), shop, settings);
        expect(['Inject', 'Refuse']).toContain(action);
      }),
      { numRuns: 500 },
    );
  });
});
