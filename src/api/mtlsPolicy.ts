/** MTLSPolicy: which mode the ports of a mesh, a namespace or some workloads have. */
import * as z from 'zod';
import { keysRule, labelValuesRule, mapOfText } from './labelSyntax.ts';
import { setField } from './lists.ts';
import { objectMetaSchema, parseObject } from './metadata.ts';
import { DEFAULT_MODE, isBelow, type Mode, modeField, modes } from './modes.ts';
import { cidrRules, portNameRules } from './names.ts';
import { field, matches, type Rule, textField } from './rules.ts';
import { conditionsField, durationField, observedGenerationField, timeField, untilField } from './shared.ts';

export const guardModes = ['Enforce', 'Ignore'] as const;
/** A minimum of Disabled would be none. */
export const minimums = ['Permissive', 'Strict'] as const;
export const scopes = ['Mesh', 'Namespace', 'Workload'] as const;
/** How wide a policy reaches; the narrowest that says something decides. */
export type Scope = (typeof scopes)[number];

const selectorSchema = z.object({
  matchLabels: mapOfText(
    { entries: 16, length: 63 },
    'Labels that a pod must have, each with this value, at most 16. Example: {app: web}.',
    'Value that the label must have.',
    [
      {
        cel: 'size(self) > 0',
        holds: (labels) => Object.keys(labels).length > 0,
        message:
          'an empty matchLabels would select every pod: name a label, or leave selector out for the whole namespace',
      },
      keysRule,
      labelValuesRule,
    ],
    {
      'x-mtls-required': 'name a label, as in {matchLabels: {app: web}}, or leave selector out for the whole namespace',
    },
  ),
});

const portNumberField = (description: string) => field(z.int().min(1).max(65_535), description);
const portNameField = (description: string) => textField(15, description, portNameRules);
const notBlank = matches('[^\\p{Z}\\p{C}]', 'says nothing: write a few words');
const UNTIL =
  'When it ends, in RFC 3339, as in 2027-03-01T00:00:00Z; from then on it is as if it were not written, without anybody doing anything.';

const portSchema = z.object({
  port: portNumberField(
    `Number of a container port: the one that the process listens on, not that of a Service. Exactly one of port and
    portName. Example: 9090.`,
  ).optional(),
  portName: portNameField(
    `Name of a container port, as the pod declares it. Exactly one of port and portName; a number beats a name.
    Example: metrics.`,
  ).optional(),
  mode: modeField('Mode of the port.', {
    'x-mtls-required': `say which mode the port has: write one of ${modes.join(', ')}`,
  }),
  reason: textField(256, 'Why the port differs, for whoever reads the policy later.', [notBlank]).optional(),
  until: untilField(`${UNTIL} Left out: for ever.`).optional(),
});

type PortEntry = z.output<typeof portSchema>;

const oneOfPortAndName: Rule<PortEntry> = {
  cel: 'has(self.port) != has(self.portName)',
  holds: ({ port, portName }) => (port === undefined) !== (portName === undefined),
  message: 'write exactly one of port, as in {port: 9090, mode: …}, and portName, as in {portName: metrics, mode: …}',
};

const MOST_PORTS = 64;

/** Two entries for one port would leave open which of them is meant. */
function once(property: 'port' | 'portName'): Rule<readonly PortEntry[]> {
  return {
    cel: `self.all(one, !has(one.${property}) || self.exists_one(other, has(other.${property}) && other.${property} == one.${property}))`,
    holds: (entries) => {
      const values = entries.flatMap((entry) => entry[property] ?? []);
      return new Set(values).size === values.length;
    },
    message: `the same ${property} stands in two entries: write one entry for each ${property}`,
  };
}

