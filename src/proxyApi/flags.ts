/** Flags of `mtls-operator proxy-api`. Pure. */
import { parseArgs } from 'node:util';
import { canonicalCidr } from '../api/index.ts';
import type { AddressRange } from '../envoy/index.ts';

export const proxyApiUsage = `mtls-operator proxy-api [flags]   configures sidecars, and gives pods theirs

  --kubeconfig FILE             how to reach the API server (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --namespace NAME              namespace of the operator (default: POD_NAMESPACE, else mtls-system)
  --leader-account NAME         service account of the operator there: whom it is told which proxies have taken what
                                (default: mtls-operator)
  --identity DIR                mounted Secret of its own WorkloadCertificate (default: /var/run/mtls-operator/identity)
  --service NAME                its Service in that namespace (default: mtls-operator-proxy-api)
  --cluster-domain DOMAIN       DNS domain of the cluster (default: cluster.local)
  --mesh-ranges A,B             ranges of addresses of pods and Services, as CIDRs; what is dialled outside of them passes
                                through the sidecar as it is (required)
  --every-namespace             every namespace is in the mesh unless its label says otherwise (default: no)
  --proxy-image IMAGE           of Envoy (required)
  --init-image IMAGE            with nft, ip and sh, for the redirection (required)
  --drain-seconds N             how long connections of a mode that has ended go on (default: 15)
  --proxy-cpu-request Q, --proxy-memory-request Q, --proxy-cpu-limit Q, --proxy-memory-limit Q
                                of sidecars whose pods say nothing else (default: 20m, 96Mi, none, 512Mi)
  --ignore-source-addresses     the network changes source addresses of pods: do not compare them
  --port PORT                   configuration of sidecars (default: 15012; 0 takes a free one)
  --service-port PORT           the same, of the Service (default: 15012)
  --webhook-port PORT           the webhook (default: 9443; 0 takes a free one)
  --health-port PORT            /healthz, /readyz and /metrics (default: 8080; 0 takes a free one)
  --log-level LEVEL             trace, debug, info, warn or error (default: info)
`;

export interface ProxyApiFlags {
  readonly kubeconfig: string | undefined;
  readonly namespace: string;
  readonly leaderAccount: string;
  readonly identityDirectory: string;
  readonly host: string;
  readonly ranges: readonly AddressRange[];
  readonly everyNamespace: boolean;
  readonly proxyImage: string;
  readonly initImage: string;
  readonly drainSeconds: number;
  readonly resources: { readonly requests: Record<string, string>; readonly limits: Record<string, string> };
  readonly sourceAddresses: boolean;
  readonly port: number;
  readonly servicePort: number;
  readonly webhookPort: number;
  readonly healthPort: number;
  readonly logLevel: string;
}

const text = { type: 'string' } as const;
const flag = { type: 'boolean', default: false } as const;

/** @throws Error that names the flag which is wrong, and says what to give. */
export function parseProxyApiFlags(
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
): ProxyApiFlags | 'help' {
  const { values } = parseArgs({
    args: [...args],
    options: {
      kubeconfig: text,
      namespace: text,
      'leader-account': { ...text, default: 'mtls-operator' },
      identity: { ...text, default: '/var/run/mtls-operator/identity' },
      service: { ...text, default: 'mtls-operator-proxy-api' },
      'cluster-domain': { ...text, default: 'cluster.local' },
      'mesh-ranges': text,
      'every-namespace': flag,
      'proxy-image': text,
      'init-image': text,
      'drain-seconds': { ...text, default: '15' },
      'proxy-cpu-request': { ...text, default: '20m' },
      'proxy-memory-request': { ...text, default: '96Mi' },
      'proxy-cpu-limit': { ...text, default: '' },
      'proxy-memory-limit': { ...text, default: '512Mi' },
      'ignore-source-addresses': flag,
      port: { ...text, default: '15012' },
      'service-port': { ...text, default: '15012' },
      'webhook-port': { ...text, default: '9443' },
      'health-port': { ...text, default: '8080' },
      'log-level': { ...text, default: 'info' },
      help: flag,
    },
  });
  if (values.help) return 'help';
  const namespace = values.namespace ?? env['POD_NAMESPACE'] ?? 'mtls-system';
  return {
    kubeconfig: values.kubeconfig,
    namespace,
    leaderAccount: values['leader-account'],
    identityDirectory: values.identity,
    host: `${values.service}.${namespace}.svc.${values['cluster-domain']}`,
    ranges: rangesOf(
      required('mesh-ranges', values['mesh-ranges'], 'CIDRs of pods and Services, as in 10.244.0.0/16,10.96.0.0/12'),
    ),
    everyNamespace: values['every-namespace'],
    proxyImage: required('proxy-image', values['proxy-image'], 'an image of Envoy'),
    initImage: required('init-image', values['init-image'], 'an image with nft, ip and sh'),
    drainSeconds: number('drain-seconds', values['drain-seconds'], 1, 3_600),
    resources: {
      requests: quantities({ cpu: values['proxy-cpu-request'], memory: values['proxy-memory-request'] }),
      limits: quantities({ cpu: values['proxy-cpu-limit'], memory: values['proxy-memory-limit'] }),
    },
    sourceAddresses: !values['ignore-source-addresses'],
    port: number('port', values.port, 0, 65_535),
    servicePort: number('service-port', values['service-port'], 1, 65_535),
    webhookPort: number('webhook-port', values['webhook-port'], 0, 65_535),
    healthPort: number('health-port', values['health-port'], 0, 65_535),
    logLevel: values['log-level'],
  };
}

function required(name: string, value: string | undefined, what: string): string {
  if (value !== undefined && value !== '') return value;
  throw new Error(`--${name} is missing: give ${what}`);
}

function rangesOf(list: string): AddressRange[] {
  return list.split(',').map((word) => {
    const [address, length] = (canonicalCidr(word.trim()) ?? '').split('/');
    if (address === undefined || length === undefined)
      throw new Error(`--mesh-ranges has ${JSON.stringify(word)}: give CIDRs, as in 10.244.0.0/16,fd00:10:244::/56`);
    return { address, length: Number(length) };
  });
}

function quantities(given: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== ''));
}

function number(name: string, value: string, least: number, most: number): number {
  const parsed = Number(value);
  if (/^\d+$/.test(value) && parsed >= least && parsed <= most) return parsed;
  throw new Error(`--${name} is ${JSON.stringify(value)}: give a number from ${least} to ${most}`);
}
