/** What users hear of a certificate: status, events, the log. Each thing once, however often it is looked at. */
import { API_VERSION, iso, setCondition, type WorkloadCertificate, workloadCertificateKind } from '../api/index.ts';
import {
  type Clock,
  type EventRecorder,
  isStatus,
  type Log,
  mergePatch,
  type Store,
  type Transport,
} from '../kube/index.ts';
import { type CertificateRecord, statusOf } from './certificateRecord.ts';
import type { IssueDecision, Look } from './look.ts';
import { describeIssue } from './reasons.ts';
import type { SecretRecord } from './secretRecord.ts';
import { certificateStatus, type Judgement } from './status.ts';
import { writeStatus } from './writeStatus.ts';

export interface TellerOptions {
  readonly transport: Transport;
  readonly clock: Clock;
  readonly log: Log;
  readonly events: EventRecorder;
  readonly certificates: Store<CertificateRecord>;
  /** Runs what changes a store by our own doing, so that it is not taken for news. */
  readonly quietly: (change: () => void) => void;
}

export class Teller {
  readonly #options: TellerOptions;

  constructor(options: TellerOptions) {
    this.#options = options;
  }

  /** Writes the status where it differs from what stands there. */
  async status({ certificate, record, situation }: Look, judgement: Judgement, signal: AbortSignal): Promise<void> {
    const { renewAtProblem } = judgement;
    if (renewAtProblem !== undefined && findIssuing(certificate)?.message !== renewAtProblem)
      this.#warn(record, 'RenewAtInvalid', renewAtProblem);
    await this.#patch(record, certificate.status, certificateStatus(certificate, judgement, situation.now), signal);
  }

  /** The spec was stored under an older schema and is not valid any more. The Secret stays as it is. */
  async invalid(record: CertificateRecord, problem: string, signal: AbortSignal): Promise<void> {
    const before = statusOf(record);
    const message = `${problem}. The Secret stays as it is, and is not renewed`;
    const verdict = { status: 'False', reason: 'SpecInvalid', message, observedGeneration: record.generation } as const;
    const at = iso(this.#options.clock.now());
    const conditions = setCondition(before.conditions, { type: 'Ready', ...verdict }, at);
    if (conditions === before.conditions) return;
    this.#options.log.error({ namespace: record.namespace, name: record.name, error: problem }, 'invalid spec');
    this.#warn(record, 'SpecInvalid', message);
    const after = { ...before, conditions: [...conditions], observedGeneration: record.generation };
    await this.#patch(record, before, after, signal).catch((error: unknown) => {
      // Where a field is not even of the right type, the API server refuses any status. The event has told of it, and only an edit helps.
      if (!isStatus(error, 422)) throw error;
    });
  }

  /** Once per refusal, also where nothing is due yet: a rule that was withdrawn must be heard of long before expiry. */
  refusal({ certificate, record, refusal }: Look): void {
    if (refusal === undefined || findIssuing(certificate)?.reason === refusal.reason) return;
    const { reason, message } = refusal;
    this.#warn(record, reason, message);
    this.#options.log.warn({ namespace: record.namespace, name: record.name, reason }, message);
  }

  damped({ certificate, record }: Look, message: string): void {
    if (findIssuing(certificate)?.message !== message) this.#warn(record, 'Damped', message);
  }

  failure({ record }: Look, failed: { reason: string; attempts: number; error: string }, message: string): void {
    const { namespace, name } = record;
    this.#options.log.error({ namespace, name, ...failed }, 'issuance failed');
    this.#warn(record, 'Failed', message);
  }

  issued({ certificate, profile, record }: Look, decision: IssueDecision, secret: SecretRecord): void {
    if (secret.content.state !== 'sound') return;
    const { namespace, name, secretName } = record;
    const { serialNumber, notAfter } = secret.content.leaf;
    const { dnsNames, ipAddresses, uris, emailAddresses } = profile?.request ?? {};
    const names = { dnsNames, ipAddresses, uris, emailAddresses };
    const until = new Date(notAfter).toISOString();
    const { reason } = decision;
    const { revision } = secret;
    const { duration } = certificate.spec;
    this.#options.log.info(
      { namespace, name, secretName, reason, serialNumber, duration, notAfter: until, revision, ...names },
      'issued a certificate',
    );
    if (revision > 1 && reason !== 'SecretMissing') return;
    const why = describeIssue(reason, decision.detail);
    const note = `Issued certificate ${serialNumber}, valid until ${until}, into Secret "${secretName}" (${why})`;
    this.#event(record, { type: 'Normal', reason: 'Issued', note });
  }

  rewritten({ record, decision }: Look, writer: string | undefined): void {
    if (decision.action !== 'rewrite') return;
    const { namespace, name, secretName } = record;
    const { reason, detail } = decision;
    this.#options.log.info(
      { namespace, name, secretName, reason, detail, writer },
      'wrote the Secret again around the same certificate',
    );
  }

  #warn(record: CertificateRecord, reason: string, note: string): void {
    this.#event(record, { type: 'Warning', reason, note });
  }

  #event(record: CertificateRecord, event: { type: 'Normal' | 'Warning'; reason: string; note: string }): void {
    const { namespace, name, uid, resourceVersion } = record;
    const { kind } = workloadCertificateKind;
    const regarding = { apiVersion: API_VERSION, kind, namespace, name, uid, resourceVersion };
    this.#options.events.record({ regarding, action: 'Issue', ...event });
  }

  async #patch(
    record: CertificateRecord,
    before: WorkloadCertificate['status'],
    after: WorkloadCertificate['status'],
    signal: AbortSignal,
  ): Promise<void> {
    const patch = mergePatch(before, after);
    if (patch === undefined) return;
    const { transport, certificates, quietly } = this.#options;
    const written = await writeStatus(transport, record, patch, signal);
    if (written !== undefined) quietly(() => certificates.observe(written.key, written.value));
  }
}

function findIssuing({ status }: WorkloadCertificate) {
  return status.conditions?.find(({ type }) => type === 'Issuing');
}
