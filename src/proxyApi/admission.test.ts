import { describe, expect, test } from 'vitest';
import type { PodRecord } from '../inventory/index.ts';
import { refusalOf } from './admission.ts';

const sidecar = { serverFirst: [], inboundExcluded: [], probes: '[]', running: true };
const mesh = {
  uid: 'uid-1',
  createdAt: 0,
  account: 'web',
  workload: { kind: 'Pod', name: 'web-0' },
  node: 'node-1',
  addresses: ['10.0.0.1', 'fd00::1'],
  ready: true,
  started: true,
  sidecar,
};
const record = (more: Partial<typeof mesh> | { sidecar: undefined } = {}): PodRecord => ({
  resourceVersion: '1',
  uses: [],
  shape: { namespace: 'shop', labels: {}, ports: [] },
  mesh: { ...mesh, ...more },
});
const claim = { id: 'uid-1', cluster: 'shop/web-0', spiffeId: 'spiffe://td/ns/shop/sa/web', address: '10.0.0.1' };
const settings = { trustDomain: 'td', sourceAddresses: true };

test('a proxy that is who it says to be is let in, by any address of its pod', () => {
  expect(refusalOf(claim, record(), settings)).toBeUndefined();
  expect(refusalOf({ ...claim, address: 'fd00::1' }, record(), settings)).toBeUndefined();
});

describe('a proxy is told to come again', () => {
  test.each<[string, PodRecord | undefined, object]>([
    ['whose pod is not known yet', undefined, {}],
    ['whose pod is another one of the same name', record({ uid: 'uid-2' }), {}],
    ['whose pod has ended', { ...record(), mesh: undefined }, {}],
    ['whose pod has no address yet', record({ addresses: [] }), {}],
  ])('%s', (_, pod, more) => {
    expect(refusalOf({ ...claim, ...more }, pod, settings)).toMatchObject({ soon: true });
  });
});

describe('a proxy is refused for good', () => {
  test.each<[string, PodRecord, Partial<typeof claim> | { spiffeId: undefined }, RegExp]>([
    [
      'with a certificate of another account',
      record(),
      { spiffeId: 'spiffe://td/ns/shop/sa/cart' },
      /sa\/cart.*sa\/web/,
    ],
    ['of another namespace', record(), { spiffeId: 'spiffe://td/ns/bank/sa/web' }, /ns\/bank/],
    ['of another trust domain', record(), { spiffeId: 'spiffe://other/ns/shop/sa/web' }, /spiffe:\/\/other/],
    ['that shows no single identity', record(), { spiffeId: undefined }, /no single SPIFFE ID/],
    ['whose pod has no sidecar', record({ sidecar: undefined }), {}, /no sidecar/],
    ['from another address than its pod’s', record(), { address: '10.0.0.2' }, /10\.0\.0\.2.*10\.0\.0\.1/],
  ])('%s', (_, pod, more, message) => {
    const refusal = refusalOf({ ...claim, ...more }, pod, settings);
    expect(refusal).toMatchObject({ soon: false });
    expect(refusal?.refused).toMatch(message);
  });
});

test('where the network changes addresses they are not compared', () => {
  const elsewhere = { ...claim, address: '192.0.2.1' };
  expect(refusalOf(elsewhere, record(), { ...settings, sourceAddresses: false })).toBeUndefined();
});
