import { expect, test } from 'vitest';
import { parseCertificateAuthority } from '../api/index.ts';
import { ApiError, type ApiRequest, silentLog } from '../kube/index.ts';
import { ensureDefaultAuthority } from './default.ts';

/** The API server's answer, and what it was asked. */
async function ensure(existing: number, answer: unknown = {}) {
  const requests: ApiRequest[] = [];
  const transport = {
    request: (request: ApiRequest): Promise<unknown> => {
      requests.push(request);
      return answer instanceof Error ? Promise.reject(answer) : Promise.resolve(answer);
    },
    // biome-ignore lint/correctness/useYield: nothing is watched here
    watch: async function* () {
      throw new Error('not watched');
    },
    close: () => Promise.resolve(),
  };
  const { signal } = new AbortController();
  await ensureDefaultAuthority({ transport, log: silentLog, existing, trustDomain: 'prod.example', signal });
  return requests;
}

test('where there is no authority, "default" is made, held by its finalizer from the start', async () => {
  const [request] = await ensure(0);
  expect(request).toMatchObject({ method: 'POST', path: '/apis/mtls-operator.io/v1alpha1/certificateauthorities' });
  expect(parseCertificateAuthority(request?.body)).toMatchObject({
    metadata: { name: 'default', finalizers: ['mtls-operator.io/authority-in-use'] },
    spec: { trustDomain: 'prod.example', selfSigned: { issuing: { duration: '8760h' } } },
  });
});

test('where there is any authority, its owner has decided', async () => {
  expect(await ensure(1)).toEqual([]);
});

test('one that somebody else has just made is as good', async () => {
  await ensure(0, new ApiError({ status: 409, reason: 'AlreadyExists', message: 'exists' }));
});

test('any other refusal is told', async () => {
  await expect(ensure(0, new ApiError({ status: 403, reason: 'Forbidden', message: 'no' }))).rejects.toThrow('no');
});
