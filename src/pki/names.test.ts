import { describe, expect, test } from 'vitest';
import { parseDnsName, parseEmailAddress, parseUri, spiffeId } from './names.ts';
import { refusal } from './testing.ts';

const longLabel = 'l'.repeat(63);

describe('DNS names', () => {
  test.each([
    ['web.shop.svc', 'web.shop.svc'],
    ['Web.SHOP.svc', 'web.shop.svc'],
    ['localhost', 'localhost'],
    ['*.shop.svc', '*.shop.svc'],
    ['_sip._tcp.example.com', '_sip._tcp.example.com'],
    ['a_b.example.com', 'a_b.example.com'],
    ['1.example.com', '1.example.com'],
    ['123.456.x', '123.456.x'],
    ['bücher.example', 'xn--bcher-kva.example'],
    ['BÜCHER.example', 'xn--bcher-kva.example'],
    ['*.bücher.example', '*.xn--bcher-kva.example'],
    ['xn--bcher-kva.example', 'xn--bcher-kva.example'],
    ['例え.テスト', 'xn--r8jz45g.xn--zckzah'],
    ['faß.example', 'xn--fa-hia.example'],
    ['a--b.example', 'a--b.example'],
    [`${longLabel}.example`, `${longLabel}.example`],
    [
      `${longLabel}.${longLabel}.${longLabel}.${'m'.repeat(61)}`,
      `${longLabel}.${longLabel}.${longLabel}.${'m'.repeat(61)}`,
    ],
    // Full-width characters are what an input method produces; UTS #46 maps them.
    ['ｗｅｂ.example', 'web.example'],
  ])('%j becomes %j', (text, canonical) => {
    expect(parseDnsName(text)).toBe(canonical);
  });

  test.each([
    ['', 'is empty'],
    ['.', 'ends in a dot'],
    ['example.com.', 'remove the dot'],
    ['.example.com', 'empty label'],
    ['a..b', 'empty label'],
    ['-a.example', 'label "-a"'],
    ['a-.example', 'label "a-"'],
    ['a b.example', 'character that no DNS name has, " "'],
    ['a\0.example.com', 'character that no DNS name has, "\\u0000"'],
    ['example.com\0.evil.net', 'character that no DNS name has, "\\u0000"'],
    ['example.com\n', 'character that no DNS name has, "\\n"'],
    ['example.com\r\nX: y', 'character that no DNS name has, "\\r"'],
    ['exa\u00admple.com', 'character that no DNS name has, "\\u00ad"'],
    ['exa\u200bmple.com', 'character that no DNS name has, "\\u200b"'],
    ['a,DNS:b', 'character that no DNS name has, ","'],
    ['a%2eb', 'character that no DNS name has, "%"'],
    ['http://example.com', 'character that no DNS name has, ":"'],
    ['example.com:443', 'character that no DNS name has, ":"'],
    ['user@example.com', 'character that no DNS name has, "@"'],
    ['*', "'*' that is not the whole first label"],
    ['*.', 'empty label'],
    ['*.com', 'right under a top-level name'],
    ['*.*.example.com', "'*' that is not the whole first label"],
    ['a.*.example.com', "'*' that is not the whole first label"],
    ['w*.example.com', "'*' that is not the whole first label"],
    ['*w.example.com', "'*' that is not the whole first label"],
    ['*.bü*cher.example', 'character that no DNS name has, "*"'],
    [`${'l'.repeat(64)}.example`, 'label of 64 characters'],
    [`${longLabel}.${longLabel}.${longLabel}.${'m'.repeat(62)}`, 'has 254 characters'],
    ['x'.repeat(100_000), 'is too long'],
    ['xn--a.example', 'invalid Punycode'],
    ['xn--.example', 'invalid Punycode'],
    ['XN--0.example', 'invalid Punycode'],
    ['a.xn--99999999999.example', 'invalid Punycode'],
    ['\ud800.example', 'character that no DNS name has'],
    ['ab\u0323\u202e.example', 'character that no DNS name has'],
    ['\u0300a.example', 'not a valid internationalised name'],
  ])('%j is refused', (text, problem) => {
    const error = refusal(() => parseDnsName(text));
    expect(error.reason).toBe('InvalidDnsName');
    expect(error.message).toContain(problem);
    expect(error.message).toMatch(/^[ -~]*$/);
    expect(error.message.length).toBeLessThan(400);
  });

  test.each([
    '192.0.2.7',
    '2001:db8::7',
    '::ffff:192.0.2.7',
    '1.2.3',
    '256.256.256.256',
    '0x7f.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    'web.0x',
    '１２７.0.0.1',
  ])('%j is an IP address, not a DNS name', (text) => {
    const error = refusal(() => parseDnsName(text));
    expect(error.reason).toBe('DnsNameIsIpAddress');
    expect(error.advice).toContain('ipAddresses');
  });
});

