/**
 * Judges a Secret of a WorkloadCertificate as the API server has it, with the eyes of others: OpenSSL and Node, never our own parser. Whatever a
 * test is about, each Secret that it meets is held against all of this.
 */
import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { z } from 'zod';
import { opensslVerify, type Workspace } from '../certificate/verifiers.ts';

const secretSchema = z.object({
  type: z.string(),
  immutable: z.boolean().default(false),
  metadata: z.object({
    name: z.string(),
    namespace: z.string(),
    uid: z.string(),
    resourceVersion: z.string(),
    labels: z.record(z.string(), z.string()).default({}),
    annotations: z.record(z.string(), z.string()).default({}),
    ownerReferences: z
      .array(z.object({ apiVersion: z.string(), kind: z.string(), name: z.string(), uid: z.string() }).loose())
      .default([]),
  }),
  data: z.record(z.string(), z.string()).default({}),
});

/** A Secret as the API server sends it; values of `data` are base64. */
export type SecretObject = z.output<typeof secretSchema>;

/** @throws ZodError where it is none. */
export function readSecretObject(object: unknown): SecretObject {
  return secretSchema.parse(object);
}

export interface CheckedSecret {
  readonly object: SecretObject;
  readonly leaf: X509Certificate;
  readonly intermediates: readonly X509Certificate[];
  readonly roots: readonly X509Certificate[];
  readonly key: KeyObject;
  readonly serialNumber: string;
  readonly revision: number;
  text(key: string): string;
}

export interface SecretExpectation {
  /** Name of the WorkloadCertificate that holds it. */
  readonly holder: string;
  readonly authority?: string;
  /** Where OpenSSL may put its files. */
  readonly workspace: Workspace;
}

/**
 * Key, chain, roots, type, labels and annotations of a Secret that the operator has written.
 * @throws AssertionError that says what is wrong; never with a key in it.
 */
export async function checkSecret(object: SecretObject, expected: SecretExpectation): Promise<CheckedSecret> {
  const { metadata, type } = object;
  const where = `Secret ${metadata.namespace}/${metadata.name}`;
  assert.equal(type, 'kubernetes.io/tls', `${where}: type`);
  assert.equal(metadata.labels['mtls-operator.io/purpose'], 'workload-certificate', `${where}: label purpose`);
  assert.equal(
    metadata.annotations['mtls-operator.io/certificate'],
    expected.holder,
    `${where}: annotation certificate`,
  );
  const authority = expected.authority ?? 'default';
  assert.equal(metadata.annotations['mtls-operator.io/authority'], authority, `${where}: annotation authority`);
  const revision = Number(metadata.annotations['mtls-operator.io/revision']);
  assert.ok(Number.isSafeInteger(revision) && revision >= 1, `${where}: annotation revision is ${revision}`);

  const text = (key: string): string => Buffer.from(object.data[key] ?? '', 'base64').toString('utf8');
  for (const key of ['tls.crt', 'tls.key', 'ca.crt']) assert.notEqual(text(key), '', `${where}: ${key} is empty`);
  const [leaf, ...intermediates] = certificatesIn(text('tls.crt'));
  assert.ok(leaf !== undefined, `${where}: tls.crt has no certificate`);
  const roots = certificatesIn(text('ca.crt'));
  assert.equal(leaf.ca, false, `${where}: the first certificate of tls.crt is a CA`);
  for (const certificate of [leaf, ...intermediates]) {
    assert.ok(!isSelfSigned(certificate), `${where}: tls.crt has a self-signed certificate (${certificate.subject})`);
  }
  for (const [i, intermediate] of intermediates.entries()) {
    const below = i === 0 ? leaf : intermediates[i - 1];
    assert.ok(intermediate.ca, `${where}: an intermediate is no CA`);
    assert.ok(below?.verify(intermediate.publicKey), `${where}: tls.crt is not in order of signing`);
  }
  for (const root of roots) assert.ok(isSelfSigned(root), `${where}: ca.crt has what is no root`);

  const key = privateKeyIn(text('tls.key'), where);
  assert.ok(createPublicKey(key).equals(leaf.publicKey), `${where}: tls.key does not belong to tls.crt`);
  const problems = await opensslVerify(
    {
      rootPem: text('ca.crt'),
      intermediatesPem: intermediates.map((certificate) => certificate.toString()).join(''),
      at: new Date(),
      leafPems: [leaf.toString()],
    },
    expected.workspace,
  );
  assert.deepEqual(problems, [''], `${where}: openssl verify -x509_strict`);
  return { object, leaf, intermediates, roots, key, serialNumber: leaf.serialNumber, revision, text };
}

/** @throws Error without any part of the key in it, as Node's own might have. */
function privateKeyIn(pem: string, where: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch {
    throw new Error(`${where}: tls.key cannot be read`);
  }
}

export function certificatesIn(pem: string): X509Certificate[] {
  const blocks = pem.match(/-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----\n/g) ?? [];
  assert.equal(blocks.join(''), pem, 'there is something else between the certificates');
  return blocks.map((block) => new X509Certificate(block));
}

function isSelfSigned(certificate: X509Certificate): boolean {
  return certificate.issuer === certificate.subject && certificate.verify(certificate.publicKey);
}
