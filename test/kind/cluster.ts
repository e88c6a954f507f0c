import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeGuardedDirectory } from '../cluster/guardian.ts';
import { findOrBuildBinaries } from '../cluster/index.ts';
import { type Dockerd, startDockerd } from '../docker/dockerd.ts';
import { docker } from '../docker/machine.ts';
import type { Target } from '../e2e/target.ts';
import { machinePath } from '../node/machine.ts';
import { kernelSettings } from '../node/namespaces.ts';
import { CommandError, run } from '../support/command.ts';
import { helmFor } from '../support/helm.ts';
import { type Progress, withProgress } from '../support/progress.ts';
import { nodeImage, nodeImageChanges } from './nodeImage.ts';
import { kindProgram, kindSources, releasedImage } from './programs.ts';
import { hasSysResource, writeRuntime } from './runtime.ts';

const pullTimeoutMs = 300_000;
const builtImage = 'localhost/kind-node:built';

/** A kind cluster of one node, on a Docker daemon of its own. Gone without trace after its disposal, or when this process ends. */
export async function startKindCluster(progress: Progress): Promise<Target> {
  const kind = await kindProgram(progress);
  const { kubectl } = await findOrBuildBinaries(progress);
  const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-kind-');
  let dockerd: Dockerd | undefined;
  try {
    guarded.undo('machine', whatItLeaves());
    const runtime = join(guarded.path, 'runtime');
    writeRuntime(runtime);
    const flags = hasSysResource() ? [] : [`--add-runtime=ours=${runtime}`, '--default-runtime=ours'];
    dockerd = await startDockerd({ progress, flags });
    const daemon = dockerd;
    const image = await bringNodeImage(daemon, progress);
    const programs = join(guarded.path, 'programs');
    mkdirSync(programs);
    symlinkSync(docker, join(programs, 'docker')); // a machine may have another one before it on its PATH
    const kubeconfig = join(guarded.path, 'kubeconfig');
    const name = `e2e-${randomBytes(3).toString('hex')}`;
    const runKind = (...args: readonly string[]) =>
      run(kind, [...args, `--name=${name}`], {
        cwd: guarded.path,
        env: {
          PATH: `${programs}:${machinePath}`,
          HOME: guarded.path,
          DOCKER_HOST: daemon.host,
          KUBECONFIG: kubeconfig,
        },
      });
    const config = join(guarded.path, 'kind.json');
    writeFileSync(config, JSON.stringify(configuration(image), null, 2));
    await withProgress(progress, `kind creates a cluster on ${image}`, () =>
      runKind('create', 'cluster', `--config=${config}`, '--wait=3m', '--retain').catch(async (error: unknown) => {
        throw new Error(await explained(error, daemon, `${name}-control-plane`), { cause: error });
      }),
    );
    const env = { HOME: guarded.path, KUBECONFIG: kubeconfig, KUBERC: 'off' };
    return {
      kubectl: async (args, options) => {
        const [first, ...words] = daemon.enter([kubectl, ...args]);
        return (await run(first, words, { cwd: guarded.path, env, input: options?.input })).stdout;
      },
      helm: await helmFor(join(guarded.path, 'helm'), { kubeconfig }, (command) => daemon.enter(command)),
      load: async (archive) => {
        const file = typeof archive === 'string' ? archive : join(guarded.path, 'image.tar');
        if (typeof archive !== 'string') writeFileSync(file, archive);
        await runKind('load', 'image-archive', file);
      },
      kill: async (container) => {
        const command = ['ctr', '--namespace=k8s.io', 'tasks', 'kill', '--signal=SIGKILL', container];
        await daemon.docker(['exec', `${name}-control-plane`, ...command]);
      },
      [Symbol.asyncDispose]: async () => {
        await daemon.remove();
        await guarded.remove();
      },
    };
  } catch (error) {
    await dockerd?.remove();
    await guarded.remove();
    throw error;
  }
}

/** What kind said, and the last that was heard from the node. */
async function explained(error: unknown, dockerd: Dockerd, node: string): Promise<string> {
  const said = error instanceof Error ? error.message : String(error);
  const heard = async (...args: readonly string[]) => {
    const { stdout, stderr } = await dockerd.docker(args).catch((failure: unknown) => {
      if (failure instanceof CommandError) return { stdout: '', stderr: failure.output };
      throw failure;
    });
    return `$ docker ${args.join(' ')}\n${stdout}${stderr}`;
  };
  const journal = ['exec', node, 'journalctl', '--no-pager', '--lines=40', '--unit=kubelet', '--unit=containerd'];
  return [said, await heard('logs', '--tail=30', node), await heard(...journal)].join('\n');
}

/** The released image where it can be had, else one that is made here. @returns its name for the daemon */
async function bringNodeImage(dockerd: Dockerd, progress: Progress): Promise<string> {
  const released = releasedImage(await kindSources(progress), (file) => readFileSync(file, 'utf8'));
  try {
    await withProgress(progress, `Pulling kind's released node image ${released}`, () =>
      dockerd.docker(['pull', '--quiet', released], {}, AbortSignal.timeout(pullTimeoutMs)),
    );
    return released;
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    const why = error.output.trim().split('\n').at(-1) ?? '';
    progress(`kind's released node image cannot be had (${why}): taking one that is built here`);
  }
  const archive = await nodeImage(progress);
  const changes = nodeImageChanges.flatMap((change) => ['--change', change]);
  await withProgress(progress, `Importing the node image`, () =>
    dockerd.docker(['import', ...changes, archive, builtImage]),
  );
  return builtImage;
}

function configuration(image: string): object {
  const kubelet = {
    apiVersion: 'kubelet.config.k8s.io/v1beta1',
    kind: 'KubeletConfiguration',
    failCgroupV1: false, // refused by default since 1.35
    syncFrequency: '1s', // a changed Secret reaches its pods when the kubelet looks at them the next time
  };
  return {
    apiVersion: 'kind.x-k8s.io/v1alpha4',
    kind: 'Cluster',
    nodes: [{ role: 'control-plane', image }],
    // The image that is built here brings its network of pods with it.
    networking: { kubeProxyMode: 'nftables', disableDefaultCNI: image === builtImage },
    kubeadmConfigPatches: [JSON.stringify(kubelet)],
    // Without CAP_SYS_RESOURCE nobody may make a process less likely to be killed than itself.
    containerdConfigPatches: ['[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n'],
  };
}

/** Undoes what a privileged container does to the whole machine: a kubelet's settings of the kernel, and a folder that kind has mounted. */
function whatItLeaves(): string {
  const settings = Object.keys(kernelSettings)
    .map((name) => join('/proc/sys', name))
    .filter((file) => existsSync(file))
    .map((file) => `echo ${readFileSync(file, 'utf8').trim()} >${file}`);
  const folders = existsSync('/lib/modules') ? [] : ['rmdir /lib/modules'];
  return `${[...settings, ...folders].join('\n')}\n`;
}