describe('URIs', () => {
  test.each([
    ['https://example.com', 'https://example.com'],
    ['HTTPS://Example.COM/Path?Q=1#F', 'https://example.com/Path?Q=1#F'],
    ['https://user:pw@example.com:8443/', 'https://user:pw@example.com:8443/'],
    ['https://192.0.2.7/', 'https://192.0.2.7/'],
    ['https://[2001:DB8:0::7]:1/', 'https://[2001:db8::7]:1/'],
    ['urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6', 'urn:uuid:f81d4fae-7dec-11d0-a765-00a0c91e6bf6'],
    ['mailto:a@example.com', 'mailto:a@example.com'],
    ['x:/%C3%BC', 'x:/%C3%BC'],
    ['spiffe://cluster.local/ns/shop/sa/web', 'spiffe://cluster.local/ns/shop/sa/web'],
    ['SPIFFE://cluster.local/Ns', 'spiffe://cluster.local/Ns'],
  ])('%j becomes %j', (text, canonical) => {
    expect(parseUri(text)).toBe(canonical);
  });

  test.each([
    ['', 'not absolute'],
    ['/path', 'not absolute'],
    ['example.com', 'not absolute'],
    ['1http://x', 'not absolute'],
    ['urn:', 'nothing after its scheme'],
    ['https://', 'no proper host'],
    ['https:///path', 'no proper host'],
    ['file:///etc/passwd', 'no proper host'],
    ['https://exa mple.com', 'space, control or non-ASCII'],
    ['https://example.com/\0', 'space, control or non-ASCII'],
    ['https://example.com/\r\nX: y', 'space, control or non-ASCII'],
    ['https://bücher.example', 'xn-- form'],
    ['https://example.com/%zz', 'percent-encod'],
    ['https://example.com/%', 'percent-encod'],
    ['https://example.com/a[b]', 'percent-encod'],
    ['https://example.com/"', 'percent-encod'],
    ['https://example.com#a#b', 'percent-encod'],
    ['https://*.example.com/', "'*' in its host"],
    ['https://exam%70le.com/', 'improper host'],
    ['https://a..b/', 'improper host'],
    ['https://example.com./', 'improper host'],
    ['https://1.2.3/', 'improper host'],
    ['https://example.com:99999/', 'port past 65535'],
    ['https://example.com:x/', 'no proper host'],
    ['https://[::1/', 'no proper host'],
    ['https://[1.2.3.4]/', 'no proper host'],
    ['https://[::ffff:1.2.3.4]/', 'improper host'],
    ['https://u[@example.com/', 'improper user information'],
    [`https://example.com/${'x'.repeat(2048)}`, 'at most 2048'],
  ])('%j is refused', (text, problem) => {
    const error = refusal(() => parseUri(text));
    expect(error.reason).toBe('InvalidUri');
    expect(error.message).toContain(problem);
    expect(error.message).toMatch(/^[ -~]*$/);
  });

  test.each([
    ['spiffe://cluster.local', 'has no path'],
    ['spiffe://cluster.local/', 'superfluous slash'],
    ['spiffe://cluster.local/ns/', 'superfluous slash'],
    ['spiffe://cluster.local//ns', 'superfluous slash'],
    ['spiffe://cluster.local/./ns', "'.' or '..'"],
    ['spiffe://cluster.local/ns/..', "'.' or '..'"],
    ['spiffe://cluster.local/ns%2fshop', 'percent-encoding'],
    ['spiffe://cluster.local/ns/sh op', 'space, control'],
    ['spiffe://cluster.local/ns/shöp', 'non-ASCII'],
    ['spiffe://cluster.local/ns?x=1', 'query or fragment'],
    ['spiffe://cluster.local/ns#x', 'query or fragment'],
    ['spiffe://user@cluster.local/ns', 'user information'],
    ['spiffe://user:pw@cluster.local/ns', 'user information'],
    ['spiffe://cluster.local:443/ns', 'port'],
    ['spiffe://Cluster.local/ns', 'lower-case'],
    ['spiffe:///ns', 'trust domain'],
    [`spiffe://${'t'.repeat(256)}/ns`, 'trust domain'],
    ['spiffe:cluster.local/ns', 'spiffe://'],
    ['spiffe:/cluster.local/ns', 'spiffe://'],
    ['spiffe://cluster.local/ns/a:b', 'path segment'],
  ])('%j is refused', (text, problem) => {
    const error = refusal(() => parseUri(text));
    expect(['InvalidSpiffeId', 'InvalidUri']).toContain(error.reason);
    expect(error.message).toContain(problem);
  });
});

