import { Registry } from 'prom-client';
import { expect, test } from 'vitest';
import { certificateSeries, createCertificateMetrics } from './metrics.ts';

test('each family stands together, in seconds, without what is not known', () => {
  const certificates = [
    { namespace: 'shop', name: 'web', notAfter: 2_000_000, renewalTime: 1_000_500, ready: true },
    { namespace: 'shop', name: 'new', notAfter: undefined, renewalTime: undefined, ready: false },
  ];
  const lines = [...certificateSeries(() => certificates)]
    .join('')
    .split('\n')
    .filter((line) => !line.startsWith('#') && line !== '');
  expect(lines).toEqual([
    'mtls_operator_certificate_expiration_timestamp_seconds{namespace="shop",name="web"} 2000',
    'mtls_operator_certificate_renewal_timestamp_seconds{namespace="shop",name="web"} 1000.5',
    'mtls_operator_certificate_ready{namespace="shop",name="web"} 1',
    'mtls_operator_certificate_ready{namespace="shop",name="new"} 0',
  ]);
});

test('outcome, latency, rewrites and the backlog can be scraped', async () => {
  const registry = new Registry();
  const metrics = createCertificateMetrics(registry, { waiting: () => 7 });
  metrics.issuances.inc({ outcome: 'issued', reason: 'SecretMissing' });
  metrics.latency.observe({ reason: 'SecretMissing' }, 0.02);
  metrics.rewrites.inc({ reason: 'MetadataChanged' });
  const text = await registry.metrics();
  expect(text).toContain('mtls_operator_certificates_paced 7');
  expect(text).toContain('mtls_operator_certificate_issuances_total{outcome="issued",reason="SecretMissing"} 1');
  expect(text).toContain(
    'mtls_operator_certificate_issuance_duration_seconds_bucket{le="0.025",reason="SecretMissing"} 1',
  );
  expect(text).toContain('mtls_operator_secret_rewrites_total{reason="MetadataChanged"} 1');
});
