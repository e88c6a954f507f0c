import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { dirname, isAbsolute, join, resolve } from 'node:path';
import type { Clock } from './clock.ts';
import type { Connection, Credentials, TlsMaterial } from './config.ts';
import { readTrimmed, tokenHeader } from './credentialFiles.ts';
import { isObject, type JsonObject, property, stringAt } from './json.ts';
import { proxyFor } from './proxySettings.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/** One context of a kubeconfig with the cluster and the user that it names, paths made absolute. */
export interface Selection {
  readonly context: string;
  readonly namespace?: string | undefined;
  readonly clusterName: string;
  readonly cluster: JsonObject;
  readonly userName: string;
  readonly user: JsonObject;
}

const FILE_FIELDS_OF_CLUSTER = ['certificate-authority'];
const FILE_FIELDS_OF_USER = ['client-certificate', 'client-key', 'tokenFile'];

export function defaultKubeconfigPaths(env: Environment): string[] {
  return [join(env['HOME'] ?? homedir(), '.kube', 'config')];
}

/** Reads kubeconfig files, merged as kubectl does (the first mention of a name wins), and gives the chosen context's connection. */
export async function kubeconfigSource(
  paths: readonly string[],
  options: { context?: string | undefined; env: Environment; clock: Clock },
): Promise<Connection> {
  const selected = select(await readAll(paths), options.context, paths.join(', '));
  const server = stringAt(selected.cluster, 'server')?.replace(/\/$/, '');
  if (!server || !/^https?:\/\//.test(server)) {
    throw new Error(
      `kubeconfig ${paths.join(', ')}: cluster "${selected.clusterName}" has no server URL (https://host:port)`,
    );
  }
  const provider = new CredentialProvider(paths, selected);
  return {
    server,
    source: `kubeconfig ${paths.join(', ')}, context "${selected.context}"`,
    namespace: selected.namespace,
    proxyUrl: stringAt(selected.cluster, 'proxy-url') ?? proxyFor(server, options.env),
    credentials: (request) => provider.credentials(request?.fresh === true),
  };
}

class CredentialProvider {
  readonly #paths: readonly string[];
  #selected: Selection;
  #last: Credentials | undefined;
  #external: ((user: Selection) => Promise<External>) | undefined;

  constructor(paths: readonly string[], selected: Selection) {
    this.#paths = paths;
    this.#selected = selected;
  }

  async credentials(fresh: boolean): Promise<Credentials> {
    if (fresh) {
      // Whoever rotates credentials inside the kubeconfig replaces the file; an exec plugin's cached answer goes with its helper.
      this.#selected = select(await readAll(this.#paths), this.#selected.context, this.#paths.join(', '));
      this.#external = undefined;
    }
    const next = await this.#read();
    const last = this.#last;
    this.#last = last && sameTls(last.tls, next.tls) ? { headers: next.headers, tls: last.tls } : next;
    return this.#last;
  }

  async #read(): Promise<Credentials> {
    const { cluster, user } = this.#selected;
    const external = isObject(user['exec']) || isObject(user['auth-provider']) ? await this.#runExternal() : {};
    const tls: TlsMaterial = {
      ca: await pem(cluster, 'certificate-authority'),
      cert: external.cert ?? (await pem(user, 'client-certificate')),
      key: external.key ?? (await pem(user, 'client-key')),
      servername: stringAt(cluster, 'tls-server-name'),
      insecure: cluster['insecure-skip-tls-verify'] === true,
    };
    const authorization = (await this.#authorization(user)) ?? external.authorization;
    return { headers: { ...(authorization ? { authorization } : {}), ...impersonation(user) }, tls };
  }

  async #authorization(user: JsonObject): Promise<string | undefined> {
    const file = stringAt(user, 'tokenFile');
    if (file) return tokenHeader(await readTrimmed(file), file).authorization;
    const token = stringAt(user, 'token');
    if (token) return tokenHeader(token, `the token of user "${this.#selected.userName}"`).authorization;
    const name = stringAt(user, 'username');
    if (!name) return undefined;
    return `Basic ${Buffer.from(`${name}:${stringAt(user, 'password') ?? ''}`).toString('base64')}`;
  }

  async #runExternal(): Promise<External> {
    // Loaded only by who needs it: client-node takes some 60 MB of memory and seconds of start-up.
    this.#external ??= await (await import('./externalCredentials.ts')).externalCredentials();
    return this.#external(this.#selected);
  }
}

/** What an exec plugin or auth provider answered. */
export interface External {
  readonly authorization?: string | undefined;
  readonly cert?: string | Buffer | undefined;
  readonly key?: string | Buffer | undefined;
}

