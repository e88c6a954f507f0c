/** An explanation for people to read. Pure. */
import type { Explanation, PortExplanation } from './explain.ts';
import { proxyLines, takenText } from './proxy/text.ts';
import { printable, table } from './table.ts';

/** One table of ports; where there is one port only, also what became of every policy; and what the proxy has loaded. */
export function explanationText({ object, namespace, ports, proxy, unprotected, notes }: Explanation): string {
  // Of a proxy that says nothing there is nothing to compare.
  const told = ports.some(({ loaded }) => loaded !== null);
  const taken = (text: string): string[] => (told ? [text] : []);
  const rows = ports.map((port) => [nameOf(port), port.mode, ...taken(takenText(port.loaded)), reasonOf(port)]);
  const open = unprotected.map(({ number, protocol }) => [
    `${number}/${protocol}`,
    '-',
    ...taken('-'),
    protocol === 'UDP' ? 'not protected: modes are for TCP, not for UDP and QUIC' : 'not protected: modes are for TCP',
  ]);
  const [only, ...more] = ports;
  return [
    `${object} in namespace ${namespace}`,
    '',
    ...table(['PORT', 'MODE', ...taken('PROXY TAKES'), 'WHY'], [...rows, ...open]),
    ...(only !== undefined && more.length === 0 ? ['', ...policiesOf(only)] : []),
    ...(proxy === null ? [] : ['', ...proxyLines(proxy)]),
    ...(notes.length === 0 ? [] : ['', ...notes.map((note) => `note: ${printable(note)}`)]),
    '',
  ].join('\n');
}

function nameOf({ port, names }: PortExplanation): string {
  if (port === null) return 'all others';
  return names.length === 0 ? String(port) : `${port} (${names.join(', ')})`;
}

function reasonOf({ decidedBy, liftedFrom, until }: PortExplanation): string {
  const entry = decidedBy === null || decidedBy.entry === null ? '' : `, ports[${decidedBy.entry}]`;
  const who =
    decidedBy === null
      ? 'no policy says anything, it is the default'
      : `${decidedBy.policy} (${decidedBy.scope}${entry})`;
  const lifted = liftedFrom === null ? '' : `; lifted from ${liftedFrom} by the minimum of the mesh`;
  return `${who}${lifted}${until === null ? '' : `; until ${until}`}`;
}

function policiesOf({ policies }: PortExplanation): string[] {
  if (policies.length === 0) return ['There is no policy in this namespace or for the mesh.'];
  return table(
    ['POLICY', 'SCOPE', 'WHAT BECOMES OF IT'],
    policies.map(({ policy, scope, detail }) => [policy, scope, detail]),
  );
}
