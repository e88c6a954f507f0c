import { describe, expect, test } from 'vitest';
import { workloadCertificateSpecSchema } from '../api/index.ts';
import { type Decision, decide, type Existing, type Use } from './decide.ts';
import { proxyApiCertificate, sidecarCertificate } from './wanted.ts';

const HOUR = 3_600_000;
const wanted = sidecarCertificate('shop', 'web');
const used: Use = { state: 'used' };
const unusedFor = (milliseconds: number): Use => ({ state: 'unused', milliseconds });
const unknown: Use = { state: 'unknown' };

const ours: Existing = { managed: true, deleting: false, spec: wanted.spec };
const withSpec = (more: object): Existing['spec'] =>
  workloadCertificateSpecSchema.parse({ ...wanted.written, ...more });
const edited: Existing = { ...ours, spec: withSpec({ duration: '12h' }) };
const theirs = (more: object): Existing => ({ managed: false, deleting: false, spec: withSpec(more) });

const nothing: Decision = { action: 'nothing' };
const complaint = (problem: string): Decision => ({ action: 'complain', problem });

describe('a certificate that is needed', () => {
  test.each<[string, Existing | undefined, Decision]>([
    ['is made where there is none', undefined, { action: 'create' }],
    ['is left alone as it was made', ours, nothing],
    ['is put right where its spec was edited', edited, { action: 'correct' }],
    ['is put right where its spec cannot be read', { ...ours, spec: undefined }, { action: 'correct' }],
    ['is waited for while it is being deleted', { ...edited, deleting: true }, nothing],
    ['of somebody’s own is left alone where it does', theirs({ duration: '12h' }), nothing],
    ['of somebody’s own may have more', theirs({ outputs: [{ type: 'DER' }, { type: 'EnvoySDS' }] }), nothing],
    ['of somebody’s own may be exactly ours', { ...ours, managed: false }, nothing],
    [
      'of somebody’s own for another account is complained of',
      theirs({ serviceAccountName: 'cart' }),
      complaint('its serviceAccountName is not "web"'),
    ],
    [
      'of somebody’s own into another Secret is complained of',
      theirs({ secretName: 'web' }),
      complaint('its secretName is not "mtls-proxy-web"'),
    ],
    [
      'of somebody’s own by another authority is complained of',
      theirs({ authorityRef: { name: 'corporate' } }),
      complaint('its authorityRef.name is not "default"'),
    ],
    [
      'of somebody’s own that Envoy cannot read is complained of',
      theirs({ outputs: [{ type: 'DER' }] }),
      complaint('its outputs lack EnvoySDS'),
    ],
    [
      'of somebody’s own that nobody can read is complained of',
      { managed: false, deleting: false, spec: undefined },
      complaint('its spec cannot be read'),
    ],
  ])('%s', (_, existing, decision) => {
    expect(decide(wanted, existing, used, HOUR)).toEqual(decision);
  });

  test('of somebody’s own for proxy-api has to have its names', () => {
    const proxyApi = proxyApiCertificate({ namespace: 'mtls-system', service: 'api', account: 'api' }, 'cluster.local');
    const { dnsNames: _, ...others } = proxyApi.spec;
    expect(decide(proxyApi, { managed: false, deleting: false, spec: others }, used, HOUR)).toEqual(
      complaint('its dnsNames lack "api.mtls-system"'),
    );
  });
});

describe('a certificate that no pod needs', () => {
  test.each<[string, Existing | undefined, Use, Decision]>([
    ['is not made', undefined, unusedFor(0), nothing],
    ['is looked at again when it has been unused for long', ours, unusedFor(HOUR / 4), waitFor(0.75 * HOUR)],
    ['is kept to the last moment', ours, unusedFor(HOUR - 1), waitFor(1)],
    ['is removed when it has been unused for long', ours, unusedFor(HOUR), { action: 'reap' }],
    ['is kept while not all pods are known', ours, unknown, nothing],
    ['is not removed twice', { ...ours, deleting: true }, unusedFor(HOUR), nothing],
    ['is kept where somebody has changed it', edited, unusedFor(HOUR), nothing],
    ['is kept where it cannot be read', { ...ours, spec: undefined }, unusedFor(HOUR), nothing],
    ['is kept where somebody has taken it over', { ...ours, managed: false }, unusedFor(HOUR), nothing],
    ['is kept where somebody made it', theirs({ duration: '12h' }), unusedFor(HOUR), nothing],
  ])('%s', (_, existing, use, decision) => {
    expect(decide(wanted, existing, use, HOUR)).toEqual(decision);
  });

  test('is not put right while not all pods are known', () => {
    expect(decide(wanted, edited, unknown, HOUR)).toEqual(nothing);
  });
});

function waitFor(milliseconds: number): Decision {
  return { action: 'wait', milliseconds };
}
