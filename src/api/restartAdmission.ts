/**
 * Who may have workloads restarted. The operator restarts what spec.restart names for whoever asks, and each change of the certificate is
 * followed by a restart: without this policy, creating WorkloadCertificates would mean restarting every workload of the namespace.
 */
import { admissionBinding, admissionPolicy, type PolicyValidation } from './admissionPolicy.ts';
import { workloadCertificateKind } from './kinds.ts';
import { annotations } from './labels.ts';
import { MOST_RESTARTS } from './restart.ts';

const POLICY_NAME = `restarts.${workloadCertificateKind.crdName}`;

/** To change anything of the certificate, or to ask for a renewal, is to ask for a restart. */
const unchanged = [
  'oldObject != null',
  'object.spec == oldObject.spec',
  `object.metadata.?annotations[?'${annotations.renewAt}'] == oldObject.metadata.?annotations[?'${annotations.renewAt}']`,
];

const message =
  'spec.restart has workloads restarted after each renewal, hence whoever sets it, or changes a certificate that has ' +
  'it, needs permission to restart them: ask for the verb "patch" on these workloads in this namespace (the role "edit" has ' +
  'it), or leave spec.restart out';

const target = (index: number): string => `variables.targets[${index}]`;

/** One for each place in the list: the API server lets an expression ask about two permissions at most. */
const validation = (index: number): PolicyValidation => ({
  expression:
    `size(variables.targets) <= ${index} || variables.unchanged || ` +
    `authorizer.group('apps').resource(${target(index)}.kind.lowerAscii() + 's')` +
    `.namespace(object.metadata.namespace).name(${target(index)}.name).check('patch').allowed()`,
  message,
  messageExpression:
    `'%s may not restart the %s %s: ${message}'` +
    `.format([request.userInfo.username, ${target(index)}.kind, ${target(index)}.name])`,
  reason: 'Forbidden',
});

export const restartPolicy = admissionPolicy(POLICY_NAME, {
  variables: [
    { name: 'targets', expression: 'object.spec.?restart.orValue([])' },
    { name: 'unchanged', expression: unchanged.join(' && ') },
  ],
  validations: Array.from({ length: MOST_RESTARTS }, (_, index) => validation(index)),
});

export const restartPolicyBinding = admissionBinding(POLICY_NAME);
