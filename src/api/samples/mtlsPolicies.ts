import { type BadSample, duplicate, type GoodSample, many, repeat, tooLong, tooMany, unsupported } from './sample.ts';

const port = (entry: object): object => ({ ports: [{ mode: 'Permissive', ...entry }] });
const exception = (fields: object): object => ({
  exceptions: [{ ports: [8080], cidrs: ['192.0.2.0/24'], reason: 'health checks', ...fields }],
});
const strict = { mode: 'Strict' };

export const goodMTLSPolicies: readonly GoodSample[] = [
  { title: 'a mode alone', spec: strict },
  {
    title: 'a mode for some pods',
    spec: { ...strict, selector: { matchLabels: { app: 'web', 'example.com/tier': '' } } },
  },
  { title: 'a port for the whole namespace, without a mode', spec: port({ port: 9090 }) },
  { title: 'the ports at both ends', spec: { ports: [1, 65_535].map((number) => ({ port: number, mode: 'Strict' })) } },
  { title: 'a port by its name', spec: port({ portName: 'http-metrics-v2' }) },
  {
    title: 'a port by number and another by name',
    spec: {
      ports: [
        { port: 80, mode: 'Strict' },
        { portName: 'http', mode: 'Disabled' },
      ],
    },
  },
  { title: 'a port until a time', spec: port({ port: 9090, reason: 'until März', until: '2027-03-01T00:00:00Z' }) },
  { title: 'a time that is over, with a zone', spec: port({ port: 9090, until: '2020-02-29T23:59:59.999+05:30' }) },
  { title: 'a minimum alone', spec: { minimum: 'Permissive' } },
  { title: 'a mode as strict as the minimum', spec: { mode: 'Permissive', minimum: 'Permissive' } },
  { title: 'a mode that is stricter than the minimum', spec: { mode: 'Strict', minimum: 'Permissive' } },
  {
    title: 'a port under the minimum of the same policy, which is an exception for everybody',
    spec: { minimum: 'Strict', ports: [{ port: 53, mode: 'Disabled' }] },
  },
  { title: 'an exception alone', spec: exception({}) },
  {
    title: 'an exception for a single address, IPv6 and ports by name',
    spec: exception({ portNames: ['http'], cidrs: ['192.0.2.1/32', '2001:db8::/32', '::1/128', '0.0.0.0/1'] }),
  },
  { title: 'a guard of which only the window is given', spec: { ...strict, guard: { window: '1m' } } },
  { title: 'a guard that is ignored', spec: { ...strict, guard: { mode: 'Ignore', window: '30d' } } },
  { title: 'empty lists beside a mode', spec: { ...strict, ports: [], exceptions: [] } },
  {
    title: 'as many ports as there may be',
    spec: {
      ports: [
        ...many(32, (index) => `p-${index}`).map((portName) => ({ portName, mode: 'Strict' })),
        ...many(32, String).map((number) => ({ port: Number(number) + 1, mode: 'Strict' })),
      ],
    },
  },
  {
    title: 'everything at once',
    spec: {
      selector: { matchLabels: { app: 'web' } },
      mode: 'Strict',
      ports: [
        { port: 9090, mode: 'Permissive', reason: 'Prometheus outside of the mesh', until: '2027-03-01T00:00:00Z' },
        { portName: 'health', mode: 'Disabled' },
      ],
      exceptions: [
        {
          ports: [8080],
          cidrs: ['192.0.2.0/24'],
          reason: 'load balancer health checks',
          until: '2027-03-01T00:00:00Z',
        },
      ],
      guard: { mode: 'Enforce', window: '12h' },
    },
  },
];

const notTime = {
  field: 'spec.ports[0].until',
  message: 'not a time: write date, time and time zone as in "2027-03-01T00:00:00Z"',
};
const until = (text: unknown): object => port({ port: 9090, until: text });
const notRange = { field: 'spec.exceptions[0].cidrs[0]', message: 'not a CIDR: write a range as in "192.0.2.0/24"' };

