/** Says in the status of an MTLSPolicy what it comes to. */
import { iso, mtlsPolicyKind } from '../api/index.ts';
import type { ServiceRecord } from '../inventory/index.ts';
import {
  type Clock,
  mergePatch,
  patchStatus,
  type ReconcileResult,
  type Store,
  type Transport,
} from '../kube/index.ts';
import type { EffectiveIndex } from './effectiveIndex.ts';
import type { Enforcement } from './enforcement.ts';
import { type Judgement, judge, judgeUnreadable, type MeantPort } from './judge.ts';
import { type Policy, type PortRule, selects } from './policy.ts';
import { decodePolicy, type PolicyRecord } from './policyRecord.ts';
import { statusWith } from './status.ts';

export interface PolicyWorld {
  readonly transport: Pick<Transport, 'request'>;
  readonly clock: Clock;
  /** The operator's. */
  readonly meshNamespace: string;
  readonly policies: Store<PolicyRecord>;
  readonly services: Store<ServiceRecord>;
  /** undefined: nobody tells sidecars what to do. */
  readonly enforcement?: Enforcement | undefined;
  /** Whether pods of a namespace are to have sidecars. */
  readonly inMesh: (namespace: string) => boolean;
}

export interface PolicyDependencies extends PolicyWorld {
  readonly index: EffectiveIndex;
  /** Whether all pods of a namespace, or of the mesh, are known. */
  readonly knowsPods: (namespace: string | undefined) => boolean;
  /** Whether one more status may be written now; else the policy is looked at again a moment later. */
  readonly mayWrite: () => boolean;
  readonly retryMs: number;
}

export function createPolicyReconciler(dependencies: PolicyDependencies) {
  const { clock, index, mayWrite, policies, retryMs, transport } = dependencies;

  return async function reconcile(key: string, signal: AbortSignal): Promise<ReconcileResult> {
    const record = policies.get(key);
    if (record === undefined || record.deleting) return {};
    const now = clock.now();
    const { content, status: before } = record;
    const judgement: Judgement =
      'problem' in content
        ? { verdicts: judgeUnreadable(content.problem), counted: true, effective: {}, again: Number.POSITIVE_INFINITY }
        : judgeHeard(index.get(key) ?? content.policy, now);
    const after = statusWith(before, judgement, record.generation, iso(now));
    const again = judgement.again === Number.POSITIVE_INFINITY ? {} : { requeueAt: judgement.again };
    const patch = mergePatch(before, after);
    if (patch === undefined) return again;
    if (!mayWrite()) return { requeueAt: now + retryMs };
    const path = mtlsPolicyKind.path(record.namespace, record.name, 'status');
    const written = await patchStatus(transport, path, record.uid, patch, signal);
    if (written !== undefined) {
      const { value } = decodePolicy(written);
      policies.observe(key, value);
    }
    return again;
  };

  /** @param policy as the index has it: what it answers names policies by identity. */
  function judgeHeard(policy: Policy, now: number): Judgement {
    const { enforcement, inMesh, knowsPods, meshNamespace, services } = dependencies;
    const scope = index.scopeOf(policy);
    const namespace = scope === 'Mesh' ? undefined : policy.namespace;
    return judge(policy, {
      meshNamespace,
      scope,
      wide: index.wide(policy.namespace),
      mesh: index.mesh(),
      pods: knowsPods(namespace) ? [...index.classes(now, namespace)] : undefined,
      meant: (rule: PortRule) => meantPort(services, index, policy, namespace, rule),
      inMesh,
      proxies: enforcement === undefined ? undefined : (enforcement.of(policy.key) ?? 'none'),
      now,
    });
  }
}

/** The first by name, so that the same world gives the same status. */
function meantPort(
  services: Store<ServiceRecord>,
  index: EffectiveIndex,
  policy: Policy,
  namespace: string | undefined,
  rule: PortRule,
): MeantPort | undefined {
  const found: MeantPort[] = [];
  for (const { namespace: where, name, ports, selector } of services.values()) {
    if (selector === undefined || (namespace !== undefined && where !== namespace)) continue;
    const port = ports.find((one) => (rule.port === undefined ? one.name === rule.portName : one.port === rule.port));
    if (port === undefined) continue;
    const pairs = Object.entries(selector);
    for (const { labels } of index.pods(where)) {
      if (!selects(policy, labels) || pairs.some(([key, value]) => labels[key] !== value)) continue;
      found.push({ service: `${where}/${name}`, target: port.target });
      break;
    }
  }
  return found.sort((a, b) => (a.service < b.service ? -1 : 1))[0];
}
