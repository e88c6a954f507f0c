import { describe } from 'vitest';
import { deployment, pod, service } from './builders.fixture.ts';
import { tells } from './judging.fixture.ts';

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
