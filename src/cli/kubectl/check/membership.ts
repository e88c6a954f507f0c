/** Namespaces that ask for the mesh, and pods in them that are not part of it. Pure. */
import { injectionValues, labels } from '../../../api/index.ts';
import { isUnclear, withoutRoom } from '../../../inject/index.ts';
import { workloadText } from '../sidecarPod.ts';
import { counted, some } from '../table.ts';
import { type Injector, isInMesh } from './absence.ts';
import type { CheckFacts, PodFacts } from './facts.ts';
import { error, type Finding, ok, unless, warning, whenRead } from './finding.ts';
import { byWorkload, restartAdvice, whereOf } from './sidecars.ts';

const { disabled, enabled } = injectionValues;
const ENFORCE = 'pod-security.kubernetes.io/enforce';

/** The level of Pod Security that keeps the init container out; undefined: none does. */
function obstacle(found: Readonly<Record<string, string>>): string | undefined {
  const level = found[ENFORCE];
  return level === 'baseline' || level === 'restricted' ? level : undefined;
}

export function judgeNamespaces({ namespaces }: CheckFacts, injector: Injector): readonly Finding[] {
  return whenRead('Namespaces', namespaces, (all) => {
    const asking = all.filter((namespace) => isInMesh(namespace, injector) && !namespace.deleting);
    const findings = asking.flatMap(({ labels: found, name }) => {
      const level = obstacle(found);
      if (level === undefined) return [];
      const message = `it asks for the mesh and enforces Pod Security ${level}, which refuses the init container mtls-init: pods are refused`;
      const advice = `kubectl label namespace ${name} --overwrite ${ENFORCE}=privileged, or take away its label ${labels.injection}`;
      return [error('Namespaces', { object: `namespace/${name}` }, message, advice)];
    });
    const unclear = all.flatMap(({ deleting, labels: { [labels.injection]: said }, name }) => {
      if (!isUnclear(said) || deleting) return [];
      const message = `its label ${labels.injection} is ${JSON.stringify(said)}, which says neither ${enabled} nor ${disabled}: it is as if it were not there`;
      const advice = `kubectl label namespace ${name} --overwrite ${labels.injection}=${enabled}, or =${disabled}`;
      return [warning('Namespaces', { object: `namespace/${name}` }, message, advice)];
    });
    const leftOut = all.flatMap((namespace) => {
      const { deleting, labels: found, name } = namespace;
      if (found[labels.injection] !== enabled || deleting || isInMesh(namespace, injector)) return [];
      const message = `its label ${labels.injection} asks for the mesh, and no pod of the operator's own namespace or of one called kube-… gets a sidecar: the cluster has to start without`;
      return [
        warning(
          'Namespaces',
          { object: `namespace/${name}` },
          message,
          `kubectl label namespace ${name} ${labels.injection}-`,
        ),
      ];
    });
    return unless(
      [...findings, ...unclear, ...leftOut],
      ok('Namespaces', `${counted(asking.length, 'namespace')} in the mesh`),
    );
  });
}

export function judgeAbsent({ namespaces, pods }: CheckFacts): readonly Finding[] {
  return whenRead('PodsWithoutSidecar', namespaces, (known) => {
    // Said of the namespace.
    const closed = new Set(known.flatMap(({ labels: found, name }) => (obstacle(found) === undefined ? [] : [name])));
    return whenRead('PodsWithoutSidecar', pods, (all) => {
      const absent = all.filter(
        ({ absence, deleting }) => absence !== undefined && absence.why !== 'NotInMesh' && !deleting,
      );
      const open = absent.filter(({ absence, namespace }) => absence?.why !== 'Refused' || !closed.has(namespace));
      const groups = Map.groupBy(open, ({ absence }): string | undefined => absence?.why);
      const optedOut = groups.get('OptedOut') ?? [];
      return unless(
        [
          ...byWorkload(groups.get('Earlier') ?? []).map(({ namespace, pods: its, workload }) => {
            const message = `${without(its)}: made before the namespace asked for the mesh, or while nobody answered for it`;
            return warning(
              'PodsWithoutSidecar',
              whereOf(namespace, workload),
              message,
              restartAdvice(namespace, workload),
            );
          }),
          ...Object.entries(withoutRoom).flatMap(([why, reason]) =>
            byWorkload(groups.get(why) ?? []).map(({ namespace, pods: its, workload }) => {
              const advice = `if that is meant, say so: the label ${labels.injection}=disabled on the pods`;
              const message = `${without(its)}: ${reason}`;
              return warning('PodsWithoutSidecar', whereOf(namespace, workload), message, advice);
            }),
          ),
          ...byWorkload(groups.get('Refused') ?? []).map(({ namespace, pods: its, workload }) => {
            const why = some(
              [...new Set(its.flatMap(({ absence }) => (absence?.why === 'Refused' ? absence.message : [])))],
              1,
            );
            return warning(
              'PodsWithoutSidecar',
              whereOf(namespace, workload),
              `${without(its)}, and their like would be refused now: ${why}`,
              'do what the message says, before they have to be made anew',
            );
          }),
          ...(optedOut.length === 0
            ? []
            : [ok('PodsWithoutSidecar', `${without(optedOut)}, as their label says: ${ofWorkloads(optedOut)}`)]),
        ],
        ok('PodsWithoutSidecar', 'every pod of the mesh has a sidecar'),
      );
    });
  });
}

function without(pods: readonly PodFacts[]): string {
  return `${counted(pods.length, 'pod')} without sidecar`;
}

function ofWorkloads(pods: readonly PodFacts[]): string {
  return some(byWorkload(pods).map(({ namespace, workload }) => `${workloadText(workload)} in ${namespace}`));
}
