/** What a check is judged by: what the API server says of the installation, or the permission that is missing for it. */
import type { MeshService } from '../../../mesh/index.ts';
import type { CertificateStatus } from '../certificateStatus.ts';
import type { OperatorDeployment } from '../operatorDeployment.ts';
import type { Reading } from '../reader.ts';
import type { CheckedPod } from '../sidecarPod.ts';
import type { Absence } from './absence.ts';

export interface NamedObject {
  readonly name: string;
  /** As the API server has it; undefined: it is not there. */
  readonly found: Reading<unknown>;
}

export interface NamespaceFacts {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly deleting: boolean;
}

export interface PodFacts extends CheckedPod {
  /** Why it has no sidecar; undefined: it has one, or that cannot be told. */
  readonly absence: Absence | undefined;
}

/** The Service by which the API server reaches the webhook. */
export interface WebhookService {
  readonly namespace: string;
  readonly name: string;
  readonly exists: Reading<boolean>;
  /** Those that are ready. */
  readonly endpoints: Reading<number>;
}

export interface CheckFacts {
  /** Of this plugin. */
  readonly version: string;
  readonly operatorNamespace: string;
  readonly now: number;
  /** CustomResourceDefinitions, by their names. */
  readonly definitions: readonly NamedObject[];
  readonly admissionPolicies: readonly NamedObject[];
  readonly admissionBindings: readonly NamedObject[];
  readonly deployments: Reading<readonly OperatorDeployment[]>;
  readonly lease: Reading<unknown>;
  readonly authority: Reading<unknown>;
  /** The MutatingWebhookConfiguration. */
  readonly webhooks: Reading<unknown>;
  /** undefined: the webhooks name none, or may not be read. */
  readonly webhookService: WebhookService | undefined;
  /** Of the operator's namespace, and of sidecars everywhere. */
  readonly certificates: Reading<readonly CertificateStatus[]>;
  readonly namespaces: Reading<readonly NamespaceFacts[]>;
  readonly pods: Reading<readonly PodFacts[]>;
  readonly services: Reading<readonly MeshService[]>;
}
