/** `kubectl mtls explain`: reads what is needed for it. */
import {
  certificateAuthorityKind,
  mtlsPolicyKind,
  mtlsRolloutKind,
  OPERATOR_LEASE,
  ROLLOUT_NAME,
  workloadCertificateKind,
} from '../../api/index.ts';
import { identitySecretName } from '../../inject/index.ts';
import { decodeService } from '../../inventory/index.ts';
import { type Connection, resourcePath, systemClock } from '../../kube/index.ts';
import { decodePolicy } from '../../policy/index.ts';
import { CliError } from '../end.ts';
import { readCertificate } from './certificateStatus.ts';
import { type Explanation, explain } from './explain.ts';
import type { ExplainOptions } from './flags.ts';
import type { Asked, ProxyFacts } from './proxy/facts.ts';
import { type AskedSidecar, askedSidecar } from './proxy/sidecar.ts';
import type { Reader, Reading } from './reader.ts';
import { LEASES, ownResource, SERVICES } from './resources.ts';
import { readRollout } from './rolloutRecord.ts';
import { readSubject } from './subject.ts';

/** Asks the proxy of a pod what it has loaded. */
export type AskProxy = (pod: AskedSidecar) => Promise<Asked>;

/** @throws CliError */
export async function gatherExplanation(
  reader: Reader,
  ask: AskProxy,
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
  const sidecar = kind.kind === 'Pod' ? askedSidecar(object) : undefined;
  const proxy = sidecar && (await gatherProxy(reader, ask, sidecar));
  return explain(subject, { policies, services, meshNamespace, operatorFound, port, proxy, now: systemClock.now() });
}

async function gatherProxy(reader: Reader, ask: AskProxy, sidecar: AskedSidecar): Promise<ProxyFacts> {
  const { account, namespace, obstacle } = sidecar;
  const [asked, rollout, certificate, authority] = await Promise.all([
    obstacle === undefined ? ask(sidecar) : { unread: obstacle },
    reader.find({ resource: ownResource(mtlsRolloutKind), namespace, name: ROLLOUT_NAME }),
    reader.find({ resource: ownResource(workloadCertificateKind), namespace, name: identitySecretName(account) }),
    reader.find({ resource: ownResource(certificateAuthorityKind), name: 'default', clusterScoped: true }),
  ]);
  const now = systemClock.now();
  return {
    sidecar,
    asked,
    rollout: read(rollout, readRollout),
    certificate: read(certificate, readCertificate),
    authority,
    now,
  };
}

function read<T>(reading: Reading<unknown>, decode: (object: unknown) => T | undefined): Reading<T | undefined> {
  if ('missing' in reading) return reading;
  return { value: reading.value === undefined ? undefined : decode(reading.value) };
}

const noKind = 'the API server has no MTLSPolicies; are the CRDs of mtls-operator installed?';
