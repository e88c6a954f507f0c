import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { arch } from 'node:os';
import { type TarFile, tarArchive } from './tar.ts';

export interface ImageSpec {
  /** With registry and tag: `localhost/pause:1`. Not `latest`, which a kubelet would look for in a registry. */
  readonly name: string;
  /** Places in the image, and the programs on this machine that go there: statically linked, unless there is a root file system. */
  readonly files: Readonly<Record<string, string>>;
  /** Path of a tar archive that lies below them. */
  readonly rootfs?: string;
  /** Default none: whoever runs it says what. */
  readonly entrypoint?: readonly string[];
  /** Default root. */
  readonly user?: string;
}

/** An image as an OCI archive, as `Node.load` takes it. The same files always give the same bytes. */
export function makeImage(spec: ImageSpec): Buffer {
  const blobs: TarFile[] = [];
  const blob = (mediaType: string, content: Buffer) => {
    const hash = createHash('sha256').update(content).digest('hex');
    blobs.push({ path: `blobs/sha256/${hash}`, content });
    return { mediaType, digest: `sha256:${hash}`, size: content.length };
  };
  const json = (value: unknown) => Buffer.from(JSON.stringify(value));
  const files = tarArchive(
    Object.entries(spec.files).map(([path, source]) => ({
      path: path.replace(/^\/+/, ''),
      content: readFileSync(source),
      mode: 0o755,
    })),
  );
  const below = spec.rootfs === undefined ? [] : [readFileSync(spec.rootfs)];
  const layers = [...below, files].map((layer) => blob('application/vnd.oci.image.layer.v1.tar', layer));
  const config = blob(
    'application/vnd.oci.image.config.v1+json',
    json({
      architecture: arch() === 'x64' ? 'amd64' : arch(),
      os: 'linux',
      config: {
        ...(spec.entrypoint === undefined ? {} : { Entrypoint: spec.entrypoint }),
        ...(spec.user === undefined ? {} : { User: spec.user }),
      },
      rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
    }),
  );
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = blob(manifestType, json({ schemaVersion: 2, mediaType: manifestType, config, layers }));
  const annotations = { 'io.containerd.image.name': spec.name };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, annotations }] };
  return tarArchive([
    { path: 'oci-layout', content: json({ imageLayoutVersion: '1.0.0' }) },
    { path: 'index.json', content: json(index) },
    ...blobs,
  ]);
}
