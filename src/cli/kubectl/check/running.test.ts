import { describe } from 'vitest';
import { deployment, lease } from './builders.fixture.ts';
import { tells } from './judging.fixture.ts';

describe('of what has to run it tells', () => {
  const with_ = (...deployments: ReturnType<typeof deployment>[]) => ({ deployments: { value: deployments } });
  const [controller, proxyApi] = [() => deployment('controller'), () => deployment('proxy-api')];
  tells([
    [
      'a controller without Deployment where one leads',
      () => with_(proxyApi()),
      [/^warning Controller .*though one leads/],
    ],
    [
      'a controller without Deployment where nobody leads',
      () => ({ ...with_(proxyApi()), lease: { value: lease(5, '') } }),
      [/^error Controller -: there is no Deployment/, /^error Leader lease\/mtls-operator: nobody holds/],
    ],
    [
      'replicas that are not ready',
      () => with_(deployment('controller', { ready: 1 }), proxyApi()),
      [/^warning Controller deployment\/mtls-operator-controller: 1 of 2 replicas ready/],
    ],
    [
      'that none is',
      () => with_(controller(), deployment('proxy-api', { ready: 0 })),
      [/^error ProxyApi .*: 0 of 2 replicas ready: no pod of the mesh starts/],
    ],
    [
      'that none is wanted',
      () => with_(deployment('controller', { wanted: 0 }), proxyApi()),
      [/^error Controller .*scaled to 0/],
    ],
    ['that proxy-api is not there', () => with_(controller()), [/^error ProxyApi -: there is no Deployment/]],
    ['a Lease that is not there', () => ({ lease: { value: undefined } }), [/^error Leader .*there is no Lease/]],
    ['a Lease that is none', () => ({ lease: { value: { spec: 'x' } } }), [/^error Leader .*nobody holds/]],
    [
      'a Lease that nobody renews',
      () => ({ lease: { value: lease(600) } }),
      [/^error Leader .*controller-0 renewed it 10m ago/],
    ],
    ['nothing of clocks that differ somewhat', () => ({ lease: { value: lease(74) } }), []],
    ['nothing of clocks that differ the other way', () => ({ lease: { value: lease(-600) } }), []],
  ]);
});
