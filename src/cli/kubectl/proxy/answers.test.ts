import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import type { ParsedCertificate } from '../../../pki/index.ts';
import { accepted, acceptedAt } from './accepts.ts';
import { AnswerError, parseIdentity, parseInbound } from './answers.ts';
import { identityAnswer, inboundAnswer, makeIdentity } from './builders.fixture.ts';

let leaf: ParsedCertificate;
let root: ParsedCertificate;

beforeAll(async () => {
  ({ leaf, root } = await makeIdentity());
});

describe('the answer about the listener', () => {
  test('is what is at work, since when, and what was refused', () => {
    const states = { warming_state: { version_info: 'v2' }, error_state: { details: 'no such cluster' } };
    expect(parseInbound(inboundAnswer({}, states))).toMatchObject({
      active: { version: 'v1', since: '2031-01-01T00:00:00.123Z' },
      waiting: 'v2',
      refused: 'no such cluster',
    });
  });

  test('is what was refused before anything was at work, which Envoy tells without a name', () => {
    const refused = '{"configs":[{"name":"outbound"},{"error_state":{"details":"no such cluster"}}]}';
    expect(parseInbound(refused)).toEqual({ active: undefined, waiting: undefined, refused: 'no such cluster' });
  });

  test.each(['{}', '{"configs":[]}', '{"configs":[{"name":"outbound"}]}', '{"configs":[{"name":"inbound"}]}'])(
    'is that there is none: %s',
    (text) => {
      expect(parseInbound(text)).toMatchObject({ active: undefined });
    },
  );
});

describe('the answer about certificate and roots', () => {
  test('is what they are', () => {
    const { chain, roots } = parseIdentity(identityAnswer([leaf, root], [root]));
    expect(chain?.map(({ fingerprint }) => fingerprint)).toEqual([leaf.fingerprint, root.fingerprint]);
    expect(roots?.map(({ fingerprint }) => fingerprint)).toEqual([root.fingerprint]);
  });

  test('is that there are none', () => {
    expect(parseIdentity('{}')).toEqual({ chain: undefined, roots: undefined });
  });
});

test.each<[string, string, string]>([
  ['no JSON', '<html>', 'it is no JSON'],
  ['nothing', '', 'it is no JSON'],
  ['no object', '[]', 'it: '],
  [
    'a listener that is none',
    '{"configs":[{"name":"inbound","active_state":{"listener":1}}]}',
    'active_state.listener',
  ],
  [
    'a chain with a criterion that nobody knows',
    inboundAnswer({}).replace('"destination_port"', '"source_ports"'),
    'filter_chain_match',
  ],
])('%s is no answer', (_, text, message) => {
  expect(() => parseInbound(text)).toThrow(AnswerError);
  expect(() => parseInbound(text)).toThrow(message);
});

test('certificates that are none are no answer, and nothing of them is told', () => {
  const text = identityAnswer([leaf], [root]).replace(Buffer.from(leaf.pem).toString('base64'), 'bm90aGluZw==');
  expect(() => parseIdentity(text)).toThrow(/^its certificate: no PEM block/);
});

describe('whatever a proxy answers', () => {
  /** Of a true answer with one part replaced. */
  const damaged = (whole: () => string) =>
    fc.tuple(fc.nat(), fc.jsonValue({ maxDepth: 2 })).map(([place, value]) => {
      let count = 0;
      const parts = whole().match(/[{,[:]/g)?.length ?? 1;
      const replaced: unknown = JSON.parse(whole(), (_, part: unknown) => {
        count += 1;
        return count === 1 + (place % parts) ? value : part;
      });
      return JSON.stringify(replaced);
    });
  const anything = (whole: () => string) =>
    fc.oneof(
      fc.string(),
      fc.json(),
      damaged(whole),
      fc.nat().map((end) => whole().slice(0, end % whole().length)),
    );

  test('is a listener that can be read, or no answer', () => {
    fc.assert(
      fc.property(
        anything(() => inboundAnswer({ others: 'Permissive' })),
        fc.integer({ min: 1, max: 65_535 }),
        (text, port) => {
          try {
            const { active } = parseInbound(text);
            expect(accepted).toContain(acceptedAt(active?.chains ?? [], port));
          } catch (error) {
            expect(error).toBeInstanceOf(AnswerError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });

  test('is certificates that can be read, or no answer', () => {
    fc.assert(
      fc.property(
        anything(() => identityAnswer([leaf], [root])),
        (text) => {
          try {
            const { chain, roots } = parseIdentity(text);
            for (const { serialNumber } of [...(chain ?? []), ...(roots ?? [])])
              expect(serialNumber).toMatch(/^[0-9A-F]+$/);
          } catch (error) {
            expect(error).toBeInstanceOf(AnswerError);
          }
        },
      ),
      { numRuns: 500 },
    );
  });
});
