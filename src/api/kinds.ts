/** The API group, its version, and where its kinds live on the API server. */

export const GROUP = 'mtls-operator.io';
export const VERSION = 'v1alpha1';
export const API_VERSION = `${GROUP}/${VERSION}`;

export interface Kind {
  readonly kind: string;
  readonly listKind: string;
  readonly plural: string;
  readonly singular: string;
  readonly shortNames: readonly string[];
  readonly categories: readonly string[];
  readonly scope: 'Namespaced' | 'Cluster';
  /** Name of the CustomResourceDefinition. */
  readonly crdName: string;
  /**
   * Path on the API server. Without a namespace: all namespaces (or a cluster-scoped kind, which has none). Without a
   * name: the collection. Arguments are escaped, so that a name from outside cannot climb out of its path.
   */
  path(namespace?: string, name?: string, subresource?: 'status'): string;
}

function defineKind(names: Omit<Kind, 'listKind' | 'singular' | 'crdName' | 'path' | 'categories'>): Kind {
  return {
    ...names,
    listKind: `${names.kind}List`,
    singular: names.kind.toLowerCase(),
    categories: ['mtls'],
    crdName: `${names.plural}.${GROUP}`,
    path(namespace, name, subresource) {
      const parts = ['', 'apis', GROUP, VERSION];
      if (namespace !== undefined) parts.push('namespaces', encodeURIComponent(namespace));
      parts.push(names.plural);
      if (name !== undefined) parts.push(encodeURIComponent(name));
      if (subresource !== undefined) parts.push(subresource);
      return parts.join('/');
    },
  };
}

export const workloadCertificateKind = defineKind({
  kind: 'WorkloadCertificate',
  plural: 'workloadcertificates',
  shortNames: ['wcert'],
  scope: 'Namespaced',
});

export const certificateAuthorityKind = defineKind({
  kind: 'CertificateAuthority',
  plural: 'certificateauthorities',
  shortNames: ['mca'],
  scope: 'Cluster',
});

export const mtlsPolicyKind = defineKind({
  kind: 'MTLSPolicy',
  plural: 'mtlspolicies',
  shortNames: ['mtlsp'],
  scope: 'Namespaced',
});

export const mtlsRolloutKind = defineKind({
  kind: 'MTLSRollout',
  plural: 'mtlsrollouts',
  shortNames: ['mtlsr'],
  scope: 'Namespaced',
});

export const kinds: readonly Kind[] = [
  workloadCertificateKind,
  certificateAuthorityKind,
  mtlsPolicyKind,
  mtlsRolloutKind,
];
