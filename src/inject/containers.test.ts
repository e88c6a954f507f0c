import { expect, test } from 'vitest';
import { readWishes } from './annotations.ts';
import { settings } from './builders.fixture.ts';
import { proxyContainer } from './containers.ts';

const address = '10.96.0.12';
const start = (dnsPolicy: string | undefined): string => {
  const found = proxyContainer({ ...settings, proxyApi: { ...settings.proxyApi, address } }, readWishes({}), dnsPolicy);
  return JSON.stringify(found['args']);
};

test.each(['Default', 'None'])(
  'a pod that asks other DNS servers than the cluster’s is told where proxy-api is: %s',
  (policy) => {
    expect(start(policy)).toContain(address);
  },
);

test.each([undefined, 'ClusterFirst', 'ClusterFirstWithHostNet'])(
  'any other finds it by its name, which stays when its Service is made anew: %s',
  (policy) => {
    expect(start(policy)).not.toContain(address);
    expect(start(policy)).toContain(settings.proxyApi.host);
  },
);

test('where the address is not known the name has to do', () => {
  expect(JSON.stringify(proxyContainer(settings, readWishes({}), 'Default')['args'])).toContain('STRICT_DNS');
});
