/** From a Secret as the API server sends it to the files of a host: which ones, and whether they may be used. Pure. */
import { z } from 'zod';
import { furtherKeys, inspectOutputs, outputKeys } from '../certificate/outputs.ts';
import { loadKeyPair, type ParsedCertificate, parseCertificates, verifyChain } from '../pki/index.ts';
import { CliError } from './end.ts';

export interface HostFile {
  readonly name: string;
  readonly content: Buffer;
  /** Holds a private key or a password, or may do so. */
  readonly secret: boolean;
}

export interface Material {
  readonly files: readonly HostFile[];
  readonly leaf: Pick<ParsedCertificate, 'serialNumber' | 'notAfter'>;
}

/**
 * What anybody may read. Every other file is kept like a key: what we do not know may be one, and a truststore, which holds none, tells whoever may read it whether a
 * guess is the password of the keystore, too.
 */
const publicFiles: ReadonlySet<string> = new Set(['tls.crt', 'ca.crt', 'ca.pem', 'cert.pem', 'sds-roots.json']);

const plainKeys = ['tls.crt', 'tls.key', 'ca.crt'] as const;
const knownKeys: readonly string[] = [...plainKeys, ...furtherKeys];

const secretSchema = z.object({
  data: z.record(z.string(), z.base64()).default({}),
});

/**
 * The wanted files (all that we know, if none are named) out of a Secret whose parts belong together at this moment: the key is that of the certificate,
 * nothing is expired, the chain leads to the roots, and every further form says the same. A keystore cannot be looked into without its password: it is taken if
 * all else is sound.
 *
 * @param where names the Secret in messages
 * @throws CliError unusable
 */
export function materialOf(secret: unknown, where: string, wanted: readonly string[] | undefined, now: Date): Material {
  const parsed = secretSchema.safeParse(secret);
  if (!parsed.success) throw unusable(where, 'it is not a Secret as the API server sends it');
  const { data } = parsed.data;
  const names = wanted ?? knownKeys.filter((name) => data[name] !== undefined);
  const missing = [...new Set([...plainKeys, ...names])].filter((name) => (data[name] ?? '') === '');
  if (missing.length > 0) {
    const present = Object.keys(data).sort().join(', ') || 'nothing';
    throw unusable(
      where,
      `it has no ${missing.join(', no ')} (it has ${present}): is it the Secret of a WorkloadCertificate with the outputs that you need?`,
    );
  }
  const leaf = soundLeaf(data, where, names, now);
  const files = names.map((name) => ({
    name,
    content: Buffer.from(data[name] ?? '', 'base64'),
    secret: !publicFiles.has(name),
  }));
  return { files, leaf };
}

function soundLeaf(
  data: Readonly<Record<string, string>>,
  where: string,
  names: readonly string[],
  now: Date,
): ParsedCertificate {
  const text = (name: string): string => Buffer.from(data[name] ?? '', 'base64').toString('utf8');
  const read = <T>(name: string, parse: (pem: string) => T): T => {
    try {
      return parse(text(name));
    } catch (error) {
      // A PkiError, which never quotes a key.
      throw unusable(where, `${name} cannot be read: ${error instanceof Error ? error.message : 'unknown'}`);
    }
  };
  const [leaf, ...intermediates] = read('tls.crt', parseCertificates);
  const roots = read('ca.crt', parseCertificates);
  const key = read('tls.key', loadKeyPair);
  if (leaf === undefined) throw unusable(where, 'tls.crt holds no certificate');
  if (!key.spki.equals(leaf.spki)) throw unusable(where, 'tls.key is not the key of the certificate in tls.crt');
  const verdict = verifyChain({ leaf, intermediates, roots, at: now });
  if (!verdict.ok) {
    const clock = verdict.reason === 'Expired' || verdict.reason === 'NotYetValid';
    const hint = clock ? ` (the clock of this host says ${now.toISOString()})` : '';
    throw unusable(where, `tls.crt does not lead to a root in ca.crt: ${verdict.message}${hint}`);
  }
  const keyPem = text('tls.key');
  const found = inspectOutputs(data, () => ({
    keyPem,
    keyDer: key.der('PKCS8'),
    chainPem: text('tls.crt'),
    bundlePem: text('ca.crt'),
  })).split(',');
  for (const [type, keys] of Object.entries(outputKeys)) {
    const chosen = keys.filter((name) => names.includes(name));
    if (chosen.length > 0 && found.includes(`${type}!`))
      throw unusable(where, `${chosen.join(', ')} do not say the same as tls.crt, tls.key and ca.crt`);
  }
  return leaf;
}

const unusable = (where: string, problem: string): CliError =>
  new CliError('unusable', `${where} cannot be used: ${problem}`);
