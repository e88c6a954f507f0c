/** Which certificates the mesh wants to be there, as the operator would write them: pure. */
import { type WorkloadCertificateSpec, workloadCertificateSpecSchema } from '../api/index.ts';
import { isFreeDnsName } from '../authority/index.ts';
import { identitySecretName } from '../inject/index.ts';

/** A WorkloadCertificate as the operator would write it. Its Secret has the same name. */
export interface WantedCertificate {
  readonly namespace: string;
  readonly name: string;
  readonly account: string;
  /** What is sent: the rest is up to the defaults. */
  readonly written: object;
  /** What the API server makes of it. */
  readonly spec: WorkloadCertificateSpec;
}

/** The authority whose roots all sidecars know. */
export const MESH_AUTHORITY = 'default';

/** For the sidecars of a service account. It has no names: peers know each other by their SPIFFE IDs. */
export function sidecarCertificate(namespace: string, account: string): WantedCertificate {
  // With its Secret, which nobody would miss: it is removed when no pod has had a use for it in a long time.
  return wanted(namespace, identitySecretName(account), account, {
    outputs: [{ type: 'EnvoySDS' }],
    deletionPolicy: 'Delete',
  });
}

export interface ProxyApi {
  /** The operator's, in which proxy-api runs. */
  readonly namespace: string;
  /** Of its Service, and of its certificate. */
  readonly service: string;
  readonly account: string;
}

/** Name of proxy-api's certificate and Secret, by its Service. */
export const proxyApiSecretName = ({ service }: Pick<ProxyApi, 'service'>): string => service;

/**
 * For proxy-api: the API server verifies it by the names of its Service, sidecars by its SPIFFE ID. A name that no namespace has without a rule
 * is left out, since one of these stops the whole certificate.
 */
export function proxyApiCertificate(proxyApi: ProxyApi, clusterDomain: string): WantedCertificate {
  const { account, namespace, service } = proxyApi;
  const names = [
    `${service}.${namespace}`,
    `${service}.${namespace}.svc`,
    `${service}.${namespace}.svc.${clusterDomain}`,
  ];
  // The Secret stays where somebody deletes the object while no operator runs: proxy-api can be started all the same.
  return wanted(namespace, proxyApiSecretName(proxyApi), account, {
    dnsNames: names.filter((name) => isFreeDnsName(name, namespace, clusterDomain)),
    deletionPolicy: 'Retain',
  });
}

/** For the leader, which shows it to proxy-api: peers that know each other by their SPIFFE IDs alone. */
export function leaderCertificate(namespace: string, account: string): WantedCertificate {
  return wanted(namespace, leaderSecretName(account), account, { deletionPolicy: 'Retain' });
}

/** Name of the leader's certificate and Secret, by the operator's service account. */
export const leaderSecretName = (account: string): string => `${account}-leader`;

function wanted(namespace: string, name: string, account: string, more: object): WantedCertificate {
  const written = {
    secretName: name,
    serviceAccountName: account,
    authorityRef: { name: MESH_AUTHORITY },
    ...more,
  };
  return { namespace, name, account, written, spec: workloadCertificateSpecSchema.parse(written) };
}
