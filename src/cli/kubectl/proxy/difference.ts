/** Why a proxy takes something else at a port than its mode asks for. Pure. */
import type { Mode } from '../../../api/index.ts';
import type { Switch } from '../rolloutRecord.ts';
import { workloadText } from '../sidecarPod.ts';
import { type Accepted, acceptedIn } from './accepts.ts';
import type { ProxyFacts } from './facts.ts';

export interface Difference {
  /** null: all ports without a rule of their own. */
  readonly port: number | null;
  readonly mode: Mode;
  readonly accepts: Accepted;
}

const words: Readonly<Record<Accepted, string>> = {
  MutualTLS: 'mutual TLS only',
  MutualTLSAndPlaintext: 'mutual TLS and plaintext',
  Plaintext: 'plaintext only',
  Nothing: 'nothing',
};

export function acceptedText(accepts: Accepted): string {
  return words[accepts];
}

/** What is nearest to the proxy comes first: what it says itself explains more than any record. */
export function causeOf({ accepts, mode, port }: Difference, { asked, rollout, sidecar }: ProxyFacts): string {
  if ('unread' in asked) return asked.unread;
  const { active, refused, waiting } = asked.inbound;
  if (refused !== undefined) return 'it refused what it was told last';
  if (waiting !== undefined)
    return `version ${waiting} of its listener waits in it for what that needs, a certificate as a rule`;
  const missing = 'missing' in rollout ? rollout.missing : undefined;
  const told =
    'missing' in rollout ? undefined : toldOf(rollout.value?.workloads.get(workloadText(sidecar.workload)), port);
  const unrecorded = 'the operator has recorded no mode for its workload yet';
  if (active === undefined && missing === undefined && told === undefined)
    return `${unrecorded}: it waits closed for that`;
  if (active === undefined) return 'proxy-api has told it nothing yet; see that proxy-api runs';
  if (missing !== undefined) return `how far a switch is cannot be told: you lack the permission to ${missing}`;
  if (told === undefined) return unrecorded;
  const { phase, servers, since, target } = told;
  if (acceptedIn(servers) !== accepts) return `it was told ${servers} and has not taken it; see that proxy-api runs`;
  if (phase !== 'Settled') return `the switch to ${target} is on its way (${phase} since ${since})`;
  return `the operator has not begun to switch from ${servers} to ${mode}`;
}

function toldOf(
  workload: { readonly others: Switch; readonly ports: readonly (Switch & { readonly port: number })[] } | undefined,
  port: number | null,
): Switch | undefined {
  return workload?.ports.find((entry) => entry.port === port) ?? workload?.others;
}
