/**
 * Keystores around one certificate: where their passwords are, and whether those in the Secret are right. Certificates without keystores
 * never come here.
 *
 * Passwords are read when a certificate is looked at, live only for as long as that takes, and stand in no cache. What is remembered is whether the
 * data of a Secret have been found right for a password, of which only a digest is kept, under a key that no other process has.
 */
import { createHmac, randomBytes } from 'node:crypto';
import { GENERATED_PASSWORD_KEY, type WorkloadCertificateSpec } from '../api/index.ts';
import { digestOf } from '../authority/index.ts';
import { type Clock, isNotFound, resourcePath, SECRETS, type Transport } from '../kube/index.ts';
import { KeystorePassword, loadKeyPair, PkiError } from '../pki/index.ts';
import type { CertificateRecord } from './certificateRecord.ts';
import { keystoreFiles, keystoresOf, type Output, wantsGeneratedPassword } from './keystoreFiles.ts';
import type { Files } from './outputs.ts';
import type { Refusal } from './reasons.ts';
import { dataDigestOf, inspectSecret, type RawSecret, readSecret, type SecretRecord } from './secretRecord.ts';
import { fraction } from './validity.ts';

/** A Secret with a password is somebody's, without our label, so that no cache holds it: it is looked at again after so long (ms). */
const PASSWORD_RECHECK = 300_000;
/** While it cannot be used, somebody waits for it. */
const PROBLEM_RECHECK = 30_000;
/** What was changed while it was written is looked at closely a moment later (ms). */
const UNVERIFIED_RECHECK = 1_000;

/** What a look at the passwords came to. */
export interface PasswordLook {
  /** By output type: those that stand in Secrets of the user's. */
  readonly given: ReadonlyMap<string, KeystorePassword>;
  /** Why the keystores cannot be made. */
  readonly refusal: Refusal | undefined;
  /** The same for the same outputs with the same passwords. */
  readonly stamp: string;
  /** When the passwords are to be read again (ms); undefined: never. */
  readonly recheckAt: number | undefined;
}

interface Judged {
  readonly dataDigest: string;
  readonly stamp: string;
  readonly right: boolean;
}

export interface KeystoresOptions {
  readonly transport: Transport;
  readonly clock: Clock;
}

export class Keystores {
  readonly #transport: Transport;
  readonly #clock: Clock;
  readonly #judged = new Map<string, Judged>();
  readonly #stampKey = randomBytes(32);

  constructor({ transport, clock }: KeystoresOptions) {
    this.#transport = transport;
    this.#clock = clock;
  }