export const badMTLSPolicies: readonly BadSample[] = [
  { title: 'nothing', spec: {}, field: 'spec', message: 'the policy says nothing: write at least one of mode, ports' },
  {
    title: 'empty lists alone',
    spec: { ports: [], exceptions: [] },
    field: 'spec',
    message: 'the policy says nothing',
  },
  { title: 'a guard alone', spec: { guard: { mode: 'Ignore' } }, field: 'spec', message: 'the policy says nothing' },
  {
    title: 'a selector alone',
    spec: { selector: { matchLabels: { app: 'web' } } },
    field: 'spec',
    message: 'the policy says nothing',
  },

  // Modes
  { title: 'a mode in capitals, as Istio has it', spec: { mode: 'STRICT' }, field: 'spec.mode', ...unsupported },
  {
    title: 'Off, which is a boolean in YAML',
    spec: { mode: false },
    field: 'spec.mode',
    message: 'must be of type string',
    parser: 'Invalid option',
  },
  { title: 'Off in quotes', spec: { mode: 'Off' }, field: 'spec.mode', ...unsupported },
  { title: 'an empty mode', spec: { mode: '' }, field: 'spec.mode', ...unsupported },

  // Selector
  {
    title: 'an empty selector',
    spec: { ...strict, selector: {} },
    field: 'spec.selector.matchLabels',
    message: 'name a label, as in {matchLabels: {app: web}}, or leave selector out',
    parser: 'expected record',
  },
  {
    title: 'an empty matchLabels',
    spec: { ...strict, selector: { matchLabels: {} } },
    field: 'spec.selector.matchLabels',
    message: 'an empty matchLabels would select every pod',
  },
  {
    title: 'a label that is none',
    spec: { ...strict, selector: { matchLabels: { 'a b': 'x' } } },
    field: 'spec.selector.matchLabels',
    message: 'not the key of a label',
  },
  {
    title: 'a value of a label that is none',
    spec: { ...strict, selector: { matchLabels: { app: 'a b' } } },
    field: 'spec.selector.matchLabels',
    message: 'not the value of a label',
  },
  {
    title: 'seventeen labels',
    spec: {
      ...strict,
      selector: { matchLabels: Object.fromEntries(many(17, (index) => `l${index}`).map((key) => [key, ''])) },
    },
    field: 'spec.selector.matchLabels',
    message: 'Too many',
    parser: 'at most 16 entries',
  },

  // Ports
  {
    title: 'a port without number or name',
    spec: { ports: [{ mode: 'Strict' }] },
    field: 'spec.ports[0]',
    message: 'write exactly one of port, as in {port: 9090',
  },
  {
    title: 'a port with number and name',
    spec: port({ port: 80, portName: 'http' }),
    field: 'spec.ports[0]',
    message: 'write exactly one of port',
  },
  {
    title: 'a port without a mode',
    spec: { ports: [{ port: 80 }] },
    field: 'spec.ports[0].mode',
    message: 'say which mode the port has: write one of Disabled, Permissive, Strict',
    parser: 'Invalid option',
  },
  {
    title: 'port 0',
    spec: port({ port: 0 }),
    field: 'spec.ports[0].port',
    message: 'greater than or equal to 1',
    parser: 'Too small',
  },
  {
    title: 'port 65536',
    spec: port({ port: 65_536 }),
    field: 'spec.ports[0].port',
    message: 'less than or equal to 65535',
    parser: 'Too big',
  },
  {
    title: 'a name under port',
    spec: port({ port: 'http' }),
    field: 'spec.ports[0].port',
    message: 'must be of type integer',
    parser: 'expected',
  },
  {
    title: 'a number under portName',
    spec: port({ portName: '8080' }),
    field: 'spec.ports[0].portName',
    message: 'the name of a port has a letter: write a number under port',
  },
  {
    title: 'a name in capitals',
    spec: port({ portName: 'HTTP' }),
    field: 'spec.ports[0].portName',
    message: 'not a name of a port: write lower-case',
  },
  {
    title: 'an empty name',
    spec: port({ portName: '' }),
    field: 'spec.ports[0].portName',
    message: 'not a name of a port',
  },
  {
    title: 'a name with two hyphens',
    spec: port({ portName: 'a--b' }),
    field: 'spec.ports[0].portName',
    message: 'not a name of a port',
  },
  {
    title: 'a name of 16 characters',
    spec: port({ portName: repeat(16) }),
    field: 'spec.ports[0].portName',
    ...tooLong,
  },
  {
    title: 'a port twice',
    spec: { ports: ['Strict', 'Disabled'].map((mode) => ({ port: 80, mode })) },
    field: 'spec.ports',
    message: 'the same port stands in two entries',
  },
  {
    title: 'a name twice',
    spec: { ports: ['Strict', 'Disabled'].map((mode) => ({ portName: 'http', mode })) },
    field: 'spec.ports',
    message: 'the same portName stands in two entries',
  },
  {
    title: 'sixty-five ports',
    spec: { ports: many(65, String).map((number) => ({ port: Number(number) + 1, mode: 'Strict' })) },
    field: 'spec.ports',
    ...tooMany,
  },
  {
    title: 'a blank reason',
    spec: port({ port: 80, reason: ' ' }),
    field: 'spec.ports[0].reason',
    message: 'says nothing: write a few words',
  },
  { title: 'a long reason', spec: port({ port: 80, reason: repeat(257) }), field: 'spec.ports[0].reason', ...tooLong },
  { title: 'a date without a time', spec: until('2027-03-01'), ...notTime },
  { title: 'a time without a zone', spec: until('2027-03-01T00:00:00'), ...notTime },
  { title: 'a time with a blank', spec: until('2027-03-01 00:00:00Z'), ...notTime },
  { title: 'a day that the month does not have', spec: until('2027-02-29T00:00:00Z'), ...notTime },
  { title: 'a duration as time', spec: until('24h'), ...notTime },
  {
    title: 'a number as time',
    spec: until(2027),
    field: 'spec.ports[0].until',
    message: 'must be of type string',
    parser: 'expected string',
  },

  // Exceptions
  {
    title: 'an exception without ports',
    spec: exception({ ports: undefined }),
    field: 'spec.exceptions[0]',
    message: 'an exception is for certain ports: write ports',
  },
  {
    title: 'an exception with no port',
    spec: exception({ ports: [] }),
    field: 'spec.exceptions[0].ports',
    message: 'should have at least 1 items',
    parser: 'Too small',
  },
  {
    title: 'an exception with a port twice',
    spec: exception({ ports: [80, 80] }),
    field: 'spec.exceptions[0].ports[1]',
    ...duplicate,
  },
  {
    title: 'an exception for nobody',
    spec: exception({ cidrs: undefined }),
    field: 'spec.exceptions[0].cidrs',
    message: 'say for whom the exception is, as in cidrs: ["192.0.2.0/24"]',
    parser: 'expected array',
  },
  {
    title: 'an exception without ranges',
    spec: exception({ cidrs: [] }),
    field: 'spec.exceptions[0].cidrs',
    message: 'should have at least 1 items',
    parser: 'Too small',
  },
  {
    title: 'an exception without a reason',
    spec: exception({ reason: undefined }),
    field: 'spec.exceptions[0].reason',
    message: 'say why these peers have no certificate',
    parser: 'expected string',
  },
  {
    title: 'an exception with an empty reason',
    spec: exception({ reason: '' }),
    field: 'spec.exceptions[0].reason',
    message: 'says nothing',
  },
  { title: 'an exception for a name', spec: exception({ cidrs: ['lb.example.com'] }), ...notRange },
  { title: 'an exception for an address without length', spec: exception({ cidrs: ['192.0.2.1'] }), ...notRange },
  {
    title: 'a range with host bits',
    spec: exception({ cidrs: ['192.0.2.1/24'] }),
    field: 'spec.exceptions[0].cidrs[0]',
    message: 'not the canonical text of this range: write "192.0.2.0/24"',
  },
  {
    title: 'an exception for everybody',
    spec: exception({ cidrs: ['192.0.2.0/24', '::/0'] }),
    field: 'spec.exceptions[0].cidrs[1]',
    message: 'every address there is: write an entry in ports with mode: Permissive instead',
  },
  {
    title: 'an exception until a day',
    spec: exception({ until: '2027-03-01' }),
    field: 'spec.exceptions[0].until',
    message: 'not a time',
  },
  {
    title: 'seventeen exceptions',
    spec: { exceptions: many(17, String).map(() => ({ ports: [80], cidrs: ['192.0.2.0/24'], reason: 'x' })) },
    field: 'spec.exceptions',
    ...tooMany,
  },

  // Guard and minimum
  {
    title: 'a guard of another mode',
    spec: { ...strict, guard: { mode: 'Audit' } },
    field: 'spec.guard.mode',
    ...unsupported,
  },
  {
    title: 'a window that is no duration',
    spec: { ...strict, guard: { window: 'P1D' } },
    field: 'spec.guard.window',
    message: 'not a duration: write whole numbers',
  },
  {
    title: 'a window of seconds',
    spec: { ...strict, guard: { window: '30s' } },
    field: 'spec.guard.window',
    message: 'out of range: write a duration from 1m to 30d',
  },
  { title: 'a minimum that would be none', spec: { minimum: 'Disabled' }, field: 'spec.minimum', ...unsupported },
  {
    title: 'a minimum for some pods',
    spec: { minimum: 'Strict', selector: { matchLabels: { app: 'web' } } },
    field: 'spec.minimum',
    message: 'a minimum is for the whole mesh: leave out minimum, or leave out selector',
  },
  {
    title: 'a mode below its own minimum',
    spec: { mode: 'Permissive', minimum: 'Strict' },
    field: 'spec.mode',
    message: 'mode is below the minimum of the same policy',
  },
  {
    title: 'an exception that is but a range',
    spec: { exceptions: ['192.0.2.0/24'] },
    field: 'spec.exceptions[0]',
    message: 'must be of type object',
    parser: 'expected object',
  },
  {
    title: 'a number as mode of a port',
    spec: { ports: [{ port: 80, mode: 7 }] },
    field: 'spec.ports[0].mode',
    message: 'must be of type string',
    parser: 'Invalid option',
  },
];
