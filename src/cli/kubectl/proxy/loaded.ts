/** What a proxy has loaded, and whether that is what it should have: the mode of each port, its certificate, its roots. Pure. */
import { certificateAuthorityStatusSchema, iso, type Mode } from '../../../api/index.ts';
import { identitySecretName } from '../../../inject/index.ts';
import { property } from '../../../kube/index.ts';
import type { ParsedCertificate } from '../../../pki/index.ts';
import { span } from '../table.ts';
import { type Accepted, acceptedAt, acceptedIn } from './accepts.ts';
import type { LoadedIdentity } from './answers.ts';
import { acceptedText, causeOf, type Difference } from './difference.ts';
import type { ProxyFacts } from './facts.ts';

/** What is printed with `-o json`: names stay as they are from version to version. */
export interface LoadedPort {
  /** PastTheProxy: the pod excludes the port, so that the proxy does not stand before it. */
  readonly accepts: Accepted | 'PastTheProxy';
  /** Whether that is what the mode asks for. */
  readonly agrees: boolean;
}

export interface ProxyExplanation {
  /** Why it could not be asked; null: it could. */
  readonly unread: string | null;
  /** Of what comes to the pod; null: it has none, and lets nobody in. */
  readonly listener: { readonly version: string; readonly since: string | null } | null;
  readonly certificate: LoadedCertificate | null;
  readonly roots: readonly LoadedRoot[];
}

export interface LoadedCertificate {
  /** Outdated: another one has been issued since. Unknown: it cannot be told which should be there. */
  readonly state: 'Current' | 'Outdated' | 'Expired' | 'Unknown';
  readonly serialNumber: string;
  readonly spiffeId: string | null;
  readonly notBefore: string;
  readonly notAfter: string;
}

export interface LoadedRoot {
  readonly subject: string;
  readonly serialNumber: string;
  readonly notAfter: string;
  /** SHA-256 of the certificate (DER), in lower-case hexadecimal. */
  readonly fingerprint: string;
}

/** A port, null for all others, and the mode that it should have. */
export interface ModeOfPort {
  readonly port: number | null;
  readonly mode: Mode;
}

export interface Loaded {
  /** In the order of the question. */
  readonly ports: readonly (LoadedPort | null)[];
  readonly proxy: ProxyExplanation;
  readonly notes: readonly string[];
}

export function describeLoaded(modes: readonly ModeOfPort[], facts: ProxyFacts): Loaded {
  const { asked, sidecar } = facts;
  if ('unread' in asked) {
    const proxy = { unread: asked.unread, listener: null, certificate: null, roots: [] };
    return { ports: modes.map(() => null), proxy, notes: [] };
  }
  const { identity, inbound } = asked;
  const ports = modes.map(({ mode, port }): LoadedPort => {
    if (port !== null && sidecar.excluded.includes(port)) return { accepts: 'PastTheProxy', agrees: mode !== 'Strict' };
    const accepts = acceptedAt(inbound.active?.chains ?? [], port);
    return { accepts, agrees: accepts === acceptedIn(mode) };
  });
  const { active } = inbound;
  const certificate = certificateOf(identity, facts);
  return {
    ports,
    proxy: {
      unread: null,
      listener: active === undefined ? null : { version: active.version, since: active.since ?? null },
      certificate,
      roots: (identity.roots ?? []).map(rootOf),
    },
    notes: [
      ...portNotes(modes, ports, facts),
      ...(inbound.refused === undefined ? [] : [`the proxy refused what it was told last: ${inbound.refused}`]),
      ...certificateNotes(certificate, facts),
      ...rootNotes(identity.roots ?? [], facts),
    ],
  };
}

function rootOf({ fingerprint, notAfter, serialNumber, subject }: ParsedCertificate): LoadedRoot {
  return { subject, serialNumber, notAfter: iso(notAfter.getTime()), fingerprint };
}

function certificateOf({ chain }: LoadedIdentity, { certificate: issued, now }: ProxyFacts): LoadedCertificate | null {
  const leaf = chain?.[0];
  if (leaf === undefined) return null;
  const wanted = 'value' in issued ? issued.value?.serialNumber : undefined;
  const compared = wanted === undefined ? 'Unknown' : wanted === leaf.serialNumber ? 'Current' : 'Outdated';
  return {
    state: leaf.notAfter.getTime() <= now ? 'Expired' : compared,
    serialNumber: leaf.serialNumber,
    spiffeId: leaf.uris.find((uri) => uri.startsWith('spiffe://')) ?? null,
    notBefore: iso(leaf.notBefore.getTime()),
    notAfter: iso(leaf.notAfter.getTime()),
  };
}

