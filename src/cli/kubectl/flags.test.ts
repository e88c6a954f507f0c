import { describe, expect, test } from 'vitest';
import { CliError } from '../end.ts';
import { parsePluginFlags } from './flags.ts';

const parsed = (...args: string[]) => {
  const options = parsePluginFlags(args);
  if (options === 'help') throw new Error('help');
  return options;
};

describe('the command line of kubectl mtls', () => {
  test('has defaults for all but what is to be explained', () => {
    expect(parsed('explain', 'pod/web')).toMatchObject({
      namespace: undefined,
      operatorNamespace: 'mtls-system',
      port: undefined,
      output: 'text',
      subject: { name: 'web', kind: { kind: 'Pod' } },
    });
  });

  test('takes flags before and after, short and long', () => {
    const options = parsed('explain', '-n', 'shop', 'deploy/web', '--port', 'http', '-o', 'json', '--context=dev');
    expect(options).toMatchObject({ namespace: 'shop', port: 'http', output: 'json', context: 'dev' });
  });

  test.each([
    ['po/web', 'Pod'],
    ['pods/web', 'Pod'],
    ['deployments.apps/web', 'Deployment'],
    ['STS/web', 'StatefulSet'],
    ['ds/web', 'DaemonSet'],
    ['rs/web', 'ReplicaSet'],
    ['job.batch/web', 'Job'],
  ])('knows %s', (word, kind) => {
    expect(parsed('explain', word)).toMatchObject({ subject: { name: 'web', kind: { kind } } });
  });

  test('takes kind and name apart, as kubectl does', () => {
    expect(parsed('explain', 'pod', 'web')).toMatchObject({ subject: { name: 'web' } });
  });

  test('knows which pods proxies is about', () => {
    expect(parsed('proxies')).toMatchObject({ namespace: undefined, allNamespaces: false, name: undefined });
    expect(parsed('proxies', '-A', '-o', 'wide')).toMatchObject({ allNamespaces: true, output: 'wide' });
    expect(parsed('proxies', '-n=shop', '-o=json')).toMatchObject({ namespace: 'shop', output: 'json' });
    expect(parsed('proxies', '-n', 'shop', 'web-1')).toMatchObject({ namespace: 'shop', name: 'web-1' });
  });

  test('knows where check looks for the operator', () => {
    expect(parsed('check', '--operator-namespace', 'mesh')).toEqual({
      command: 'check',
      kubeconfig: undefined,
      context: undefined,
      operatorNamespace: 'mesh',
      output: 'text',
    });
  });

  test.each([[[]], [['--help']], [['help']], [['explain', '-h']]])('prints help for %j', (args) => {
    expect(parsePluginFlags(args)).toBe('help');
  });

  test.each<[string, string[], string]>([
    ['another command', ['analyze'], 'there is no command "analyze"'],
    ['nothing to explain', ['explain'], 'say what to explain'],
    ['a kind without ports', ['explain', 'svc/web'], '"svc" has no ports of its own'],
    ['a kind of another group', ['explain', 'pods.apps/web'], '"pods.apps" has no ports'],
    ['too many parts', ['explain', 'pod/web/8080'], 'say what to explain'],
    ['no name', ['explain', 'pod/'], 'say what to explain'],
    ['a name that is none', ['explain', 'pod/Web_1'], '"Web_1" is no name of Kubernetes'],
    ['a port beyond the last', ['explain', 'pod/web', '-p', '65536'], '--port is "65536"'],
    ['port 0', ['explain', 'pod/web', '-p', '0'], '--port is "0"'],
    ['a port that is no name', ['explain', 'pod/web', '-p', 'Http!'], '--port is "Http!"'],
    ['a format there is not', ['explain', 'pod/web', '-o', 'yaml'], '--output is "yaml"'],
    ['a namespace that is none', ['explain', 'pod/web', '-n', 'a/b'], '--namespace is "a/b"'],
    ['all namespaces to explain', ['explain', 'pod/web', '-A'], '--all-namespaces is not for explain'],
    ['a port of proxies', ['proxies', '-p', '80'], '--port is not for proxies'],
    ['two names of proxies', ['proxies', 'a', 'b'], 'the name of one pod at most'],
    ['a kind with the name of a pod', ['proxies', 'pod/web'], 'without its kind'],
    ['all namespaces and one', ['proxies', '-A', '-n', 'shop'], '--all-namespaces is for all pods'],
    ['all namespaces and one pod', ['proxies', '-A', 'web'], '--all-namespaces is for all pods'],
    ['a namespace to check', ['check', '-n', 'shop'], '--namespace is not for check'],
    ['something to check', ['check', 'webhook'], 'check looks at everything'],
    ['a wide check', ['check', '-o', 'wide'], '--output is "wide": give text or json'],
    ['an unknown flag', ['explain', 'pod/web', '--all'], '--all'],
  ])('refuses %s', (_, args, message) => {
    expect(() => parsePluginFlags(args)).toThrow(CliError);
    expect(() => parsePluginFlags(args)).toThrow(message);
  });
});
