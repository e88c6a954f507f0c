/** One installation under constant load, in which things go wrong, and what can be seen of it from outside. */
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import * as z from 'zod';
import {
  type MTLSPolicy,
  type MTLSRollout,
  mtlsPolicyKind,
  mtlsRolloutKind,
  parseMTLSPolicy,
  parseMTLSRollout,
  parseWorkloadCertificate,
  ROLLOUT_NAME,
  type WorkloadCertificate,
  workloadCertificateKind,
} from '../../../src/api/index.ts';
import { containerNames } from '../../../src/inject/index.ts';
import { makeImage } from '../../node/image.ts';
import { goProgram } from '../../support/goProgram.ts';
import { OPERATOR_NAMESPACE } from '../../support/operator.ts';
import type { Progress } from '../../support/progress.ts';
import { waitFor } from '../../support/waitFor.ts';
import { type Component, Installation, MESHED } from '../installation.ts';
import { Pods } from '../pods.ts';
import { makeReportDirectory, type Report, reportSchema } from '../proof/reports.ts';
import { load, ports, talker } from '../proof/workloads.ts';
import { talkImage } from '../talkImage.ts';

/** Of what the image holds, what talks: without the databases it is there in a moment. */
async function makeTalker(progress: Progress): Promise<Buffer> {
  const talk = await goProgram(join(import.meta.dirname, '..', 'talk'), progress);
  return makeImage({ name: talkImage, files: { '/talk': talk }, user: '65532:65532' });
}

/** Over a new connection each time, and over connections that are kept. */
const talked = [
  `http1://web:${ports.http}`,
  `lines://web:${ports.lines}`,
  `keep+lines://web:${ports.lines}`,
  `keep+grpc://web:${ports.grpc}`,
];

const eventsSchema = z.object({
  items: z.array(
    z.object({
      reason: z.string(),
      message: z.string(),
      involvedObject: z.object({ kind: z.string(), name: z.string() }),
    }),
  ),
});
const listSchema = z.object({ items: z.array(z.unknown()) });
type Event = z.output<typeof eventsSchema>['items'][number];

/** What becomes of plaintext: somebody answers it, or it is refused. */
export type Plaintext = 'answered' | 'refused';

export class Stage implements AsyncDisposable {
  readonly installation: Installation;
  readonly shop: Pods;
  readonly #directory: string;

  private constructor(installation: Installation, directory: string) {
    this.installation = installation;
    this.shop = new Pods(installation.cluster, MESHED);
    this.#directory = directory;
  }

