/** Every sidecar: whether it runs, which mode it has been told, how far that is, and until when its certificate lasts. Pure. */
import type { Mode, RolloutPhase } from '../../api/index.ts';
import { iso } from '../../api/index.ts';
import { identitySecretName } from '../../inject/index.ts';
import type { CertificateStatus } from './certificateStatus.ts';
import type { Reading } from './reader.ts';
import { type PolicyTrouble, type RolloutRecord, unsettled } from './rolloutRecord.ts';
import { type CheckedPod, type SidecarState, workloadText } from './sidecarPod.ts';

/** What is printed with `-o json`: names stay as they are from version to version. */
export interface ProxyList {
  readonly proxies: readonly ListedProxy[];
  /** Image of the sidecars that are injected now; null: not known. */
  readonly injectedImage: string | null;
  /** What policies and records say of sidecars that lag, or refuse what they are told. */
  readonly said: readonly Said[];
  /** What could not be looked at, and why. */
  readonly notes: readonly string[];
}

export interface Said {
  /** As in `MTLSPolicy shop/default`. */
  readonly object: string;
  readonly reason: string;
  readonly message: string;
}

export interface ListedProxy {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  /** As in `Deployment/web`. */
  readonly workload: string;
  readonly serviceAccount: string;
  readonly state: SidecarState;
  /** Why it waits or has ended. */
  readonly stateReason: string | null;
  readonly ready: boolean;
  readonly started: boolean;
  readonly restarts: number;
  readonly image: string;
  /** Another image is injected now; null: not known. */
  readonly outdated: boolean | null;
  /** null: the operator has no record of the workload, or it may not be read. */
  readonly mode: ProxyMode | null;
  /** It, or a port of it, is on its way to another mode; null: not known. */
  readonly lagging: boolean | null;
  readonly certificate: ProxyCertificate;
}

export interface SwitchLine {
  readonly servers: Mode;
  readonly target: Mode;
  readonly phase: RolloutPhase;
  readonly since: string;
}

export interface ProxyMode extends SwitchLine {
  /** Those with an entry of their own. */
  readonly ports: readonly (SwitchLine & { readonly port: number })[];
  /** What has been on its way for the longest; null: nothing is. `port` null: all ports without an entry of their own. */
  readonly slowest: (SwitchLine & { readonly port: number | null }) | null;
}

export interface ProxyCertificate {
  /** NotIssued: it is asked for, and none has been issued. Missing: nobody asks for it. Unknown: it may not be read. */
  readonly state: 'Valid' | 'Expired' | 'NotIssued' | 'Missing' | 'Unknown';
  readonly notAfter: string | null;
  readonly serialNumber: string | null;
}

export interface ProxyFacts {
  readonly pods: readonly CheckedPod[];
  readonly rollouts: Reading<readonly RolloutRecord[]>;
  readonly policies: Reading<readonly PolicyTrouble[]>;
  readonly certificates: Reading<readonly CertificateStatus[]>;
  /** undefined: there is no Deployment of proxy-api. */
  readonly injectedImage: Reading<string | undefined>;
  readonly operatorNamespace: string;
  readonly now: number;
}

export function listProxies(facts: ProxyFacts): ProxyList {
  const { certificates, injectedImage, now, policies, rollouts } = facts;
  const records = 'value' in rollouts ? new Map(rollouts.value.map((one) => [one.namespace, one])) : undefined;
  const byName = 'value' in certificates ? new Map(certificates.value.map((one) => [keyOf(one), one])) : undefined;
  const injected = ('value' in injectedImage ? injectedImage.value : undefined) ?? null;
  const proxies = facts.pods.flatMap((pod): ListedProxy[] => {
    const { account, name, namespace, sidecar, uid } = pod;
    if (sidecar === undefined) return [];
    const { image, ready, reason, restarts, started, state } = sidecar;
    const mode = modeOf(records?.get(namespace), pod);
    const certificate =
      byName === undefined
        ? UNKNOWN_CERTIFICATE
        : certificateOf(byName.get(keyOf({ namespace, name: identitySecretName(account) })), now);
    return [
      {
        namespace,
        name,
        uid,
        workload: workloadText(pod.workload),
        serviceAccount: account,
        state,
        stateReason: reason ?? null,
        ready,
        started,
        restarts,
        image,
        outdated: injected === null ? null : image !== injected,
        mode,
        lagging: mode === null ? null : mode.slowest !== null,
        certificate,
      },
    ];
  });
  return {
    proxies: proxies.sort((one, other) => compare(keyOf(one), keyOf(other))),
    injectedImage: injected,
    said: [
      ...('value' in rollouts ? rollouts.value.flatMap(saidByRollout) : []),
      ...('value' in policies ? policies.value.map(saidByPolicy) : []),
    ].sort((one, other) => compare(one.object, other.object)),
    notes: [
      ...missing('modes are unknown', rollouts),
      ...missing('certificates are unknown', certificates),
      ...missing('what policies say of sidecars is left out', policies),
      ...imageNote(facts),
    ],
  };
}

const UNKNOWN_CERTIFICATE: ProxyCertificate = { state: 'Unknown', notAfter: null, serialNumber: null };

function keyOf({ name, namespace }: { readonly namespace: string; readonly name: string }): string {
  return `${namespace}/${name}`;
}

function compare(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

function modeOf(record: RolloutRecord | undefined, { workload }: CheckedPod): ProxyMode | null {
  const found = record?.workloads.get(workloadText(workload));
  if (found === undefined) return null;
  const [slowest] = unsettled(found);
  const line = ({ phase, servers, since, target }: SwitchLine): SwitchLine => ({ servers, target, phase, since });
  return {
    ...line(found.others),
    ports: found.ports.map((entry) => ({ port: entry.port, ...line(entry) })),
    slowest: slowest === undefined ? null : { port: slowest.port ?? null, ...line(slowest) },
  };
}

function certificateOf(found: CertificateStatus | undefined, now: number): ProxyCertificate {
  if (found === undefined) return { state: 'Missing', notAfter: null, serialNumber: null };
  const { notAfter, serialNumber = null } = found;
  if (notAfter === undefined) return { state: 'NotIssued', notAfter: null, serialNumber };
  return { state: notAfter <= now ? 'Expired' : 'Valid', notAfter: iso(notAfter), serialNumber };
}

function saidByRollout({ namespace, unsettled: condition }: RolloutRecord): Said[] {
  if (condition === undefined) return [];
  return [{ object: `MTLSRollout ${namespace}/default`, reason: condition.reason, message: condition.message }];
}

function saidByPolicy({ condition, policy }: PolicyTrouble): Said {
  return { object: `MTLSPolicy ${policy}`, reason: condition.reason, message: condition.message };
}

function missing(what: string, reading: Reading<unknown>): string[] {
  return 'missing' in reading ? [`${what}: you lack the permission to ${reading.missing}`] : [];
}

function imageNote({ injectedImage, operatorNamespace }: ProxyFacts): string[] {
  const what = 'it is unknown which version is injected now';
  if ('missing' in injectedImage) return missing(what, injectedImage);
  if (injectedImage.value !== undefined) return [];
  return [
    `${what}: no proxy-api is in namespace ${operatorNamespace}; give the operator's namespace with --operator-namespace`,
  ];
}
