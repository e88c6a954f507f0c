/** What the command line of `kubectl mtls` says. Pure. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../kube/index.ts';
import { CliError, exitCodes } from '../end.ts';
import { isObjectName } from '../objectName.ts';
import { parseSubject, type SubjectReference } from './subject.ts';

interface CommonOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Where the operator is, and the policies for the whole mesh. */
  readonly operatorNamespace: string;
}

export interface ExplainOptions extends CommonOptions {
  readonly command: 'explain';
  /** Left out: the one of the kubeconfig's context, else `default`. */
  readonly namespace: string | undefined;
  readonly subject: SubjectReference;
  readonly port: string | undefined;
  readonly output: 'text' | 'json';
}

export interface ProxiesOptions extends CommonOptions {
  readonly command: 'proxies';
  /** Left out: the one of the kubeconfig's context, else `default`. */
  readonly namespace: string | undefined;
  readonly allNamespaces: boolean;
  /** Of one pod; left out: all. */
  readonly name: string | undefined;
  readonly output: 'text' | 'wide' | 'json';
}

export interface CheckOptions extends CommonOptions {
  readonly command: 'check';
  readonly output: 'text' | 'json';
}

export type PluginOptions = ExplainOptions | ProxiesOptions | CheckOptions;

export const pluginUsage = `kubectl mtls explain KIND/NAME [flags]

Says which mode each port of a pod has, and why: by which MTLSPolicy, and what became of the others. Of a pod it also says what its proxy has loaded: modes, certificate, roots. KIND is pod, deployment, statefulset, daemonset, replicaset or job.

  -p, --port PORT               one port, by number or name; adds every policy that could have said something about it
  -n, --namespace NAME          of the pod (default: that of the kubeconfig's context)

Needs permission to get the object, and to list MTLSPolicies in both namespaces. Where it may list Services, it tells a Service's port from that of a container.
It asks the proxy where it may get and create pods/portforward. Where the proxy cannot be asked, or has loaded something else, it says why, and ends with ${exitCodes.done}.

kubectl mtls proxies [NAME] [flags]

Lists the pods with a sidecar: whether it runs, its version, the mode of its workload and how far the switch to it is, and its certificate. NAME is that of one pod.

  -n, --namespace NAME          of the pods (default: that of the kubeconfig's context)
  -A, --all-namespaces          all of them

Needs permission to list pods, or to get the one. What else it may not read is left out, and it names the permission. Proxies that lag are no failure.

kubectl mtls check [flags]

Looks for what is wrong with the installation, with sidecars, and with namespaces that ask for them. Each finding is ok, warning or error, and says what to do.
It ends with ${exitCodes.done} where there are at most warnings, with 1 where there are errors, and with ${exitCodes.refused} where there are none but some of it may not be looked at.

All of them:

  -o, --output FORMAT           text or json, for proxies also wide (default: text)
      --operator-namespace NAME where the operator is, and the policies for the whole mesh (default: mtls-system)
      --kubeconfig FILE         how to reach the API server (default: KUBECONFIG, else ~/.kube/config)
      --context NAME            of the kubeconfig

Exit codes: ${exitCodes.done} done, ${exitCodes.usage} wrong flags, configuration or credentials, ${exitCodes.unreachable} API server unreachable, ${exitCodes.refused} not found or not permitted.
`;

/** @returns 'help' where that is all that is wanted. @throws CliError usage */
export function parsePluginFlags(args: readonly string[]): PluginOptions | 'help' {
  const { values, positionals } = parse(args);
  const [command, ...words] = positionals;
  if (values.help || command === 'help' || args.length === 0) return 'help';
  switch (command) {
    case 'explain':
      return explainOptions(values, words);
    case 'proxies':
      return proxiesOptions(values, words);
    case 'check':
      return checkOptions(values, words);
    default:
      throw new CliError('usage', `there is no command ${JSON.stringify(command ?? '')}: see kubectl mtls --help`);
  }
}

