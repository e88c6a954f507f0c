/** What the mesh needs of certificates: one for each service account with sidecars, one for proxy-api, and the roots in the webhooks. */
export { IdentityController } from './controller.ts';
export { type HostNetworkOptions, HostNetworkPods } from './hostNetwork.ts';
export { LeaderIdentitySource } from './leaderIdentity.ts';
export {
  leaderCertificate,
  leaderSecretName,
  MESH_AUTHORITY,
  type ProxyApi,
  proxyApiCertificate,
  proxyApiSecretName,
} from './wanted.ts';
export { WEBHOOK_CONFIGURATIONS, WebhookController } from './webhookController.ts';
export { decodeWebhooks, type WebhooksRecord } from './webhooks.ts';
