/** Sidecars that do not start, are outdated, or whose certificates run out. Pure. */
import { identitySecretName } from '../../../inject/index.ts';
import type { WorkloadName } from '../../../inventory/index.ts';
import type { CertificateStatus } from '../certificateStatus.ts';
import { workloadText } from '../sidecarPod.ts';
import { counted, some, span } from '../table.ts';
import type { CheckFacts, PodFacts } from './facts.ts';
import { error, type Finding, ok, unless, type Where, warning, whenRead } from './finding.ts';

/** Images are pulled, nodes are added: what takes longer wants to be looked at. */
const STARTS_WITHIN_MS = 5 * 60_000;

export function judgeStarted({ now, pods }: CheckFacts): readonly Finding[] {
  return whenRead('SidecarsStarted', pods, (all) => {
    const meshed = all.filter(({ deleting, sidecar }) => sidecar !== undefined && !deleting);
    const findings = meshed.flatMap((pod): Finding[] => {
      const { created, name, namespace, sidecar } = pod;
      if (sidecar === undefined || sidecar.started || now - created < STARTS_WITHIN_MS) return [];
      const why = sidecar.reason === undefined ? '' : ` (${sidecar.reason})`;
      const message = `its sidecar has not started in ${span(now - created)}: ${sidecar.state}${why}`;
      const advice =
        sidecar.state === 'Starting'
          ? `see that proxy-api is ready and takes it: kubectl logs ${name} -n ${namespace} -c mtls-proxy`
          : `kubectl describe pod/${name} -n ${namespace}`;
      return [warning('SidecarsStarted', { object: `pod/${name}`, namespace }, message, advice)];
    });
    return unless(
      findings,
      ok('SidecarsStarted', `${counted(meshed.length, 'sidecar')}, none of which waits for long`),
    );
  });
}

export function judgeVersions({ deployments, pods }: CheckFacts): readonly Finding[] {
  return whenRead('SidecarVersions', deployments, (found) => {
    const image = found.find(({ component }) => component === 'proxy-api')?.flags.get('proxy-image');
    // That there is none is said of ProxyApi.
    if (image === undefined) return [];
    return whenRead('SidecarVersions', pods, (all) => {
      const old = all.filter(({ deleting, sidecar }) => sidecar !== undefined && !deleting && sidecar.image !== image);
      const findings = byWorkload(old).map(({ namespace, pods: its, workload }) => {
        const images = [...new Set(its.flatMap(({ sidecar }) => sidecar?.image ?? []))].sort();
        const message = `${counted(its.length, 'pod')} with a sidecar ${some(images)}; what is injected now is ${image}`;
        return warning('SidecarVersions', whereOf(namespace, workload), message, restartAdvice(namespace, workload));
      });
      return unless(findings, ok('SidecarVersions', `all are ${image}`));
    });
  });
}

export function judgeCertificates({ certificates, now, pods }: CheckFacts): readonly Finding[] {
  return whenRead('SidecarCertificates', pods, (all) =>
    whenRead('SidecarCertificates', certificates, (found) => {
      const byName = new Map(found.map((one) => [`${one.namespace}/${one.name}`, one]));
      const users = new Map<string, PodFacts[]>();
      for (const pod of all) {
        if (pod.sidecar === undefined || pod.deleting) continue;
        const key = `${pod.namespace}/${identitySecretName(pod.account)}`;
        users.set(key, [...(users.get(key) ?? []), pod]);
      }
      const findings = [...users].flatMap(([key, its]) => {
        const [namespace = '', name = ''] = key.split('/');
        const where = { object: `workloadcertificate/${name}`, namespace };
        const [{ account } = { account: '' }] = its;
        return judgeCertificate(byName.get(key), where, { name, account, pods: some(its.map((pod) => pod.name)) }, now);
      });
      return unless(findings, ok('SidecarCertificates', `${counted(users.size, 'certificate')}, none near its end`));
    }),
  );
}

