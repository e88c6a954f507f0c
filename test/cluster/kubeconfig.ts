import type { Credential } from './credentials.ts';

/** The text of a kubeconfig (JSON, which is YAML too) with everything inside: it can be copied and needs no other file. */
export function kubeconfigText(of: {
  readonly url: string;
  readonly caPem: string;
  readonly credential: Credential | { readonly token: string };
}): string {
  const base64 = (text: string) => Buffer.from(text, 'utf8').toString('base64');
  const { credential } = of;
  const user =
    'token' in credential
      ? { token: credential.token }
      : { 'client-certificate-data': base64(credential.certificate), 'client-key-data': base64(credential.key) };
  return `${JSON.stringify(
    {
      apiVersion: 'v1',
      kind: 'Config',
      clusters: [{ name: 'test', cluster: { server: of.url, 'certificate-authority-data': base64(of.caPem) } }],
      users: [{ name: 'test', user }],
      contexts: [{ name: 'test', context: { cluster: 'test', user: 'test', namespace: 'default' } }],
      'current-context': 'test',
    },
    null,
    2,
  )}\n`;
}
