/** What the command line of `mtls-operator fetch` says. Pure. */
import { parseArgs } from 'node:util';
import { parseDuration } from '../api/duration.ts';
import { messageOf } from '../kube/index.ts';
import { CliError, exitCodes } from './end.ts';
import type { Hook } from './hook.ts';
import type { Owner, Permissions } from './install.ts';
import { isObjectName } from './objectName.ts';

/** How to reach the API server. */
export type Access =
  | { readonly kubeconfig: string | undefined; readonly context: string | undefined }
  | { readonly server: string; readonly caFile: string | undefined; readonly tokenFile: string };

export interface FetchOptions {
  readonly access: Access;
  /** Left out: the one of the kubeconfig's context. */
  readonly namespace: string | undefined;
  readonly secret: string;
  readonly out: string;
  /** Left out: all that the operator may have put into the Secret. */
  readonly files: readonly string[] | undefined;
  readonly permissions: Permissions;
  readonly hook: Hook | undefined;
  readonly watch: boolean;
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export const fetchUsage = `mtls-operator fetch --secret NAME --out DIR [flags]

Writes files of one Secret into a directory of this host: all at once, if they belong together. Needs nothing but permission to get that Secret.

  --secret NAME          the Secret of a WorkloadCertificate
  --namespace NAME       its namespace (default: that of the kubeconfig's context)
  --out DIR              where to; made if it is not there
  --files A,B            keys of the Secret (default: all that the operator writes)
  --mode MODE            of files with a key or a password (default: 0400)
  --public-mode MODE     of the others (default: 0444)
  --owner UID:GID        of the files (default: who runs this)

  --kubeconfig FILE      how to reach the API server (default: KUBECONFIG, the pod's service account, ~/.kube/config)
  --context NAME         of the kubeconfig
  --server URL           in place of a kubeconfig, with --token-file and --ca
  --token-file FILE      a bearer token; read anew each time
  --ca FILE              roots of the API server (default: those that Node trusts)
  --timeout DURATION     for an answer of the API server, attempts included (default: 30s)

  --hook 'CMD ARGS'      run after a change, without a shell, split at white space; finds DIR in MTLS_DIRECTORY
  --hook-shell 'LINE'    the same, by /bin/sh
  --hook-timeout DURATION  then it is ended (default: 2m)

  --watch                stay, and follow renewals until SIGTERM or SIGINT
  --interval DURATION    with --watch: look at least so often (default: 1m)

Exit codes: ${exitCodes.done} written or unchanged, ${exitCodes.usage} wrong flags, configuration or credentials, ${exitCodes.unreachable} API server unreachable, ${exitCodes.refused} Secret not found or not permitted,
${exitCodes.unusable} Secret cannot be used, ${exitCodes.notWritten} cannot write, ${exitCodes.hookFailed} hook failed, ${exitCodes.interrupted} interrupted.
With ${exitCodes.usage} to ${exitCodes.unusable} the files stay as they were. With ${exitCodes.notWritten} they are the old ones or the new ones, and belong together. With ${exitCodes.hookFailed}, and with ${exitCodes.interrupted} where it was the hook that
was interrupted, they are those of the Secret. With --watch, SIGTERM and SIGINT are the regular end: ${exitCodes.done}.
`;

/** @returns 'help' where that is all that is wanted. @throws CliError usage */
export function parseFetchFlags(args: readonly string[]): FetchOptions | 'help' {
  const values = parse(args);
  if (values.help) return 'help';
  return {
    access: accessOf(values),
    namespace: values.namespace === undefined ? undefined : objectName('namespace', values.namespace),
    secret: objectName('secret', required('secret', values.secret)),
    out: required('out', values.out),
    files: values.files === undefined ? undefined : fileNames(values.files),
    permissions: {
      mode: mode(
        'mode',
        values.mode,
        0o037,
        'with a key in them, they must be closed to others and to writing by the group',
      ),
      publicMode: mode('public-mode', values['public-mode'], 0o022, 'only the owner may write'),
      owner: values.owner === undefined ? undefined : owner(values.owner),
    },
    hook: hookOf(values),
    watch: values.watch,
    intervalMs: duration('interval', values.interval),
    timeoutMs: duration('timeout', values.timeout),
  };
}

type Values = ReturnType<typeof parse>;

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        secret: { type: 'string' },
        namespace: { type: 'string' },
        out: { type: 'string' },
        files: { type: 'string' },
        mode: { type: 'string', default: '0400' },
        'public-mode': { type: 'string', default: '0444' },
        owner: { type: 'string' },
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        server: { type: 'string' },
        'token-file': { type: 'string' },
        ca: { type: 'string' },
        timeout: { type: 'string', default: '30s' },
        hook: { type: 'string' },
        'hook-shell': { type: 'string' },
        'hook-timeout': { type: 'string', default: '2m' },
        watch: { type: 'boolean', default: false },
        interval: { type: 'string', default: '1m' },
        help: { type: 'boolean', default: false },
      },
    }).values;
  } catch (error) {
    throw usage(messageOf(error));
  }
}

