import { expect, test } from 'vitest';
import { proxyFor } from './proxySettings.ts';

const proxy = 'http://proxy:3128';

test.each([
  ['https://api.example.com:6443', { HTTPS_PROXY: proxy }, proxy],
  ['https://api.example.com', { https_proxy: proxy }, proxy],
  ['http://api.example.com', { HTTPS_PROXY: proxy }, undefined],
  ['http://api.example.com', { HTTP_PROXY: 'proxy:3128' }, proxy],
  ['https://api.example.com', { HTTPS_PROXY: 'socks5://proxy:1080' }, 'socks5://proxy:1080'],
  ['https://api.example.com', {}, undefined],
  ['https://localhost:6443', { HTTPS_PROXY: proxy }, undefined],
  ['https://127.0.0.9:6443', { HTTPS_PROXY: proxy }, undefined],
  ['https://[::1]:6443', { HTTPS_PROXY: proxy }, undefined],
])('%s with %j goes through %j', (server, env, expected) => {
  expect(proxyFor(server, env)).toBe(expected);
});

test.each([
  ['https://10.96.0.1:443', '10.0.0.0/8', true],
  ['https://10.96.0.1', '192.168.0.0/16,10.96.0.0/12', true],
  ['https://11.0.0.1', '10.0.0.0/8', false],
  ['https://[fd00::1]', 'fd00::/8', true],
  ['https://10.96.0.1', 'fd00::/8', false],
  ['https://10.96.0.1', '10.96.0.1', true],
  ['https://10.96.0.1:6443', '10.96.0.1:6443', true],
  ['https://10.96.0.1:6443', '10.96.0.1:443', false],
  ['https://api.example.com', 'example.com', true],
  ['https://example.com', 'example.com', true],
  ['https://example.com', '.example.com', false],
  ['https://api.example.com', '.example.com', true],
  ['https://api.example.com', '*.example.com', true],
  ['https://badexample.com', 'example.com', false],
  ['https://API.Example.com', ' EXAMPLE.com ', true],
  ['https://api.example.com', '*', true],
  ['https://api.example.com', ',,', false],
  ['https://10.96.0.1', '10.0.0.0/99', false],
  ['https://10.96.0.1', '10.0.0.0/x', false],
  ['https://10.96.0.1', 'api.example.com/8', false],
])('%s with NO_PROXY=%s: direct is %s', (server, noProxy, direct) => {
  expect(proxyFor(server, { HTTPS_PROXY: proxy, NO_PROXY: noProxy })).toBe(direct ? undefined : proxy);
});
