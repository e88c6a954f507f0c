/**
 * A record that somebody else has changed, made harmless: pure.
 *
 * By itself a change by hand is believed: proxies are configured from it already. What is not believed is what nobody has waited for. A Strict server must never meet a client that speaks
 * plaintext, and the one state that can meet any other without harm is the one in which a workload begins: servers take both, clients speak mutual TLS, which every mode takes. From there
 * the ordinary way leads on, with acknowledgements. So wherever the order cannot be vouched for any more, the workload goes back to it. That opens a Strict server for as long as clients
 * need to acknowledge; the other choice, to stay Strict, would cut off clients that were told to speak plaintext and may have heard of it.
 */
import type { Mode, MTLSRolloutSpec } from '../api/index.ts';
import { switchesOf, switchKey } from './memory.ts';
import type { PortEntry, WorkloadEntry } from './record.ts';
import { beginning, type ClientMode } from './step.ts';

type Instructions = Readonly<{ servers: Mode; clients: ClientMode }>;

/**
 * @param found what of the record can be read.
 * @param remembered what the same leader last knew it to be; undefined: a leader that has just begun, which takes the record for its predecessor's unless it contradicts itself.
 * @param damaged some of it cannot be read. Replicas cannot read it either and go on with what they had: what is remembered is put back, and what nobody knows begins anew.
 * @returns the same object where there is nothing to mend.
 */
export function mend(
  found: MTLSRolloutSpec,
  remembered: MTLSRolloutSpec | undefined,
  damaged: boolean,
): MTLSRolloutSpec {
  const known = new Map<string, Instructions>(remembered === undefined ? [] : switchesOf(remembered));
  const unknown = remembered === undefined ? undefined : beginning;
  let changed = damaged;
  const mended = <T extends Instructions>(entry: T, was: Instructions | undefined): T => {
    if (!isUnproven(entry, was)) return entry;
    changed = true;
    return { ...entry, ...beginning };
  };
  const before = new Map((remembered?.workloads ?? []).map((entry) => [switchKey(entry.kind, entry.name), entry]));
  const workloads = (found.workloads ?? []).map((entry): WorkloadEntry => {
    const key = switchKey(entry.kind, entry.name);
    const was = known.get(key) ?? unknown;
    const { ports = [], ...all } = mended(entry, was);
    const named = new Set(ports.map(({ port }) => port));
    // A port whose entry was taken out stands where the others do.
    const taken = (before.get(key)?.ports ?? []).filter((port) => !named.has(port.port) && isUnproven(entry, port));
    if (taken.length > 0) changed = true;
    const kept = [
      ...ports.map((port) => mended(port, known.get(switchKey(entry.kind, entry.name, port.port)) ?? was)),
      ...taken.map((port): PortEntry => ({ ...port, ...beginning })),
    ];
    return { ...all, ...(kept.length === 0 ? {} : { ports: kept }) };
  });
  if (damaged) {
    const readable = new Set(workloads.map(({ kind, name }) => switchKey(kind, name)));
    for (const entry of remembered?.workloads ?? []) {
      if (!readable.has(switchKey(entry.kind, entry.name))) workloads.push(entry);
    }
  }
  if (!changed) return found;
  return workloads.length === 0 ? {} : { workloads };
}

/** Whether somebody may meet a Strict server in plaintext by it. */
function isUnproven({ clients, servers }: Instructions, was: Instructions | undefined): boolean {
  if (servers === 'Strict' && clients === 'Plaintext') return true;
  if (was === undefined) return false;
  const becameStrict = servers === 'Strict' && was.servers !== 'Strict';
  const becamePlaintext = clients === 'Plaintext' && was.clients !== 'Plaintext';
  return becameStrict || becamePlaintext;
}
