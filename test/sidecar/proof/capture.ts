/** What is on the wires of a node, as tcpdump hears it. */
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cluster } from '../../cluster/index.ts';
import type { Node } from '../../node/index.ts';
import { findTcpdump } from '../../support/debian.ts';
import type { Progress } from '../../support/progress.ts';
import { waitFor } from '../../support/waitFor.ts';

export class Capture {
  readonly #child: ChildProcess;
  readonly #directory: string;
  #said = '';

  private constructor(child: ChildProcess, directory: string) {
    this.#child = child;
    this.#directory = directory;
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#said += text;
    });
  }

  /** Hears what any pod sends or gets by TCP, as soon as it resolves. */
  static async start(cluster: Cluster, node: Node, progress: Progress): Promise<Capture> {
    const { directory: programs, env } = await findTcpdump(progress);
    const directory = await mkdtemp(join(tmpdir(), 'mtls-operator-capture-'));
    // Not of the node itself: what a client in a pod prints comes back over a connection of containerd's there.
    const { ipv6, pods } = node.addresses;
    const filter = `tcp and (net ${pods}${ipv6 === undefined ? '' : ` or net ${ipv6.pods}`})`;
    const words = [
      '-i',
      'any',
      '-n',
      '-s',
      '0',
      '-B',
      '65536',
      '-U',
      '-Z',
      'root',
      '-w',
      join(directory, 'pcap'),
      filter,
    ];
    const command = node.enter([join(programs, 'tcpdump'), ...words]);
    const child = cluster.launch(command, { stdio: ['ignore', 'ignore', 'pipe'], env });
    const capture = new Capture(child, directory);
    await waitFor('tcpdump to listen', () => {
      if (child.exitCode !== null) throw new Error(`tcpdump has ended: ${capture.#said}`);
      return capture.#said.includes('listening on');
    });
    return capture;
  }

  /**
   * @param last what was said last: it may still be on its way through the kernel to tcpdump, in the order in which it was on the wires.
   * @returns every byte that it has heard. @throws where it has missed some.
   */
  async stop(last: string): Promise<Buffer> {
    const file = join(this.#directory, 'pcap');
    await waitFor('tcpdump to have heard everything', async () => (await readFile(file)).includes(last));
    const { pid } = this.#child;
    if (pid === undefined) throw new Error('tcpdump was not started');
    // Of those who entered the node's namespaces, tcpdump is the last that has this pipe.
    const closed = once(this.#child, 'close');
    process.kill(-pid, 'SIGINT');
    await closed;
    try {
      if (!/^0 packets dropped by kernel/m.test(this.#said)) throw new Error(`not everything was heard: ${this.#said}`);
      return await readFile(file);
    } finally {
      await rm(this.#directory, { recursive: true, force: true });
    }
  }
}
