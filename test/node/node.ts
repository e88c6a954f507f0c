import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { connect } from 'node:net';
import { dirname, join } from 'node:path';
import { z } from 'zod';
import { get } from '../cluster/http.ts';
import type { Cluster, Command, ControlPlaneProcess } from '../cluster/index.ts';
import { CommandError, run } from '../support/command.ts';
import { waitFor } from '../support/waitFor.ts';
import type { Addresses } from './addresses.ts';
import type { NodePrograms } from './binaries.ts';
import { containerdArgs, containerdSocket } from './containerd.ts';
import { dnsArgs, dnsReadyUrl } from './dns.ts';
import { pauseImage } from './images.ts';
import { kubeletArgs, kubeletHealthUrl } from './kubelet.ts';
import { machinePath } from './machine.ts';
import type { Namespaces } from './namespaces.ts';
import { proxyArgs, proxyHealthUrl } from './proxy.ts';

export interface NodeParts {
  readonly cluster: Cluster;
  readonly programs: NodePrograms;
  readonly namespaces: Namespaces;
  readonly addresses: Addresses;
  /** Name of its cgroup in every hierarchy. */
  readonly cgroup: string;
  /** Holds the node's files. */
  readonly directory: string;
}

export const nodeName = 'node';

/** Starts containerd, kubelet, kube-proxy and CoreDNS in the node's namespaces, and resolves when the node takes pods. */
export async function startNode(parts: NodeParts, pause: Buffer): Promise<Node> {
  const { cluster, programs, namespaces, addresses, cgroup, directory } = parts;
  const inside = (name: string, command: Command, ready: (signal: AbortSignal) => Promise<boolean>) =>
    cluster.process(name, namespaces.enter(command), ready, { isChild: true });
  const socket = join(directory, containerdSocket);
  // Started again, it looks for the shim of a container that runs in PATH alone, whatever runtime_path says, and gives up one whose shim is not there.
  const path = `PATH=${dirname(programs.shim)}:${machinePath}`;
  const containerd = inside(
    'containerd',
    [
      '/usr/bin/env',
      path,
      programs.containerd,
      ...containerdArgs(directory, { runtime: programs, addresses, pauseImage }),
    ],
    () => takesConnections(socket),
  );
  const forKubelet = kubeletArgs(directory, {
    kubeconfig: await cluster.kubeconfigFor({ name: `system:node:${nodeName}`, groups: ['system:nodes'] }),
    caFile: cluster.caFile,
    serving: cluster.serving([nodeName], [addresses.node]),
    name: nodeName,
    cgroup,
    addresses,
  });
  const kubelet = inside(
    'kubelet',
    [programs.kubelet, ...forKubelet],
    async (signal) => (await answers(kubeletHealthUrl(addresses), signal)) && (await isReady(cluster, signal)),
  );
  const kubeconfig = await cluster.kubeconfigFor({ name: 'system:kube-proxy' });
  const forProxy = proxyArgs(directory, { kubeconfig, name: nodeName, addresses });
  const proxy = inside('kube-proxy', [programs.kubeProxy, ...forProxy], (signal) =>
    answers(proxyHealthUrl(addresses), signal),
  );
  const forDns = await dnsArgs(directory, { cluster, addresses });
  const dns = inside('coredns', [programs.dns, ...forDns], (signal) => answers(dnsReadyUrl(addresses), signal));
  const node = new Node(parts, { containerd, kubelet, proxy, dns });
  await containerd.start();
  await Promise.all([node.load(pause), kubelet.start(), proxy.start(), dns.start()]);
  return node;
}

/** What runs on it, pods apart. */
export interface NodeProcesses {
  readonly containerd: ControlPlaneProcess;
  readonly kubelet: ControlPlaneProcess;
  readonly proxy: ControlPlaneProcess;
  readonly dns: ControlPlaneProcess;
}

/** A machine of a cluster that runs pods. It goes with the cluster. */
export class Node {
  readonly name = nodeName;
  readonly addresses: Addresses;
  readonly cgroup: string;
  readonly processes: NodeProcesses;
  readonly #parts: NodeParts;

  constructor(parts: NodeParts, processes: NodeProcesses) {
    this.#parts = parts;
    this.processes = processes;
    this.addresses = parts.addresses;
    this.cgroup = parts.cgroup;
  }

  /** On which this machine and all pods reach it. */
  get address(): string {
    return this.addresses.node;
  }

