/** Reads flags and environment, starts the operator or what else is asked for, and turns its end into an exit code. */

import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { isDuration, parseDuration, WEBHOOK_CONFIGURATION } from './api/index.ts';
import { flagsOf, logLevelOf, wrongFlags } from './flags.ts';
import { loadConnection, messageOf, systemClock, withSignals } from './kube/index.ts';
import { createLog, endOnDefect } from './log.ts';
import { startOperator } from './operator.ts';
import { version } from './version.ts';

// Loaded only when it is asked for: the operator would keep its text in memory for ever.
const [command, ...rest] = process.argv.slice(2);
if (command === 'fetch') {
  const { fetchMain } = await import('./cli/fetch.ts');
  process.exit(await fetchMain(rest, process.env, version));
}
if (command === 'uninstall-check') {
  const { uninstallCheckMain } = await import('./cli/uninstallCheck.ts');
  process.exit(await uninstallCheckMain(rest, process.env, version));
}
if (command === 'proxy-api') {
  const { proxyApiMain } = await import('./proxyApiMain.ts');
  await proxyApiMain(rest, process.env, version);
}

const usage = `mtls-operator ${version}

  mtls-operator [run] [flags]   the operator
  mtls-operator proxy-api --help
                                configures sidecars, and gives pods theirs
  mtls-operator fetch --help    brings the files of a Secret to a host outside of the cluster
  mtls-operator uninstall-check --help
                                whether any pod still has a sidecar

  --kubeconfig FILE             how to reach the API server (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --namespace NAME              namespace of the operator: its CAs and its Lease (default: POD_NAMESPACE, else mtls-system)
  --watch-namespaces A,B        serve these namespaces only (default: all)
  --cluster-domain DOMAIN       DNS domain of the cluster (default: cluster.local)
  --create-default-authority    make the CertificateAuthority "default" where there is none
  --trust-domain DOMAIN         its trust domain (default: cluster.local)
  --no-leader-elect             lead at once; only where there is a single replica
  --workers N                   certificates that are worked on at once (default: 16)
  --max-restarts N              workloads that are restarted at once, for spec.restart (default: 10)
  --watch-pods                  tell which pods were started before their certificate, and what policies come to
                                (default: no; needs list and watch on pods and services)
  --mesh                        make what sidecars need: a certificate for each service account of which a pod has one, and for
                                proxy-api, and the roots in the webhooks (default: no; needs what --watch-pods needs, and more)
  --proxy-api-service NAME      Service of proxy-api in the operator's namespace, and its certificate there
                                (default: mtls-operator-proxy-api)
  --proxy-api-account NAME      its service account (default: mtls-operator-proxy-api)
  --proxy-api-selector A=B,C=D  labels of its pods, which tell the leader of sidecars
                                (default: app.kubernetes.io/name=mtls-operator,app.kubernetes.io/component=proxy-api)
  --proxy-api-port PORT         port on which they do (default: 15012)
  --every-namespace             every namespace is in the mesh unless its label says otherwise (default: no)
  --leader-account NAME         service account of this operator (default: mtls-operator)
  --drain-seconds N             how long sidecars let connections go on of a mode that has ended (default: 15)
  --webhook-configuration NAME  MutatingWebhookConfiguration that gets the roots of the authority (default: ${WEBHOOK_CONFIGURATION})
  --sidecar-retention DURATION  how long the certificate of a service account is kept that no pod with a sidecar has (default: 1h)
  --health-port PORT            /healthz, /readyz and /metrics (default: 8080; 0 takes a free one)
  --health-host ADDRESS         address to serve them on (default: all)
  --log-level LEVEL             trace, debug, info, warn or error (default: info)
`;

