/** The MutatingWebhookConfiguration by which pods get their sidecars, as far as the operator keeps it: pure. */
import { asRecord, asString, type Decoded, isRecord, stringAt } from '../kube/index.ts';

export interface WebhooksRecord {
  readonly resourceVersion: string;
  readonly uid: string;
  readonly webhooks: readonly {
    readonly name: string;
    /** PEM in base64, as it stands there; '' where there is none. */
    readonly caBundle: string;
  }[];
}

/** @throws Error where the object is not a webhook configuration by its outline. */
export function decodeWebhooks(object: unknown): Decoded<WebhooksRecord> {
  const { metadata: rawMetadata, webhooks } = asRecord(object);
  const metadata = asRecord(rawMetadata);
  const value: WebhooksRecord = {
    resourceVersion: asString(metadata['resourceVersion']),
    uid: asString(metadata['uid']),
    webhooks: (Array.isArray(webhooks) ? webhooks.filter(isRecord) : []).map((webhook) => ({
      name: asString(webhook['name']),
      caBundle: stringAt(webhook['clientConfig'], 'caBundle') ?? '',
    })),
  };
  return { key: asString(metadata['name']), value };
}

/**
 * The strategic merge patch, which tells webhooks by their names, after which the API server verifies each of them by these roots. Bound to the version that was looked at: a webhook that
 * was taken out meanwhile must not come back.
 * @param bundlePem '' while the roots are unknown: then what stands there stays.
 * @returns undefined where there is nothing to change.
 */
export function bundlePatch(record: WebhooksRecord, bundlePem: string): object | undefined {
  if (bundlePem === '') return undefined;
  const caBundle = Buffer.from(bundlePem).toString('base64');
  const differing = record.webhooks.filter((webhook) => webhook.caBundle !== caBundle);
  if (differing.length === 0) return undefined;
  const { resourceVersion, uid } = record;
  return {
    metadata: { resourceVersion, uid },
    webhooks: differing.map(({ name }) => ({ name, clientConfig: { caBundle } })),
  };
}