const exceptionSchema = z.object({
  ports: setField(
    portNumberField('Number of a container port.'),
    { min: 1, max: 32 },
    'Numbers of container ports. At least one of ports and portNames. Example: [8080].',
  ).optional(),
  portNames: setField(
    portNameField('Name of a container port.'),
    { min: 1, max: 32 },
    'Names of container ports. At least one of ports and portNames. Example: [http].',
  ).optional(),
  cidrs: setField(
    textField(43, 'One range of addresses.', cidrRules),
    { min: 1, max: 32 },
    `Addresses that need no certificate, as CIDRs, at most 32; a single one is 192.0.2.1/32. By address only: where a
    proxy or a load balancer stands between, everybody behind it has its address. Example: ["192.0.2.0/24"].`,
    { 'x-mtls-required': 'say for whom the exception is, as in cidrs: ["192.0.2.0/24"]' },
  ),
  reason: textField(
    256,
    'Why these peers have no certificate, for whoever reads the policy later. Required.',
    [notBlank],
    {
      'x-mtls-required': 'say why these peers have no certificate, as in reason: "health checks of the load balancer"',
    },
  ),
  until: untilField(`${UNTIL} Left out: for ever.`).optional(),
});

const onSomePort: Rule<z.output<typeof exceptionSchema>> = {
  cel: 'has(self.ports) || has(self.portNames)',
  holds: ({ ports, portNames }) => ports !== undefined || portNames !== undefined,
  message: 'an exception is for certain ports: write ports, as in [8080], or portNames, as in [http]',
};

const GUARD_WINDOW = '24h';

const specSchema = z.object({
  selector: field(
    selectorSchema,
    `Which pods of the namespace the policy is for. Left out: all of them, or the whole mesh if the policy is in the
    operator’s namespace. Example: {matchLabels: {app: web}}.`,
  ).optional(),
  mode: modeField(
    `Mode of every port that has no entry of its own. Left out: that of the next wider policy, and ${DEFAULT_MODE} if there
    is none.`,
  ).optional(),
  ports: field(
    z.array(field(portSchema, 'One port whose mode differs.', [oneOfPortAndName])).max(MOST_PORTS),
    `Container ports whose mode differs, at most ${MOST_PORTS}, with or without a selector. Example: [{port: 9090, mode:
    Permissive, reason: "Prometheus outside of the mesh", until: 2027-03-01T00:00:00Z}].`,
    [once('port'), once('portName')],
    { 'x-kubernetes-list-type': 'atomic' },
  ).optional(),
  exceptions: field(
    z.array(field(exceptionSchema, 'One exception.', [onSomePort])).max(16),
    `Peers that may go on without a certificate where the mode is Strict, at most 16, told by their address. Example:
    [{ports: [8080], cidrs: ["192.0.2.0/24"], reason: "health checks of the load balancer"}].`,
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ).optional(),
  guard: field(
    z.object({
      mode: field(
        z.enum(guardModes),
        `Enforce: a port becomes Strict only when no plaintext has been seen on it for the window; status.blockers names who
        still sends some. Ignore: at once, whoever is cut off by it.`,
      ).default('Enforce'),
      window: durationField(
        `For how long no plaintext may have been seen, as whole numbers with d, h, m, s. Default: ${GUARD_WINDOW}; at least
        1m, at most 30d.`,
        '1m',
        '30d',
      ).default(GUARD_WINDOW),
    }),
    'What a change to Strict waits for.',
  ).default({ mode: 'Enforce', window: GUARD_WINDOW }),
  minimum: field(
    z.enum(minimums),
    `Permissive or Strict: no policy of a namespace can bring a port under it. In a policy for the whole mesh only, whose own
    ports may be lower: these are the exceptions for everybody. Elsewhere it has no effect, and the condition
    MinimumIgnored says so.`,
  ).optional(),
});

type Spec = z.output<typeof specSchema>;

const specRules: readonly Rule<Spec>[] = [
  {
    cel:
      'has(self.mode) || has(self.minimum) || (has(self.ports) && size(self.ports) > 0) || ' +
      '(has(self.exceptions) && size(self.exceptions) > 0)',
    holds: ({ mode, minimum, ports, exceptions }) =>
      mode !== undefined || minimum !== undefined || [ports, exceptions].some((list) => (list?.length ?? 0) > 0),
    message: 'the policy says nothing: write at least one of mode, ports, exceptions and minimum',
  },
  {
    cel: '!has(self.selector) || !has(self.minimum)',
    holds: ({ selector, minimum }) => selector === undefined || minimum === undefined,
    message:
      'a minimum is for the whole mesh: leave out minimum, or leave out selector and put the policy into the operator’s namespace',
    property: 'minimum',
  },
  {
    cel: "!has(self.minimum) || !has(self.mode) || self.mode == 'Strict' || self.mode == self.minimum",
    holds: ({ minimum, mode }) => minimum === undefined || mode === undefined || !isBelow(mode, minimum),
    message: 'mode is below the minimum of the same policy: write a mode that is at least minimum, or a lower minimum',
    property: 'mode',
  },
];

