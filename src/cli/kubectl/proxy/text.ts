/** What a proxy has loaded, for people to read. Pure. */
import { printable, table } from '../table.ts';
import { acceptedText } from './difference.ts';
import type { LoadedCertificate, LoadedPort, ProxyExplanation } from './loaded.ts';

/** A cell. */
export function takenText(loaded: LoadedPort | null): string {
  if (loaded === null) return '<unknown>';
  const what = loaded.accepts === 'PastTheProxy' ? 'goes past it' : acceptedText(loaded.accepts);
  return loaded.agrees ? what : `${what} (differs)`;
}

export function proxyLines({ certificate, listener, roots, unread }: ProxyExplanation): string[] {
  if (unread !== null) return [printable(`What the proxy has loaded is unknown: ${unread}`)];
  return table(
    ['LOADED', 'SERIAL NUMBER', 'EXPIRES', 'WHAT'],
    [
      certificate === null
        ? ['certificate', '-', '-', 'none']
        : ['certificate', certificate.serialNumber, certificate.notAfter, certificateText(certificate)],
      ...(roots.length === 0 ? [['root', '-', '-', 'none']] : []),
      ...roots.map(({ notAfter, serialNumber, subject }) => ['root', serialNumber, notAfter, subject]),
      ['listener', '-', '-', listener === null ? 'none: nobody is let in' : listenerText(listener)],
    ],
  );
}

const states: Readonly<Record<LoadedCertificate['state'], string>> = {
  Current: 'the last one',
  Outdated: 'outdated',
  Expired: 'expired',
  Unknown: 'the last one or not, unknown',
};

function certificateText({ spiffeId, state }: LoadedCertificate): string {
  return `${spiffeId ?? 'no SPIFFE ID'} (${states[state]})`;
}

function listenerText({ since, version }: NonNullable<ProxyExplanation['listener']>): string {
  return `version ${version}${since === null ? '' : ` since ${since}`}`;
}
