/** The sidecar: which pods get one, the pod with it, and the webhook that says so to the API server. */
export { readWishes } from './annotations.ts';
export { type Asked, asked, isUnclear, type MeshScope, type PodNamespace } from './asked.ts';
export { containerNames, identitySecretName } from './containers.ts';
export { type Injection, inject, recordOf, type ServerFirstByService, withoutRoom } from './inject.ts';
export { type Pod, parsePod } from './pod.ts';
export { probeRoutes } from './probes.ts';
export { PROXY_USER, type Redirection, redirectionRules } from './redirection.ts';
export type { InjectionSettings } from './settings.ts';
export { INJECTION_PATH, type ServingCertificate, serveWebhook, type Webhook, type WebhookOptions } from './webhook.ts';
export { type ClientConfig, type WebhookConfigurationOptions, webhookConfiguration } from './webhookConfiguration.ts';
