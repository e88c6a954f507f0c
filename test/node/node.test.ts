import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Cluster } from '../cluster/index.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { type ClusterWithNode, makeProbeImage, type Node, startClusterWithNode } from './index.ts';
import { mounting, Pods, probePod } from './pods.ts';

let cluster: Cluster;
let node: Node;
let pods: Pods;
let probe: Buffer;

beforeAll(async () => {
  ({ cluster, node } = await startClusterWithNode({ log: printProgress }));
  probe = await makeProbeImage(printProgress);
  await node.load(probe);
  pods = new Pods(cluster);
});

afterAll(async () => {
  await cluster?.stop();
});

function secret(name: string, value: string): object {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { value } };
}

function service(name: string): object {
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name },
    spec: { selector: { app: name }, ports: [{ port: 80, targetPort: 8080 }] },
  };
}

describe('a Secret', () => {
  test('is read by a pod that mounts it', async () => {
    await pods.apply(secret('mounted', 'one'), probePod('reader', ['watch', '/mnt/value'], mounting('mounted')));
    await pods.running('reader');
    await pods.says('reader', 'one');
  });

  test('that is changed reaches the pod that runs', async () => {
    await pods.apply(secret('mounted', 'two'));
    await pods.says('reader', 'two');
    expect(await pods.log('reader')).toBe('one\ntwo\n');
  });

  test('that is missing holds the pod back until it comes', async () => {
    await pods.apply(probePod('waiting', ['watch', '/mnt/value'], mounting('late')));
    await waitFor('the kubelet to miss it', async () => {
      const events = await cluster.kubectl([
        'get',
        'events',
        '--field-selector=involvedObject.name=waiting',
        '-o',
        'name',
      ]);
      const reasons = await cluster.kubectl(['get', 'events', '--field-selector=reason=FailedMount', '-o', 'name']);
      return events.split('\n').some((event) => event !== '' && reasons.includes(event));
    });
    // kubelet writes events and status apart, in no order.
    const statuses = await waitFor('its status', async () => {
      const { containerStatuses } = await pods.get('waiting');
      return containerStatuses.length > 0 && containerStatuses;
    });
    expect(statuses).toMatchObject([{ state: { waiting: {} } }]);
    await pods.apply(secret('late', 'here'));
    await pods.running('waiting');
    await pods.says('waiting', 'here');
  });
});

describe('the network', () => {
  let address: string;

  beforeAll(async () => {
    const hardened = {
      spec: { securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } } },
      container: {
        securityContext: {
          readOnlyRootFilesystem: true,
          allowPrivilegeEscalation: false,
          capabilities: { drop: ['ALL'] },
        },
      },
    };
    await pods.apply(service('greeter'), probePod('greeter', ['serve', ':8080', 'hello'], hardened));
    address = await pods.running('greeter');
  });

  test('carries TCP from pod to pod, by address, by Service and by name, from the address of the one that asks', async () => {
    const clusterIp = (await cluster.kubectl(['get', 'service', 'greeter', '-o', 'jsonpath={.spec.clusterIP}'])).trim();
    const targets = [`${address}:8080`, `${clusterIp}:80`, 'greeter:80', 'greeter.default.svc.cluster.local:80'];
    await pods.apply(probePod('asker', ['ask', ...targets], { spec: { restartPolicy: 'Never' } }));
    await pods.says('asker', 'cluster.local:80: ');
    const own = (await pods.get('asker')).podIP;
    expect((await pods.log('asker')).trim().split('\n')).toEqual(targets.map((target) => `${target}: hello to ${own}`));
  });

  test('lets a pod reach itself by its Service', async () => {
    // Not by the name alone: to a pod that is its own.
    const answer = await cluster.kubectl(['exec', 'greeter', '--', '/probe', 'ask', 'greeter.default:80']);
    expect(answer).toMatch(/hello to /);
  });

  test('gives a pod the API server, which knows its service account', async () => {
    const path = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
    await pods.apply(probePod('caller', ['api', path], { spec: { restartPolicy: 'Never' } }));
    // A service account may ask who it is by POST only. The refusal names it.
    await pods.says('caller', 'system:serviceaccount:default:default');
    expect(await pods.log('caller')).toMatch(/^403 /);
  });

  test('has names and addresses of the API server for which its certificate is good', async () => {
    const answer = await cluster.kubectl(['exec', 'greeter', '--', '/probe', 'api', '/version']);
    expect(answer).toMatch(/^200 /);
    const endpoints = await cluster.kubectl([
      'get',
      'endpointslice',
      'kubernetes',
      '-o',
      'jsonpath={.endpoints[*].addresses[*]}',
    ]);
    expect(endpoints).toBe(new URL(cluster.url).hostname);
  });
});

