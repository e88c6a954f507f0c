/** What is added to a pod: pure. */
import { hash } from 'node:crypto';
import { LONGEST_OBJECT_NAME, SIDECAR_SECRET_PREFIX } from '../api/index.ts';
import { bootstrap, loopbackSources, probeSources, proxyPaths, proxyPorts, READY_PATH } from '../envoy/index.ts';
import type { Wishes } from './annotations.ts';
import type { Container } from './pod.ts';
import { PROXY_USER, redirectionRules } from './redirection.ts';
import type { InjectionSettings } from './settings.ts';

export const containerNames = { init: 'mtls-init', proxy: 'mtls-proxy' } as const;
export const volumeNames = { identity: 'mtls-identity', proxy: 'mtls-proxy' } as const;

/** Secret with the certificate of a service account; the operator makes a WorkloadCertificate of this name. */
export function identitySecretName(serviceAccount: string): string {
  const name = `${SIDECAR_SECRET_PREFIX}${serviceAccount}`;
  if (name.length <= LONGEST_OBJECT_NAME) return name;
  const digest = hash('sha256', serviceAccount).slice(0, 10);
  return `${name.slice(0, LONGEST_OBJECT_NAME - digest.length - 1)}-${digest}`;
}

/**
 * Sets up the redirection, once, before anything else of the pod runs. The API server's Pod Security levels `baseline` and `restricted` refuse the capability that
 * it needs.
 */
export function initContainer(settings: InjectionSettings, wishes: Wishes): Container {
  return {
    name: containerNames.init,
    image: settings.initImage,
    command: ['/bin/sh', '-euc', initScript, 'sh', redirectionRules(wishes)],
    securityContext: {
      runAsUser: 0,
      runAsGroup: 0,
      runAsNonRoot: false,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'], add: ['NET_ADMIN'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    // It ends before the proxy starts, so that this costs nothing; what a namespace asks of each container, by quota or range, is met by the same annotations.
    resources: resourcesOf(wishes),
  };
}

/**
 * Only where the pod has IPv6: the proxy's own address there has to be one of the pod's, unlike 127.0.0.6. It is read, since all files in /proc have the size 0.
 */
const initScript = `if read -r _ 2>/dev/null </proc/net/if_inet6; then
  for address in ${loopbackSources.ipv6} ${probeSources.ipv6}; do ip -6 address replace $address/128 dev lo; done
fi
exec nft "$1"`;

/** A native sidecar (KEP-753): starts before the application and ends after it, so that Jobs end and init containers have a network. */
export function proxyContainer(settings: InjectionSettings, wishes: Wishes, dnsPolicy?: string): Container {
  const { proxyImage, drainSeconds } = settings;
  const { address, ...byName } = settings.proxyApi;
  const proxyApi = dnsPolicy !== undefined && OF_ITS_OWN.has(dnsPolicy) ? { ...byName, address } : byName;
  const start = JSON.stringify(bootstrap({ proxyApi }));
  return {
    name: containerNames.proxy,
    image: proxyImage,
    restartPolicy: 'Always',
    // kubelet puts in what is only known when the pod is there.
    args: [
      '--config-yaml',
      start,
      ...['--service-node', '$(POD_UID)', '--service-cluster', '$(POD_NAMESPACE)/$(POD_NAME)'],
      ...['--concurrency', '2', '--drain-time-s', String(drainSeconds), '--drain-strategy', 'immediate'],
      ...['--disable-hot-restart', '--log-level', 'warning'],
    ],
    env: [
      fieldVariable('POD_NAME', 'metadata.name'),
      fieldVariable('POD_NAMESPACE', 'metadata.namespace'),
      fieldVariable('POD_UID', 'metadata.uid'),
    ],
    // It declares no port: that would pass for one of the application's, which has a mode. The port of probes is there when the proxy has its listeners: until then nothing else of the pod starts.
    startupProbe: {
      httpGet: { path: READY_PATH, port: proxyPorts.probes, scheme: 'HTTP' },
      periodSeconds: 1,
      timeoutSeconds: 2,
      failureThreshold: 600,
    },
    securityContext: {
      runAsUser: PROXY_USER,
      runAsGroup: PROXY_USER,
      runAsNonRoot: true,
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
    resources: resourcesOf(wishes),
    volumeMounts: [
      { name: volumeNames.identity, mountPath: proxyPaths.identity, readOnly: true },
      { name: volumeNames.proxy, mountPath: directoryOf(proxyPaths.admin) },
    ],
  };
}

function resourcesOf({ resources: { limits, requests } }: Wishes): object {
  return {
    ...(Object.keys(requests).length === 0 ? {} : { requests }),
    ...(Object.keys(limits).length === 0 ? {} : { limits }),
  };
}

/** Policies by which a pod asks other servers than the cluster's, which do not know Services. */
const OF_ITS_OWN: ReadonlySet<string> = new Set(['Default', 'None']);

export function proxyVolumes(serviceAccount: string): { readonly name: string; readonly [field: string]: unknown }[] {
  return [
    {
      name: volumeNames.identity,
      // Not optional: an Envoy that starts without it never finds it. No other container mounts it, so that everybody in this one may read it.
      secret: { secretName: identitySecretName(serviceAccount), defaultMode: 0o444, optional: false },
    },
    { name: volumeNames.proxy, emptyDir: { medium: 'Memory', sizeLimit: '1Mi' } },
  ];
}

function fieldVariable(name: string, fieldPath: string): object {
  return { name, valueFrom: { fieldRef: { apiVersion: 'v1', fieldPath } } };
}

function directoryOf(path: string): string {
  return path.slice(0, path.lastIndexOf('/'));
}
