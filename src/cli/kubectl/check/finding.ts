/** What a check of the installation comes to. Pure. */
import type { Reading } from '../reader.ts';

export type Result = 'ok' | 'warning' | 'error';

export const checks = [
  'Kinds',
  'AdmissionPolicies',
  'Controller',
  'Leader',
  'Authority',
  'Mesh',
  'ProxyApi',
  'Webhook',
  'WebhookService',
  'ProxyApiCertificate',
  'SidecarsStarted',
  'SidecarVersions',
  'SidecarCertificates',
  'Namespaces',
  'PodsWithoutSidecar',
  'MeshRanges',
] as const;
export type CheckName = (typeof checks)[number];

/** Names stay as they are from version to version. */
export interface Finding {
  readonly check: CheckName;
  readonly result: Result;
  /** As in `deployment/web`; null: it is about no single object. */
  readonly object: string | null;
  readonly namespace: string | null;
  readonly message: string;
  /** What to do. */
  readonly advice: string | null;
  /** Why nothing was looked at, as in `list pods in all namespaces`. */
  readonly missingPermission: string | null;
}

export interface Where {
  readonly object?: string;
  readonly namespace?: string;
}

export function ok(check: CheckName, message: string, { namespace, object }: Where = {}): Finding {
  return made(check, 'ok', { object, namespace }, message, null);
}

export function warning(check: CheckName, where: Where, message: string, advice: string): Finding {
  return made(check, 'warning', where, message, advice);
}

export function error(check: CheckName, where: Where, message: string, advice: string): Finding {
  return made(check, 'error', where, message, advice);
}

function made(
  check: CheckName,
  result: Result,
  { namespace, object }: { readonly [Of in keyof Where]: Where[Of] | undefined },
  message: string,
  advice: string | null,
): Finding {
  return {
    check,
    result,
    object: object ?? null,
    namespace: namespace ?? null,
    message,
    advice,
    missingPermission: null,
  };
}

export function notPermitted(check: CheckName, permission: string): Finding {
  const message = `not looked at: you lack the permission to ${permission}`;
  const advice = 'ask somebody who has it, or have it given to you';
  return { ...made(check, 'warning', {}, message, advice), missingPermission: permission };
}

/** Judges what was read; where it may not be read says so. */
export function whenRead<T>(
  check: CheckName,
  reading: Reading<T>,
  judge: (value: T) => readonly Finding[],
): readonly Finding[] {
  return 'missing' in reading ? [notPermitted(check, reading.missing)] : judge(reading.value);
}

/** The findings, or that all is well where there are none. */
export function unless(findings: readonly Finding[], otherwise: Finding): readonly Finding[] {
  return findings.length === 0 ? [otherwise] : findings;
}
