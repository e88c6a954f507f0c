/** From a change that the configuration server is given until one real Envoy acts by it: the first plaintext connection that is refused after a switch to Strict. */
import type { Mode } from '../../src/api/index.ts';
import {
  inboundClusters,
  inboundListener,
  outboundClusters,
  outboundListener,
  probeListener,
} from '../../src/envoy/index.ts';
import { ports } from '../proxy/application.ts';
import { speakPlainly } from '../proxy/clients.ts';
import { issueIdentity, makeCorporateCa, TRUST_DOMAIN } from '../proxy/identities.ts';
import { Pod } from '../proxy/pod.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { serve, World } from '../xds/world.ts';
import { quantile } from './harness.ts';

export interface PushResult {
  readonly benchmark: 'push';
  readonly rounds: number;
  /** Until the first connection was refused that was opened after the change. */
  readonly enforcedP50Milliseconds: number;
  readonly enforcedP99Milliseconds: number;
  /** Until Envoy's acknowledgement came. */
  readonly acknowledgedP50Milliseconds: number;
  readonly acknowledgedP99Milliseconds: number;
  /** How long one attempt takes that is answered: finer than that nothing is seen. */
  readonly attemptP50Milliseconds: number;
}

export const pushGoals = 'enforced: p50 ≤ 30 ms';

export async function measurePush(rounds: number): Promise<PushResult> {
  const envoy = await findEnvoy(printProgress);
  const mesh = await makeCorporateCa('Mesh');
  const api = await issueIdentity({ ca: mesh, namespace: 'mtls-system', account: 'proxy-api' });
  const world = new World();
  let podAddress = '';
  const xds = await serve({
    identity: { key: api.keyPem, chain: api.chainPem, roots: api.rootsPem },
    state: () => world.state,
    admit: () => (podAddress === '' ? { refused: 'it is not known yet', soon: true } : world),
  });
  const isTaken = (): boolean => [...xds.streams()].every((stream) => stream.acknowledged === world.state);
  const turn = (mode: Mode): void => {
    const inbound = {
      trustDomain: TRUST_DOMAIN,
      ipv6: true,
      others: mode,
      ports: [{ number: ports.plain, mode, serverFirst: false }],
    };
    world.everybody(
      ...inboundClusters(inbound),
      ...outboundClusters(),
      inboundListener(inbound),
      outboundListener({ ranges: [{ address: '10.0.0.0', length: 8 }], ipv6: true }),
      probeListener({ podAddress, ipv6: true, routes: [] }),
    );
    world.state += 1;
    xds.changed();
  };
  const pod = await Pod.start({
    envoy,
    identity: await issueIdentity({ ca: mesh, account: 'web' }),
    own: { keyPem: api.keyPem, certificatePem: api.chainPem },
    configuration: {
      node: { id: 'web', cluster: 'shop/web' },
      port: xds.port,
      spiffeId: `spiffe://${TRUST_DOMAIN}/ns/mtls-system/sa/proxy-api`,
    },
    addressed: ({ node }) => {
      podAddress = node;
      turn('Permissive');
    },
  });
  try {
    const target = { address: pod.ipv4, port: ports.plain };
    const [enforced, taken, attempts]: [number[], number[], number[]] = [[], [], []];
    for (let round = 0; round < rounds; round += 1) {
      await waitFor('Permissive', async () => isTaken() && (await speakPlainly(target)) !== 'refused', {
        intervalMs: 5,
      });
      // Spread over the rhythm in which changes are gathered.
      await new Promise((resolve) => setTimeout(resolve, 100 + (round % 7) * 10));
      const attempt = performance.now();
      await speakPlainly(target);
      attempts.push(performance.now() - attempt);
      const begun = performance.now();
      turn('Strict');
      const acknowledgement = new Promise<number>((resolve) => {
        const look = (): void => {
          if (isTaken()) resolve(performance.now() - begun);
          else setTimeout(look, 1);
        };
        look();
      });
      while ((await speakPlainly(target)) !== 'refused');
      enforced.push(performance.now() - begun);
      taken.push(await acknowledgement);
      turn('Permissive');
      if ((round + 1) % 25 === 0) printProgress(`  ${round + 1} of ${rounds} switches`);
    }
    return {
      benchmark: 'push',
      rounds,
      enforcedP50Milliseconds: quantile(enforced, 0.5),
      enforcedP99Milliseconds: quantile(enforced, 0.99),
      acknowledgedP50Milliseconds: quantile(taken, 0.5),
      acknowledgedP99Milliseconds: quantile(taken, 0.99),
      attemptP50Milliseconds: quantile(attempts, 0.5),
    };
  } finally {
    await pod[Symbol.asyncDispose]();
    await xds.close();
  }
}
