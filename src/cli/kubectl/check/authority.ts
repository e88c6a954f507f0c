/** The authority of the mesh, and what hangs on it: the roots in the webhooks, and proxy-api's certificate. Pure. */
import { isDeepStrictEqual } from 'node:util';
import { certificateAuthorityStatusSchema, findCondition, WEBHOOK_CONFIGURATION } from '../../../api/index.ts';
import { isRecord, property, stringAt } from '../../../kube/index.ts';
import { type ParsedCertificate, PkiError, parseCertificates } from '../../../pki/index.ts';
import { counted, some, span } from '../table.ts';
import type { CheckFacts, WebhookService } from './facts.ts';
import { error, type Finding, notPermitted, ok, unless, type Where, warning, whenRead } from './finding.ts';

const AUTHORITY = 'certificateauthority/default';

export function judgeAuthority({ authority }: CheckFacts): readonly Finding[] {
  const where = { object: AUTHORITY };
  return whenRead('Authority', authority, (object) => {
    if (object === undefined)
      return [error('Authority', where, 'it is not there', 'make it, or install with createDefaultAuthority=true')];
    const { conditions } = certificateAuthorityStatusSchema.catch({}).parse(property(object, 'status') ?? {});
    const ready = findCondition(conditions, 'Ready');
    const expiring = findCondition(conditions, 'Expiring');
    if (ready?.status !== 'True') {
      const said = ready === undefined ? 'nobody has looked at it yet' : `${ready.reason}: ${ready.message}`;
      return [error('Authority', where, said, 'do what the message says; the README lists all reasons')];
    }
    if (expiring?.status === 'True')
      return [warning('Authority', where, expiring.message, 'renew it before then: the README says how')];
    return [ok('Authority', 'signs certificates', where)];
  });
}

/** Fingerprints of the roots that the authority says are to be trusted; undefined: it does not say. */
function rootsOf(object: unknown): ReadonlySet<string> | undefined {
  const { trust } = certificateAuthorityStatusSchema.catch({}).parse(property(object, 'status') ?? {});
  const found = (trust?.roots ?? []).map(({ fingerprint }) => fingerprint);
  return found.length === 0 ? undefined : new Set(found);
}

const WEBHOOKS: Where = { object: `mutatingwebhookconfiguration/${WEBHOOK_CONFIGURATION}` };
const LEADER_KEEPS = 'the operator that leads keeps it: see that one does, with --mesh, and what it logs';

export interface WebhookEntry {
  readonly name: string;
  readonly failurePolicy: string;
  /** PEM in base64. */
  readonly caBundle: string;
  readonly service: { readonly namespace: string; readonly name: string } | undefined;
}

export function webhooksIn(object: unknown): readonly WebhookEntry[] {
  const found = property(object, 'webhooks');
  return (Array.isArray(found) ? found.filter(isRecord) : []).map((webhook) => {
    const client = property(webhook, 'clientConfig');
    const service = property(client, 'service');
    const namespace = stringAt(service, 'namespace');
    const name = stringAt(service, 'name');
    return {
      name: stringAt(webhook, 'name') ?? '',
      failurePolicy: stringAt(webhook, 'failurePolicy') ?? 'Fail',
      caBundle: stringAt(client, 'caBundle') ?? '',
      service: namespace && name ? { namespace, name } : undefined,
    };
  });
}

/** Those without which a pod that asks for the mesh gets no sidecar. */
const NEEDED = ['namespace.injection.mtls-operator.io', 'pod.injection.mtls-operator.io'];

export function judgeWebhooks({ authority, now, webhooks }: CheckFacts): readonly Finding[] {
  return whenRead('Webhook', webhooks, (object) => {
    if (object === undefined)
      return [
        error('Webhook', WEBHOOKS, 'it is not there: pods get no sidecar', 'helm upgrade with mesh.enabled=true'),
      ];
    const entries = webhooksIn(object);
    const absent = NEEDED.filter((name) => !entries.some((entry) => entry.name === name));
    const open = entries.filter(({ failurePolicy, name }) => NEEDED.includes(name) && failurePolicy !== 'Fail');
    const roots = 'value' in authority ? rootsOf(authority.value) : undefined;
    return unless(
      [
        ...absent.map((name) =>
          error(
            'Webhook',
            WEBHOOKS,
            `it has no webhook ${name}: pods get no sidecar`,
            'helm upgrade, or make it as the chart has it',
          ),
        ),
        ...open.map(({ name }) =>
          warning(
            'Webhook',
            WEBHOOKS,
            `the failurePolicy of ${name} is not Fail: while proxy-api is away, pods start without sidecar`,
            'set it to Fail',
          ),
        ),
        ...bundleFindings(entries, roots, now),
        ...('missing' in authority ? [notPermitted('Webhook', authority.missing)] : []),
      ],
      ok('Webhook', `${counted(entries.length, 'webhook')}, verified by the roots of the authority`, WEBHOOKS),
    );
  });
}

