/** The keystores of a Secret: a function of key, certificates, roots, alias and password, so that what is found is judged by making it again. */
import { DEFAULT_ALIAS, GENERATED_PASSWORD_KEY, isKeystore, type WorkloadCertificateSpec } from '../api/index.ts';
import { jks, type KeystoreEntry, type KeystorePassword, parseCertificates, pkcs12, saltSource } from '../pki/index.ts';
import { type Files, outputKeys } from './outputs.ts';

export type Output = NonNullable<WorkloadCertificateSpec['outputs']>[number];

export function keystoresOf({ outputs = [] }: WorkloadCertificateSpec): readonly Output[] {
  return outputs.filter(({ type }) => isKeystore(type));
}

export function asksForKeystores({ outputs = [] }: WorkloadCertificateSpec): boolean {
  return outputs.some(({ type }) => isKeystore(type));
}

/** Whether any of them has no password of the user's. */
export function wantsGeneratedPassword(keystores: readonly Output[]): boolean {
  return keystores.some(({ type, passwordSecretRef }) => isKeystore(type) && passwordSecretRef === undefined);
}

/** Which password each keystore has; where that is not the user's, the generated one. */
export interface Passwords {
  readonly given: ReadonlyMap<string, KeystorePassword>;
  readonly generated: KeystorePassword | undefined;
}

/** Keys and values (base64) of `data`. */
export async function keystoreFiles(
  keystores: readonly Output[],
  files: Files,
  { given, generated }: Passwords,
): Promise<Record<string, string>> {
  const stores = entriesOf(files);
  const data: Record<string, string> = {};
  if (generated !== undefined) data[GENERATED_PASSWORD_KEY] = generated.octets().toString('base64');
  for (const { type, alias = DEFAULT_ALIAS } of keystores) {
    const password = given.get(type) ?? generated;
    if (password === undefined) throw new Error(`there is no password for ${type}`);
    for (const [i, entries] of [stores.own(alias), stores.trusted].entries()) {
      const key = outputKeys[type][i];
      if (key === undefined) throw new Error(`${type} is no keystore`);
      const salts = saltSource(files.keyDer, entries);
      const file = type === 'JKS' ? jks(entries, password, salts) : await pkcs12(entries, password, salts);
      data[key] = file.toString('base64');
    }
  }
  return data;
}

function entriesOf({ keyDer, chainPem, bundlePem }: Files) {
  const chain = parseCertificates(chainPem);
  const ders = chain.map(({ der }) => der);
  const date = chain[0]?.notBefore ?? new Date(0);
  return {
    own: (alias: string): KeystoreEntry[] => [{ kind: 'key', alias, keyDer, chain: ders, date }],
    trusted: parseCertificates(bundlePem).map(
      ({ der, notBefore }, i): KeystoreEntry => ({ kind: 'trusted', alias: `root-${i + 1}`, der, date: notBefore }),
    ),
  };
}