function accessOf({ kubeconfig, context, server, ca, 'token-file': tokenFile }: Values): Access {
  if (server === undefined) {
    if (tokenFile !== undefined || ca !== undefined) throw usage('--token-file and --ca need --server');
    return { kubeconfig, context };
  }
  if (kubeconfig !== undefined || context !== undefined) throw usage('give either --server or --kubeconfig');
  if (!URL.canParse(server) || new URL(server).protocol !== 'https:')
    throw usage(`--server is ${JSON.stringify(server)}: give a URL such as https://api.example.com:6443`);
  return { server: server.replace(/\/+$/, ''), caFile: ca, tokenFile: required('token-file', tokenFile) };
}

function hookOf({ hook, 'hook-shell': line, 'hook-timeout': timeout }: Values): Hook | undefined {
  const timeoutMs = duration('hook-timeout', timeout);
  if (hook !== undefined && line !== undefined) throw usage('give either --hook or --hook-shell');
  if (line !== undefined) {
    if (line.trim() === '') throw usage('--hook-shell is empty');
    return { command: ['/bin/sh', '-c', line], timeoutMs };
  }
  if (hook === undefined) return undefined;
  const [program, ...args] = hook.split(/\s+/).filter(Boolean);
  if (program === undefined) throw usage('--hook is empty');
  return { command: [program, ...args], timeoutMs };
}

function required(flag: string, value: string | undefined): string {
  if (value === undefined || value === '') throw usage(`--${flag} is missing`);
  return value;
}

/** Of a Secret or a namespace: a DNS subdomain. */
function objectName(flag: string, value: string): string {
  if (isObjectName(value)) return value;
  throw usage(`--${flag} is ${JSON.stringify(value)}, which is no name of Kubernetes`);
}

/** Keys of a Secret, which become names of files: none of them may lead out of the directory, nor be one of those that the layout takes. */
function fileNames(text: string): string[] {
  const names = [...new Set(text.split(',').map((name) => name.trim()))];
  const bad = names.find((name) => !/^[-._a-zA-Z0-9]{1,253}$/.test(name) || name === '.' || name.startsWith('..'));
  if (bad === undefined) return names;
  throw usage(`--files has ${JSON.stringify(bad)}: give keys of the Secret, such as tls.crt,tls.key,ca.crt`);
}

function mode(flag: string, text: string, forbidden: number, reason: string): number {
  if (!/^0?[0-7]{3}$/.test(text)) throw usage(`--${flag} is ${JSON.stringify(text)}: give an octal mode such as 0400`);
  const value = Number.parseInt(text, 8);
  if ((value & forbidden) === 0) return value;
  throw usage(`--${flag} is ${text}: ${reason}`);
}

function owner(text: string): Owner {
  const [, uid, gid] = /^(\d{1,10}):(\d{1,10})$/.exec(text) ?? [];
  if (uid === undefined || gid === undefined)
    throw usage(`--owner is ${JSON.stringify(text)}: give two numbers, as in 999:999`);
  return { uid: Number(uid), gid: Number(gid) };
}

function duration(flag: string, text: string): number {
  let seconds = 0;
  try {
    seconds = parseDuration(text);
  } catch (error) {
    throw usage(`--${flag}: ${messageOf(error)}`);
  }
  if (seconds === 0) throw usage(`--${flag} is 0: give at least 1s`);
  return seconds * 1000;
}

const usage = (problem: string): CliError => new CliError('usage', `${problem}; see mtls-operator fetch --help`);