  /** Reads the passwords that stand in Secrets of the user's, each Secret once, so that two stores with one password have the same. */
  async passwords(
    key: string,
    record: CertificateRecord,
    spec: WorkloadCertificateSpec,
    signal: AbortSignal,
  ): Promise<PasswordLook> {
    const given = new Map<string, KeystorePassword>();
    const stamps: string[] = [];
    let refusal: Refusal | undefined;
    const secrets = new Map<string, RawSecret | undefined>();
    for (const { type, alias = '', passwordSecretRef } of keystoresOf(spec)) {
      stamps.push(type, alias);
      if (passwordSecretRef === undefined) continue;
      const { name } = passwordSecretRef;
      if (!secrets.has(name)) secrets.set(name, await this.#read(record.namespace, name, signal));
      const found = passwordIn(secrets.get(name), passwordSecretRef, type);
      if ('reason' in found) {
        refusal ??= found;
      } else {
        given.set(type, found);
        stamps.push(this.#stampOf(found));
      }
    }
    const recheck = refusal === undefined ? PASSWORD_RECHECK * (1 - fraction(key) / 5) : PROBLEM_RECHECK;
    return {
      given,
      refusal,
      stamp: digestOf(stamps),
      recheckAt: secrets.size > 0 ? Math.ceil(this.#clock.now() + recheck) : undefined,
    };
  }

  /** Whether the keystores of a Secret are right, where that is known. */
  areRight(key: string, { dataDigest }: SecretRecord, { stamp }: PasswordLook): boolean | undefined {
    const known = this.#judged.get(key);
    return known?.dataDigest === dataDigest && known.stamp === stamp ? known.right : undefined;
  }

  /**
   * Finds out whether the keystores of a Secret are right, where that is not known, by making them again.
   * @returns the Secret as it was found, undefined if it is gone.
   */
  async judge(
    key: string,
    record: CertificateRecord,
    spec: WorkloadCertificateSpec,
    secret: SecretRecord,
    look: PasswordLook,
    signal: AbortSignal,
  ): Promise<SecretRecord | undefined> {
    if (look.refusal !== undefined || secret.content.state !== 'sound') return secret;
    if (this.areRight(key, secret, look) !== undefined) return secret;
    const raw = await this.#read(record.namespace, record.secretName, signal);
    if (raw === undefined) return undefined;
    const right = await hasRightKeystores(raw, keystoresOf(spec), look);
    this.#judged.set(key, { dataDigest: dataDigestOf(raw.data), stamp: look.stamp, right });
    return inspectSecret(raw, secret);
  }

  /** @param present the Secret that is replaced, from which a generated password is kept. */
  async make(
    spec: WorkloadCertificateSpec,
    files: Files,
    { given, refusal }: PasswordLook,
    present: RawSecret | undefined,
  ): Promise<Record<string, string>> {
    if (refusal !== undefined) throw new Error('keystores without a password are not made');
    const keystores = keystoresOf(spec);
    const generated = wantsGeneratedPassword(keystores)
      ? (generatedPasswordIn(present) ?? KeystorePassword.generate())
      : undefined;
    return await keystoreFiles(keystores, files, { given, generated });
  }

  /** These data are about to be written, with keystores that were just made. */
  made(key: string, data: Readonly<Record<string, string>>, { stamp }: PasswordLook): void {
    this.#judged.set(key, { dataDigest: dataDigestOf(data), stamp, right: true });
  }

  forget(key: string): void {
    this.#judged.delete(key);
  }

  async #read(namespace: string, name: string, signal: AbortSignal): Promise<RawSecret | undefined> {
    try {
      const path = resourcePath(SECRETS, namespace, name);
      return readSecret(await this.#transport.request({ method: 'GET', path, signal }));
    } catch (error) {
      if (isNotFound(error)) return undefined;
      throw error;
    }
  }

  #stampOf(password: KeystorePassword): string {
    return createHmac('sha256', this.#stampKey).update(password.octets()).digest('base64url');
  }
}

/** When a certificate with keystores has to be looked at again on their account (ms); undefined: not for that. */
export function keystoresRecheckAt(
  look: PasswordLook | undefined,
  areRight: boolean | undefined,
  now: number,
): number | undefined {
  if (look === undefined) return undefined;
  return look.refusal === undefined && areRight === undefined ? now + UNVERIFIED_RECHECK : look.recheckAt;
}

async function hasRightKeystores(raw: RawSecret, keystores: readonly Output[], look: PasswordLook): Promise<boolean> {
  const generated = wantsGeneratedPassword(keystores) ? generatedPasswordIn(raw) : undefined;
  if (generated === undefined && wantsGeneratedPassword(keystores)) return false;
  try {
    const keyPem = text(raw, 'tls.key');
    const keyDer = loadKeyPair(keyPem).der('PKCS8');
    const files = { keyPem, keyDer, chainPem: text(raw, 'tls.crt'), bundlePem: text(raw, 'ca.crt') };
    const right = await keystoreFiles(keystores, files, { given: look.given, generated });
    return Object.entries(right).every(([key, value]) => raw.data[key] === value);
  } catch (error) {
    // Somebody has just put something else there.
    if (error instanceof PkiError) return false;
    throw error;
  }
}

/** What is there under its name may have been edited: a password that no keystore could have is none. */
function generatedPasswordIn(raw: RawSecret | undefined): KeystorePassword | undefined {
  const value = raw?.data[GENERATED_PASSWORD_KEY];
  if (value === undefined) return undefined;
  try {
    return KeystorePassword.read(Buffer.from(value, 'base64'));
  } catch (error) {
    if (error instanceof PkiError) return undefined;
    throw error;
  }
}

function passwordIn(
  raw: RawSecret | undefined,
  { name, key }: NonNullable<Output['passwordSecretRef']>,
  type: string,
): KeystorePassword | Refusal {
  const notFound = (what: string, advice: string): Refusal => ({
    reason: 'PasswordNotFound',
    message: `the password for ${type} is not there: there is no ${what}: ${advice}`,
  });
  if (raw === undefined) {
    return notFound(
      `Secret "${name}"`,
      'create it, correct passwordSecretRef, or leave that out to have a password generated',
    );
  }
  const where = `key "${key}" in Secret "${name}"`;
  const value = raw.data[key];
  if (value === undefined) return notFound(where, 'add that key, or correct passwordSecretRef.key');
  try {
    return KeystorePassword.read(Buffer.from(value, 'base64'));
  } catch (error) {
    if (!(error instanceof PkiError)) throw error;
    const message = `the password for ${type} under ${where} cannot be used: ${error.message}`;
    return { reason: 'PasswordInvalid', message };
  }
}

function text(secret: RawSecret, key: string): string {
  return Buffer.from(secret.data[key] ?? '', 'base64').toString('utf8');
}
