import { describe } from 'vitest';
import { authority, bundleOf, certificate, makeRoot, NOW, OPERATOR, webhooks } from './builders.fixture.ts';
import { root, tells } from './judging.fixture.ts';

const other = await makeRoot('other');
const expired = await makeRoot('expired', { from: -48, to: -2 });

describe('of the authority and what hangs on it, it tells', () => {
  const hooks = (...args: Parameters<typeof webhooks>) => ({ webhooks: { value: webhooks(...args) } });
  const proxyApi = (more: Parameters<typeof certificate>[2]) => ({
    certificates: {
      value: [certificate('mtls-operator-proxy-api', OPERATOR, more), certificate('mtls-proxy-default', 'shop')],
    },
  });
  const name = `mtls-operator-proxy-api.${OPERATOR}.svc`;
  const [valid, dnsNames] = [() => bundleOf(root), [name]];
  const garbage = Buffer.from('not PEM').toString('base64');
  tells([
    [
      'that it is not there',
      () => ({ authority: { value: undefined } }),
      [/^error Authority certificateauthority\/default: it is not there/],
    ],
    [
      'that nobody has looked at it',
      () => ({ authority: { value: {} } }),
      [/^error Authority .*nobody has looked at it yet/],
    ],
    [
      'why it does not sign',
      () => ({ authority: { value: authority([root], [{ type: 'Ready', status: 'False', reason: 'KeyMissing' }]) } }),
      [/^error Authority .*: KeyMissing: said/],
    ],
    [
      'that it nears its end',
      () => ({
        authority: {
          value: authority(
            [root],
            [
              { type: 'Ready', status: 'True' },
              { type: 'Expiring', status: 'True' },
            ],
          ),
        },
      }),
      [/^warning Authority .*: said/],
    ],
    ['webhooks that are not there', () => ({ webhooks: { value: undefined } }), [/^error Webhook .*it is not there/]],
    [
      'a webhook that was taken out',
      () => {
        const { webhooks: all } = webhooks(valid()) as { webhooks: object[] };
        return { webhooks: { value: { webhooks: all.slice(1) } } };
      },
      [/^error Webhook .*no webhook namespace.injection.mtls-operator.io/],
    ],
    [
      'a webhook that fails open',
      () =>
        hooks(valid(), (entry) =>
          String(entry['name']).startsWith('pod') ? { ...entry, failurePolicy: 'Ignore' } : entry,
        ),
      [/^warning Webhook .*the failurePolicy of pod.injection.mtls-operator.io is not Fail/],
    ],
    ['roots that are not there', () => hooks(''), [/^error Webhook .*caBundle is empty.*\(namespace\S+, pod\S+\)$/]],
    ['roots that cannot be read', () => hooks(garbage), [/^error Webhook .*no certificates that can be read/]],
    [
      'roots that have expired',
      () => hooks(bundleOf(root, expired)),
      [/^error Webhook .*expired: CN=expired 120m ago/],
    ],
    ['roots of another', () => hooks(bundleOf(other)), [/^error Webhook .*not the roots of the authority/]],
    [
      'roots of another beside ours',
      () => hooks(bundleOf(root, other)),
      [/^error Webhook .*not the roots of the authority/],
    ],
    [
      'nothing of roots where the authority does not name any',
      () => ({ ...hooks(bundleOf(other)), authority: { value: authority([]) } }),
      [],
    ],
    [
      'that the Service is not there',
      () => ({
        webhookService: {
          namespace: OPERATOR,
          name: 'mtls-operator-proxy-api',
          exists: { value: false },
          endpoints: { value: 0 },
        },
      }),
      [/^error WebhookService service\/mtls-operator-proxy-api: the webhooks name it/],
    ],
    [
      'that the Service leads nowhere',
      () => ({
        webhookService: {
          namespace: OPERATOR,
          name: 'mtls-operator-proxy-api',
          exists: { value: true },
          endpoints: { value: 0 },
        },
      }),
      [/^error WebhookService .*no endpoint that is ready/],
    ],
    [
      'that proxy-api has no certificate',
      () => ({ certificates: { value: [certificate('mtls-proxy-default', 'shop')] } }),
      [/^error ProxyApiCertificate .*it is not there/],
    ],
    [
      'why that is not Ready',
      () => proxyApi({ ready: false, reason: 'NameDenied', dnsNames }),
      [/^error ProxyApiCertificate .*not Ready: NameDenied: said/],
    ],
    [
      'that it has expired',
      () => proxyApi({ notAfter: NOW - 1, dnsNames }),
      [/^error ProxyApiCertificate .*expired 0s ago/],
    ],
    [
      'that it is for another name',
      () => proxyApi({ dnsNames: [`other.${OPERATOR}.svc`, `*.${name}`] }),
      [new RegExp(`^error ProxyApiCertificate .*it is not for ${name}`)],
    ],
    ['nothing of one that is for any name of the namespace', () => proxyApi({ dnsNames: [`*.${OPERATOR}.svc`] }), []],
  ]);
});
