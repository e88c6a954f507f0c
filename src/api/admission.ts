/**
 * Who may ask for which identity. Whoever reads the Secret of a WorkloadCertificate with serviceAccountName is that
 * service account to every peer, and the operator writes the Secret for whoever asks: without this policy, creating
 * WorkloadCertificates would mean being every service account of the namespace.
 */
import { admissionBinding, admissionPolicy } from './admissionPolicy.ts';
import { workloadCertificateKind } from './kinds.ts';
import { LONGEST_OBJECT_NAME, SIDECAR_SECRET_PREFIX } from './labels.ts';

const POLICY_NAME = `serviceaccounts.${workloadCertificateKind.crdName}`;

/**
 * The fields that decide whose identity a certificate is and who can read its key: to change one of them is to ask for
 * the identity anew.
 */
const unchanged = [
  "variables.account == oldObject.spec.?serviceAccountName.orValue('')",
  'object.spec.secretName == oldObject.spec.secretName',
  // Annotations make other controllers copy a Secret to other namespaces.
  'object.spec.?secretTemplate == oldObject.spec.?secretTemplate',
  // Another authority may mean another trust domain, hence another identity.
  'object.spec.?authorityRef == oldObject.spec.?authorityRef',
];

/** What a name that is too long ends in, with its dash. */
const DIGEST_LENGTH = 11;
const cut = LONGEST_OBJECT_NAME - DIGEST_LENGTH;

/**
 * What the operator makes by itself for the sidecars of a service account: nothing but that account, by its name, into the
 * Secret that sidecars of it mount. In its own namespace, where whoever has its token can read the keys of the CAs, anything.
 */
const operatorsOwn = [
  "object.metadata.namespace == variables.operator.split(':')[2]",
  '(' +
    [
      'object.spec.secretName == object.metadata.name',
      '!has(object.spec.secretTemplate)',
      "object.spec.?authorityRef.?name.orValue('default') == 'default'",
      '(object.metadata.name == variables.full || ' +
        `(size(variables.full) > ${LONGEST_OBJECT_NAME} && ` +
        `object.metadata.name.startsWith(variables.full.substring(0, ${cut}) + '-') && ` +
        `object.metadata.name.substring(${cut}).matches('^-[0-9a-f]{10}$')))`,
    ].join(' && ') +
    ')',
];

const message =
  'spec.serviceAccountName gives the identity of a service account to whoever reads the Secret, hence whoever sets ' +
  'it, or changes secretName, secretTemplate or authorityRef beside it, needs permission to impersonate that service ' +
  'account: ask for the verb "impersonate" on serviceaccounts in this namespace (the role "edit" has it), or leave ' +
  'serviceAccountName out';

/** @param operator the user name of the operator's service account, which makes certificates for sidecars. */
export const serviceAccountPolicy = (operator: string) =>
  admissionPolicy(POLICY_NAME, {
    variables: [
      { name: 'operator', expression: `'${operator}'` },
      { name: 'account', expression: "object.spec.?serviceAccountName.orValue('')" },
      { name: 'full', expression: `'${SIDECAR_SECRET_PREFIX}' + variables.account` },
      { name: 'unchanged', expression: ['oldObject != null', ...unchanged].join(' && ') },
      {
        name: 'permitted',
        expression:
          "authorizer.group('').resource('serviceaccounts').namespace(object.metadata.namespace).name(variables.account)" +
          ".check('impersonate').allowed()",
      },
    ],
    validations: [
      {
        expression:
          "variables.account == '' || variables.unchanged || " +
          `(request.userInfo.username == variables.operator && (${operatorsOwn.join(' || ')})) || ` +
          'variables.permitted',
        message,
        messageExpression:
          `'%s may not have the identity of the service account %s: ${message}'` +
          '.format([request.userInfo.username, variables.account])',
        reason: 'Forbidden',
      },
    ],
  });

export const serviceAccountPolicyBinding = admissionBinding(POLICY_NAME);