/** Of a certificate. */
interface Users {
  /** Of the object, and of the Secret that their sidecars mount. */
  readonly name: string;
  readonly account: string;
  readonly pods: string;
}

/** Somebody's own, in place of that which the operator would have made: why it does not do. */
function misfit({ account, secretName }: CertificateStatus, users: Users): string | undefined {
  if (secretName !== users.name)
    return `its secretName is ${JSON.stringify(secretName)}, and the sidecars of ${users.pods} wait for the Secret ${users.name}`;
  if (account === users.account) return undefined;
  const whose = account === undefined ? 'no service account' : `service account ${JSON.stringify(account)}`;
  return `it is for ${whose}, and the sidecars of ${users.pods} need it for ${JSON.stringify(users.account)}`;
}

function judgeCertificate(found: CertificateStatus | undefined, where: Where, users: Users, now: number): Finding[] {
  const { pods } = users;
  const look = `kubectl describe ${where.object} -n ${where.namespace}`;
  if (found === undefined)
    return [
      error(
        'SidecarCertificates',
        where,
        `it is not there, and the sidecars of ${pods} need it`,
        'see that an operator leads, with --mesh, and what it logs',
      ),
    ];
  const problem = misfit(found, users);
  if (problem !== undefined)
    return [
      error('SidecarCertificates', where, problem, 'put it right, or delete it: then the operator makes its own'),
    ];
  const { message = '', notAfter, notBefore, ready, reason = 'nobody has looked at it yet', renewal } = found;
  if (notAfter === undefined)
    return [
      error(
        'SidecarCertificates',
        where,
        `none has been issued: ${reason}: ${message}. The sidecars of ${pods} wait for it`,
        look,
      ),
    ];
  if (notAfter <= now)
    return [
      error(
        'SidecarCertificates',
        where,
        `it expired ${span(now - notAfter)} ago: nobody speaks mutual TLS with ${pods}`,
        look,
      ),
    ];
  // Renewed in time, it never gets here.
  const due = renewal ?? notAfter - (notAfter - (notBefore ?? notAfter)) / 3;
  if (now > due + (notAfter - due) / 2)
    return [
      warning(
        'SidecarCertificates',
        where,
        `it expires in ${span(notAfter - now)} and should have been renewed ${span(now - due)} ago: ${reason}: ${message}`,
        look,
      ),
    ];
  if (!ready) return [warning('SidecarCertificates', where, `it is not Ready: ${reason}: ${message}`, look)];
  return [];
}

interface OfWorkload {
  readonly namespace: string;
  readonly workload: WorkloadName;
  readonly pods: readonly PodFacts[];
}

/** Sorted. */
export function byWorkload(pods: readonly PodFacts[]): readonly OfWorkload[] {
  const found = Map.groupBy(pods, ({ namespace, workload }) => `${namespace}/${workloadText(workload)}`);
  return [...found]
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .flatMap(([, its]) => {
      const [first] = its;
      return first === undefined ? [] : [{ namespace: first.namespace, workload: first.workload, pods: its }];
    });
}

export function whereOf(namespace: string, { kind, name }: WorkloadName): Where {
  return { object: `${kind.toLowerCase()}/${name}`, namespace };
}

const RESTARTABLE: readonly string[] = ['Deployment', 'StatefulSet', 'DaemonSet'];

/** How its pods are made anew. */
export function restartAdvice(namespace: string, { kind, name }: WorkloadName): string {
  const object = `${kind.toLowerCase()}/${name}`;
  if (RESTARTABLE.includes(kind)) return `kubectl rollout restart ${object} -n ${namespace}`;
  if (kind === 'Job') return `wait for ${object} to end, or delete it and make it anew`;
  return kind === 'Pod'
    ? `nothing makes it anew: kubectl delete ${object} -n ${namespace}, and create it again`
    : `delete the pods of ${object} in namespace ${namespace}, so that it makes others`;
}
