/** Sidecars for people to read. Pure. */
import { timeOf } from './certificateStatus.ts';
import type { ListedProxy, ProxyList } from './proxies.ts';
import { versionOf } from './sidecarPod.ts';
import { printable, span, table } from './table.ts';

export interface ProxiesTextOptions {
  readonly allNamespaces: boolean;
  readonly output: string;
}

/** One line for each, as `kubectl get pods` has them, and below what is said of those that lag. */
export function proxiesText({ notes, proxies, said }: ProxyList, options: ProxiesTextOptions, now: number): string {
  const columns = columnsFor(options);
  const lines =
    proxies.length === 0
      ? ['No pods with a sidecar.']
      : table(
          columns.map(([head]) => head),
          proxies.map((proxy) => columns.map(([, cell]) => cell(proxy, now))),
        );
  const below = [
    ...said.map(({ message, object, reason }) => `${object}: ${reason}: ${message}`),
    ...notes.map((note) => `note: ${note}`),
  ];
  return [...lines, ...(below.length === 0 ? [] : ['', ...below.map(printable)]), ''].join('\n');
}

type Column = readonly [head: string, cell: (proxy: ListedProxy, now: number) => string];

function columnsFor({ allNamespaces, output }: ProxiesTextOptions): readonly Column[] {
  return [
    ...(allNamespaces ? [['NAMESPACE', ({ namespace }) => namespace] satisfies Column] : []),
    ['NAME', ({ name }) => name],
    ['WORKLOAD', ({ workload }) => workload],
    ['SIDECAR', stateText],
    ['RESTARTS', ({ restarts }) => String(restarts)],
    ['VERSION', ({ image, outdated }) => `${versionOf(image)}${outdated === true ? ' (outdated)' : ''}`],
    ['MODE', modeText],
    ['PHASE', phaseText],
    ['CERTIFICATE', certificateText],
    ...(output === 'wide' ? wide : []),
  ];
}

const wide: readonly Column[] = [
  ['SERIAL', ({ certificate }) => certificate.serialNumber ?? '<none>'],
  ['UID', ({ uid }) => uid],
  ['IMAGE', ({ image }) => image],
];

function stateText({ state, stateReason }: ListedProxy): string {
  return stateReason === null ? state : `${state} (${stateReason})`;
}

function modeText({ mode }: ListedProxy): string {
  if (mode === null) return '<unknown>';
  const others = mode.ports.filter(({ servers }) => servers !== mode.servers);
  return [mode.servers, ...others.map(({ port, servers }) => `${port}:${servers}`)].join(',');
}

function phaseText({ mode }: ListedProxy, now: number): string {
  if (mode === null) return '<unknown>';
  const { slowest } = mode;
  if (slowest === null) return 'Settled';
  const since = timeOf(slowest.since);
  const age = since === undefined ? '' : ` for ${span(now - since)}`;
  return `${slowest.phase}${age} to ${slowest.target}${slowest.port === null ? '' : ` (port ${slowest.port})`}`;
}

function certificateText({ certificate }: ListedProxy, now: number): string {
  const { notAfter, state } = certificate;
  const at = timeOf(notAfter ?? undefined) ?? now;
  switch (state) {
    case 'Valid':
      return `for ${span(at - now)}`;
    case 'Expired':
      return `expired ${span(now - at)} ago`;
    case 'NotIssued':
      return 'not issued';
    case 'Missing':
      return 'missing';
    case 'Unknown':
      return '<unknown>';
  }
}
