import type { KubectlOptions } from '../cluster/index.ts';
import type { Helm } from '../support/helm.ts';

/** A cluster as its administrator has it: what the suite needs to know of one, and no more. */
export interface Target extends AsyncDisposable {
  /** @throws with what kubectl wrote to stderr */
  kubectl(args: readonly string[], options?: Pick<KubectlOptions, 'input'>): Promise<string>;
  readonly helm: Helm;
  /** Brings an archive of images (OCI or Docker's), a file or its bytes, onto every node. */
  load(archive: string | Buffer): Promise<void>;
  /** Ends a container's process without warning, by the id that containerd knows it by. */
  kill(container: string): Promise<void>;
}
