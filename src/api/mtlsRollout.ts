/** MTLSRollout: the operator's record of how far each port of a namespace is switched. Every replica renders proxies from it alone. */
import * as z from 'zod';
import { mapField } from './lists.ts';
import { objectMetaSchema, parseObject } from './metadata.ts';
import { modeField, modes } from './modes.ts';
import { field, textField } from './rules.ts';
import { conditionsField, observedGenerationField } from './shared.ts';
import { TIME_MAX_LENGTH } from './time.ts';

export const rolloutPhases = ['Waiting', 'Clients', 'Servers', 'Draining', 'Settled'] as const;
export type RolloutPhase = (typeof rolloutPhases)[number];
/** The one record of a namespace. Objects of another name mean nothing. */
export const ROLLOUT_NAME = 'default';
/** Entries that a record holds, as its schema says. */
export const MOST_WORKLOADS = 4096;
export const MOST_WORKLOAD_PORTS = 128;

export const clientModes = ['MutualTLS', 'Plaintext'] as const;

const switchFields = {
  target: modeField('The mode that policies ask for.'),
  servers: field(z.enum(modes), 'The mode by which servers accept connections: Disabled, Permissive or Strict.'),
  clients: field(z.enum(clientModes), 'What clients in the mesh open connections with: MutualTLS or Plaintext.'),
  phase: field(
    z.enum(rolloutPhases),
    `Waiting: something blocks the change. Clients: clients are being told. Servers: servers are being told. Draining: connections from
    before are being closed. Settled: servers and clients are where target wants them.`,
  ),
  since: textField(TIME_MAX_LENGTH, 'When this phase began. RFC 3339, in UTC.', [], { format: 'date-time' }),
  policy: textField(507, 'Namespace and name of the policy that asks for it; left out where none does.').optional(),
};

const portsField = mapField(
  z.object({ port: field(z.int().min(1).max(65_535), 'Number of the container port.'), ...switchFields }),
  'port',
  { max: MOST_WORKLOAD_PORTS },
  'Ports that differ, or are declared by pods.',
);

const workloadsField = mapField(
  z.object({
    kind: textField(63, 'Kind of what made the pods, as Deployment or StatefulSet; Pod for one that nothing made.'),
    name: textField(253, 'Its name.'),
    ...switchFields,
    ports: portsField.optional(),
  }),
  ['kind', 'name'],
  { max: MOST_WORKLOADS },
  'How far each workload is: for every port without an entry of its own, and for each of its ports.',
);

export const mtlsRolloutSpecSchema = field(
  z.object({ workloads: workloadsField.optional() }),
  'How far each workload and port is switched. The operator writes it; a change by hand is taken for its own.',
);

export const mtlsRolloutStatusSchema = z.object({
  conditions: conditionsField(
    `Settled: every port is in the mode that policies ask for. Only there while something is to be said: Repaired, the record could not
    be read or was changed by hand, and was put right.`,
  ).optional(),
  observedGeneration: observedGenerationField.optional(),
});

export type MTLSRolloutSpec = z.output<typeof mtlsRolloutSpecSchema>;
export type MTLSRolloutStatus = z.output<typeof mtlsRolloutStatusSchema>;

export const mtlsRolloutSchema = z.object({
  metadata: objectMetaSchema.extend({ namespace: z.string().min(1) }),
  spec: mtlsRolloutSpecSchema,
  status: mtlsRolloutStatusSchema.catch({}).default({}),
});

export type MTLSRollout = z.output<typeof mtlsRolloutSchema>;

/** @throws InvalidObjectError naming each field that is wrong. */
export function parseMTLSRollout(object: unknown): MTLSRollout {
  return parseObject('MTLSRollout', mtlsRolloutSchema, object);
}
