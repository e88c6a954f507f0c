/** What kubelet is answered by the proxy, of an application whose ports are all Strict. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ProbeRoute, proxyPorts } from '../../src/envoy/index.ts';
import { findEnvoy } from '../support/envoy.ts';
import { printProgress } from '../support/progress.ts';
import { waitFor } from '../support/waitFor.ts';
import { ports } from './application.ts';
import { issueIdentity, makeCorporateCa, TRUST_DOMAIN } from './identities.ts';
import { Pod } from './pod.ts';

const nobody = 7777;
const routes: readonly ProbeRoute[] = [
  { path: '/probe/main/http', port: ports.http, ask: { by: 'http', path: '/live?full=1' } },
  { path: '/probe/main/unwell', port: ports.http, ask: { by: 'http', path: '/unwell' } },
  { path: '/probe/main/moved', port: ports.http, ask: { by: 'http', path: '/moved' } },
  { path: '/probe/main/host', port: ports.http, ask: { by: 'http', path: '/host' } },
  { path: '/probe/main/host-named', port: ports.http, ask: { by: 'http', path: '/host', namesHost: true } },
  { path: '/probe/main/peer', port: ports.http, ask: { by: 'http', path: '/peer' } },
  { path: '/probe/main/peer-https', port: ports.https, ask: { by: 'https', path: '/peer' } },
  { path: '/probe/main/https', port: ports.https, ask: { by: 'https', path: '/ready' } },
  { path: '/probe/main/tcp', port: ports.serverFirst, ask: { by: 'tcp' } },
  { path: '/probe/main/tcp-nobody', port: nobody, ask: { by: 'tcp' } },
  { path: '/probe/main/http-nobody', port: nobody, ask: { by: 'http', path: '/' } },
  { path: '/probe/main/grpc', port: ports.grpc, ask: { by: 'grpc', service: 'shop' } },
  { path: '/probe/main/grpc-slow', port: ports.grpc, ask: { by: 'grpc', service: 'slow' } },
  { path: '/probe/main/grpc-patient', port: ports.grpc, ask: { by: 'grpc', service: 'slow', timeoutSeconds: 5 } },
  { path: '/probe/main/grpc-other', port: ports.grpc, ask: { by: 'grpc', service: 'other' } },
];

let pod: Pod;

beforeAll(async () => {
  const ca = await makeCorporateCa('Mesh');
  const own = await issueIdentity({ ca, account: 'own' });
  pod = await Pod.start({
    envoy: await findEnvoy(printProgress),
    identity: await issueIdentity({ ca, account: 'web' }),
    own: { keyPem: own.keyPem, certificatePem: own.chainPem },
    configuration: { trustDomain: TRUST_DOMAIN, ipv6: true, others: 'Strict', ports: [] },
    probes: routes,
  });
});

afterAll(() => pod?.[Symbol.asyncDispose]());

async function ask(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`http://${pod.ipv4}:${proxyPorts.probes}${path}`);
  return { status: answer.status, text: await answer.text() };
}

describe('kubelet', () => {
  test('learns that the proxy is ready', async () => {
    expect((await ask('/ready')).status).toBe(200);
  });

  test('is answered by the application, at the path that the pod names', async () => {
    expect(await ask('/probe/main/http')).toEqual({ status: 200, text: 'asked for /live?full=1' });
    expect(await ask('/probe/main/https')).toEqual({ status: 200, text: 'asked for /ready' });
  });

  test.each(['/probe/main/peer', '/probe/main/peer-https'])(
    'is answered over a connection of its own each time, as without a proxy: one that is kept may end at any time, and blocks a server that takes one at a time (%s)',
    async (path) => {
      const [first, second] = [await ask(path), await ask(path)];
      expect([first.status, second.status]).toEqual([200, 200]);
      expect(second.text).not.toBe(first.text);
    },
  );

  test('is answered for the host that it would ask for: the application at its port, or whom the probe names', async () => {
    expect((await ask('/probe/main/host')).text).toBe(`${pod.ipv4}:${ports.http}`);
    expect((await ask('/probe/main/host-named')).text).toBe(`${pod.ipv4}:${proxyPorts.probes}`);
  });

  test('asks from an address that no peer comes from', async () => {
    expect((await ask('/probe/main/peer')).text).toMatch(/^::ffff:127\.0\.0\.7 /);
  });

  test('takes a redirection for an answer: to follow it would lead to the port of the proxy, where there is no such path', async () => {
    const answer = await fetch(`http://${pod.ipv4}:${proxyPorts.probes}/probe/main/moved`, { redirect: 'manual' });
    expect([answer.status, answer.headers.get('location')]).toEqual([302, null]);
  });

  test.each([
    ['says that it is not well', '/probe/main/unwell', 500],
    ['does not listen', '/probe/main/http-nobody', 503],
    ['has no such path', '/probe/main/other', 404],
    ['is asked for anything else', '/live', 404],
  ])('learns that the application %s', async (_, path, status) => {
    expect((await ask(path)).status).toBe(status);
  });

  test.each([
    ['a connect succeeds', '/probe/main/tcp', 200],
    ['nobody listens', '/probe/main/tcp-nobody', 503],
    ['a service is well by gRPC', '/probe/main/grpc', 200],
    ['a service is not', '/probe/main/grpc-other', 503],
    ['a service takes longer than kubelet waits', '/probe/main/grpc-slow', 503],
    ['a service is well that takes its time, which kubelet gives it', '/probe/main/grpc-patient', 200],
  ])('learns that %s', async (_, path, status) => {
    await waitFor('the proxy to have looked', async () => (await ask(path)).status === status);
  });
});
