/**
 * A node image for kind out of Debian packages, Go programs and kind's own files, for machines that reach no image registry: what `kind build node-image` makes of
 * downloads. The images that a control plane is made of lie in its containerd already.
 */
import { once } from 'node:events';
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { z } from 'zod';
import { makeGuardedDirectory } from '../cluster/guardian.ts';
import { findOrBuildBinaries, readVersions } from '../cluster/index.ts';
import { place, rootfsArchive } from '../image/rootfs.ts';
import { findOrBuildNode } from '../node/binaries.ts';
import { podNetwork } from '../node/containerd.ts';
import { makeImage } from '../node/image.ts';
import { pauseProgram } from '../node/images.ts';
import { machinePath } from '../node/machine.ts';
import { run } from '../support/command.ts';
import type { Progress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { kindSources, kubeadmProgram } from './programs.ts';

/** Lines of a Dockerfile for the image's configuration. kind's own says how it is stopped, too, which `docker import` does not take. */
export const nodeImageChanges = ['ENV container=docker', 'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]'];

/** As kind's Dockerfile, without what only storage, rootless Docker and its own tests need. */
const packages = [
  ...['systemd', 'dbus', 'runc', 'libseccomp2', 'ca-certificates'],
  ...['conntrack', 'iptables', 'nftables', 'iproute2', 'ethtool'],
  ...['bash', 'curl', 'e2fsprogs', 'hostname', 'jq', 'kmod', 'mount', 'procps', 'util-linux'],
];

/** The pods of a kind node have this network unless its configuration says otherwise. */
const podSubnet = '10.244.0.0/24';

/** Path of an archive for `docker import`. Made once, in half a minute when all programs are built, and cached. */
export async function nodeImage(progress: Progress): Promise<string> {
  const parts = await findParts(progress);
  const sources = ['nodeImage.ts', 'go.mod', '../image/rootfs.ts', '../node/image.ts', '../node/containerd.ts'];
  const texts = sources.map((file) => readFileSync(join(import.meta.dirname, file), 'utf8'));
  const proxyRootfs = await rootfsArchive(
    { name: 'kube-proxy', packages: ['nftables', 'libc6'], variant: 'extract', complete: async () => {} },
    texts,
    progress,
  );
  const complete = (rootfs: string) => fill(rootfs, parts, proxyRootfs);
  return await rootfsArchive(
    { name: 'kind-node', packages, variant: 'minbase', complete },
    // The paths of programs in the cache tell what they are made of.
    [...Object.values(parts), ...texts],
    progress,
  );
}

type Parts = Awaited<ReturnType<typeof findParts>>;

async function findParts(progress: Progress) {
  return {
    ...(await findOrBuildBinaries(progress)),
    ...(await findOrBuildNode(progress)),
    pause: await pauseProgram(progress),
    kubeadm: await kubeadmProgram(progress),
    kind: await kindSources(progress),
  };
}

async function fill(rootfs: string, parts: Parts, proxyRootfs: string): Promise<void> {
  const at = (path: string) => join(rootfs, path);
  cpSync(join(parts.kind, 'images', 'base', 'files'), rootfs, { recursive: true });
  await run('chmod', ['-R', 'u+rwX,go+rX,go-w', ...['kind', 'etc/systemd/system', 'etc/containerd'].map(at)]);
  await run('chmod', ['0755', ...['kind/bin', 'usr/local/bin'].flatMap((folder) => filesIn(at(folder)))]);
  for (const [path, source] of Object.entries({
    'usr/bin/kubeadm': parts.kubeadm,
    'usr/bin/kubelet': parts.kubelet,
    'usr/bin/kubectl': parts.kubectl,
    'usr/local/bin/containerd': parts.containerd,
    'usr/local/bin/containerd-shim-runc-v2': parts.shim,
    'usr/local/bin/ctr': parts.ctr,
    'opt/cni/bin/ptp': parts.ptp,
    'opt/cni/bin/host-local': parts.hostLocal,
  }))
    place(source, at(path), 0o755);
  enableServices(rootfs);
  writeFileSync(at('kind/version'), readVersions().kubernetes);
  writeFileSync(at('etc/containerd/cri-base.json'), await baseSpec(parts.ctr));
  for (const folder of ['etc/cni/net.d', 'etc/kubernetes/manifests', 'kind/manifests'])
    mkdirSync(at(folder), { recursive: true });
  // containerd brings up a pod's own loopback itself, as on the project's own node, where a plugin of that name would be missing.
  const loopback = '\n[plugins."io.containerd.grpc.v1.cri".cni]\n  use_internal_loopback = true\n';
  appendFileSync(at('etc/containerd/config.toml'), loopback);
  const network = JSON.stringify(podNetwork({ pods: podSubnet }), null, 2);
  writeFileSync(at('etc/cni/net.d/10-pods.conflist'), network);
  await importImages(rootfs, parts, proxyRootfs);
}

const filesIn = (folder: string): string[] => readdirSync(folder).map((name) => join(folder, name));

/** systemd starts nothing but what a node is made of. */
function enableServices(rootfs: string): void {
  const system = join(rootfs, 'etc/systemd/system');
  const library = join(rootfs, 'usr/lib/systemd/system');
  for (const folder of readdirSync(system).filter((name) => name.endsWith('.wants')))
    rmSync(join(system, folder), { recursive: true });
  for (const wants of ['multi-user.target.wants', 'local-fs.target.wants', 'basic.target.wants'])
    rmSync(join(library, wants), { recursive: true, force: true });
  const unwanted = /^(?:systemd-tmpfiles-setup\.service|.*udev.*|.*initctl.*)$/;
  for (const wants of ['sysinit.target.wants', 'sockets.target.wants'])
    for (const file of filesIn(join(library, wants)))
      if (unwanted.test(file.slice(file.lastIndexOf('/') + 1))) rmSync(file);
  const wanted = join(system, 'multi-user.target.wants');
  mkdirSync(wanted);
  for (const name of ['kubelet', 'containerd', 'undo-mount-hacks'])
    symlinkSync(`/etc/systemd/system/${name}.service`, join(wanted, `${name}.service`));
  symlinkSync('/dev/null', join(system, 'systemd-binfmt.service'));
  rmSync(join(rootfs, 'sbin/init'), { force: true });
  symlinkSync('/usr/lib/systemd/systemd', join(rootfs, 'usr/sbin/init'));
  const journal = join(rootfs, 'etc/systemd/journald.conf');
  writeFileSync(journal, `${readFileSync(journal, 'utf8')}ReadKMsg=no\n`);
}

const specSchema = z.looseObject({
  process: z.looseObject({ rlimits: z.unknown().optional() }),
  hooks: z.looseObject({ createContainer: z.array(z.unknown()).default([]) }).default({ createContainer: [] }),
});

/** What containers begin with: as kind's Dockerfile makes it with jq. */
async function baseSpec(ctr: string): Promise<string> {
  const spec = specSchema.parse(JSON.parse((await run(ctr, ['oci', 'spec'])).stdout));
  delete spec.process.rlimits;
  spec.hooks.createContainer.push({ path: '/kind/bin/mount-product-files.sh' });
  return JSON.stringify(spec);
}

/** Names as kubeadm has them, each with what is in it. */
async function images(parts: Parts, proxyRootfs: string, pauseName: string): Promise<Buffer[]> {
  const version = ['--kubernetes-version', readVersions().kubernetes];
  const listed = (await run(parts.kubeadm, ['config', 'images', 'list', ...version])).stdout.trim().split('\n');
  const programs: Readonly<Record<string, string>> = {
    'kube-apiserver': parts.kubeApiserver,
    'kube-controller-manager': parts.kubeControllerManager,
    'kube-scheduler': parts.kubeScheduler,
    etcd: parts.etcd,
  };
  return [...listed.filter((name) => !name.includes('/pause:')), pauseName].map((name) => {
    const short = /([a-z-]+):/.exec(name)?.[1] ?? '';
    if (short === 'pause') return makeImage({ name, files: { '/pause': parts.pause }, entrypoint: ['/pause'] });
    if (short === 'coredns') return makeImage({ name, files: { '/coredns': parts.dns }, entrypoint: ['/coredns'] });
    if (short === 'kube-proxy')
      return makeImage({ name, files: { '/usr/local/bin/kube-proxy': parts.kubeProxy }, rootfs: proxyRootfs });
    const program = programs[short];
    if (program === undefined) throw new Error(`kubeadm wants an image of which nothing is known here: ${name}`);
    return makeImage({ name, files: { [`/usr/local/bin/${short}`]: program } });
  });
}

/** The node's containerd finds them when it starts: one of ours has laid them where its content is. */
async function importImages(rootfs: string, parts: Parts, proxyRootfs: string): Promise<void> {
  const config = readFileSync(join(rootfs, 'etc/containerd/config.toml'), 'utf8');
  const pauseName = /^\s*sandbox_image = "([^"]+)"/m.exec(config)?.[1];
  if (pauseName === undefined) throw new Error("kind's configuration of containerd names no pause image");
  const guarded = await makeGuardedDirectory(tmpdir(), 'mtls-operator-kind-image-');
  try {
    const own = join(guarded.path, 'containerd.toml');
    writeFileSync(own, 'version = 2\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n');
    const socket = join(guarded.path, 'containerd.sock');
    const root = join(rootfs, 'var/lib/containerd');
    const places = [`--root=${root}`, `--state=${join(guarded.path, 'state')}`, `--address=${socket}`];
    const env = { PATH: machinePath };
    const containerd = guarded.launch([parts.containerd, `--config=${own}`, ...places], { stdio: 'ignore', env });
    const ended = once(containerd, 'exit');
    await waitFor('containerd to take images', () => statSync(socket).isSocket());
    const label = '--label=io.cri-containerd.pinned=pinned';
    for (const archive of await images(parts, proxyRootfs, pauseName)) {
      const file = join(guarded.path, 'image.tar');
      writeFileSync(file, archive);
      const words = ['images', 'import', label, '--all-platforms', '--no-unpack', '--digests', file];
      await run(parts.ctr, [`--address=${socket}`, '--namespace=k8s.io', ...words]);
    }
    containerd.kill('SIGTERM'); // it closes its database
    await ended;
  } finally {
    await guarded.remove();
  }
}
