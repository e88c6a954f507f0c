import { describe, expect, test } from 'vitest';
import { classify, RuleBook, seededRandom } from './rules.ts';

describe('classify', () => {
  test.each([
    ['GET', '/api/v1/secrets?limit=500', { verb: 'list', resource: 'secrets' }],
    [
      'GET',
      '/api/v1/namespaces/shop/secrets/web',
      { verb: 'get', resource: 'secrets', namespace: 'shop', name: 'web' },
    ],
    ['GET', '/api/v1/secrets?watch=1', { verb: 'watch', resource: 'secrets' }],
    ['POST', '/api/v1/namespaces/shop/secrets', { verb: 'create', resource: 'secrets', namespace: 'shop' }],
    ['GET', '/api/v1/namespaces/shop', { verb: 'get', resource: 'namespaces', name: 'shop' }],
    ['PUT', '/api/v1/namespaces/shop/finalize', { resource: 'namespaces', name: 'shop', subresource: 'finalize' }],
    [
      'PATCH',
      '/apis/mtls-operator.io/v1alpha1/namespaces/shop/workloadcertificates/web/status',
      { verb: 'patch', resource: 'workloadcertificates', namespace: 'shop', name: 'web', subresource: 'status' },
    ],
    ['DELETE', '/apis/coordination.k8s.io/v1/namespaces/a/leases/l', { verb: 'delete', resource: 'leases' }],
    ['GET', '/readyz', { verb: 'other' }],
  ])('%s %s', (method, url, expected) => {
    expect(classify(method, url)).toMatchObject(expected);
  });
});

describe('RuleBook', () => {
  const request = classify('GET', '/api/v1/secrets');

  test('lets everything pass without rules', () => {
    expect(new RuleBook(() => 0).decide(request)).toBeUndefined();
  });

  test('strikes as often as its count says, and counts by kind', () => {
    const book = new RuleBook(() => 0);
    const rule = book.add({ fault: { kind: 'status', status: 429 }, count: 2 });
    expect([1, 2, 3].map(() => book.decide(request)?.kind)).toEqual(['status', 'status', undefined]);
    expect(rule.injected).toBe(2);
    expect(book.counters).toEqual({ 'status-429': 2 });
  });

  test('asks the next rule when one does not match or does not strike', () => {
    const book = new RuleBook(() => 0.5);
    book.add({ fault: { kind: 'reset' }, match: ({ verb }) => verb === 'watch' });
    book.add({ fault: { kind: 'refuse' }, probability: 0.4 });
    book.add({ fault: { kind: 'lost-answer' }, probability: 0.6 });
    expect(book.decide(request)?.kind).toBe('lost-answer');
  });

  test('does nothing more once removed', () => {
    const book = new RuleBook(() => 0);
    book.add({ fault: { kind: 'reset' } }).remove();
    expect(book.decide(request)).toBeUndefined();
  });

  test('a seed repeats its decisions, another seed makes others', () => {
    const draw = (seed: number) => {
      const book = new RuleBook(seededRandom(seed));
      book.add({ fault: { kind: 'reset' }, probability: 0.3 });
      return Array.from({ length: 200 }, () => (book.decide(request) ? 1 : 0)).join('');
    };
    expect(draw(7)).toBe(draw(7));
    expect(draw(7)).not.toBe(draw(8));
    const struck = [...draw(7)].filter((bit) => bit === '1').length;
    expect(struck).toBeGreaterThan(30);
    expect(struck).toBeLessThan(90);
  });
});
