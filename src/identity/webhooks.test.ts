import { describe, expect, test } from 'vitest';
import { webhookConfiguration } from '../inject/index.ts';
import { asRecord } from '../kube/index.ts';
import { bundlePatch, decodeWebhooks, type WebhooksRecord } from './webhooks.ts';

const ROOTS = '-----BEGIN CERTIFICATE-----\nroot\n-----END CERTIFICATE-----\n';
const encoded = Buffer.from(ROOTS).toString('base64');

const record = (...bundles: readonly string[]): WebhooksRecord => ({
  resourceVersion: '7',
  uid: 'u',
  webhooks: bundles.map((caBundle, index) => ({ name: `w${index}`, caBundle })),
});

describe('the roots', () => {
  test('are written into each webhook that has others, bound to the version that was looked at', () => {
    expect(bundlePatch(record('', encoded, 'b3RoZXI='), ROOTS)).toEqual({
      metadata: { resourceVersion: '7', uid: 'u' },
      webhooks: [
        { name: 'w0', clientConfig: { caBundle: encoded } },
        { name: 'w2', clientConfig: { caBundle: encoded } },
      ],
    });
  });

  test.each([
    ['where they stand there already', record(encoded, encoded), ROOTS],
    ['where there is no webhook', record(), ROOTS],
    ['while they are unknown', record('b3RoZXI='), ''],
  ])('are not written %s', (_, webhooks, roots) => {
    expect(bundlePatch(webhooks, roots)).toBeUndefined();
  });
});

describe('a configuration', () => {
  test('is read with what stands in each of its webhooks', () => {
    const clientConfig = { caBundle: encoded, url: 'https://127.0.0.1/inject' };
    const object = webhookConfiguration({
      name: 'mtls-operator',
      operatorNamespace: 'mtls-system',
      everyNamespace: true,
      clientConfig,
    });
    const stored = { ...object, metadata: { name: 'mtls-operator', resourceVersion: '3', uid: 'u' } };
    const { key, value } = decodeWebhooks(stored);
    expect(key).toBe('mtls-operator');
    expect(value.webhooks.map(({ caBundle }) => caBundle)).toEqual([encoded, encoded, encoded]);
    expect(new Set(value.webhooks.map(({ name }) => name)).size).toBe(3);
  });

  test('is read where its webhooks have no roots, or it has no webhooks', () => {
    const metadata = { name: 'mtls-operator', resourceVersion: '3', uid: 'u' };
    expect(decodeWebhooks({ metadata, webhooks: [{ name: 'a', clientConfig: {} }] }).value.webhooks).toEqual([
      { name: 'a', caBundle: '' },
    ]);
    expect(decodeWebhooks({ metadata }).value.webhooks).toEqual([]);
    expect(() => decodeWebhooks(asRecord({}))).toThrow('expected an object');
  });
});
