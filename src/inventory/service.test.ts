import { expect, test } from 'vitest';
import { decodeService } from './service.ts';

const metadata = { namespace: 'shop', name: 'web', resourceVersion: '7' };

test('a Service is kept with its pods and its TCP ports', () => {
  const spec = {
    selector: { app: 'web' },
    ports: [
      { name: 'http', port: 80, targetPort: 8080, protocol: 'TCP' },
      { port: 81, targetPort: 'admin' },
      { port: 82 },
      { port: 53, protocol: 'UDP' },
    ],
  };
  expect(decodeService({ metadata, spec })).toEqual({
    key: 'shop/web',
    value: {
      ...metadata,
      selector: { app: 'web' },
      ports: [
        { port: 80, name: 'http', target: 8080 },
        { port: 81, name: undefined, target: 'admin' },
        { port: 82, name: undefined, target: 82 },
      ],
    },
  });
});

test.each([
  {},
  { selector: {} },
  { selector: null, ports: null },
  null,
  { type: 'ExternalName', externalName: 'x.example' },
])('one without a selector leads to no pods that are known: %j', (spec) => {
  expect(decodeService({ metadata, spec }).value).toMatchObject({ selector: undefined, ports: [] });
});