const { values } = flagsOf('mtls-operator', {
  args: command === 'run' ? rest : process.argv.slice(2),
  options: {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string' },
    'watch-namespaces': { type: 'string' },
    'cluster-domain': { type: 'string', default: 'cluster.local' },
    'create-default-authority': { type: 'boolean', default: false },
    'trust-domain': { type: 'string', default: 'cluster.local' },
    'no-leader-elect': { type: 'boolean', default: false },
    workers: { type: 'string', default: '16' },
    'max-restarts': { type: 'string', default: '10' },
    'watch-pods': { type: 'boolean', default: false },
    mesh: { type: 'boolean', default: false },
    'proxy-api-service': { type: 'string', default: 'mtls-operator-proxy-api' },
    'proxy-api-account': { type: 'string', default: 'mtls-operator-proxy-api' },
    'webhook-configuration': { type: 'string', default: WEBHOOK_CONFIGURATION },
    'proxy-api-selector': {
      type: 'string',
      default: 'app.kubernetes.io/name=mtls-operator,app.kubernetes.io/component=proxy-api',
    },
    'proxy-api-port': { type: 'string', default: '15012' },
    'every-namespace': { type: 'boolean', default: false },
    'leader-account': { type: 'string', default: 'mtls-operator' },
    'drain-seconds': { type: 'string', default: '15' },
    'sidecar-retention': { type: 'string', default: '1h' },
    'health-port': { type: 'string', default: '8080' },
    'health-host': { type: 'string' },
    'log-level': { type: 'string', default: 'info' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) {
  process.stdout.write(usage);
  process.exit(0);
}

const operatorLog = createLog(logLevelOf('mtls-operator', values['log-level']));
const { log, end } = operatorLog;
endOnDefect(operatorLog);
const signal = withSignals(log);

try {
  const connection = await loadConnection(values.kubeconfig === undefined ? {} : { kubeconfig: values.kubeconfig });
  const operator = await startOperator(
    {
      connection,
      clock: systemClock,
      random: Math.random,
      log,
      namespace: values.namespace ?? process.env['POD_NAMESPACE'] ?? 'mtls-system',
      namespaces:
        values['watch-namespaces'] === undefined ? 'all' : values['watch-namespaces'].split(',').filter(Boolean),
      clusterDomain: values['cluster-domain'],
      defaultAuthority: values['create-default-authority'] ? { trustDomain: values['trust-domain'] } : undefined,
      identity: `${process.env['POD_NAME'] ?? hostname()}_${randomUUID()}`,
      leaderElection: !values['no-leader-elect'],
      workers: number('workers', values.workers, 1, 256),
      maxRestarts: number('max-restarts', values['max-restarts'], 1, 1000),
      watchPods: values['watch-pods'],
      mesh: values.mesh
        ? {
            proxyApiService: values['proxy-api-service'],
            proxyApiAccount: values['proxy-api-account'],
            proxyApiSelector: labelsOf('proxy-api-selector', values['proxy-api-selector']),
            proxyApiPort: number('proxy-api-port', values['proxy-api-port'], 1, 65_535),
            leaderAccount: values['leader-account'],
            everyNamespace: values['every-namespace'],
            drainSeconds: number('drain-seconds', values['drain-seconds'], 1, 3_600),
            webhookConfiguration: values['webhook-configuration'],
            retention: milliseconds('sidecar-retention', values['sidecar-retention']),
          }
        : undefined,
      healthPort: number('health-port', values['health-port'], 0, 65_535),
      healthHost: values['health-host'],
      version,
    },
    signal,
  );
  log.info(
    { version, server: connection.server, source: connection.source, healthPort: operator.healthPort },
    'started',
  );
  const outcome = await operator.ended;
  log.info({ outcome }, 'ended');
  // A leader that has lost its Lease must be gone before it can do harm: connections that linger do not count.
  await end(outcome === 'lost' ? 1 : 0);
} catch (error) {
  log.fatal({ error: messageOf(error) }, 'cannot go on');
  await end(1);
}

function number(flag: string, text: string, least: number, most: number): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= least && value <= most) return value;
  return wrongFlags('mtls-operator', `--${flag} is ${JSON.stringify(text)}: give a number from ${least} to ${most}`);
}

function labelsOf(flag: string, text: string): Record<string, string> {
  const pairs = text.split(',').map((pair) => pair.split('='));
  if (pairs.every(([name = '', value, ...rest]) => name !== '' && value !== undefined && rest.length === 0))
    return Object.fromEntries(pairs.map(([name = '', value = '']) => [name, value]));
  return wrongFlags('mtls-operator', `--${flag} is ${JSON.stringify(text)}: write labels as in app=web,tier=front`);
}

function milliseconds(flag: string, text: string): number {
  if (isDuration(text)) return parseDuration(text) * 1000;
  return wrongFlags(
    'mtls-operator',
    `--${flag} is ${JSON.stringify(text)}: write whole numbers with d, h, m, s, as in 1h or 90m`,
  );
}
