/** Whether an installation is sound: what is wrong, where, and what to do. Pure. */

import { injectionValues, labels } from '../../api/index.ts';
import { exitCodes } from '../end.ts';
import type { Injector } from './check/absence.ts';
import {
  judgeAuthority,
  judgeProxyApiCertificate,
  judgeWebhookService,
  judgeWebhooks,
  webhooksIn,
} from './check/authority.ts';
import type { CheckFacts } from './check/facts.ts';
import { type Finding, ok, type Result } from './check/finding.ts';
import { controllerOf, judgeAdmission, judgeKinds } from './check/kinds.ts';
import { judgeAbsent, judgeNamespaces } from './check/membership.ts';
import { judgeRanges } from './check/ranges.ts';
import { judgeController, judgeLeader, judgeProxyApi } from './check/running.ts';
import { judgeCertificates, judgeStarted, judgeVersions } from './check/sidecars.ts';
import type { OperatorDeployment } from './operatorDeployment.ts';
import type { Reading } from './reader.ts';

/** What is printed with `-o json`: names stay as they are from version to version. */
export interface CheckReport {
  /** Of this plugin. */
  readonly version: string;
  readonly operatorNamespace: string;
  /** The worst of all findings. */
  readonly result: Result;
  readonly findings: readonly Finding[];
}

export function checkInstallation(facts: CheckFacts): CheckReport {
  const findings = distinct([
    ...judgeKinds(facts),
    ...judgeAdmission(facts),
    ...judgeController(facts),
    ...judgeLeader(facts),
    ...judgeAuthority(facts),
    ...(isMeshWanted(facts)
      ? judgeMesh(facts)
      : [ok('Mesh', 'not enabled, and nobody asks for it: certificates only')]),
  ]);
  const { operatorNamespace, version } = facts;
  const result = (['error', 'warning'] as const).find((worst) => findings.some((one) => one.result === worst)) ?? 'ok';
  return { version, operatorNamespace, result, findings };
}

/** What is missing for several objects is said of each of them. */
function distinct(findings: readonly Finding[]): readonly Finding[] {
  return [...new Map(findings.map((one) => [JSON.stringify(one), one])).values()];
}

/** 1 where there is an error; else refused where something may not be looked at, since it is not known to be sound. */
export function checkExitCode({ findings, result }: CheckReport): number {
  if (result === 'error') return ERRORS_FOUND;
  return findings.some(({ missingPermission }) => missingPermission !== null) ? exitCodes.refused : exitCodes.done;
}

const ERRORS_FOUND = 1;

function judgeMesh(facts: CheckFacts): readonly Finding[] {
  return [
    ...judgeProxyApi(facts),
    ...judgeWebhooks(facts),
    ...judgeWebhookService(facts),
    ...judgeProxyApiCertificate(facts),
    ...judgeStarted(facts),
    ...judgeVersions(facts),
    ...judgeCertificates(facts),
    ...judgeNamespaces(facts, injectorOf(facts)),
    ...judgeAbsent(facts),
    ...judgeRanges(facts),
  ];
}

/** Without a mesh there is nothing wrong where its parts are not there. What may not be read may be there. */
function isMeshWanted(facts: CheckFacts): boolean {
  const { deployments, namespaces, pods, webhooks } = facts;
  return (
    controllerOf(facts)?.flags.has('mesh') === true ||
    isThere(deployments, (all) => all.some(({ component }) => component === 'proxy-api')) ||
    isThere(webhooks, (found) => found !== undefined) ||
    isThere(pods, (all) => all.some(({ sidecar }) => sidecar !== undefined)) ||
    isThere(namespaces, (all) => all.some((one) => one.labels[labels.injection] === injectionValues.enabled))
  );
}

function isThere<T>(reading: Reading<T>, test: (value: T) => boolean): boolean {
  return 'value' in reading ? test(reading.value) : true;
}

/** As far as it can be told which pods get a sidecar. */
export function injectorOf(facts: Pick<CheckFacts, 'deployments' | 'operatorNamespace' | 'webhooks'>): Injector {
  const { deployments, operatorNamespace, webhooks } = facts;
  const proxyApi: OperatorDeployment | undefined =
    'value' in deployments ? deployments.value.find(({ component }) => component === 'proxy-api') : undefined;
  const entries = 'value' in webhooks ? webhooksIn(webhooks.value) : [];
  const everyNamespace =
    proxyApi?.flags.has('every-namespace') === true || entries.some(({ name }) => name.startsWith('mesh.'));
  return { operatorNamespace, everyNamespace };
}
