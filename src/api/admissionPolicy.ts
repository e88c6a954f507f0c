/** What our ValidatingAdmissionPolicies have in common: they judge every WorkloadCertificate that is made or changed. */
import { GROUP, VERSION, workloadCertificateKind } from './kinds.ts';

export interface PolicyVariable {
  readonly name: string;
  /** CEL. */
  readonly expression: string;
}

export interface PolicyValidation {
  /** CEL. */
  readonly expression: string;
  readonly message: string;
  /** CEL. */
  readonly messageExpression: string;
  readonly reason: 'Forbidden';
}

const metadataOf = (name: string) => ({ name, labels: { 'app.kubernetes.io/name': 'mtls-operator' } });

/** If it cannot be judged, nobody gets what it guards. */
export function admissionPolicy(
  name: string,
  rules: { readonly variables: readonly PolicyVariable[]; readonly validations: readonly PolicyValidation[] },
) {
  return {
    apiVersion: 'admissionregistration.k8s.io/v1',
    kind: 'ValidatingAdmissionPolicy',
    metadata: metadataOf(name),
    spec: {
      failurePolicy: 'Fail',
      matchConstraints: {
        resourceRules: [
          {
            apiGroups: [GROUP],
            apiVersions: [VERSION],
            operations: ['CREATE', 'UPDATE'],
            resources: [workloadCertificateKind.plural],
          },
        ],
      },
      ...rules,
    },
  };
}

export const admissionBinding = (name: string) => ({
  apiVersion: 'admissionregistration.k8s.io/v1',
  kind: 'ValidatingAdmissionPolicyBinding',
  metadata: metadataOf(name),
  spec: { policyName: name, validationActions: ['Deny'] },
});
