/** Which of the pods that use a Secret were started before the certificate in it: pure. */
import { type Consumers, MOST_CONSUMER_NAMES } from '../api/index.ts';
import type { SecretUse } from './pod.ts';

export interface Consumer {
  readonly pod: string;
  readonly use: SecretUse;
}

/**
 * @param issuedAt of the certificate in the Secret (ms); undefined where there is none that could be older or newer.
 * @returns undefined where there are no pods: nothing is to be said.
 */
export function consumersOf(consumers: readonly Consumer[], issuedAt: number | undefined): Consumers | undefined {
  if (consumers.length === 0) return undefined;
  const since = issuedAt ?? Number.NEGATIVE_INFINITY;
  const frozen: string[] = [];
  const older: string[] = [];
  for (const { pod, use } of consumers) {
    if (use.frozenAt !== undefined && use.frozenAt < since) frozen.push(pod);
    else if (use.startedAt < since) older.push(pod);
  }
  // In an order of their own: the same pods must give the same status.
  const names = [...frozen.sort(), ...older.sort()].slice(0, MOST_CONSUMER_NAMES);
  return {
    pods: consumers.length,
    startedBeforeRenewal: frozen.length + older.length,
    neverUpdated: frozen.length,
    ...(names.length === 0 ? {} : { names }),
  };
}
