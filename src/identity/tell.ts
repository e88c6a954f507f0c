/** What users hear of the certificates that the operator makes by itself: events, and the log. Each thing once, however often it is looked at. */
import { API_VERSION, labels, workloadCertificateKind } from '../api/index.ts';
import type { CertificateRecord } from '../certificate/index.ts';
import { type EventRecorder, type Log, messageOf } from '../kube/index.ts';
import type { WantedCertificate } from './wanted.ts';

export class Teller {
  readonly #events: EventRecorder;
  readonly #log: Log;
  /** The state of an object about which was complained, by its key. */
  readonly #complained = new Map<string, string>();

  constructor({ events, log }: { readonly events: EventRecorder; readonly log: Log }) {
    this.#events = events;
    this.#log = log;
  }

  made({ account, name, namespace }: WantedCertificate): void {
    this.#log.info({ namespace, name, account }, 'made a certificate for the mesh');
  }

  reaped({ name, namespace }: CertificateRecord): void {
    this.#log.info({ namespace, name }, 'removed a certificate that no pod with a sidecar has needed in a long time');
  }

  corrected(record: CertificateRecord): void {
    const note =
      'Somebody changed the spec, by which pods with a sidecar have their identity: it was put right. To have a spec of your own, ' +
      `take the label ${labels.managedBy} off the object`;
    this.#warn(record, 'Corrected', note);
  }

  /** Its name is taken by an object of somebody's by which sidecars cannot go. */
  taken(record: CertificateRecord, { account }: WantedCertificate, problem: string): void {
    const key = `${record.namespace}/${record.name}`;
    const state = `${record.uid}/${record.generation}`;
    if (this.#complained.get(key) === state) return;
    this.#complained.set(key, state);
    const note =
      `The mesh needs a WorkloadCertificate of this name for the service account "${account}", and this one, which the operator did not ` +
      `make, does not do: ${problem}. Delete it, or give it another name, and the operator makes its own; or put this right`;
    this.#warn(record, 'NameTaken', note);
  }

  /** What was complained about is gone. */
  settled(key: string): void {
    this.#complained.delete(key);
  }

  /** There is no object to tell it of but the service account. */
  notMade({ account, name, namespace }: WantedCertificate, error: unknown): void {
    const note =
      `The WorkloadCertificate "${name}" of this service account cannot be made, and its pods with a sidecar wait for the ` +
      `Secret of that name: ${messageOf(error)}`;
    const regarding = { apiVersion: 'v1', kind: 'ServiceAccount', namespace, name: account };
    this.#events.record({ regarding, type: 'Warning', reason: 'IdentityNotMade', action: 'MakeIdentity', note });
  }

  #warn(record: CertificateRecord, reason: string, note: string): void {
    const { namespace, name, uid, resourceVersion } = record;
    this.#log.warn({ namespace, name, reason }, note);
    const { kind } = workloadCertificateKind;
    const regarding = { apiVersion: API_VERSION, kind, namespace, name, uid, resourceVersion };
    this.#events.record({ regarding, type: 'Warning', reason, action: 'MakeIdentity', note });
  }
}