  /** In the meshed namespace `steady` talks with `web`, and nobody with `idle`. */
  static async set(): Promise<Stage> {
    const installation = await Installation.prepare([makeTalker]);
    const directory = await makeReportDirectory();
    const stage = new Stage(installation, directory);
    try {
      await installation.install();
      await installation.apply(...talker(place('web'), 2), ...talker(place('idle')));
      for (const name of ['web', 'idle']) await installation.rolledOut(MESHED, `deployment/${name}`);
      await installation.apply(...load(place('steady'), directory, talked));
      await installation.rolledOut(MESHED, 'deployment/steady');
      return stage;
    } catch (error) {
      await stage[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.installation[Symbol.asyncDispose]();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** While the work lasts, and a moment longer, no conversation fails, is cut or stands still. */
  async undisturbed<T>(work: () => Promise<T>): Promise<T> {
    const before = await this.#report();
    const result = await work();
    const then = await this.#report();
    const after = await waitFor('everybody to talk on', async () => {
      const now = await this.#report();
      return Object.entries(then.talks).every(([what, count]) => (now.talks[what] ?? 0) > count + 1) && now;
    });
    expect(after.events.slice(before.events.length)).toEqual([]);
    return result;
  }

  async #report(): Promise<Report> {
    return reportSchema.parse(JSON.parse(await this.talk('steady', 'control', 'report')));
  }

  /** Has the first pod of a workload run a command of test/sidecar/talk. */
  async talk(app: string, ...words: readonly string[]): Promise<string> {
    return (await this.shop.kubectl('exec', await this.pod(app), '-c', 'main', '--', '/talk', ...words)).trim();
  }

  async ask(app: string, host: string): Promise<string> {
    return await this.talk(app, 'ask', `lines://${host}:${ports.lines}`, 'question');
  }

  /** Name of the first pod of a workload. */
  async pod(app: string): Promise<string> {
    const [name] = await this.installation.podNames(MESHED, app);
    if (name === undefined) throw new Error(`there is no pod of ${app}`);
    return name;
  }

  async address(app: string): Promise<string> {
    return (await this.shop.get(await this.pod(app))).address;
  }

  /**
   * The proxy of the workload's first pod takes and answers nothing more; the application behind it goes on.
   * @param work is given what lets the proxy go on, which is done after it in any case.
   */
  async whileHung(app: string, work: (goOn: () => Promise<void>) => Promise<void>): Promise<void> {
    const { node } = this.installation;
    const id = await this.shop.containerOf(await this.pod(app), containerNames.proxy);
    await node.signal(id, 'SIGSTOP');
    const goOn = () => node.signal(id, 'SIGCONT');
    try {
      await work(goOn);
    } finally {
      await goOn();
    }
  }

  async policy(namespace: string, name: string): Promise<MTLSPolicy> {
    return parseMTLSPolicy(await this.get(mtlsPolicyKind.path(namespace, name)));
  }

  /** Of all policies of a namespace by name, as in `Accepted=False/Overruled`. */
  async conditionsOf(namespace: string): Promise<Map<string, string[]>> {
    const { items } = listSchema.parse(await this.get(mtlsPolicyKind.path(namespace)));
    return new Map(
      items.map(parseMTLSPolicy).map(({ metadata, status }) => {
        const said = (status.conditions ?? []).map(({ reason, status: is, type }) => `${type}=${is}/${reason}`);
        return [metadata.name, said];
      }),
    );
  }

  async record(namespace = MESHED): Promise<MTLSRollout> {
    return parseMTLSRollout(await this.get(mtlsRolloutKind.path(namespace, ROLLOUT_NAME)));
  }

  async certificate(name: string): Promise<WorkloadCertificate> {
    return parseWorkloadCertificate(await this.get(workloadCertificateKind.path(MESHED, name)));
  }

  async events(namespace: string, reason: string): Promise<Event[]> {
    const words = ['get', 'events', '-n', namespace, '--field-selector', `reason=${reason}`, '-o', 'json'];
    return eventsSchema.parse(JSON.parse(await this.installation.cluster.kubectl(words))).items;
  }

  async get(path: string): Promise<unknown> {
    return JSON.parse(await this.installation.cluster.kubectl(['get', '--raw', path]));
  }

  /** A series of each pod of a Deployment of the operator's; those that do not have it are left out. @param series with its labels. */
  async metric(component: Component, series: string): Promise<number[]> {
    const pods = await this.installation.podsOf(component);
    const texts = await Promise.all(
      pods.map((pod) => this.installation.cluster.kubectl(['get', '--raw', metricsOf(pod)])),
    );
    return texts.flatMap((text) => {
      const line = text.split('\n').find((one) => one.startsWith(`${series} `));
      return line === undefined ? [] : [Number(line.slice(series.length + 1))];
    });
  }

  /** How often containers of the operator's were started anew. */
  async operatorRestarts(): Promise<number[]> {
    const path = 'jsonpath={.items[*].status.containerStatuses[*].restartCount}';
    const found = await this.installation.cluster.kubectl(['get', 'pods', '-n', OPERATOR_NAMESPACE, '-o', path]);
    return found.split(' ').map(Number);
  }
}

/** In the meshed namespace. */
export const place = (name: string) => ({ namespace: MESHED, name });

/** From this machine, which has no identity and needs no API server for it. */
export async function plaintext(address: string): Promise<Plaintext> {
  try {
    const answer = await fetch(`http://${address}:${ports.http}/`, {
      method: 'POST',
      body: 'question',
      headers: { connection: 'close' },
      signal: AbortSignal.timeout(5_000),
    });
    expect(await answer.text()).toBe('heard question');
    return 'answered';
  } catch (error) {
    // It was there, and would not talk.
    const cause = error instanceof TypeError ? error.cause : undefined;
    if (cause instanceof Error && 'code' in cause && (cause.code === 'UND_ERR_SOCKET' || cause.code === 'ECONNRESET'))
      return 'refused';
    throw error;
  }
}

const metricsOf = (pod: string): string => `/api/v1/namespaces/${OPERATOR_NAMESPACE}/pods/${pod}:8080/proxy/metrics`;