/** One note for all ports that differ in the same way for the same reason. */
function portNotes(
  modes: readonly ModeOfPort[],
  ports: readonly (LoadedPort | null)[],
  facts: ProxyFacts,
): readonly string[] {
  const past = modes.flatMap(({ port }, index) => (ports[index]?.accepts === 'PastTheProxy' ? [port] : []));
  const byText = new Map<string, (number | null)[]>();
  for (const [index, { mode, port }] of modes.entries()) {
    const loaded = ports[index];
    if (!loaded || loaded.agrees || loaded.accepts === 'PastTheProxy') continue;
    const difference: Difference = { accepts: loaded.accepts, mode, port };
    const text = `the proxy takes ${acceptedText(loaded.accepts)}, which is not what ${mode} asks for: ${causeOf(difference, facts)}`;
    byText.set(text, [...(byText.get(text) ?? []), port]);
  }
  return [
    ...(past.length === 0
      ? []
      : [
          `${portsText(past)} ${past.length === 1 ? 'is' : 'are'} excluded by an annotation of the pod: what comes there goes past the proxy`,
        ]),
    ...[...byText].map(([text, of]) => `at ${portsText(of)} ${text}`),
  ];
}

function portsText(ports: readonly (number | null)[]): string {
  const numbers = ports.filter((port) => port !== null);
  const named = numbers.length === 0 ? [] : [`port${numbers.length === 1 ? '' : 's'} ${numbers.join(', ')}`];
  return [...named, ...(ports.includes(null) ? ['all others'] : [])].join(' and ');
}

/** kubelet looks at mounted Secrets about once a minute. */
const KUBELET =
  'kubelet takes a minute or two to update the Secret in the pod; if it stays so, look at the kubelet of its node';

function certificateNotes(loaded: LoadedCertificate | null, facts: ProxyFacts): readonly string[] {
  const { certificate: issued, now, sidecar } = facts;
  const name = `${sidecar.namespace}/${identitySecretName(sidecar.account)}`;
  if (loaded === null) return ['the proxy has no certificate: mutual TLS with it fails'];
  const account = `/ns/${sidecar.namespace}/sa/${sidecar.account}`;
  return [
    ...(loaded.state === 'Expired'
      ? [`the certificate of the proxy expired ${span(now - Date.parse(loaded.notAfter))} ago: peers refuse it`]
      : []),
    ...(loaded.spiffeId?.endsWith(account) === true
      ? []
      : [
          `the certificate of the proxy is not for the service account of the pod, whose SPIFFE ID ends with ${account}`,
        ]),
    ...('missing' in issued
      ? [`whether its certificate is the last one is unknown: you lack the permission to ${issued.missing}`]
      : issued.value?.serialNumber === undefined
        ? [
            `WorkloadCertificate ${name} ${issued.value === undefined ? 'is not there' : 'has no certificate'}: the one that the proxy has is not renewed`,
          ]
        : issued.value.serialNumber !== loaded.serialNumber
          ? [
              `the proxy shows certificate ${loaded.serialNumber}, and ${issued.value.serialNumber} has been issued (WorkloadCertificate ${name}): ${KUBELET}`,
            ]
          : []),
  ];
}

function rootNotes(loaded: readonly ParsedCertificate[], { authority }: ProxyFacts): readonly string[] {
  if (loaded.length === 0) return ['the proxy has no roots: it trusts nobody'];
  if ('missing' in authority)
    return [`whether its roots are those of the authority is unknown: you lack the permission to ${authority.missing}`];
  const { trust } = certificateAuthorityStatusSchema.catch({}).parse(property(authority.value, 'status') ?? {});
  const wanted = trust?.roots ?? [];
  if (wanted.length === 0) return [];
  const has = new Set(loaded.map(({ fingerprint }) => fingerprint));
  const known = new Set(wanted.map(({ fingerprint }) => fingerprint));
  return [
    ...wanted
      .filter(({ fingerprint }) => !has.has(fingerprint))
      .map(
        ({ fingerprint, subject }) =>
          `the proxy does not trust root ${subject ?? fingerprint} of the authority: ${KUBELET}`,
      ),
    ...loaded
      .filter(({ fingerprint }) => !known.has(fingerprint))
      .map(({ subject }) => `the proxy trusts root ${subject}, which is none of the authority: ${KUBELET}`),
  ];
}