async function readAll(paths: readonly string[]): Promise<JsonObject[]> {
  const found: JsonObject[] = [];
  const missing: string[] = [];
  for (const path of paths) {
    const text = await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT' && paths.length > 1) return undefined;
      throw new Error(`cannot read kubeconfig ${path}: ${error.code ?? error.message}; name one with --kubeconfig`);
    });
    if (text === undefined) missing.push(path);
    else found.push(absolutePaths(await parse(text, path), dirname(resolve(path))));
  }
  if (found.length === 0) throw new Error(`no kubeconfig found at ${missing.join(', ')}`);
  return found;
}

async function parse(text: string, path: string): Promise<JsonObject> {
  const document = text.trimStart().startsWith('{') ? parseJson(text, path) : await parseYaml(text, path);
  if (!isObject(document)) throw new Error(`kubeconfig ${path} is not a YAML object`);
  return document;
}

function parseJson(text: string, path: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // The parser's own message quotes the text around the fault, which may be a key.
    throw new Error(`kubeconfig ${path} is not valid JSON`);
  }
}

async function parseYaml(text: string, path: string): Promise<unknown> {
  const { parseDocument } = await import('./yamlDocument.ts');
  const document = parseDocument(text, { prettyErrors: false, logLevel: 'silent' });
  const fault = document.errors[0];
  // The message of a YAML fault may quote the text around it, which may be a key: its code and place say enough.
  if (fault) throw new Error(`kubeconfig ${path} is not valid YAML: ${fault.code} at offset ${fault.pos[0]}`);
  return document.toJS({ maxAliasCount: 100 });
}

function absolutePaths(config: JsonObject, directory: string): JsonObject {
  return {
    ...config,
    clusters: named(config, 'clusters').map((item) => withPaths(item, 'cluster', FILE_FIELDS_OF_CLUSTER, directory)),
    users: named(config, 'users').map((item) => withPaths(item, 'user', FILE_FIELDS_OF_USER, directory)),
  };
}

function withPaths(item: JsonObject, inner: string, fields: readonly string[], directory: string): JsonObject {
  const content = property(item, inner);
  if (!isObject(content)) return item;
  const paths = fields.flatMap((field) => {
    const path = stringAt(content, field);
    return path && !isAbsolute(path) ? [[field, join(directory, path)]] : [];
  });
  return { ...item, [inner]: { ...content, ...Object.fromEntries(paths) } };
}

function named(config: JsonObject, list: string): JsonObject[] {
  const items = config[list];
  return Array.isArray(items) ? items.filter(isObject) : [];
}

/** Picks a context out of merged kubeconfigs. Exported for its tests. */
export function select(configs: readonly JsonObject[], wanted: string | undefined, origin: string): Selection {
  const context = wanted || configs.map((config) => stringAt(config, 'current-context')).find(Boolean);
  if (!context) throw new Error(`kubeconfig ${origin} sets no current-context; name one with --context`);
  const found = lookUp(configs, 'contexts', context, 'context', origin);
  const clusterName = stringAt(found, 'cluster') ?? '';
  const userName = stringAt(found, 'user') ?? '';
  return {
    context,
    namespace: stringAt(found, 'namespace'),
    clusterName,
    cluster: lookUp(configs, 'clusters', clusterName, 'cluster', origin),
    userName,
    user: userName === '' ? {} : lookUp(configs, 'users', userName, 'user', origin),
  };
}

function lookUp(configs: readonly JsonObject[], list: string, name: string, inner: string, origin: string): JsonObject {
  const items = configs.flatMap((config) => named(config, list));
  const item = items.find((candidate) => candidate['name'] === name);
  if (!item) {
    const names = items.map((candidate) => stringAt(candidate, 'name')).filter(Boolean);
    throw new Error(`kubeconfig ${origin} has no ${inner} "${name}"; it has: ${names.join(', ') || 'none'}`);
  }
  const content = item[inner];
  return isObject(content) ? content : {};
}

async function pem(holder: JsonObject, field: string): Promise<string | undefined> {
  const data = stringAt(holder, `${field}-data`);
  if (data) return Buffer.from(data, 'base64').toString('utf8');
  const file = stringAt(holder, field);
  return file ? await readFile(file, 'utf8') : undefined;
}

function impersonation(user: JsonObject): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const as = stringAt(user, 'as');
  if (as) headers['impersonate-user'] = as;
  const uid = stringAt(user, 'as-uid');
  if (uid) headers['impersonate-uid'] = uid;
  const groups = user['as-groups'];
  if (Array.isArray(groups)) headers['impersonate-group'] = groups.filter((group) => typeof group === 'string');
  return headers;
}

function sameTls(a: TlsMaterial, b: TlsMaterial): boolean {
  return (
    same(a.ca, b.ca) &&
    same(a.cert, b.cert) &&
    same(a.key, b.key) &&
    a.servername === b.servername &&
    a.insecure === b.insecure
  );
}

function same(a: string | Buffer | undefined, b: string | Buffer | undefined): boolean {
  return a === b || (a !== undefined && b !== undefined && a.toString() === b.toString());
}