test('a Deployment is scheduled, runs, and is replaced pod by pod', async () => {
  const deployment = (text: string) => ({
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name: 'web' },
    spec: {
      replicas: 2,
      selector: { matchLabels: { app: 'web' } },
      template: { metadata: { labels: { app: 'web' } }, spec: podSpecOf(text) },
    },
  });
  const podSpecOf = (text: string) => ({
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'localhost/probe:1', args: ['serve', ':8080', text] }],
  });
  await pods.apply(service('web'), deployment('old'));
  const rolledOut = () => cluster.kubectl(['rollout', 'status', 'deployment/web', '--timeout=60s']);
  await rolledOut();
  await pods.apply(deployment('new'));
  await rolledOut();
  await waitFor('the Service to lead to new pods only', async () => {
    const addresses = await cluster.kubectl([
      'get',
      'endpointslice',
      '-l',
      'kubernetes.io/service-name=web',
      '-o',
      'jsonpath={.items[*].endpoints[*].addresses[*]}',
    ]);
    return addresses.split(' ').length === 2;
  });
  const answer = await cluster.kubectl(['exec', 'greeter', '--', '/probe', 'ask', 'web:80']);
  expect(answer).toMatch(/^web:80: new to /);
});

test('an image that is not there is not looked for elsewhere for ever: the pod says so', async () => {
  await pods.apply(probePod('imageless', [], { container: { image: 'localhost/missing:1' } }));
  await waitFor('the reason', async () => {
    const { containerStatuses } = await pods.get('imageless');
    return JSON.stringify(containerStatuses).includes('ErrImagePull');
  });
});

test('containerd and the kubelet can be killed and started again while pods run', async () => {
  const before = await pods.log('reader');
  await node.processes.containerd.restart('SIGKILL');
  await node.processes.kubelet.restart('SIGKILL');
  await pods.apply(secret('mounted', 'three'));
  await pods.says('reader', 'three');
  expect((await pods.log('reader')).startsWith(before)).toBe(true); // the same process
});

describe('a second cluster with a node', () => {
  let other: ClusterWithNode;

  beforeAll(async () => {
    other = await startClusterWithNode();
    await other.node.load(probe);
  });

  afterAll(async () => {
    await other?.cluster.stop();
  });

  test('runs pods of the same names beside the first, and neither sees the other', async () => {
    const theirs = new Pods(other.cluster);
    await theirs.apply(service('greeter'), probePod('greeter', ['serve', ':8080', 'from the other one']));
    await theirs.running('greeter');
    const ask = (of: Cluster) => of.kubectl(['exec', 'greeter', '--', '/probe', 'ask', 'greeter.default:80']);
    expect(await ask(other.cluster)).toMatch(/from the other one to/);
    expect(await ask(cluster)).toMatch(/hello to/);
    expect(other.node.address).not.toBe(node.address);
  });

  test('loses its node as in a power failure, and the control plane notices', async () => {
    await other.node.stop();
    for (const process of Object.values(other.node.processes)) expect(process.running).toBe(false);
    await waitFor(
      'the node to be unknown',
      async () => {
        const path = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
        return (await other.cluster.kubectl(['get', 'node', other.node.name, '-o', path])) === 'Unknown';
      },
      { timeoutMs: 100_000 },
    );
    expect(await pods.log('greeter')).toBe(''); // the first one's goes on
  });
});
