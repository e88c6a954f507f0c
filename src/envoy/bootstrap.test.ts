import { expect, test } from 'vitest';
import { bootstrap } from './bootstrap.ts';

const proxyApi = {
  host: 'mtls-operator-proxy-api.mtls-system.svc',
  port: 15_012,
  spiffeId: 'spiffe://cluster.local/ns/mtls-system/sa/mtls-operator-proxy-api',
};
const node = { id: 'c0ffee', cluster: 'shop/web-0' };
const options = { node, proxyApi };
const text = JSON.stringify(bootstrap(options));

test('a proxy says which pod it is', () => {
  expect(bootstrap(options)['node']).toEqual(node);
  expect(bootstrap({ proxyApi })).not.toHaveProperty('node');
});

test('the admin interface is a socket for the proxy’s own user', () => {
  expect(bootstrap(options)['admin']).toEqual({
    address: { pipe: { path: '/var/run/mtls-operator/proxy/admin.sock', mode: 0o600 } },
  });
});

test('the configuration comes from proxy-api alone, by mutual TLS', () => {
  expect(text).toContain(`{"exact":"${proxyApi.spiffeId}"}`);
  expect(text).toContain('"api_type":"DELTA_GRPC"');
  expect(text).toContain('/var/run/mtls-operator/identity/sds-workload.json');
});

test('what the proxy tells of itself it tells on the loopback address, before it has any other configuration', () => {
  const { listeners } = Object(bootstrap(options)['static_resources']);
  expect(listeners).toMatchObject([
    { name: 'inspection', address: { socket_address: { address: '127.0.0.1', port_value: 15_020 } } },
  ]);
});

test.each([
  ['a name', proxyApi.host, 'STRICT_DNS'],
  ['an address', '10.96.0.12', 'STATIC'],
  ['an IPv6 address', 'fd98::12', 'STATIC'],
])('proxy-api is found by %s', (_, host, type) => {
  expect(JSON.stringify(bootstrap({ ...options, proxyApi: { ...proxyApi, host } }))).toContain(`"type":"${type}"`);
});

test('proxy-api is dialled at an address where one is given, and is who it is by its name all the same', () => {
  const text = JSON.stringify(bootstrap({ ...options, proxyApi: { ...proxyApi, address: '10.96.0.12' } }));
  expect(text).toContain('"type":"STATIC"');
  expect(text).not.toContain('STRICT_DNS');
  expect(text).toContain(`"sni":"${proxyApi.host}"`);
  expect(text).toContain('"address":"10.96.0.12"');
});
