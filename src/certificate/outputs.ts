/**
 * The further forms of key and certificates: which keys of the Secret they are, and what stands there. All but the keystores are other words for
 * what tls.key, tls.crt and ca.crt say, so that they are judged by writing them again.
 */
import { hash } from 'node:crypto';
import { GENERATED_PASSWORD_KEY, isKeystore, type OutputType, outputTypes } from '../api/index.ts';
import { combinedPem } from '../pki/index.ts';

export const outputKeys = {
  CombinedPEM: ['tls-combined.pem'],
  DER: ['key.der'],
  Docker: ['ca.pem', 'cert.pem', 'key.pem'],
  EnvoySDS: ['sds-roots.json', 'sds-workload.json'],
  PKCS12: ['keystore.p12', 'truststore.p12'],
  JKS: ['keystore.jks', 'truststore.jks'],
} as const satisfies Record<OutputType, readonly string[]>;

/** Every key of ours beside tls.crt, tls.key and ca.crt. */
export const furtherKeys: readonly string[] = [...Object.values(outputKeys).flat(), GENERATED_PASSWORD_KEY];

export interface Files {
  /** As in tls.key. */
  readonly keyPem: string;
  /** PKCS#8 */
  readonly keyDer: Buffer;
  /** As in tls.crt: leaf, then intermediates. */
  readonly chainPem: string;
  /** As in ca.crt. */
  readonly bundlePem: string;
}

/** Keys and values (base64) of `data` for an output. Keystores take a password and their time: keystores.ts makes them. */
export function plainOutput(type: OutputType, { keyPem, keyDer, chainPem, bundlePem }: Files): Record<string, string> {
  switch (type) {
    case 'CombinedPEM':
      return { 'tls-combined.pem': base64(combinedPem(keyPem, chainPem)) };
    case 'DER':
      return { 'key.der': keyDer.toString('base64') };
    case 'Docker':
      return { 'ca.pem': base64(bundlePem), 'cert.pem': base64(chainPem), 'key.pem': base64(keyPem) };
    case 'EnvoySDS':
      return {
        'sds-roots.json': sdsSecret('roots', bundlePem, {
          validation_context: { trusted_ca: { inline_string: bundlePem } },
        }),
        'sds-workload.json': sdsSecret('workload', chainPem, {
          tls_certificate: {
            certificate_chain: { inline_string: chainPem },
            private_key: { inline_string: keyPem },
          },
        }),
      };
    case 'PKCS12':
    case 'JKS':
      return {};
  }
}

/**
 * What Envoy reads from a `path_config_source`. With the texts in it, not with names of files: an Envoy that met one bad file behind such a name
 * took no later one (1.40). The version follows from what is public in the content, so that Envoy's admin interface tells which one it has loaded.
 */
function sdsSecret(name: string, content: string, secret: object): string {
  const version = `${name}-${hash('sha256', content).slice(0, 16)}`;
  const resource = { '@type': SDS_SECRET, name, ...secret };
  return base64(`${JSON.stringify({ version_info: version, resources: [resource] })}\n`);
}

const SDS_SECRET = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';

/**
 * What is found of outputs in a Secret: sorted types, joined by commas, 'X!' for one that is incomplete or wrong, and the key of a generated
 * password where there is one. Of keystores only that they are there: what is in them can be told with their password alone.
 */
export function inspectOutputs(data: Readonly<Record<string, string>>, files: () => Files): string {
  const found = sortedTypes.flatMap((type) => {
    const keys: readonly string[] = outputKeys[type];
    if (keys.every((key) => data[key] === undefined)) return [];
    return isThere(type, keys, data, files) ? [type] : [`${type}!`];
  });
  if (data[GENERATED_PASSWORD_KEY] !== undefined) found.push(GENERATED_PASSWORD_KEY);
  return found.join(',');
}

const sortedTypes = [...outputTypes].sort();

function isThere(
  type: OutputType,
  keys: readonly string[],
  data: Readonly<Record<string, string>>,
  files: () => Files,
): boolean {
  if (isKeystore(type)) return keys.every((key) => (data[key] ?? '') !== '');
  const right = plainOutput(type, files());
  return keys.every((key) => data[key] === right[key]);
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
