/** What the command line of `kubectl mtls` says. Pure. */
import { parseArgs } from 'node:util';
import { messageOf } from '../../kube/index.ts';
import { CliError, exitCodes } from '../end.ts';
import { parseSubject, type SubjectReference } from './subject.ts';

export interface ExplainOptions {
  readonly kubeconfig: string | undefined;
  readonly context: string | undefined;
  /** Left out: the one of the kubeconfig's context, else `default`. */
  readonly namespace: string | undefined;
  /** Where the operator is, and the policies for the whole mesh. */
  readonly operatorNamespace: string;
  readonly subject: SubjectReference;
  readonly port: string | undefined;
  readonly output: 'text' | 'json';
}

export const pluginUsage = `kubectl mtls explain KIND/NAME [flags]

Says which mode each port of a pod has, and why: by which MTLSPolicy, and what became of the others. KIND is pod, deployment, statefulset, daemonset, replicaset or job.

  -p, --port PORT               one port, by number or name; adds every policy that could have said something about it
  -n, --namespace NAME          of the pod (default: that of the kubeconfig's context)
  -o, --output FORMAT           text or json (default: text)
      --operator-namespace NAME where the operator is, and the policies for the whole mesh (default: mtls-system)
      --kubeconfig FILE         how to reach the API server (default: KUBECONFIG, else ~/.kube/config)
      --context NAME            of the kubeconfig

Needs permission to get the object, and to list MTLSPolicies in both namespaces. Where it may list Services, it tells a Service's port from that of a container.

Exit codes: ${exitCodes.done} done, ${exitCodes.usage} wrong flags, configuration or credentials, ${exitCodes.unreachable} API server unreachable, ${exitCodes.refused} not found or not permitted.
`;

/** @returns 'help' where that is all that is wanted. @throws CliError usage */
export function parsePluginFlags(args: readonly string[]): ExplainOptions | 'help' {
  const { values, positionals } = parse(args);
  const [command, ...words] = positionals;
  if (values.help || command === 'help' || args.length === 0) return 'help';
  if (command !== 'explain')
    throw new CliError('usage', `there is no command ${JSON.stringify(command ?? '')}: see kubectl mtls --help`);
  const { kubeconfig, context, namespace, port, output } = values;
  if (output !== 'text' && output !== 'json')
    throw new CliError('usage', `--output is ${JSON.stringify(output)}: give text or json`);
  if (port !== undefined && !isPort(port))
    throw new CliError('usage', `--port is ${JSON.stringify(port)}: give a number from 1 to 65535, or a port's name`);
  return {
    kubeconfig,
    context,
    namespace: namespace === undefined ? undefined : namespaceName('namespace', namespace),
    operatorNamespace: namespaceName('operator-namespace', values['operator-namespace']),
    subject: parseSubject(words),
    port,
    output,
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        kubeconfig: { type: 'string' },
        context: { type: 'string' },
        namespace: { type: 'string', short: 'n' },
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
