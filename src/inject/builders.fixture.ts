/** Settings, and RFC 6902 as far as injection uses it, for tests. */
import type { PatchOperation } from './inject.ts';
import { type Pod, parsePod } from './pod.ts';
import type { InjectionSettings } from './settings.ts';

export const settings: InjectionSettings = {
  operatorNamespace: 'mtls-system',
  everyNamespace: false,
  proxyImage: 'envoy:test',
  initImage: 'mtls-init:test',
  proxyApi: {
    host: 'mtls-operator-proxy-api.mtls-system.svc',
    port: 15_012,
    spiffeId: 'spiffe://cluster.local/ns/mtls-system/sa/mtls-operator-proxy-api',
  },
  drainSeconds: 15,
  resources: { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } },
};

export const shop = { name: 'shop', labels: { 'mtls-operator.io/injection': 'enabled' } };

/** A pod with one container; `spec` comes over it. */
export function pod(spec: object = {}, metadata: object = {}): Pod {
  return parsePod({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'web', ...metadata },
    spec: { containers: [{ name: 'main', image: 'web:1' }], ...spec },
  });
}

export function applyPatch(to: Pod, patch: readonly PatchOperation[]): Pod {
  const copy: unknown = structuredClone(to);
  for (const { path, value } of patch) {
    const [, parent = '', member = ''] = path.split('/');
    const object: unknown = Object.entries(copy ?? {}).find(([name]) => name === parent)?.[1];
    if (typeof object !== 'object' || object === null) throw new Error(`there is no ${parent}`);
    Object.assign(object, { [member]: value });
  }
  // As from the API server: nothing undefined, maps in the order of their keys.
  return parsePod(JSON.parse(JSON.stringify(copy)));
}
