/** Collections that `kubectl mtls` reads. */
import { GROUP, type Kind, VERSION } from '../../api/index.ts';
import type { Resource } from '../../kube/index.ts';

const core = (plural: string): Resource => ({ group: '', version: 'v1', plural });

export const PODS = core('pods');
export const SERVICES = core('services');
export const NAMESPACES = core('namespaces');
export const DEPLOYMENTS: Resource = { group: 'apps', version: 'v1', plural: 'deployments' };
export const LEASES: Resource = { group: 'coordination.k8s.io', version: 'v1', plural: 'leases' };
export const ENDPOINT_SLICES: Resource = { group: 'discovery.k8s.io', version: 'v1', plural: 'endpointslices' };
export const DEFINITIONS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
};
export const admissionResource = (plural: string): Resource => ({
  group: 'admissionregistration.k8s.io',
  version: 'v1',
  plural,
});

export const ownResource = ({ plural }: Kind): Resource => ({ group: GROUP, version: VERSION, plural });
