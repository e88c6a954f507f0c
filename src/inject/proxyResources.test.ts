import { expect, test } from 'vitest';
import { annotations } from '../api/index.ts';
import { readResources } from './proxyResources.ts';

const { proxyCpuLimit, proxyCpuRequest, proxyMemoryLimit, proxyMemoryRequest } = annotations;
const defaults = { requests: { cpu: '50m', memory: '64Mi' }, limits: { memory: '256Mi' } };

test.each([
  ['nothing', {}, { cpu: '50m', memory: '64Mi' }, { memory: '256Mi' }],
  ['a limit', { [proxyCpuLimit]: '60m' }, { cpu: '50m', memory: '64Mi' }, { cpu: '60m', memory: '256Mi' }],
  ['both', { [proxyMemoryRequest]: '1M', [proxyMemoryLimit]: '1Mi' }, { cpu: '50m', memory: '1M' }, { memory: '1Mi' }],
])('a sidecar has what its pod says, else what the installation does: %s', (_, own, requests, limits) => {
  expect(readResources(own, defaults)).toEqual({ requests, limits });
});

test.each([
  ['a lower limit', { [proxyMemoryLimit]: '48Mi' }, { memory: '48Mi' }, { memory: '48Mi' }],
  ['a lower limit, in other units', { [proxyCpuLimit]: '0.02' }, { cpu: '0.02' }, { cpu: '0.02' }],
  ['a higher request', { [proxyMemoryRequest]: '1Gi' }, { memory: '1Gi' }, { memory: '1Gi' }],
  [
    'a higher request, in other units',
    { [proxyMemoryRequest]: '300000k' },
    { memory: '300000k' },
    { memory: '300000k' },
  ],
])(
  'a default gives way to what a pod says, which the API server would refuse beside it: %s',
  (_, own, requests, limits) => {
    expect(readResources(own, defaults)).toMatchObject({ requests, limits });
  },
);

test('what contradicts itself in a pod is refused by the names of its annotations', () => {
  expect(() => readResources({ [proxyCpuLimit]: '100m', [proxyCpuRequest]: '1' }, defaults)).toThrow(
    'annotation mtls-operator.io/proxy-cpu-request is "1", which is more than mtls-operator.io/proxy-cpu-limit, "100m"',
  );
});

test('a default in a form that nobody here reads is left to the API server', () => {
  const odd = { requests: { cpu: '5e-2' }, limits: { cpu: '1e0' } };
  expect(readResources({}, odd)).toEqual(odd);
});
