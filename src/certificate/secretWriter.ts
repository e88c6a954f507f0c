/** Reads and writes leaf Secrets. Every write is bound to what was looked at; whoever was faster is looked at instead. */

import type { WorkloadCertificate } from '../api/index.ts';
import { type AuthorityView, caIdOf } from '../authority/index.ts';
import {
  type ApiRequest,
  type Clock,
  isAlreadyExists,
  isNotFound,
  isStatus,
  resourcePath,
  SECRETS,
  type Store,
  type Transport,
} from '../kube/index.ts';
import {
  type IssuingCa,
  issueLeaf,
  type KeyPair,
  type KeySpec,
  type LeafProfile,
  loadKeyPair,
  PkiError,
  parseCertificate,
  randomSerial,
  serialText,
  verifyIssued,
} from '../pki/index.ts';
import type { CertificateRecord } from './certificateRecord.ts';
import { secretKey } from './claims.ts';
import type { Situation } from './decide.ts';
import { wantsGeneratedPassword } from './keystoreFiles.ts';
import type { Keystores, PasswordLook } from './keystores.ts';
import { type Bookkeeping, desiredOutputs, type Material, renderSecret, writeQuery } from './render.ts';
import {
  contentOf,
  inspectSecret,
  type RawSecret,
  readSecret,
  type SecretRecord,
  type SoundContent,
} from './secretRecord.ts';
import { nextRevision } from './status.ts';
import { validityAt } from './validity.ts';

export interface Written {
  readonly secret: SecretRecord;
  /** Who changed the Secret before us, where that is known. */
  readonly rival?: string | undefined;
  /** The owner reference could not be changed, and what to do about it. */
  readonly ownerForbidden?: string | undefined;
}

/** The Secret was not what had been looked at: here it is as it was found, undefined if it is gone. */
export interface Found {
  readonly found: SecretRecord | undefined;
}

export interface WriteOrder {
  readonly record: CertificateRecord;
  readonly certificate: WorkloadCertificate;
  readonly situation: Situation;
  readonly authority: AuthorityView;
  /** Where keystores are asked for. */
  readonly passwords?: PasswordLook | undefined;
}

export interface IssueOrder extends WriteOrder {
  readonly issuer: IssuingCa;
  readonly profile: LeafProfile;
  readonly key: KeyPair;
  readonly renewedAt: string | undefined;
}

/** Material, and what a look at a Secret made of it will find, where that is known. */
interface Made extends Material {
  readonly content?: SoundContent;
  readonly passwords?: PasswordLook | undefined;
}

export class SecretWriter {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #secrets: Store<SecretRecord>;
  readonly #keystores: Keystores;

  constructor(options: {
    readonly transport: Transport;
    readonly clock: Clock;
    readonly secrets: Store<SecretRecord>;
    readonly keystores: Keystores;
  }) {
    this.#transport = options.transport;
    this.#clock = options.clock;
    this.#secrets = options.secrets;
    this.#keystores = options.keystores;
  }

