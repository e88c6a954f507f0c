import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { compactJson, expandJson } from './compactJson.ts';

const spec =
  '{"authorityRef":{"group":"mtls-operator.io","kind":"CertificateAuthority","name":"default"},"deletionPolicy":"Retain","dnsNames":["w1.many.svc"],' +
  '"duration":"24h","privateKey":{"algorithm":"ECDSA","encoding":"PKCS8","rotationPolicy":"Always"},"secretName":"w1-mtls","serviceAccountName":"w1",' +
  '"usages":["server auth","client auth"]}';
const status =
  '{"authorityFingerprint":"2f9ab5a8d2ea44f3b1d1f16a7d2c2d79a8cb65fe8d9aa9a5f5cc54b1dc7b7fd0","conditions":[{"lastTransitionTime":"2030-01-01T00:00:00Z",' +
  '"message":"certificate 65FE321982281F15D94D3C7F87F8E70A is valid until 2030-01-02T00:00:00Z","observedGeneration":1,"reason":"Ready","status":"True",' +
  '"type":"Ready"},{"lastTransitionTime":"2030-01-01T00:00:00Z","message":"revision 1 is issued","observedGeneration":1,"reason":"Issued","status":"False",' +
  '"type":"Issuing"}],"notAfter":"2030-01-02T00:00:00Z","notBefore":"2029-12-31T23:55:00Z","observedGeneration":1,"renewalTime":"2030-01-01T16:00:00Z",' +
  '"revision":1,"secretName":"w1-mtls","serialNumber":"65FE321982281F15D94D3C7F87F8E70A"}';

describe('compact JSON', () => {
  test('is a third as long for an ordinary spec and status', () => {
    expect(compactJson(spec).length).toBeLessThan(spec.length / 3);
    expect(compactJson(status).length).toBeLessThan(status.length / 2);
  });

  test.each([
    ['a spec', spec],
    ['a status', status],
    ['a phrase inside a text, where its quotes are escaped', JSON.stringify({ message: spec })],
    ['control characters, which JSON escapes', JSON.stringify({ message: '\u0001\u0010\u001f' })],
  ])('gives back %s as it was', (_, json) => {
    expect(expandJson(compactJson(json))).toBe(json);
  });

  test('gives back any JSON', () => {
    const phrases = fc.constantFrom('certificate ', ' is valid until ', '{"a', ',"revision":', 'name":"', '\u0002');
    const value = fc.jsonValue({ maxDepth: 4 });
    const dictionary = fc.dictionary(
      fc.constantFrom('conditions', 'revision', 'notAfter', 'message', 'type', 'reason'),
      fc.oneof(value, phrases, fc.array(fc.record({ lastTransitionTime: phrases, message: fc.string() }))),
    );
    fc.assert(
      fc.property(fc.oneof(value, dictionary), (object) => {
        const json = JSON.stringify(object);
        expect(expandJson(compactJson(json))).toBe(json);
      }),
      { numRuns: 2_000 },
    );
  });
});
