/** What the integration tests of certificates share: one control plane and one operator per file, namespaces of their own per test. */
import { readFile } from 'node:fs/promises';
import { z } from 'zod';
import {
  type CertificateAuthority,
  type Condition,
  certificateAuthorityKind,
  findCondition,
  parseCertificateAuthority,
  parseWorkloadCertificate,
  type WorkloadCertificate,
  workloadCertificateKind,
} from '../../src/api/index.ts';
import { type Answer, record, send } from '../api/control.ts';
import { type Cluster, startCluster } from '../cluster/index.ts';
import {
  installOperator,
  type LogLine,
  OPERATOR_NAMESPACE,
  type OperatorProcess,
  operatorUser,
  startOperatorProcess,
} from '../support/operator.ts';
import { type CheckedSecret, checkSecret, readSecretObject, type SecretObject } from '../support/secret.ts';
import { type WaitOptions, waitFor } from '../support/waitFor.ts';
import { makeWorkspace, type Workspace } from './verifiers.ts';

export { OPERATOR_NAMESPACE } from '../support/operator.ts';
export { waitFor } from '../support/waitFor.ts';

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
type Labels = Readonly<Record<string, string>>;

/** One request of the operator, from the audit log. */
export interface Write {
  readonly verb: string;
  /** As in `secrets` or `workloadcertificates/status`. */
  readonly resource: string;
  readonly namespace: string;
  readonly name: string;
  readonly code: number;
}

const auditSchema = z.object({
  stage: z.string(),
  verb: z.string(),
  user: z.object({ username: z.string() }),
  objectRef: z
    .object({
      resource: z.string(),
      subresource: z.string().optional(),
      namespace: z.string().default(''),
      name: z.string().default(''),
    })
    .optional(),
  responseStatus: z.object({ code: z.number().default(0) }).optional(),
});

const eventSchema = z.object({
  type: z.string(),
  reason: z.string(),
  note: z.string().default(''),
  regarding: z.object({ kind: z.string(), name: z.string() }),
  reportingController: z.string(),
});
export type EventObject = z.output<typeof eventSchema>;

export interface CertificateOptions {
  readonly annotations?: Labels;
}

export class World implements AsyncDisposable {
  readonly cluster: Cluster;
  readonly workspace: Workspace;
  readonly #flags: readonly string[];
  /** All operators that ran here, the present one last. */
  readonly operators: OperatorProcess[] = [];
  #namespaces = 0;

  constructor(cluster: Cluster, workspace: Workspace, flags: readonly string[]) {
    this.cluster = cluster;
    this.workspace = workspace;
    this.#flags = flags;
  }

