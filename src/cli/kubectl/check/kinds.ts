/** CustomResourceDefinitions and admission policies: there, in force, and those of this version. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { serviceAccountPolicy, serviceAccountPolicyBinding } from '../../../api/admission.ts';
import { customResourceDefinition, kindDefinitions } from '../../../api/crd.ts';
import { VERSION } from '../../../api/index.ts';
import { restartPolicy, restartPolicyBinding } from '../../../api/restartAdmission.ts';
import { property, stringAt } from '../../../kube/index.ts';
import type { OperatorDeployment } from '../operatorDeployment.ts';
import { some } from '../table.ts';
import type { CheckFacts } from './facts.ts';
import { error, type Finding, ok, unless, warning, whenRead } from './finding.ts';

export const definitionNames = kindDefinitions.map(({ kind }) => kind.crdName);
/** Of both: a binding is called as its policy. */
export const admissionNames = [serviceAccountPolicyBinding, restartPolicyBinding].map(({ metadata }) => metadata.name);

const APPLY = 'apply the files in crds/ of the version of the operator, or let the chart do it (crds.enabled)';

/** Another version of the operator than that of this plugin; undefined: none is known. */
function otherVersion({ deployments, version }: CheckFacts): string | undefined {
  const found =
    'value' in deployments ? deployments.value.find(({ component }) => component === 'controller') : undefined;
  return found?.version === version ? undefined : found?.version;
}

export function judgeKinds(facts: CheckFacts): readonly Finding[] {
  const other = otherVersion(facts);
  const findings = facts.definitions.flatMap(({ found, name }) =>
    whenRead('Kinds', found, (object) => judgeDefinition(name, object, other === undefined)),
  );
  if (other !== undefined) {
    const message = `the operator is of version ${other} and this plugin of ${facts.version}: whether the kinds are those of the operator was not compared`;
    return [...findings, warning('Kinds', {}, message, `use the plugin of version ${other}`)];
  }
  return unless(findings, ok('Kinds', `${definitionNames.length} kinds, as of version ${facts.version}`));
}

function judgeDefinition(name: string, object: unknown, compare: boolean): readonly Finding[] {
  const where = { object: `customresourcedefinition/${name}` };
  if (object === undefined) return [error('Kinds', where, 'it is not there', APPLY)];
  const served = list(property(property(object, 'spec'), 'versions')).find(
    (one) => stringAt(one, 'name') === VERSION && property(one, 'served') === true,
  );
  if (served === undefined) return [error('Kinds', where, `it does not serve version ${VERSION}`, APPLY)];
  const conditions = list(property(property(object, 'status'), 'conditions'));
  const established = conditions.find((one) => stringAt(one, 'type') === 'Established');
  if (stringAt(established, 'status') !== 'True') {
    const said = conditions.find((one) => stringAt(one, 'status') === 'False');
    const message = `the API server does not serve it: ${stringAt(said, 'message') ?? 'it does not say why'}`;
    return [error('Kinds', where, message, 'take away what its name collides with')];
  }
  if (!compare || isDeepStrictEqual(schemaIn(served), ownSchema(name))) return [];
  return [
    warning('Kinds', where, 'its schema is not that of this version', `helm upgrade with crds.enabled; else ${APPLY}`),
  ];
}

function schemaIn(version: unknown): unknown {
  return plain(property(property(version, 'schema'), 'openAPIV3Schema'));
}

function ownSchema(name: string): unknown {
  const definition = kindDefinitions.find(({ kind }) => kind.crdName === name);
  if (definition === undefined) return undefined;
  return schemaIn(list(property(property(customResourceDefinition(definition), 'spec'), 'versions'))[0]);
}

/** As JSON has it: nothing undefined. */
function plain(value: unknown): unknown {
  return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
}

export function judgeAdmission(facts: CheckFacts): readonly Finding[] {
  const compare = otherVersion(facts) === undefined;
  const account = controllerOf(facts)?.account;
  const user = account && `system:serviceaccount:${facts.operatorNamespace}:${account}`;
  const findings = [
    ...facts.admissionPolicies.flatMap(({ found, name }) =>
      whenRead('AdmissionPolicies', found, (object) => judgePolicy(name, object, compare, user)),
    ),
    ...facts.admissionBindings.flatMap(({ found, name }) =>
      whenRead('AdmissionPolicies', found, (object) => judgeBinding(name, object)),
    ),
  ];
  return unless(findings, ok('AdmissionPolicies', `${some(admissionNames)}: in force`));
}

export function controllerOf({ deployments }: CheckFacts): OperatorDeployment | undefined {
  return 'value' in deployments ? deployments.value.find(({ component }) => component === 'controller') : undefined;
}

const UNGUARDED = 'nothing keeps users from asking for identities and restarts that are not theirs to ask for';

/** @param user the operator's; undefined: not known. */
function judgePolicy(name: string, object: unknown, compare: boolean, user: string | undefined): readonly Finding[] {
  const where = { object: `validatingadmissionpolicy/${name}` };
  if (object === undefined) return [error('AdmissionPolicies', where, `it is not there: ${UNGUARDED}`, APPLY)];
  const spec = property(object, 'spec');
  if (stringAt(spec, 'failurePolicy') !== 'Fail')
    return [error('AdmissionPolicies', where, 'its failurePolicy is not Fail: what cannot be judged is let in', APPLY)];
  const ours = name === restartPolicy.metadata.name ? restartPolicy : user && serviceAccountPolicy(user);
  if (!compare || !ours) return [];
  const differs = (['variables', 'validations'] as const).some(
    (of) => !isDeepStrictEqual(plain(property(spec, of)), plain(property(ours.spec, of))),
  );
  if (!differs) return [];
  const message =
    'it does not say what that of this version says for this operator: it may refuse the operator, or let in too much';
  return [warning('AdmissionPolicies', where, message, APPLY)];
}

function judgeBinding(name: string, object: unknown): readonly Finding[] {
  const where = { object: `validatingadmissionpolicybinding/${name}` };
  if (object === undefined) return [error('AdmissionPolicies', where, `it is not there: ${UNGUARDED}`, APPLY)];
  const spec = property(object, 'spec');
  const binds = stringAt(spec, 'policyName') === name && list(property(spec, 'validationActions')).includes('Deny');
  if (!binds) return [error('AdmissionPolicies', where, `it does not have ${name} deny anything: ${UNGUARDED}`, APPLY)];
  const narrowed = ['namespaceSelector', 'objectSelector'].filter((of) => {
    const selector = property(property(spec, 'matchResources'), of);
    return selector !== undefined && Object.keys(Object(selector)).length > 0;
  });
  if (narrowed.length === 0) return [];
  return [error('AdmissionPolicies', where, `its ${some(narrowed)} takes objects out: for these ${UNGUARDED}`, APPLY)];
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}
