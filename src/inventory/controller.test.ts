import { setImmediate } from 'node:timers/promises';
import { expect, test } from 'vitest';
import * as z from 'zod';
import { type CertificateRecord, Claims, decodeCertificate, type SecretRecord } from '../certificate/index.ts';
import { type ApiRequest, createMetrics, FakeClock, Store, silentLog, type Transport } from '../kube/index.ts';
import { InventoryController } from './controller.ts';
import type { PodRecord } from './pod.ts';

const certificate = (resourceVersion: string, status: object = {}): object => ({
  metadata: {
    namespace: 'shop',
    name: 'web',
    uid: 'u',
    resourceVersion,
    generation: 1,
    creationTimestamp: '2030-01-01T00:00:00Z',
  },
  spec: { secretName: 'web', dnsNames: ['web.shop.svc'] },
  status,
});

const secret: SecretRecord = {
  resourceVersion: '2',
  uid: 's',
  type: 'kubernetes.io/tls',
  immutable: false,
  holder: 'web',
  labelled: true,
  adopt: undefined,
  authority: 'default',
  revision: 1,
  renewedAt: undefined,
  metadataDigest: '',
  ownerUid: '',
  foreign: false,
  dataDigest: '',
  content: { state: 'broken', reason: 'SecretIncomplete', detail: '' },
};

const bodySchema = z.object({ status: z.object({ consumers: z.object({ pods: z.int() }).loose() }) });

const pod = (resourceVersion: string): PodRecord => ({
  resourceVersion,
  uses: [{ secret: 'web', startedAt: 0, frozenAt: undefined }],
  shape: undefined,
  mesh: undefined,
});

test('a pod that comes while status is being written is counted as any other', async () => {
  const clock = new FakeClock();
  const certificates = new Store<CertificateRecord>();
  const secrets = new Store<SecretRecord>();
  const pods = new Store<PodRecord>();
  const claims = new Claims();
  certificates.subscribe((change) => claims.apply(change));
  const written: unknown[] = [];
  let answer: (() => void) | undefined;
  const transport: Transport = {
    async request({ body }: ApiRequest) {
      const { status } = bodySchema.parse(body);
      written.push(status.consumers);
      await new Promise<void>((resolve) => {
        answer = resolve;
      });
      return certificate(String(10 + written.length), status);
    },
    // biome-ignore lint/correctness/useYield: nothing is watched
    async *watch() {
      throw new Error('nothing is watched');
    },
    close: async () => {},
  };
  const metrics = createMetrics({ process: false });
  const controller = new InventoryController({
    transport,
    clock,
    log: silentLog,
    metrics,
    certificates,
    secrets,
    pods,
    claims,
  });
  const first = decodeCertificate(certificate('1'));
  certificates.writer().apply(first.key, first.value);
  secrets.writer().apply('shop/web', secret);
  const writer = pods.writer();
  writer.apply('shop/web-1', pod('3'));
  const stopper = new AbortController();
  const running = controller.run(stopper.signal, Promise.resolve());
  await setImmediate();
  expect(written).toMatchObject([{ pods: 1 }]);

  writer.apply('shop/web-2', pod('4'));
  answer?.();
  await clock.advance(60_000);
  expect(written.at(-1)).toMatchObject({ pods: 2 });

  answer?.();
  await clock.advance(1);
  writer.apply('shop/web-3', pod('5'));
  await clock.advance(60_000);
  expect(written.at(-1)).toMatchObject({ pods: 3 });
  stopper.abort();
  answer?.();
  await clock.advance(30_000);
  await running;
});