export const mtlsPolicySpecSchema = field(
  specSchema,
  `Which mode which ports have. The narrowest policy that says something about a port decides: workload, namespace, mesh; within it
  an entry in ports comes before mode. At one scope the oldest decides alone, and the others say so in their status.`,
  specRules,
);

const countField = (description: string) => field(z.int32().min(0), description);

const seenFields = {
  pod: textField(253, 'Name of the pod that was spoken to.').optional(),
  port: field(z.int32().min(0), 'Its container port.').optional(),
  peer: textField(512, 'Who speaks: namespace and name of a pod, else an address.').optional(),
  lastSeen: timeField('When it was last seen.').optional(),
};

export const mtlsPolicyStatusSchema = z.object({
  conditions: conditionsField(
    `Accepted: the policy is taken into account. Effective: it decides the mode of some port. Enforced: sidecars do what it says.
    Only there while something is to be said: Overruled, an older policy decides in its place; BelowMinimum, the minimum of
    the mesh raises it; MinimumIgnored, its minimum has no effect here; Expired, entries have ended; NotActedUpon, this version does
    nothing about a part of the spec; PortNotFound, no pod declares a port; PortIsServicePort, only a Service has a port of that number or name.`,
  ).optional(),
  observedGeneration: observedGenerationField.optional(),
  effective: field(
    z.object({
      scope: field(z.enum(scopes), 'Mesh, Namespace or Workload: how wide the policy reaches.').optional(),
      mode: modeField(
        'Mode of the ports without an entry of their own, after what it inherits and the minimum of the mesh.',
      ).optional(),
      pods: countField('Running pods for which the policy decides the mode of some port.').optional(),
      nextChange: timeField('When the next of its entries ends.').optional(),
      proxies: field(
        z.object({
          total: countField('Sidecars that have to know.'),
          acknowledged: countField('Of these, those that have taken the configuration.'),
          enforced: countField('Of these, those that are known to act by it.'),
        }),
        'Sidecars of these pods.',
      ).optional(),
    }),
    'What the policy comes to.',
  ).optional(),
  blockers: field(
    z
      .array(
        z.object({
          reason: textField(64, 'What is in the way, as one CamelCase word.'),
          ...seenFields,
          message: textField(1024, 'What is in the way, and what to do.').optional(),
        }),
      )
      .max(32),
    'What a change to Strict waits for, the first 32.',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ).optional(),
  shadow: field(
    z.array(z.object({ ...seenFields, connections: countField('How many connections.').optional() })).max(32),
    'Who would be cut off if the mode were Strict, the first 32.',
    [],
    { 'x-kubernetes-list-type': 'atomic' },
  ).optional(),
});

export type MTLSPolicySpec = z.output<typeof mtlsPolicySpecSchema>;
export type MTLSPolicyStatus = z.output<typeof mtlsPolicyStatusSchema>;
export type PolicyPort = PortEntry;
export type Minimum = Extract<Mode, (typeof minimums)[number]>;

export const mtlsPolicySchema = z.object({
  metadata: objectMetaSchema.extend({ namespace: z.string().min(1) }),
  spec: mtlsPolicySpecSchema,
  status: mtlsPolicyStatusSchema.catch({}).default({}),
});

export type MTLSPolicy = z.output<typeof mtlsPolicySchema>;

/** @throws InvalidObjectError naming each field that is wrong, and what to write. */
export function parseMTLSPolicy(object: unknown): MTLSPolicy {
  return parseObject('MTLSPolicy', mtlsPolicySchema, object);
}
