import { describe, expect, test } from 'vitest';
import { ApiError, type ApiRequest } from '../kube/index.ts';
import { findUser } from './users.ts';

const certificate = (namespace: string, name: string, authority?: string) => ({
  metadata: { namespace, name },
  spec: { secretName: name, ...(authority === undefined ? {} : { authorityRef: { name: authority } }) },
});

function setUp(namespaces: readonly string[] | 'all', answer: (request: ApiRequest) => unknown) {
  const requests: string[] = [];
  const transport = {
    request: async (request: ApiRequest) => {
      requests.push(
        `${request.path.replace('/apis/mtls-operator.io/v1alpha1', '')} ${request.query?.['continue'] ?? ''}`,
      );
      return answer(request);
    },
  };
  const find = (authority = 'default') => findUser({ transport, namespaces }, authority, new AbortController().signal);
  return { find, requests };
}

describe('the search for a WorkloadCertificate that asks for an authority', () => {
  test('reads page after page until there is one', async () => {
    const pages: Record<string, object> = {
      '': { metadata: { continue: 'two' }, items: [certificate('shop', 'a', 'other')] },
      two: {
        metadata: { continue: 'three' },
        items: [certificate('shop', 'b', 'other'), certificate('shop', 'c', 'held')],
      },
    };
    const { find, requests } = setUp('all', ({ query }) => pages[query?.['continue'] ?? '']);
    expect(await find('held')).toBe('shop/c');
    expect(requests).toEqual(['/workloadcertificates ', '/workloadcertificates two']);
  });

  test('finds none where no page has one; Go writes an empty list as null', async () => {
    const { find, requests } = setUp('all', ({ query }) =>
      query?.['continue'] === undefined
        ? { metadata: { continue: 'two' }, items: [certificate('shop', 'a', 'other')] }
        : { metadata: {}, items: null },
    );
    expect(await find('held')).toBeUndefined();
    expect(requests).toHaveLength(2);
  });

  test('takes one that names none for one of the default authority', async () => {
    const { find } = setUp('all', () => ({ metadata: {}, items: [certificate('shop', 'a')] }));
    expect([await find('default'), await find('held')]).toEqual(['shop/a', undefined]);
  });

  test('asks for the namespaces that the operator serves, and for no others', async () => {
    const { find, requests } = setUp(['one', 'two'], ({ path }) => ({
      metadata: {},
      items: path.includes('/two/') ? [certificate('two', 'a', 'held')] : [],
    }));
    expect(await find('held')).toBe('two/a');
    expect(requests).toEqual(['/namespaces/one/workloadcertificates ', '/namespaces/two/workloadcertificates ']);
  });

  test.each([
    ['is refused', () => new ApiError({ status: 403, reason: 'Forbidden', message: 'no' })],
    ['is no list', () => ({ kind: 'Status' })],
  ])('does not take an answer that %s for none', async (_, answer) => {
    const { find } = setUp('all', () => {
      const found = answer();
      if (found instanceof Error) throw found;
      return found;
    });
    await expect(find()).rejects.toThrow();
  });
});
