import { expect, test } from 'vitest';
import { parseCertificateAuthority } from '../api/index.ts';
import { ApiError, type ApiRequest, silentLog } from '../kube/index.ts';
import { ensureDefaultAuthority } from './default.ts';

/** The API server's answer, and what it was asked. */
async function ensure(existing: readonly string[], answer: unknown = {}) {
  const requests: ApiRequest[] = [];
  const said: string[] = [];
  const log = { ...silentLog, info: (fields: object, text: string) => said.push(`${JSON.stringify(fields)} ${text}`) };
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
  const made = await ensureDefaultAuthority({ transport, log, existing, trustDomain: 'prod.example', signal });
  return { requests, said, made };
}

test('where there is no authority, "default" is made, held by its finalizer from the start', async () => {
  const {
    requests: [request],
  } = await ensure([]);
  expect(request).toMatchObject({ method: 'POST', path: '/apis/mtls-operator.io/v1alpha1/certificateauthorities' });
  expect(parseCertificateAuthority(request?.body)).toMatchObject({
    metadata: { name: 'default', finalizers: ['mtls-operator.io/authority-in-use'] },
    spec: { trustDomain: 'prod.example', selfSigned: { issuing: { duration: '8760h' } } },
  });
});

test('where there is any authority, its owner has decided', async () => {
  const { requests, said } = await ensure(['corporate']);
  expect(requests).toEqual([]);
  expect(said).toEqual([expect.stringMatching(/^\{"authorities":\["corporate"\]\} made no default authority, since/)]);
});

test('where there is "default" already, there is nothing to say', async () => {
  expect(await ensure(['corporate', 'default'])).toEqual({ requests: [], said: [], made: undefined });
});

test('one that somebody else has just made is as good', async () => {
  await ensure([], new ApiError({ status: 409, reason: 'AlreadyExists', message: 'exists' }));
});

test('any other refusal is told', async () => {
  await expect(ensure([], new ApiError({ status: 403, reason: 'Forbidden', message: 'no' }))).rejects.toThrow('no');
});

test('one that is made is told, for the watch tells of it later', async () => {
  const answer = { metadata: { name: 'default' } };
  expect((await ensure([], answer)).made).toBe(answer);
});