  /** The words that run a command in the node's namespaces. */
  enter(command: Command): Command {
    return this.#parts.namespaces.enter(command);
  }

  /** For people: imports an archive of images from standard input. */
  get importCommand(): string {
    const { namespaces, programs } = this.#parts;
    return [...namespaces.prefix, programs.ctr, '--namespace=k8s.io', 'images', 'import', '-'].join(' ');
  }

  /** Imports an archive of images (OCI or Docker's), a file or its bytes, and resolves when pods can use them. */
  async load(archive: string | Buffer): Promise<void> {
    await this.#ctr(['images', 'import', '-'], archive);
    // containerd's CRI plugin learns of an image by an event, and marks it as its own then: earlier a kubelet would not find it.
    await waitFor('containerd to take over the images', async () => {
      return (
        (await this.#ctr(['images', 'list', '--quiet', 'labels."io.cri-containerd.image"!=managed'])).trim() === ''
      );
    });
  }

  /** To a container's process, by the container's id. SIGSTOP makes it hang: its connections stay open and go silent. */
  async signal(container: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    await this.#ctr(['tasks', 'kill', `--signal=${signal}`, container]);
  }

  /** Id of the container that holds a pod's network. @param uid of the pod. */
  async sandboxOf(uid: string): Promise<string> {
    const filter = `labels."io.cri-containerd.kind"==sandbox,labels."io.kubernetes.pod.uid"==${uid}`;
    const [id = '', ...others] = (await this.#ctr(['containers', 'list', '--quiet', filter])).trim().split('\n');
    if (id === '' || others.length > 0) throw new Error(`pod ${uid} has ${id === '' ? 'no' : 'more than one'} sandbox`);
    return id;
  }

  /** Names of the images that pods can use. */
  async images(): Promise<readonly string[]> {
    const names = (await this.#ctr(['images', 'list', '--quiet'])).trim().split('\n');
    return names.filter((name) => !name.startsWith('sha256:'));
  }

  async #ctr(args: readonly string[], input?: string | Buffer): Promise<string> {
    const { cluster, programs } = this.#parts;
    const [program, ...words] = this.enter([programs.ctr, '--namespace=k8s.io', ...args]);
    const file = typeof input === 'string' ? openSync(input, 'r') : undefined;
    try {
      const { stdout } = await run(program, words, {
        launch: (command, options) => {
          const stdin = file ?? (input === undefined ? 'ignore' : 'pipe');
          const child: ChildProcess = cluster.launch(command, { ...options, stdio: [stdin, 'pipe', 'pipe'] });
          child.stdin?.on('error', () => {}); // it ended without reading: its exit code tells
          child.stdin?.end(input);
          return child;
        },
      });
      return stdout;
    } finally {
      if (file !== undefined) closeSync(file);
    }
  }

  /** Ends everything that runs on it at once, pods and all, as a power failure does. The control plane goes on, and so do its addresses. */
  async stop(): Promise<void> {
    const [program, ...args] = this.enter(['/bin/sh', '-c', 'kill -KILL -1']);
    await run(program, args).catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error; // a signal to itself, too
    });
    await Promise.all(Object.values(this.processes).map((process) => process.kill()));
  }
}

async function answers(url: string, signal: AbortSignal): Promise<boolean> {
  return (await get(url, { signal })).status === 200;
}

function takesConnections(socket: string): Promise<boolean> {
  return new Promise((resolve) => {
    const connection = connect(socket);
    connection.once('connect', () => resolve(true)).once('error', () => resolve(false));
    connection.once('connect', () => connection.destroy());
  });
}

const nodeSchema = z.object({
  spec: z.object({ taints: z.array(z.unknown()).default([]) }),
  status: z.object({ conditions: z.array(z.object({ type: z.string(), status: z.string() })).default([]) }),
});

/** Whether the node says that it is ready, and the controllers have taken note of it. */
async function isReady(cluster: Cluster, signal: AbortSignal): Promise<boolean> {
  const url = `${cluster.url}/api/v1/nodes/${nodeName}`;
  const { status, body } = await get(url, { ca: cluster.caPem, token: cluster.token, signal });
  if (status !== 200) return false;
  const node = nodeSchema.parse(JSON.parse(body));
  const ready = node.status.conditions.some((condition) => condition.type === 'Ready' && condition.status === 'True');
  return ready && node.spec.taints.length === 0;
}
