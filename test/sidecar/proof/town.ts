/** One installation for all parts of the proof, with those who speak in it. */
import type { Installation } from '../installation.ts';
import { MESHED, PLAIN } from '../installation.ts';
import { type Client, type Outcome, outcomeOf, type Speaker } from './clients.ts';
import { client, server } from './workloads.ts';

export class Town {
  readonly installation: Installation;

  constructor(installation: Installation) {
    this.installation = installation;
  }

  /** Makes them, and waits until they are ready. */
  async settle(): Promise<void> {
    const meshed = ['web', 'cart'].map((name) => ({ namespace: MESHED, name }));
    const plain = ['web', 'stranger'].map((name) => ({ namespace: PLAIN, name }));
    for (const [web, visitor] of [meshed, plain]) {
      if (web === undefined || visitor === undefined) continue;
      await this.installation.apply(...server(web), ...client(visitor));
    }
    for (const { namespace, name } of [...meshed, ...plain])
      await this.installation.rolledOut(namespace, `deployment/${name}`);
  }

  async speaker(namespace: string, app: string): Promise<Speaker> {
    const [pod] = await this.installation.podNames(namespace, app);
    if (pod === undefined) throw new Error(`there is no pod of ${namespace}/${app}`);
    return { namespace, pod };
  }

  async says(speaker: Speaker, { command }: Client, host: string, payload: string): Promise<Outcome> {
    return await outcomeOf(this.installation.cluster, speaker, command(host, payload));
  }
}