/** Each text once: all webhooks have the same, as a rule. */
function bundleFindings(
  entries: readonly WebhookEntry[],
  roots: ReadonlySet<string> | undefined,
  now: number,
): readonly Finding[] {
  return [...new Set(entries.map(({ caBundle }) => caBundle))].flatMap((caBundle) => {
    const of = some(entries.filter((entry) => entry.caBundle === caBundle).map(({ name }) => name));
    const say = (message: string): Finding[] => [error('Webhook', WEBHOOKS, `${message} (${of})`, LEADER_KEEPS)];
    if (caBundle === '')
      return say('caBundle is empty: the API server cannot verify proxy-api, and refuses pods of the mesh');
    const found = certificatesIn(caBundle);
    if (found === undefined) return say('caBundle holds no certificates that can be read');
    const expired = found.filter(({ notAfter }) => notAfter.getTime() <= now);
    if (expired.length > 0)
      return say(
        `caBundle has expired: ${some(expired.map(({ notAfter, subject }) => `${subject} ${span(now - notAfter.getTime())} ago`))}`,
      );
    if (roots === undefined) return [];
    const fingerprints = new Set(found.map(({ fingerprint }) => fingerprint));
    if (isDeepStrictEqual(fingerprints, roots)) return [];
    return say(
      'caBundle is not the roots of the authority: once proxy-api’s certificate is of these, pods of the mesh are refused',
    );
  });
}

function certificatesIn(caBundle: string): readonly ParsedCertificate[] | undefined {
  try {
    return parseCertificates(Buffer.from(caBundle, 'base64'));
  } catch (cause) {
    if (cause instanceof PkiError) return undefined;
    throw cause;
  }
}

export function judgeWebhookService({ webhookService: found }: CheckFacts): readonly Finding[] {
  if (found === undefined) return [];
  const { endpoints, exists, name, namespace } = found;
  const where = { object: `service/${name}`, namespace };
  return whenRead('WebhookService', exists, (there) => {
    if (!there)
      return [
        error(
          'WebhookService',
          where,
          'the webhooks name it, and it is not there',
          'helm upgrade with mesh.enabled=true',
        ),
      ];
    return whenRead('WebhookService', endpoints, (count) => {
      if (count > 0) return [ok('WebhookService', `${counted(count, 'endpoint')} ready`, where)];
      const message = 'it leads to no endpoint that is ready: no pod of the mesh starts';
      return [error('WebhookService', where, message, 'see why no pod of proxy-api is ready')];
    });
  });
}

/** The name by which the API server verifies a webhook's Service. */
function verifiedName({ name, namespace }: WebhookService): string {
  return `${name}.${namespace}.svc`;
}

export function judgeProxyApiCertificate(facts: CheckFacts): readonly Finding[] {
  const { now, operatorNamespace: namespace, webhookService } = facts;
  const deployment =
    'value' in facts.deployments
      ? facts.deployments.value.find(({ component }) => component === 'proxy-api')
      : undefined;
  const name = deployment?.flags.get('service') ?? webhookService?.name;
  if (name === undefined) return [];
  const where = { object: `workloadcertificate/${name}`, namespace };
  return whenRead('ProxyApiCertificate', facts.certificates, (all) => {
    const found = all.find((one) => one.namespace === namespace && one.name === name);
    if (found === undefined)
      return [error('ProxyApiCertificate', where, 'it is not there: proxy-api does not start', LEADER_KEEPS)];
    const describe = `kubectl describe ${where.object} -n ${namespace}`;
    if (!found.ready)
      return [
        error(
          'ProxyApiCertificate',
          where,
          `it is not Ready: ${found.reason ?? 'nobody has looked at it yet'}: ${found.message ?? ''}`,
          describe,
        ),
      ];
    if (found.notAfter !== undefined && found.notAfter <= now)
      return [error('ProxyApiCertificate', where, `it expired ${span(now - found.notAfter)} ago`, describe)];
    const needed = webhookService && verifiedName(webhookService);
    if (needed !== undefined && !covers(found.dnsNames, needed))
      return [
        error(
          'ProxyApiCertificate',
          where,
          `it is not for ${needed}, by which the API server verifies the webhook`,
          LEADER_KEEPS,
        ),
      ];
    return [ok('ProxyApiCertificate', needed === undefined ? 'Ready' : `Ready, for ${needed}`, where)];
  });
}

/** `*` stands for one label, the first. */
function covers(names: readonly string[], name: string): boolean {
  const wildcard = `*${name.slice(name.indexOf('.'))}`;
  return names.includes(name) || names.includes(wildcard);
}