  /** The Secret as it is now, whoever's it is. */
  async read(record: CertificateRecord, signal: AbortSignal): Promise<SecretRecord | undefined> {
    const raw = await this.#get(record, signal);
    return raw && inspectSecret(raw, this.#secrets.get(secretKey(record)));
  }

  /** The present key, where it is of the wanted kind. */
  async keyOf(record: CertificateRecord, wanted: KeySpec, signal: AbortSignal): Promise<KeyPair | undefined> {
    const raw = await this.#get(record, signal);
    if (raw === undefined) return undefined;
    try {
      const pair = loadKeyPair(text(raw, 'tls.key'));
      return pair.spec.algorithm === wanted.algorithm && pair.spec.size === wanted.size ? pair : undefined;
    } catch (error) {
      if (error instanceof PkiError) return undefined;
      throw error;
    }
  }

  /** A person or program that has changed the Secret, as the API server's managed fields name it. */
  async rivalOf(record: CertificateRecord, signal: AbortSignal): Promise<string> {
    const raw = await this.#get(record, signal);
    if (raw === undefined) return 'an unknown writer (it deletes the Secret; the audit log knows who)';
    // What a webhook changes in our own request counts as ours in managedFields.
    return (
      lastWriter(raw) ??
      'an unknown writer (perhaps a webhook that changes it while it is written: see kubectl get mutatingwebhookconfigurations)'
    );
  }

  /** Signs and writes a new certificate. */
  async issue(order: IssueOrder, signal: AbortSignal): Promise<Written | Found> {
    const { authority, certificate, issuer, key, passwords, profile, record, situation } = order;
    const { spec } = certificate;
    let present: RawSecret | undefined;
    if (situation.secret !== undefined && wantsGeneratedPassword(spec.outputs ?? [])) {
      present = await this.#get(record, signal);
      if (present?.resourceVersion !== situation.secret.resourceVersion)
        return { found: present && inspectSecret(present, situation.secret) };
    }
    const { durationSeconds } = situation.desired ?? { durationSeconds: 0 };
    const known = authority.knownIssuers.get(caIdOf(issuer.certificate));
    if (known === undefined) throw new Error('the authority does not know the CA that signs for it');
    const limits = { maxDurationSeconds: authority.maxDurationSeconds, issuerNotAfter: known.notAfter };
    const { notBefore, notAfter } = validityAt(this.#clock.now(), durationSeconds, limits);
    const serial = randomSerial();
    const leaf = issueLeaf({
      profile,
      key,
      issuer,
      notBefore: new Date(notBefore),
      notAfter: new Date(notAfter),
      serial,
    });
    const material: Material = {
      keyPem: key.pem(spec.privateKey.encoding),
      keyDer: key.der('PKCS8'),
      chainPem: leaf.pem + known.chainPem,
      bundlePem: authority.bundlePem,
    };
    const { chainPem: intermediatesPem } = known;
    verifyIssued({ leaf, key, issuer, intermediatesPem, bundlePem: authority.bundlePem, profile });
    const book = { revision: nextRevision(situation.secret, certificate), renewedAt: order.renewedAt };
    const content = contentOf({
      leaf: {
        serialNumber: serialText(serial),
        notBefore,
        notAfter,
        profileDigest: profile.digest,
        issuerId: caIdOf(issuer.certificate),
      },
      keyEncoding: spec.privateKey.encoding,
      intermediatesPem: known.chainPem,
      caPem: authority.bundlePem,
      outputs: desiredOutputs(spec),
    });
    const keystores = passwords && (await this.#keystores.make(spec, material, passwords, present));
    return await this.#write(order, record, { ...material, content, keystores, passwords }, book, signal);
  }

  /** Writes the Secret again around the key and leaf that are in it. */
  async rewrite(order: WriteOrder, signal: AbortSignal): Promise<Written | Found> {
    const { authority, certificate, passwords, record, situation } = order;
    const raw = await this.#get(record, signal);
    if (raw === undefined || raw.resourceVersion !== situation.secret?.resourceVersion) {
      return { found: raw && inspectSecret(raw, situation.secret) };
    }
    const { content } = situation.secret;
    const known = content.state === 'sound' ? authority.knownIssuers.get(content.leaf.issuerId) : undefined;
    const leaf = parseCertificate(firstBlock(text(raw, 'tls.crt')));
    if (known === undefined) throw new Error('a certificate of an unknown CA is issued anew, not written again');
    const keyPem = text(raw, 'tls.key');
    const material: Material = {
      keyPem,
      keyDer: loadKeyPair(keyPem).der('PKCS8'),
      chainPem: leaf.pem + known.chainPem,
      bundlePem: authority.bundlePem,
    };
    const keystores = passwords && (await this.#keystores.make(certificate.spec, material, passwords, raw));
    const { revision, renewedAt } = situation.secret;
    const made = { ...material, keystores, passwords };
    const written = await this.#put(certificate, record, made, { revision, renewedAt }, raw, signal);
    return 'found' in written ? written : { ...written, rival: lastWriter(raw) };
  }

  async #write(
    order: WriteOrder,
    record: CertificateRecord,
    material: Made,
    book: Bookkeeping,
    signal: AbortSignal,
  ): Promise<Written | Found> {
    const { certificate, situation } = order;
    const { secret } = situation;
    if (secret === undefined) return await this.#post(certificate, record, material, book, signal);
    if (!secret.foreign && secret.holder !== undefined)
      return await this.#put(certificate, record, material, book, secret, signal);
    // What others have put there must survive: only the Secret itself has it.
    const raw = await this.#get(record, signal);
    if (raw?.resourceVersion !== secret.resourceVersion) return { found: raw && inspectSecret(raw, secret) };
    return await this.#put(certificate, record, material, book, raw, signal);
  }

  async #post(
    { spec }: WorkloadCertificate,
    record: CertificateRecord,
    material: Made,
    book: Bookkeeping,
    signal: AbortSignal,
  ): Promise<Written | Found> {
    try {
      const body = renderSecret(spec, record, material, book);
      this.#remember(record, material, body.data);
      return await this.#send(
        { method: 'POST', path: resourcePath(SECRETS, record.namespace), body, signal },
        body.data,
        material,
      );
    } catch (error) {
      if (!isAlreadyExists(error)) throw error;
      return { found: await this.read(record, signal) };
    }
  }

  /** @param base what is replaced; a RawSecret where it carries anything of others. */
  async #put(
    { spec }: WorkloadCertificate,
    record: CertificateRecord,
    material: Made,
    book: Bookkeeping,
    base: RawSecret | SecretRecord,
    signal: AbortSignal,
  ): Promise<Written | Found> {
    const path = resourcePath(SECRETS, record.namespace, record.secretName);
    const whole = 'data' in base ? base : { uid: base.uid, resourceVersion: base.resourceVersion };
    const put = (from: typeof whole, keepOwners: boolean): Promise<Written> => {
      const body = renderSecret(spec, record, material, book, from, keepOwners);
      this.#remember(record, material, body.data);
      return this.#send({ method: 'PUT', path, body, signal }, body.data, material);
    };
    try {
      return await put(whole, false);
    } catch (error) {
      if (isStatus(error, 404, 409)) return { found: await this.read(record, signal) };
      // "cannot set an ownerRef on a resource you can't delete" (OwnerReferencesPermissionEnforcement): changing an owner of a live object needs
      // the right to delete it, which is not granted.
      if (!isStatus(error, 403) || !error.message.includes('ownerRef')) throw error;
      const raw = await this.#get(record, signal);
      if (raw?.resourceVersion !== base.resourceVersion) return { found: raw && inspectSecret(raw) };
      return { ...(await put(raw, true)), ownerForbidden: ownerAdvice(record.secretName) };
    }
  }

