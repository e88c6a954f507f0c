import { describe, expect, test } from 'vitest';
import { outputTypes } from '../api/index.ts';
import { type Files, furtherKeys, inspectOutputs, outputKeys, plainOutput } from './outputs.ts';

const files: Files = {
  keyPem: 'key\n',
  keyDer: Buffer.from('der'),
  chainPem: 'leaf\nintermediate\n',
  bundlePem: 'roots\n',
};
const decode = (data: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(data).map(([key, value]) => [key, Buffer.from(value, 'base64').toString()]));

test('Docker gets the names that its daemon and client read', () => {
  expect(decode(plainOutput('Docker', files))).toEqual({
    'ca.pem': 'roots\n',
    'cert.pem': 'leaf\nintermediate\n',
    'key.pem': 'key\n',
  });
});

test('Envoy gets two SDS responses with the texts in them and a version that is that of the content', () => {
  const sds = (of: Files) =>
    Object.values(decode(plainOutput('EnvoySDS', of))).map((json): unknown => JSON.parse(json));
  const type = 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret';
  expect(sds(files)).toEqual([
    {
      version_info: expect.stringMatching(/^roots-[0-9a-f]{16}$/),
      resources: [{ '@type': type, name: 'roots', validation_context: { trusted_ca: { inline_string: 'roots\n' } } }],
    },
    {
      version_info: expect.stringMatching(/^workload-[0-9a-f]{16}$/),
      resources: [
        {
          '@type': type,
          name: 'workload',
          tls_certificate: {
            certificate_chain: { inline_string: 'leaf\nintermediate\n' },
            private_key: { inline_string: 'key\n' },
          },
        },
      ],
    },
  ]);
  expect(sds(files)).toEqual(sds({ ...files }));
  const [roots, workload] = sds(files);
  const [otherRoots, sameWorkload] = sds({ ...files, bundlePem: 'other roots\n' });
  expect(otherRoots).not.toHaveProperty('version_info', (roots as { version_info: string }).version_info);
  expect(sameWorkload).toEqual(workload);
});

describe('what is found in a Secret', () => {
  const plain = outputTypes.filter((type) => type !== 'PKCS12' && type !== 'JKS');
  const inspect = (data: Readonly<Record<string, string>>) => inspectOutputs(data, () => files);

  test('without outputs is nothing, and then nothing is made to compare with', () => {
    expect(inspectOutputs({ 'tls.crt': 'x' }, () => expect.unreachable())).toBe('');
  });

  test.each(plain)('is %s where it is as we make it, marked where it is not or not all there', (type) => {
    const right = plainOutput(type, files);
    expect(Object.keys(right).sort()).toEqual([...outputKeys[type]].sort());
    expect(inspect(right)).toBe(type);
    for (const key of Object.keys(right)) {
      expect(inspect({ ...right, [key]: 'eA==' })).toBe(`${type}!`);
      const { [key]: gone, ...rest } = right;
      expect(gone).toBeDefined();
      expect(inspect(rest)).toBe(Object.keys(rest).length === 0 ? '' : `${type}!`);
    }
  });

  test('is a keystore where both of its files are there', () => {
    expect(inspect({ 'keystore.p12': 'eA==', 'truststore.p12': 'eA==' })).toBe('PKCS12');
    expect(inspect({ 'keystore.p12': 'eA==' })).toBe('PKCS12!');
    expect(inspect({ 'keystore.jks': '', 'truststore.jks': 'eA==' })).toBe('JKS!');
  });

  test('is all of it in one order, a generated password at its end', () => {
    const data = Object.assign({}, ...plain.map((type) => plainOutput(type, files)));
    const stores = {
      'keystore.p12': 'eA==',
      'truststore.p12': 'eA==',
      'keystore.jks': 'eA==',
      'truststore.jks': 'eA==',
    };
    const found = inspect({ ...stores, 'keystore-password': 'eA==', ...data });
    expect(found).toBe('CombinedPEM,DER,Docker,EnvoySDS,JKS,PKCS12,keystore-password');
  });
});

test('no two outputs share a key', () => {
  expect(new Set(furtherKeys).size).toBe(furtherKeys.length);
});
