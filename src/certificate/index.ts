/** Certificates for workloads: when to issue, what to issue, the Secret. */
export { type CertificateRecord, decodeCertificate, readCertificate } from './certificateRecord.ts';
export { Claims, secretKey } from './claims.ts';
export { CertificateController } from './controller.ts';
export { KeyMaker } from './keys.ts';
export { Memory } from './memory.ts';
export { type CertificateTimes, certificateSeries, createCertificateMetrics } from './metrics.ts';
export { Pacer } from './pacer.ts';
export { type CertificateDependencies, createCertificateReconciler } from './reconcile.ts';
export { inspectSecret, readSecret, type SecretRecord } from './secretRecord.ts';
export { issuedAtOf } from './validity.ts';
export { writeStatus } from './writeStatus.ts';