  /** @param prepare what is done before the operator starts, e.g. what `grantToOperator` does. */
  static async start(
    flags: readonly string[] = ['--create-default-authority'],
    prepare: (cluster: Cluster) => Promise<void> = () => Promise.resolve(),
  ): Promise<World> {
    const world = new World(await startCluster(), await makeWorkspace(), flags);
    try {
      await installOperator(world.cluster);
      await prepare(world.cluster);
      await world.startOperator();
      return world;
    } catch (error) {
      await world[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.operators.at(-1)?.kill();
    await this.cluster.stop();
    await this.workspace[Symbol.asyncDispose]();
  }

  // ---- the operator

  get operator(): OperatorProcess {
    const operator = this.operators.at(-1);
    if (operator === undefined) throw new Error('no operator has been started');
    return operator;
  }

  /** @param more flags beside those of this world. */
  async startOperator(more: readonly string[] = []): Promise<void> {
    this.operators.push(await startOperatorProcess(this.cluster, { flags: [...this.#flags, ...more] }));
  }

  async restartOperator(): Promise<void> {
    await this.operator.stop();
    await this.startOperator();
  }

  // ---- objects

  /** As the admin. @throws unless the API server says 2xx. */
  async send(method: Method, path: string, body?: object): Promise<Answer['body']> {
    const answer = await send(this.cluster, method, path, body);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${String(answer.body['message'])}`);
    return answer.body;
  }

  /** @returns undefined where there is none. */
  async find(path: string): Promise<Answer['body'] | undefined> {
    const answer = await send(this.cluster, 'GET', path);
    if (answer.status === 404) return undefined;
    if (answer.status !== 200) throw new Error(`GET ${path}: ${answer.status}`);
    return answer.body;
  }

  /** A namespace that nothing else uses. @param prefix for names that are easier to read in a failure. */
  async namespace(prefix = 'team', labels: Labels = {}): Promise<string> {
    this.#namespaces += 1;
    const name = `${prefix}-${this.#namespaces}`;
    await this.send('POST', '/api/v1/namespaces', { metadata: { name, labels } });
    return name;
  }

  async create(
    namespace: string,
    name: string,
    spec: object,
    options: CertificateOptions = {},
  ): Promise<WorkloadCertificate> {
    const body = certificateBody(namespace, name, spec, options);
    return parseWorkloadCertificate(await this.send('POST', workloadCertificateKind.path(namespace), body));
  }

  /** The simplest certificate there is: one free DNS name into a Secret that has the name of the certificate. */
  async createSimple(namespace: string, name: string, more: object = {}): Promise<WorkloadCertificate> {
    return await this.create(namespace, name, { secretName: name, dnsNames: [`${name}.${namespace}.svc`], ...more });
  }

  async patch(namespace: string, name: string, patch: object): Promise<WorkloadCertificate> {
    return parseWorkloadCertificate(await this.send('PATCH', workloadCertificateKind.path(namespace, name), patch));
  }

  async annotate(namespace: string, name: string, annotations: Readonly<Record<string, string | null>>): Promise<void> {
    await this.patch(namespace, name, { metadata: { annotations } });
  }

  async remove(namespace: string, name: string): Promise<void> {
    await this.send('DELETE', workloadCertificateKind.path(namespace, name));
  }

  async certificate(namespace: string, name: string): Promise<WorkloadCertificate> {
    return parseWorkloadCertificate(await this.send('GET', workloadCertificateKind.path(namespace, name)));
  }

  /** Waits until the certificate is Ready, nothing is to be issued, and that is said of its present spec. */
  async ready(namespace: string, name: string, options: WaitOptions = {}): Promise<WorkloadCertificate> {
    return await this.until(
      namespace,
      name,
      'to be Ready',
      (certificate) =>
        condition(certificate, 'Ready')?.status === 'True' && condition(certificate, 'Issuing')?.reason === 'Issued',
      options,
    );
  }

  /** Waits until a condition of the present spec has this reason. */
  async reason(namespace: string, name: string, type: 'Ready' | 'Issuing', reason: string): Promise<Condition> {
    const what = `to have the reason ${reason} for ${type}`;
    const found = await this.until(
      namespace,
      name,
      what,
      (certificate) => condition(certificate, type)?.reason === reason,
    );
    return condition(found, type) ?? fail(what);
  }

  /** Waits until the certificate, judged in its present spec, is as `holds` says. */
  async until(
    namespace: string,
    name: string,
    what: string,
    holds: (certificate: WorkloadCertificate) => boolean,
    options: WaitOptions = {},
  ): Promise<WorkloadCertificate> {
    let last: WorkloadCertificate | undefined;
    try {
      return await waitFor(
        `${namespace}/${name} ${what}`,
        async () => {
          last = await this.certificate(namespace, name);
          return last.status.observedGeneration === last.metadata.generation && holds(last) ? last : undefined;
        },
        options,
      );
    } catch (error) {
      const log = this.operator.lines.slice(-5).join('\n');
      throw new Error(`${String(error)}\n${JSON.stringify(last?.status, null, 1)}\n${log}`);
    }
  }

  // ---- Secrets

  async findSecret(namespace: string, name: string): Promise<SecretObject | undefined> {
    const found = await this.find(`/api/v1/namespaces/${namespace}/secrets/${name}`);
    return found && readSecretObject(found);
  }

  async secretObject(namespace: string, name: string): Promise<SecretObject> {
    return (await this.findSecret(namespace, name)) ?? fail(`Secret ${namespace}/${name}`);
  }

  async createSecret(
    namespace: string,
    secret: { readonly metadata: object; readonly [field: string]: unknown },
  ): Promise<SecretObject> {
    return readSecretObject(await this.send('POST', `/api/v1/namespaces/${namespace}/secrets`, secret));
  }

  /** @param manager who it says it is, in managedFields. */
  async patchSecret(namespace: string, name: string, patch: object, manager = 'somebody'): Promise<SecretObject> {
    const path = `/api/v1/namespaces/${namespace}/secrets/${name}?fieldManager=${manager}`;
    return readSecretObject(await this.send('PATCH', path, patch));
  }

  async removeSecret(namespace: string, name: string): Promise<void> {
    await this.send('DELETE', `/api/v1/namespaces/${namespace}/secrets/${name}`);
  }

  /** The Secret of a certificate, checked as every Secret is. */
  async secret(
    namespace: string,
    name: string,
    expected: { holder?: string; authority?: string } = {},
  ): Promise<CheckedSecret> {
    const object = await this.secretObject(namespace, name);
    return await checkSecret(object, { holder: name, ...expected, workspace: this.workspace });
  }

  /** Waits until the Secret is there, sound, and as `holds` says. */
  async secretWhen(
    namespace: string,
    name: string,
    what: string,
    holds: (secret: CheckedSecret) => boolean,
    options: { holder?: string; authority?: string; timeoutMs?: number } = {},
  ): Promise<CheckedSecret> {
    const { timeoutMs = 30_000, ...expected } = options;
    return await waitFor(
      `Secret ${namespace}/${name} ${what}`,
      async () => {
        const secret = await this.secret(namespace, name, expected);
        return holds(secret) ? secret : undefined;
      },
      { timeoutMs },
    );
  }

  // ---- authorities

  async createAuthority(name: string, spec: object): Promise<void> {
    const body = { apiVersion: 'mtls-operator.io/v1alpha1', kind: 'CertificateAuthority', metadata: { name }, spec };
    await this.send('POST', certificateAuthorityKind.path(), body);
  }

  async authority(name: string): Promise<CertificateAuthority> {
    return parseCertificateAuthority(await this.send('GET', certificateAuthorityKind.path(undefined, name)));
  }

  async patchAuthority(name: string, patch: object): Promise<void> {
    await this.send('PATCH', certificateAuthorityKind.path(undefined, name), patch);
  }

  async authorityReason(name: string, reason: string): Promise<Condition> {
    let last: CertificateAuthority | undefined;
    try {
      return await waitFor(`CertificateAuthority ${name} to have the reason ${reason}`, async () => {
        last = await this.authority(name);
        const ready = findCondition(last.status.conditions, 'Ready');
        const current = last.status.observedGeneration === last.metadata.generation;
        return current && ready?.reason === reason ? ready : undefined;
      });
    } catch (error) {
      throw new Error(`${String(error)}\n${JSON.stringify(last?.status, null, 1)}`);
    }
  }

  /** Secrets in the operator's namespace that belong to an authority. */
  async generations(authority: string): Promise<SecretObject[]> {
    const selector = encodeURIComponent(`mtls-operator.io/authority=${authority}`);
    const list = await this.send('GET', `/api/v1/namespaces/${OPERATOR_NAMESPACE}/secrets?labelSelector=${selector}`);
    return items(list).map(readSecretObject);
  }

  // ---- what has been told and done

  /** Events about one object; those of cluster-scoped objects are in `default`. */
  async events(namespace: string, name: string): Promise<EventObject[]> {
    const list = items(await this.send('GET', `/apis/events.k8s.io/v1/namespaces/${namespace}/events`));
    return list.map((event) => eventSchema.parse(event)).filter(({ regarding }) => regarding.name === name);
  }

  async event(namespace: string, name: string, reason: string): Promise<EventObject> {
    return await waitFor(`an event ${reason} about ${namespace}/${name}`, async () =>
      (await this.events(namespace, name)).find((event) => event.reason === reason),
    );
  }

  /** The log's lines about certificates issued in a namespace, as soon as there are so many: the log is written a moment behind what it tells of. */
  async issuances(namespace: string, count: number): Promise<LogLine[]> {
    return await waitFor(`${count} issuances in ${namespace} to be logged`, () => {
      const lines = this.operator.log.filter(
        (line) => line.msg === 'issued a certificate' && line['namespace'] === namespace,
      );
      return lines.length >= count && lines;
    });
  }

  /** Resolves when the log has a text in it. */
  async logged(text: string): Promise<void> {
    await waitFor(`the log to say ${text}`, () => JSON.stringify(this.operator.log).includes(text));
  }

  /** Where the audit log ends now; to be given to `writesSince`. */
  async auditMark(): Promise<number> {
    return (await readFile(this.cluster.auditLog)).byteLength;
  }

  /** Every write of the operator since then, other than to its Lease. */
  async writesSince(mark: number): Promise<Write[]> {
    const requests = await this.requestsSince(mark);
    return requests.filter(({ resource, verb }) => !['get', 'list', 'watch'].includes(verb) && resource !== 'leases');
  }

  /** Everything that the operator has asked of the API server since then; a watch once it has ended. */
  async requestsSince(mark: number): Promise<Write[]> {
    const text = (await readFile(this.cluster.auditLog)).subarray(mark).toString('utf8');
    const lines = text.slice(0, text.lastIndexOf('\n') + 1).split('\n');
    return lines.flatMap((line) => {
      if (line === '') return [];
      const { objectRef, responseStatus, stage, user, verb } = auditSchema.parse(JSON.parse(line));
      if (stage !== 'ResponseComplete' || user.username !== operatorUser.name || objectRef === undefined) return [];
      const { namespace, name, resource, subresource } = objectRef;
      const whole = subresource === undefined ? resource : `${resource}/${subresource}`;
      return [{ verb, resource: whole, namespace, name, code: responseStatus?.code ?? 0 }];
    });
  }
}

export function certificateBody(namespace: string, name: string, spec: object, options: CertificateOptions = {}) {
  const { annotations = {} } = options;
  return {
    apiVersion: 'mtls-operator.io/v1alpha1',
    kind: 'WorkloadCertificate',
    metadata: { namespace, name, annotations },
    spec,
  };
}

export function condition({ status }: WorkloadCertificate, type: 'Ready' | 'Issuing'): Condition | undefined {
  return findCondition(status.conditions, type);
}

export function items(list: Answer['body']): unknown[] {
  const { items: found } = list;
  return Array.isArray(found) ? found.map((item) => record(item)) : [];
}

/** A time that lies so many seconds ahead, as people write it. */
export function inSeconds(seconds: number): string {
  return new Date(Date.now() + seconds * 1000).toISOString().replace(/\.\d{3}Z$/, 'Z');
}

function fail(what: string): never {
  throw new Error(`there is no ${what}`);
}
