/** By what names and addresses a pod of the mesh is reached, and what becomes of those at which there is nobody. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MESHED, PLAIN } from '../installation.ts';
import { Pods } from '../pods.ts';
import { outcomeOf, type Speaker } from './clients.ts';
import type { Town } from './town.ts';
import { job, ports, ranked, service, talker } from './workloads.ts';

export function destinations(town: () => Town): void {
  let cart: Speaker;
  let stranger: Speaker;
  let web: Speaker;
  let webAddress: string;
  let webIpv6: string;

  const ask = async (speaker: Speaker, url: string): Promise<string> =>
    await outcomeOf(town().installation.cluster, speaker, ['/talk', 'ask', url, 'question']);
  const http = (host: string): string => `http1://${host}:${ports.http}`;

  beforeAll(async () => {
    const { installation } = town();
    cart = await town().speaker(MESHED, 'cart');
    stranger = await town().speaker(PLAIN, 'stranger');
    web = await town().speaker(MESHED, 'web');
    const { address, addresses } = await new Pods(installation.cluster, MESHED).get(web.pod);
    webAddress = address;
    webIpv6 = `[${addresses.find((one) => one.includes(':'))}]`;
    await installation.apply(
      ...ranked({ namespace: MESHED, name: 'ranked' }),
      service({ namespace: MESHED, name: 'nobody' }),
      service({ namespace: MESHED, name: 'unmade' }, { selector: undefined }),
      service({ namespace: MESHED, name: 'alias' }, alias(`web.${MESHED}`)),
      service({ namespace: MESHED, name: 'abroad' }, alias(`web.${PLAIN}`)),
      ...talker({ namespace: MESHED, name: 'late' }, 0),
    );
    await installation.rolledOut(MESHED, 'statefulset/ranked');
    // Whoever spoke plaintext here would be refused.
    await installation.turn('Strict');
  });

  // Parts that follow need not carry them along.
  afterAll(async () => {
    const made = ['deployment/late', 'statefulset/ranked', 'job/report'];
    await town().installation.cluster.kubectl(['delete', ...made, '--ignore-not-found', '-n', MESHED]);
  });

  test.each([
    ['the name of its Service', () => http('web')],
    ['its address', () => http(webAddress)],
    ['its IPv6 address', () => http(webIpv6)],
    ['its IPv6 address, at a port whose server speaks first', () => `greeter://${webIpv6}:${ports.greeter}`],
    ['the name of a headless Service', () => http('ranked')],
    ['the name that a StatefulSet gives it', () => http(`ranked-1.ranked.${MESHED}.svc.cluster.local`)],
    ['an ExternalName for its Service', () => http('alias')],
    ['its address, at a port whose server speaks first', () => `greeter://${webAddress}:${ports.greeter}`],
    ['a StatefulSet’s name, at a port whose server speaks first', () => `greeter://ranked-0.ranked:${ports.greeter}`],
  ])('a pod of the mesh is reached by %s', async (_, url) => {
    expect(await ask(cart, url())).toBe('heard question');
  });

  test('a pod reaches itself by its own Service, at ports of every sort', async () => {
    const own = [http('web'), `lines://web:${ports.lines}`, `tls://web:${ports.tls}`, `greeter://web:${ports.greeter}`];
    for (const url of own) expect([url, await ask(web, url)]).toEqual([url, 'heard question']);
    const itself = http(webAddress);
    expect(await ask(web, itself)).toBe('heard question');
  });

  test('a pod outside of the mesh is reached by an ExternalName', async () => {
    expect(await ask(cart, http('abroad'))).toBe('heard question');
  });

  test.each([
    ['a Service that selects nobody', http('nobody')],
    ['a Service without a selector, for which nobody has made endpoints', http('unmade')],
    ['a port that the Service does not have', 'lines://web:7777'],
  ])('%s is refused, and not waited for', async (_, url) => {
    expect(await ask(cart, url)).toBe('refused');
  });

  test('a Service that had no endpoints when it was dialled is reached when it has', async () => {
    const { installation } = town();
    expect(await ask(cart, http('late'))).toBe('refused');
    await installation.cluster.kubectl(['scale', 'deployment/late', '--replicas=1', '-n', MESHED]);
    await installation.rolledOut(MESHED, 'deployment/late');
    expect(await ask(cart, http('late'))).toBe('heard question');
  });

  test('a pod that kubelet asks by gRPC whether it lives, through its sidecar and in every mode, is never restarted', async () => {
    const pods = new Pods(town().installation.cluster, MESHED);
    expect((await pods.get(web.pod)).of('main')).toMatchObject({ ready: true, restartCount: 0 });
    expect(await pods.complaints(web.pod, 'Liveness')).toBe(0);
  });

  test('a Job is done when its application is', async () => {
    const { installation } = town();
    const pods = new Pods(installation.cluster, MESHED);
    await installation.apply(...job({ namespace: MESHED, name: 'report' }, ['ask', http('web'), 'report']));
    await pods.kubectl('wait', '--for=condition=Complete', 'job/report', '--timeout=90s');
    expect(await pods.kubectl('logs', 'job/report', '-c', 'main')).toBe('heard report\n');
  });

  test('who has no sidecar, and dials addresses of pods as Prometheus does, is served in Permissive and refused in Strict', async () => {
    const addresses = [webAddress, webIpv6];
    for (const address of addresses)
      expect([address, await ask(stranger, http(address))]).toEqual([address, 'refused']);
    await town().installation.turn('Permissive');
    for (const address of addresses)
      expect([address, await ask(stranger, http(address))]).toEqual([address, 'heard question']);
  });
}

const alias = (host: string) => ({
  type: 'ExternalName',
  externalName: `${host}.svc.cluster.local`,
  selector: undefined,
});