describe('the SPIFFE ID of a service account', () => {
  test('is made of trust domain, namespace and name', () => {
    expect(spiffeId({ trustDomain: 'cluster.local', namespace: 'shop', serviceAccountName: 'web.v2' })).toBe(
      'spiffe://cluster.local/ns/shop/sa/web.v2',
    );
  });

  test.each([
    { trustDomain: 'cluster.local/ns/other/sa/admin?', namespace: 'shop', serviceAccountName: 'web' },
    { trustDomain: 'cluster.local', namespace: 'shop/sa/admin', serviceAccountName: 'web' },
    { trustDomain: 'cluster.local', namespace: 'shop', serviceAccountName: '../admin' },
    { trustDomain: 'cluster.local', namespace: '..', serviceAccountName: 'web' },
    { trustDomain: 'cluster.local', namespace: '', serviceAccountName: 'web' },
    { trustDomain: 'cluster.local', namespace: 'shop', serviceAccountName: 'web#' },
    { trustDomain: '', namespace: 'shop', serviceAccountName: 'web' },
    { trustDomain: 'a/b', namespace: 'shop', serviceAccountName: 'web' },
  ])('no part of it can become another: %j', (identity) => {
    expect(refusal(() => spiffeId(identity)).reason).toBe('InvalidSpiffeId');
  });
});

describe('e-mail addresses', () => {
  test.each([
    ['team@example.com', 'team@example.com'],
    ['Team@EXAMPLE.com', 'Team@example.com'],
    ['a.b+c@example.com', 'a.b+c@example.com'],
    ['team@bücher.example', 'team@xn--bcher-kva.example'],
    ["o'hara@example.com", "o'hara@example.com"],
  ])('%j becomes %j', (text, canonical) => {
    expect(parseEmailAddress(text)).toBe(canonical);
  });

  test.each([
    ['', "no '@'"],
    ['example.com', "no '@'"],
    ['@example.com', 'before the @'],
    ['a..b@example.com', 'before the @'],
    ['.a@example.com', 'before the @'],
    ['"a b"@example.com', 'before the @'],
    ['a@b@example.com', 'before the @'],
    ['ü@example.com', 'before the @'],
    ['a\0@example.com', 'before the @'],
    ['a\n@example.com', 'before the @'],
    ['Team <team@example.com>', 'before the @'],
    ['a@', 'improper domain'],
    ['a@*.example.com', 'wildcard'],
    ['a@[192.0.2.7]', 'improper domain'],
    ['a@192.0.2.7', 'improper domain'],
    ['a@example.com\n', 'improper domain'],
    [`${'a'.repeat(65)}@example.com`, 'at most 64'],
    [`${'a'.repeat(64)}@${longLabel}.${longLabel}.${longLabel}.com`, 'at most 254'],
  ])('%j is refused', (text, problem) => {
    const error = refusal(() => parseEmailAddress(text));
    expect(error.reason).toBe('InvalidEmailAddress');
    expect(error.message).toContain(problem);
  });
});
