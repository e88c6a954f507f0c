import { expect, test } from 'vitest';
import { absenceOf, isInMesh } from './absence.ts';
import type { NamespaceFacts } from './facts.ts';

const injector = { operatorNamespace: 'mtls-system', everyNamespace: false };
const every = { ...injector, everyNamespace: true };
const label = (value: string) => ({ 'mtls-operator.io/injection': value });

function namespace(name: string, labels: Readonly<Record<string, string>> = {}): NamespaceFacts {
  return { name, labels, deleting: false };
}

function pod(spec: object = {}, labels: object = {}): object {
  return { metadata: { name: 'web', labels }, spec: { containers: [{ name: 'main' }], ...spec } };
}

const asking = namespace('shop', label('enabled'));

test.each<[string, object, NamespaceFacts, typeof injector, string | undefined]>([
  ['one of a namespace that does not ask', pod(), namespace('shop'), injector, 'NotInMesh'],
  ['one of a namespace that asks', pod(), asking, injector, 'Earlier'],
  ['one of any namespace, where all are in the mesh', pod(), namespace('shop'), every, 'Earlier'],
  ['one of a namespace that opts out', pod(), namespace('shop', label('disabled')), every, 'NotInMesh'],
  ['one that asks by itself', pod({}, label('enabled')), namespace('shop'), injector, 'Earlier'],
  ['one that opts out', pod({}, label('disabled')), asking, injector, 'OptedOut'],
  ['one with the network of its host', pod({ hostNetwork: true }), asking, injector, 'HostNetwork'],
  ['one for Windows', pod({ os: { name: 'windows' } }), asking, injector, 'Windows'],
  ['one of the operator', pod(), namespace('mtls-system', label('enabled')), injector, 'NotInMesh'],
  ['one of the system', pod(), namespace('kube-system', label('enabled')), every, 'NotInMesh'],
  ['one that runs as the proxy', pod({ securityContext: { runAsUser: 1337 } }), asking, injector, 'Refused'],
  ['one that cannot be read', { spec: { containers: 'none' } }, asking, injector, undefined],
])('%s is told why it has no sidecar', (_, object, where, by, why) => {
  expect(absenceOf(object, where, by)?.why).toBe(why);
});

test.each<[string, NamespaceFacts, typeof injector, boolean]>([
  ['one that asks', asking, injector, true],
  ['one that says nothing', namespace('shop'), injector, false],
  ['one that says nothing where all are', namespace('shop'), every, true],
  ['one that opts out where all are', namespace('shop', label('disabled')), every, false],
  ['the operator’s', namespace('mtls-system', label('enabled')), every, false],
  ['the system’s', namespace('kube-system'), every, false],
])('%s is in the mesh or not', (_, where, by, expected) => {
  expect(isInMesh(where, by)).toBe(expected);
});