  #remember({ namespace, name }: CertificateRecord, { passwords }: Made, data: RawSecret['data']): void {
    if (passwords !== undefined) this.#keystores.made(`${namespace}/${name}`, data, passwords);
  }

  async #send(request: ApiRequest, data: Readonly<Record<string, string>>, { content }: Made): Promise<Written> {
    const answer = readSecret(await this.#transport.request({ ...request, query: writeQuery }));
    // Only if the answer holds exactly what was sent is its content known without another look: a webhook may have changed it.
    return {
      secret: inspectSecret(answer, undefined, { content: sameTexts(answer.data, data) ? content : undefined }),
    };
  }

  async #get({ namespace, secretName }: CertificateRecord, signal: AbortSignal): Promise<RawSecret | undefined> {
    try {
      return readSecret(
        await this.#transport.request({ method: 'GET', path: resourcePath(SECRETS, namespace, secretName), signal }),
      );
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }
}

function sameTexts(a: Readonly<Record<string, string>>, b: Readonly<Record<string, string>>): boolean {
  const keys = Object.keys(a);
  return keys.length === Object.keys(b).length && keys.every((key) => a[key] === b[key]);
}

function ownerAdvice(secretName: string): string {
  return (
    `the owner reference of Secret "${secretName}" cannot be changed to follow spec.deletionPolicy, since that takes the permission to delete ` +
    `Secrets, which the operator does not have: delete the Secret (it is made anew at once), or grant "delete" on secrets to the operator`
  );
}

function text(secret: RawSecret, key: string): string {
  return Buffer.from(secret.data[key] ?? '', 'base64').toString('utf8');
}

const END = '-----END CERTIFICATE-----';

function firstBlock(pem: string): string {
  const end = pem.indexOf(END);
  return end < 0 ? pem : pem.slice(0, end + END.length);
}

/** The manager of the newest change that is not ours. */
function lastWriter({ metadata }: RawSecret): string | undefined {
  const fields = metadata['managedFields'];
  if (!Array.isArray(fields)) return undefined;
  const others = fields.flatMap((entry: unknown) => {
    const { manager, time } =
      typeof entry === 'object' && entry !== null ? { manager: undefined, time: undefined, ...entry } : {};
    return typeof manager === 'string' && manager !== writeQuery.fieldManager ? [{ manager, time: String(time) }] : [];
  });
  others.sort((a, b) => (a.time < b.time ? 1 : -1));
  return others[0]?.manager;
}
