/** `kubectl mtls explain`: reads what is needed for it. */
import { mtlsPolicyKind, OPERATOR_LEASE } from '../../api/index.ts';
import { decodeService } from '../../inventory/index.ts';
import { type Connection, resourcePath, systemClock } from '../../kube/index.ts';
import { decodePolicy } from '../../policy/index.ts';
import { CliError } from '../end.ts';
import { type Explanation, explain } from './explain.ts';
import type { ExplainOptions } from './flags.ts';
import type { Reader } from './reader.ts';
import { LEASES, SERVICES } from './resources.ts';
import { readSubject } from './subject.ts';

/** @throws CliError */
export async function gatherExplanation(
  reader: Reader,
  connection: Connection,
  options: ExplainOptions,
): Promise<Explanation> {
  const { operatorNamespace: meshNamespace, subject: reference, port } = options;
  const namespace = options.namespace ?? connection.namespace ?? 'default';
  const { kind, name } = reference;
  const policiesOf = (where: string) =>
    reader.list(mtlsPolicyKind.path(where), `the MTLSPolicies of namespace ${where}`, decodePolicy, noKind);
  const [object, own, meshWide, services, operatorFound] = await Promise.all([
    reader.get(resourcePath(kind.resource, namespace, name), `${kind.names[0]} ${namespace}/${name}`),
    policiesOf(namespace),
    meshNamespace === namespace ? [] : policiesOf(meshNamespace),
    // Of use for a hint only.
    reader.list(resourcePath(SERVICES, namespace), 'the Services', decodeService).catch((error: unknown) => {
      if (error instanceof CliError && error.fault === 'refused') return undefined;
      throw error;
    }),
    // It stays when the operator stops.
    reader.exists(resourcePath(LEASES, meshNamespace, OPERATOR_LEASE), `the Lease of namespace ${meshNamespace}`),
  ]);
  const subject = readSubject(reference, namespace, object);
  const policies = [...own, ...meshWide];
  return explain(subject, { policies, services, meshNamespace, operatorFound, port, now: systemClock.now() });
}

const noKind = 'the API server has no MTLSPolicies; are the CRDs of mtls-operator installed?';
