/** What has to run: the controller, who leads, proxy-api. Pure. */
import { OPERATOR_LEASE } from '../../../api/index.ts';
import { readLease } from '../../../kube/lease.ts';
import { timeOf } from '../certificateStatus.ts';
import type { Component, OperatorDeployment } from '../operatorDeployment.ts';
import { counted, span } from '../table.ts';
import type { CheckFacts } from './facts.ts';
import { error, type Finding, ok, warning, whenRead } from './finding.ts';

export function judgeController(facts: CheckFacts): readonly Finding[] {
  return whenRead('Controller', facts.deployments, (all) => {
    const found = all.find(({ component }) => component === 'controller');
    if (found !== undefined) return [judgeReplicas('Controller', found, facts.operatorNamespace)];
    const where = { namespace: facts.operatorNamespace };
    const message = 'there is no Deployment of the controller';
    // Who runs it in another way is led by its Lease all the same.
    if ('value' in facts.lease && leaseAge(facts.lease.value, facts.now)?.fresh === true)
      return [warning('Controller', where, `${message}, though one leads`, 'see yourself that enough replicas run')];
    return [
      error(
        'Controller',
        where,
        message,
        'install the chart, or give the operator’s namespace with --operator-namespace',
      ),
    ];
  });
}

export function judgeProxyApi(facts: CheckFacts): readonly Finding[] {
  return whenRead('ProxyApi', facts.deployments, (all) => {
    const found = all.find(({ component }) => component === 'proxy-api');
    if (found !== undefined) return [judgeReplicas('ProxyApi', found, facts.operatorNamespace)];
    const message = 'there is no Deployment of proxy-api: no pod of the mesh starts, and sidecars hear of no change';
    return [error('ProxyApi', { namespace: facts.operatorNamespace }, message, 'helm upgrade with mesh.enabled=true')];
  });
}

const consequences: Readonly<Record<Component, string>> = {
  controller: 'no certificate is issued or renewed',
  'proxy-api': 'no pod of the mesh starts, and sidecars hear of no change',
};

function judgeReplicas(check: 'Controller' | 'ProxyApi', found: OperatorDeployment, namespace: string): Finding {
  const { component, name, ready, wanted } = found;
  const where = { object: `deployment/${name}`, namespace };
  const said = `${ready} of ${counted(wanted, 'replica')} ready`;
  const look = `kubectl describe deployment/${name} -n ${namespace}, and the logs of its pods`;
  if (wanted === 0)
    return error(
      check,
      where,
      `it is scaled to 0: ${consequences[component]}`,
      `kubectl scale deployment/${name} -n ${namespace} --replicas=2`,
    );
  if (ready === 0) return error(check, where, `${said}: ${consequences[component]}`, look);
  return ready < wanted ? warning(check, where, said, look) : ok(check, said, where);
}

/** Clocks differ: only what is far beyond the time that a Lease is held for is told from a leader that is there. */
const CLOCKS_DIFFER_MS = 60_000;

function leaseAge(
  object: unknown,
  now: number,
): { readonly holder: string; readonly age: number; readonly fresh: boolean } | undefined {
  const record = readLease(object)?.record;
  const renewed = timeOf(record?.renewTime);
  if (record === undefined || record.holder === '' || renewed === undefined) return undefined;
  const age = now - renewed;
  return { holder: record.holder, age, fresh: age <= record.durationMs + CLOCKS_DIFFER_MS };
}

export function judgeLeader({ lease, now, operatorNamespace: namespace }: CheckFacts): readonly Finding[] {
  const where = { object: `lease/${OPERATOR_LEASE}`, namespace };
  const advice = 'see that the controller runs, and what it logs';
  return whenRead('Leader', lease, (object) => {
    if (object === undefined)
      return [error('Leader', where, 'there is no Lease: no operator has ever led here', advice)];
    const found = leaseAge(object, now);
    if (found === undefined)
      return [error('Leader', where, 'nobody holds the Lease: nothing is issued or renewed', advice)];
    const { age, fresh, holder } = found;
    if (fresh) return [ok('Leader', `held by ${holder}`, where)];
    return [
      error(
        'Leader',
        where,
        `${holder} renewed it ${span(age)} ago for the last time, and nobody has taken it over`,
        advice,
      ),
    ];
  });
}
