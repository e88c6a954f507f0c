import { describe, expect, test } from 'vitest';
import { proxyApiCertificate, sidecarCertificate } from './wanted.ts';

describe('the certificate of a service account', () => {
  test('has its identity, in the form that Envoy reads, and goes with its Secret', () => {
    const { name, namespace, spec } = sidecarCertificate('shop', 'web');
    expect([namespace, name]).toEqual(['shop', 'mtls-proxy-web']);
    expect(spec).toMatchObject({
      secretName: 'mtls-proxy-web',
      serviceAccountName: 'web',
      outputs: [{ type: 'EnvoySDS' }],
      authorityRef: { name: 'default' },
      deletionPolicy: 'Delete',
    });
    expect(spec.dnsNames).toBeUndefined();
  });

  test('lives as long as any other by default', () => {
    const { spec } = sidecarCertificate('shop', 'web');
    expect([spec.duration, spec.renewBefore]).toEqual(['24h', undefined]);
  });

  test('has a name that the API server takes, whatever the account is called, and no other has it', () => {
    const longest = 'a'.repeat(253);
    const [one, other] = [sidecarCertificate('shop', longest), sidecarCertificate('shop', `${longest.slice(1)}b`)];
    expect(one.name).toMatch(/^mtls-proxy-a+-[0-9a-f]{10}$/);
    expect(one.name).toHaveLength(253);
    expect(one.name).not.toBe(other.name);
    expect(one.spec.secretName).toBe(one.name);
  });
});

describe('the certificate of proxy-api', () => {
  const namesIn = (namespace: string) =>
    proxyApiCertificate({ namespace, service: 'proxy-api', account: 'proxy' }, 'cluster.local').spec.dnsNames;

  test('has the identity of its account, and the names of its Service by which it is dialled', () => {
    const { name, spec } = proxyApiCertificate(
      { namespace: 'mtls-system', service: 'proxy-api', account: 'proxy' },
      'example.org',
    );
    expect(name).toBe('proxy-api');
    expect(spec.serviceAccountName).toBe('proxy');
    expect(spec.dnsNames).toEqual([
      'proxy-api.mtls-system',
      'proxy-api.mtls-system.svc',
      'proxy-api.mtls-system.svc.example.org',
    ]);
  });

  test('leaves out a name that the namespace would need a rule for', () => {
    expect(namesIn('security')).toEqual(['proxy-api.security.svc', 'proxy-api.security.svc.cluster.local']);
  });

  test('keeps its Secret where its object is deleted', () => {
    const { spec } = proxyApiCertificate({ namespace: 'mtls-system', service: 'a', account: 'b' }, 'cluster.local');
    expect(spec.deletionPolicy).toBe('Retain');
  });
});
