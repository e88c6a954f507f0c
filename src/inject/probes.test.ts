import { expect, test } from 'vitest';
import { pod } from './builders.fixture.ts';
import { probeRoutes, rewriteProbes } from './probes.ts';

test.each([
  ['', '/'],
  ['live', '/live'],
  ['/a b', '/a%20b'],
  ['/caf\u00e9?q=\u00fc', '/caf%C3%A9?q=%C3%BC'],
  ['/a\nb', '/a%0Ab'],
  ['/{a}', '/%7Ba%7D'],
  ['/\ud800', '/%EF%BF%BD'],
  ['/well#part', '/well'],
  ['/a%20b?c=d&e=~f', '/a%20b?c=d&e=~f'],
])(
  'a probe of the path %j asks for %s, as kubelet would: Envoy refuses a path that it cannot send, and all listeners with it',
  (path, asked) => {
    const [container] = pod({ containers: [{ name: 'main', livenessProbe: { httpGet: { path, port: 80 } } }] }).spec
      .containers;
    if (container === undefined) throw new Error('there is no container');
    const { originals } = rewriteProbes(container);
    expect(probeRoutes([container], originals)).toMatchObject([{ ask: { path: asked } }]);
  },
);

test('a probe that kubelet waits for is waited for by the proxy, where that asks on its own', () => {
  const probes = {
    startupProbe: { tcpSocket: { port: 80 }, timeoutSeconds: 3 },
    livenessProbe: { grpc: { port: 81 }, timeoutSeconds: 5, periodSeconds: 20 },
    readinessProbe: { grpc: { port: 81 }, timeoutSeconds: 1 },
  };
  const [container] = pod({ containers: [{ name: 'main', ...probes }] }).spec.containers;
  if (container === undefined) throw new Error('there is no container');
  const { container: rewritten, originals } = rewriteProbes(container);
  expect(probeRoutes([rewritten], originals).map(({ ask }) => ask)).toEqual([
    { by: 'tcp', timeoutSeconds: 3 },
    { by: 'grpc', service: '', timeoutSeconds: 5 },
    { by: 'grpc', service: '' },
  ]);
});

test.each([
  [[{ name: 'host', value: 'shop.example' }], true],
  [[{ name: 'X-Host', value: 'shop.example' }], undefined],
  [undefined, undefined],
])('a probe names its host by a header of that name: %j', (httpHeaders, namesHost) => {
  const httpGet = { path: '/', port: 80, ...(httpHeaders && { httpHeaders }) };
  const [container] = pod({ containers: [{ name: 'main', livenessProbe: { httpGet } }] }).spec.containers;
  if (container === undefined) throw new Error('there is no container');
  const [route] = probeRoutes([container], rewriteProbes(container).originals);
  expect(route?.ask).toEqual({ by: 'http', path: '/', ...(namesHost && { namesHost }) });
});
