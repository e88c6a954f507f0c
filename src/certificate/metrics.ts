/** Metrics of certificates. What exists once per certificate is written out at each scrape instead of being kept twice. */
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface CertificateTimes {
  readonly namespace: string;
  readonly name: string;
  /** ms */
  readonly notAfter: number | undefined;
  /** ms */
  readonly renewalTime: number | undefined;
  readonly ready: boolean;
}

export interface CertificateMetrics {
  /** outcome: issued, failed, refused; reason: why it was due. */
  readonly issuances: Counter<'outcome' | 'reason'>;
  readonly latency: Histogram<'reason'>;
  readonly rewrites: Counter<'reason'>;
}

export function createCertificateMetrics(registry: Registry, sources: { waiting: () => number }): CertificateMetrics {
  const registers = [registry];
  new Gauge({
    name: 'mtls_operator_certificates_paced',
    help: 'Certificates that are due and wait for their turn.',
    registers,
    collect() {
      this.set(sources.waiting());
    },
  });
  return {
    issuances: new Counter({
      name: 'mtls_operator_certificate_issuances_total',
      help: 'Attempts to issue a certificate, by outcome (issued, failed) and by the reason why it was due.',
      labelNames: ['outcome', 'reason'],
      registers,
    }),
    latency: new Histogram({
      name: 'mtls_operator_certificate_issuance_duration_seconds',
      help: 'Seconds from when a certificate was first seen to be due until its Secret was written.',
      labelNames: ['reason'],
      buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800],
      registers,
    }),
    rewrites: new Counter({
      name: 'mtls_operator_secret_rewrites_total',
      help: 'Secrets that were written again around the same key and certificate, by reason.',
      labelNames: ['reason'],
      registers,
    }),
  };
}

/**
 * The series that exist once per certificate, in Prometheus' text format, line by line.
 *
 * @param certificates called once per family: the format wants the series of one name together.
 */
export function* certificateSeries(certificates: () => Iterable<CertificateTimes>): Generator<string> {
  for (const { name, help, value } of families) {
    yield `# HELP ${name} ${help}\n# TYPE ${name} gauge\n`;
    for (const certificate of certificates()) {
      const number = value(certificate);
      if (number === undefined) continue;
      yield `${name}{namespace="${certificate.namespace}",name="${certificate.name}"} ${number}\n`;
    }
  }
}

const seconds = (ms: number | undefined) => (ms === undefined ? undefined : ms / 1000);

const families: readonly { name: string; help: string; value: (times: CertificateTimes) => number | undefined }[] = [
  {
    name: 'mtls_operator_certificate_expiration_timestamp_seconds',
    help: 'When the certificate in the Secret expires (notAfter), Unix time.',
    value: ({ notAfter }) => seconds(notAfter),
  },
  {
    name: 'mtls_operator_certificate_renewal_timestamp_seconds',
    help: 'When the certificate is due for renewal, Unix time.',
    value: ({ renewalTime }) => seconds(renewalTime),
  },
  {
    name: 'mtls_operator_certificate_ready',
    help: 'Whether the condition Ready of the WorkloadCertificate is True.',
    value: ({ ready }) => Number(ready),
  },
];
