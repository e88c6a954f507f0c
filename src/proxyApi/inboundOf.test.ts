import { describe, expect, test } from 'vitest';
import { inboundOf, type ProxiedPod, probesOfPod } from './inboundOf.ts';
import type { PortModes, WorkloadModes } from './recordedModes.ts';

const permissive: PortModes = { servers: 'Permissive', clients: 'MutualTLS' };
const strict: PortModes = { servers: 'Strict', clients: 'MutualTLS' };
const modes = (others: PortModes, ports: Readonly<Record<number, PortModes>> = {}): WorkloadModes => ({
  others,
  ports: new Map(Object.entries(ports).map(([port, is]) => [Number(port), is])),
});

function pod(ports: readonly number[], sidecar: object = {}, addresses: readonly string[] = ['10.0.0.1']): ProxiedPod {
  return {
    shape: { namespace: 'shop', labels: {}, ports: ports.map((number) => ({ number, name: undefined })) },
    mesh: {
      uid: 'u',
      createdAt: 0,
      account: 'web',
      workload: { kind: 'Pod', name: 'web' },
      node: 'n',
      addresses,
      ready: true,
      started: true,
      sidecar: { serverFirst: [], inboundExcluded: [], probes: '[]', running: true, ...sidecar },
    },
  };
}

const portsOf = (of: ProxiedPod, by: WorkloadModes) =>
  Object.fromEntries(
    inboundOf(of, by, 'td').ports.map(({ number, mode, serverFirst }) => [
      number,
      `${mode}${serverFirst ? ' server first' : ''}`,
    ]),
  );

describe('the ports of a pod', () => {
  test('are those that it declares, in the mode that is recorded for them, and those that are recorded besides', () => {
    expect(portsOf(pod([8080, 9090]), modes(strict, { 9090: permissive, 7000: permissive }))).toEqual({
      8080: 'Strict',
      9090: 'Permissive',
      7000: 'Permissive',
    });
  });

  test('whose servers speak first are there, declared or not', () => {
    expect(portsOf(pod([]), modes(permissive))).toEqual({});
    expect(portsOf(pod([], { serverFirst: [3306] }), modes(permissive))).toEqual({ 3306: 'Permissive server first' });
  });

  test('before which the proxy does not stand are left out', () => {
    expect(portsOf(pod([8080, 9090], { inboundExcluded: [9090] }), modes(strict))).toEqual({ 8080: 'Strict' });
  });
});

test('every other port has the mode of the workload', () => {
  expect(inboundOf(pod([]), modes(strict), 'td').others).toBe('Strict');
});

test('IPv6 is served where the pod has it', () => {
  expect(inboundOf(pod([]), modes(strict), 'td').ipv6).toBe(false);
  expect(inboundOf(pod([], {}, ['10.0.0.1', 'fd00::1']), modes(strict), 'td').ipv6).toBe(true);
});

test('kubelet is answered as soon as the pod has an address', () => {
  expect(probesOfPod(pod([], {}, []))).toBeUndefined();
  const route = { path: '/probe/a/b', port: 80, ask: { by: 'tcp' } };
  expect(probesOfPod(pod([], { probes: JSON.stringify([route]) }))).toEqual({
    podAddress: '10.0.0.1',
    ipv6: false,
    routes: [route],
  });
});
