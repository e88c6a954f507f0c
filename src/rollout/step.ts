/**
 * One step of switching a port from mode to mode without cutting anyone off: pure. Clients come first on the way to Strict, servers first on the way back, and between
 * Disabled and Strict lies Permissive.
 *
 * A server that takes mutual TLS only must never meet a client that is still told to speak plaintext, at whatever speed proxies hear of either. So no step is taken
 * whose safety rests on an earlier one before every proxy has acknowledged that one; and each step is written down before anybody is told, so that whoever takes over
 * from a leader that died goes on from there.
 */
import type { Mode, MTLSRollout, RolloutPhase } from '../api/index.ts';

type Workload = NonNullable<MTLSRollout['spec']['workloads']>[number];

/** What clients in the mesh open connections with. */
export type ClientMode = Workload['clients'];

/** How far a port is switched, as it stands in the record that every replica renders proxies from. */
export interface Progress {
  /** The mode that policies ask for. */
  readonly target: Mode;
  /** By which servers accept connections. */
  readonly servers: Mode;
  readonly clients: ClientMode;
  readonly phase: RolloutPhase;
}

/** What is known of the proxies, for exactly the record at hand: an acknowledgement of an older one proves nothing. */
export interface Acknowledged {
  /** Every client that may dial the port has taken how it is to open connections. */
  readonly clients: boolean;
  /** Every server has taken how it is to accept them. */
  readonly servers: boolean;
  /** No plaintext connection from before is open any more. */
  readonly drained: boolean;
}

/** Where a port begins that was never seen: whoever dials it is served, and mesh peers speak mutual TLS. */
export const beginning: Omit<Progress, 'target'> = { servers: 'Permissive', clients: 'MutualTLS', phase: 'Servers' };

/** With what clients open connections to a port that is settled in a mode. */
export function clientModeIn(mode: Mode): ClientMode {
  return mode === 'Disabled' ? 'Plaintext' : 'MutualTLS';
}

/**
 * The record as it has to be next; equal to the present one where something is still waited for, or nothing is left to do.
 * @param target the mode that policies ask for now, which may have changed at any moment of the way.
 */
export function step(present: Progress, target: Mode, acknowledged: Acknowledged): Progress {
  const { servers, clients } = present;
  const at = (phase: RolloutPhase, change: Partial<Progress> = {}): Progress => ({
    target,
    servers,
    clients,
    ...change,
    phase,
  });
  const wanted = clientModeIn(target);

  // Proxies that come later begin with the record as it is: each pod that starts must not be news.
  if (present.phase === 'Settled' && servers === target && clients === wanted) return at('Settled');
  // To take more than before hurts nobody.
  if (servers === 'Strict' && target !== 'Strict') return at('Servers', { servers: 'Permissive' });
  if (clients !== wanted) {
    // A server that has not heard yet that it is not Strict any more would refuse them.
    if (wanted === 'Plaintext' && !acknowledged.servers) return at('Servers');
    return at('Clients', { clients: wanted });
  }
  // A client that has not heard yet that it is to speak mutual TLS would be refused.
  if (!acknowledged.clients) return at('Clients');
  if (servers !== target) return at('Servers', { servers: target });
  if (!acknowledged.servers) return at('Servers');
  if (target === 'Strict' && !acknowledged.drained) return at('Draining');
  return at('Settled');
}