type Values = ReturnType<typeof parse>['values'];

function explainOptions(values: Values, words: readonly string[]): ExplainOptions {
  const { port } = values;
  refuse(values, 'explain', ['all-namespaces']);
  const output = outputOf(values, ['text', 'json']);
  if (port !== undefined && !isPort(port))
    throw new CliError('usage', `--port is ${JSON.stringify(port)}: give a number from 1 to 65535, or a port's name`);
  return { command: 'explain', ...common(values), ...namespaceOf(values), subject: parseSubject(words), port, output };
}

function proxiesOptions(values: Values, words: readonly string[]): ProxiesOptions {
  const [name, ...more] = words;
  const allNamespaces = values['all-namespaces'] === true;
  refuse(values, 'proxies', ['port']);
  const output = outputOf(values, ['text', 'wide', 'json']);
  if (more.length > 0)
    throw new CliError('usage', `proxies takes the name of one pod at most, instead of "${words.join(' ')}"`);
  if (name !== undefined && !isObjectName(name))
    throw new CliError(
      'usage',
      `${JSON.stringify(name)} is no name of Kubernetes: give that of a pod, without its kind`,
    );
  if (allNamespaces && (name !== undefined || values.namespace !== undefined))
    throw new CliError(
      'usage',
      '--all-namespaces is for all pods there are: leave it out, or the name and --namespace',
    );
  return { command: 'proxies', ...common(values), ...namespaceOf(values), allNamespaces, name, output };
}

function checkOptions(values: Values, words: readonly string[]): CheckOptions {
  refuse(values, 'check', ['port', 'namespace', 'all-namespaces']);
  if (words.length > 0) throw new CliError('usage', `check looks at everything: leave out "${words.join(' ')}"`);
  return { command: 'check', ...common(values), output: outputOf(values, ['text', 'json']) };
}

function common(values: Values): CommonOptions {
  const { kubeconfig, context } = values;
  const operatorNamespace = namespaceName('operator-namespace', values['operator-namespace']);
  return { kubeconfig, context, operatorNamespace };
}

function namespaceOf({ namespace }: Values): { readonly namespace: string | undefined } {
  return { namespace: namespace === undefined ? undefined : namespaceName('namespace', namespace) };
}

function outputOf<Format extends string>({ output }: Values, formats: readonly Format[]): Format {
  const found = formats.find((format) => format === output);
  if (found !== undefined) return found;
  throw new CliError('usage', `--output is ${JSON.stringify(output)}: give ${formats.join(' or ')}`);
}

function refuse(values: Values, command: string, flags: readonly (keyof Values)[]): void {
  const wrong = flags.find((flag) => values[flag] !== undefined);
  if (wrong !== undefined) throw new CliError('usage', `--${wrong} is not for ${command}: leave it out`);
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      // As kubectl takes them, too.
      args: args.map((arg) => arg.replace(/^(-[nop])=/, '$1')),
      allowPositionals: true,
      options: {
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        namespace: { type: 'string', short: 'n' },
        'all-namespaces': { type: 'boolean', short: 'A' },
        'operator-namespace': { type: 'string', default: 'mtls-system' },
        port: { type: 'string', short: 'p' },
        output: { type: 'string', short: 'o', default: 'text' },
        help: { type: 'boolean', short: 'h', default: false },
      },
    });
  } catch (error) {
    throw new CliError('usage', messageOf(error));
  }
}

/** A number, or a name as Kubernetes has it for ports (IANA_SVC_NAME). */
function isPort(text: string): boolean {
  if (/^\d+$/.test(text)) return Number(text) >= 1 && Number(text) <= 65_535;
  return text.length <= 15 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(text);
}

function namespaceName(flag: string, value: string): string {
  if (value.length <= 63 && /^[a-z0-9]([-a-z0-9]*[a-z0-9])?$/.test(value)) return value;
  throw new CliError('usage', `--${flag} is ${JSON.stringify(value)}, which is no name of a namespace`);
}
