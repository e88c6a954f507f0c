/**
 * JSON of specs and statuses, a third as long: what nearly all of them share is written as one control character, of which JSON text holds none by itself
 * (RFC 8259 §7). Lossless for any JSON, whatever is in it. 50,000 of each have to fit into memory.
 */

/** As the API server orders keys. The longest first where one begins with another. */
const PHRASES: readonly string[] = [
  // spec
  '{"authorityRef":{"group":"mtls-operator.io","kind":"CertificateAuthority","name":"',
  '"},"deletionPolicy":"Retain"',
  ',"duration":"24h"',
  ',"privateKey":{"algorithm":"ECDSA","encoding":"PKCS8","rotationPolicy":"Always"}',
  ',"secretName":"',
  ',"serviceAccountName":"',
  ',"usages":["server auth","client auth"]',
  ',"dnsNames":["',
  // status
  '{"authorityFingerprint":"',
  ',"conditions":[{"lastTransitionTime":"',
  '},{"lastTransitionTime":"',
  ',"message":"certificate ',
  ' is valid until ',
  ',"observedGeneration":1',
  ',"observedGeneration":',
  ',"reason":"Ready","status":"True","type":"Ready"',
  ',"message":"revision ',
  ' is issued","',
  'reason":"Issued","status":"False","type":"Issuing"}]',
  ',"notAfter":"',
  ',"notBefore":"',
  ',"renewalTime":"',
  ',"revision":',
  ',"serialNumber":"',
];

const FIRST_CODE = 1;
const codeOf = new Map(PHRASES.map((phrase, index) => [phrase, String.fromCharCode(FIRST_CODE + index)]));
const anyPhrase = new RegExp(PHRASES.map((phrase) => phrase.replace(/[[{}]/g, '\\$&')).join('|'), 'g');
// biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what stands for phrases
const anyCode = /[\x01-\x1f]/g;

/** @param json as JSON.stringify writes it: without white space between tokens */
export function compactJson(json: string): string {
  return json.replace(anyPhrase, (phrase) => codeOf.get(phrase) ?? phrase);
}

/** What `compactJson` was given. */
export function expandJson(text: string): string {
  return text.replace(anyCode, (code) => PHRASES[code.charCodeAt(0) - FIRST_CODE] ?? code);
}
