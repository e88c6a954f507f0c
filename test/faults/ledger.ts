/**
 * The book that the witness keeps: every revision of every Secret of the operator goes through here in the order in which it was stored, and what must
 * hold at each is checked. Keys, signatures and validity are judged by Node's own X.509 code, not by the operator's.
 */
import { createPrivateKey, X509Certificate } from 'node:crypto';
import { annotations, GROUP, labels, parseDuration, purposes } from '../../src/api/index.ts';
import { asRecord, stringMap } from '../../src/kube/index.ts';
import { parseCertificate } from '../../src/pki/index.ts';
import type { StoredChange } from './history.ts';
import { decode, iso, problemOf, readMaterial, secondMs } from './material.ts';

/** How a write of a certificate came to be: all but the last are needed. */
export type Cause = 'first' | 'spec' | 'due' | 'clock' | 'superfluous';

export interface Summary {
  /** Revisions of Secrets that were checked. */
  readonly revisions: number;
  readonly issuances: Readonly<Record<Cause, number>>;
  /** Writes of a Secret around the same certificate. */
  readonly rewrites: number;
  /** CA Secrets made. */
  readonly generations: number;
  /** What must never be. Empty: all is well. */
  readonly violations: readonly string[];
  /** Every superfluous issuance, described. */
  readonly superfluous: readonly string[];
  /** The longest that a certificate was in use past its time of renewal, in seconds. */
  readonly latestRenewalSeconds: number;
}

export interface LedgerOptions {
  /** WorkloadCertificates and their Secrets elsewhere are passed over; CAs are not. Default: none are. */
  readonly namespace?: string;
  /** How far the operator's clock is from this machine's, in ms: [since when, by how much], in order. Default: never. */
  readonly clockJumps?: readonly (readonly [at: number, offset: number])[];
  /** Spans (ms) in which nothing could be written: a certificate that expires in one, or within `grace` after it, is not the operator's doing. */
  readonly outages?: readonly (readonly [from: number, to: number])[];
  readonly graceMs?: number;
  readonly now?: () => number;
}

interface Spec {
  readonly generation: number;
  readonly spec: Readonly<Record<string, unknown>>;
  readonly trustDomain: string;
}

interface Workload {
  readonly namespace: string;
  readonly name: string;
  readonly uid: string;
  readonly specs: Spec[];
  exists: boolean;
  object: Readonly<Record<string, unknown>>;
}

interface Leaf {
  readonly serial: string;
  readonly notBefore: number;
  readonly notAfter: number;
  /** When it is to be renewed at the latest. */
  readonly dueAt: number;
  readonly writtenAt: number;
  readonly generation: number;
  readonly uid: string;
}

/** Renewal comes earlier by a spread of at most this share of the life. */
const spreadShare = 1 / 20;

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #workloads = new Map<string, Workload>();
  readonly #leaves = new Map<string, Leaf>();
  readonly #serials = new Map<string, string>();
  readonly #authorities = new Map<string, { readonly fingerprint: string; readonly data: string }>();
  readonly #issuing = new Map<
    string,
    { readonly number: number; readonly notBefore: number; readonly notAfter: number }
  >();
  readonly #violations: string[] = [];
  readonly #superfluous: string[] = [];
  readonly #issuances: Record<Cause, number> = { first: 0, spec: 0, due: 0, clock: 0, superfluous: 0 };
  #revisions = 0;
  #rewrites = 0;
  #generations = 0;
  #latest = 0;

  constructor(options: LedgerOptions = {}) {
    this.#options = options;
  }

  get summary(): Summary {
    return {
      revisions: this.#revisions,
      issuances: { ...this.#issuances },
      rewrites: this.#rewrites,
      generations: this.#generations,
      violations: this.#violations,
      superfluous: this.#superfluous,
      latestRenewalSeconds: Math.round(this.#latest / 1000),
    };
  }

  /** Takes one change of etcd, in order. A Secret has the name of its WorkloadCertificate here. */
  take({ key, revision, object }: StoredChange): void {
    const [, registry, group, ...rest] = key.split('/');
    if (registry !== 'registry') return;
    if (group === GROUP && rest[0] === 'workloadcertificates' && this.#isHere(rest[1]))
      this.#takeWorkload(rest.slice(1).join('/'), object);
    if (group === 'secrets') this.#takeSecret(rest.join('/'), revision, object);
  }

  #isHere(namespace: string | undefined): boolean {
    return this.#options.namespace === undefined || this.#options.namespace === namespace;
  }

  /** What is amiss now that everything should be at rest: WorkloadCertificates without a good Secret or without Ready. */
  unsettled(): string[] {
    return [...this.#workloads.values()].flatMap((workload) => {
      if (!workload.exists) return [];
      const problem = this.#unsettled(workload);
      return problem === undefined ? [] : [`${workload.namespace}/${workload.name}: ${problem}`];
    });
  }

  /** Secrets whose certificate is not valid now, by the operator's clock. */
  outOfTime(): string[] {
    const offset = (this.#options.clockJumps ?? []).at(-1)?.[1] ?? 0;
    const now = this.#now() + offset;
    return [...this.#leaves].flatMap(([key, { notBefore, notAfter }]) =>
      now < notBefore || now >= notAfter ? [key] : [],
    );
  }

  /** Secrets whose renewal is later than it should be by more than `ms`. Without a look at jumps of the clock. */
  overdue(ms: number): string[] {
    const now = this.#now();
    return [...this.#leaves].flatMap(([key, { dueAt }]) =>
      this.#workloads.get(key)?.exists === true && now > dueAt + ms ? [key] : [],
    );
  }

  /** Ends the book: certificates that expired and have not been written since. */
  close(): Summary {
    for (const [key, leaf] of this.#leaves) this.#checkExpiry(key, leaf, this.#now(), 'still');
    return this.summary;
  }

  #now(): number {
    return (this.#options.now ?? Date.now)();
  }

  /** The operator's clock at `at`; around a jump, either may have been read. */
  #operatorTimes(at: number): number[] {
    const jumps = this.#options.clockJumps ?? [];
    const offsets = jumps.filter(([since], index) => {
      const until = jumps[index + 1]?.[0] ?? Number.POSITIVE_INFINITY;
      return since <= at + 2 * secondMs && until >= at - 5 * secondMs;
    });
    const first = jumps[0]?.[0] ?? Number.POSITIVE_INFINITY;
    const all = at - 5 * secondMs <= first ? [0] : [];
    return [...all, ...offsets.map(([, offset]) => offset)].map((offset) => at + offset);
  }

  #jumped(from: number, to: number): boolean {
    return (this.#options.clockJumps ?? []).some(([at]) => at >= from - 2 * secondMs && at <= to + 2 * secondMs);
  }

  // ---- WorkloadCertificates

  #takeWorkload(key: string, object: unknown): void {
    const known = this.#workloads.get(key);
    if (object === undefined) {
      if (known !== undefined) known.exists = false;
      // Nobody asks for it any more: it may expire.
      const leaf = this.#leaves.get(key);
      if (leaf !== undefined) this.#checkExpiry(key, leaf, this.#now(), 'until its object was deleted');
      return;
    }
    const record = asRecord(object);
    const metadata = asRecord(record['metadata']);
    const generation = Number(metadata['generation']);
    const uid = String(metadata['uid']);
    const spec = { generation, spec: asRecord(record['spec']), trustDomain: 'cluster.local' };
    const [namespace = '', name = ''] = key.split('/');
    const workload =
      known === undefined || known.uid !== uid
        ? { namespace, name, uid, specs: [spec], exists: true, object: record }
        : known;
    workload.exists = true;
    workload.object = record;
    if (workload.specs.at(-1)?.generation !== generation) workload.specs.push(spec);
    this.#workloads.set(key, workload);
  }

  #unsettled({ namespace, name, uid, specs, object }: Workload): string | undefined {
    const latest = specs.at(-1);
    const leaf = this.#leaves.get(`${namespace}/${name}`);
    if (leaf === undefined || latest === undefined) return 'there is no Secret';
    if (leaf.generation !== latest.generation && leaf.uid === uid)
      return `the certificate is of generation ${leaf.generation}, not ${latest.generation}`;
    if (this.#operatorTimes(this.#now()).every((now) => now >= leaf.notAfter)) return 'the certificate has expired';
    const status = asRecord(object['status'] ?? {});
    const conditions = Array.isArray(status['conditions']) ? status['conditions'].map(asRecord) : [];
    const ready = conditions.find(({ type }) => type === 'Ready');
    if (ready?.['status'] !== 'True') return `Ready is ${String(ready?.['status'])}: ${String(ready?.['message'])}`;
    if (ready['observedGeneration'] !== latest.generation) return 'Ready is of an older generation';
    if (status['serialNumber'] !== leaf.serial) return 'status names another certificate';
    return undefined;
  }

  // ---- Secrets

  #takeSecret(key: string, revision: number, object: unknown): void {
    if (object === undefined) {
      this.#secretDeleted(key);
      return;
    }
    const secret = asRecord(object);
    const purpose = stringMap(asRecord(secret['metadata'])['labels'])[labels.purpose];
    const about = `Secret ${key} at revision ${revision}`;
    try {
      if (purpose === purposes.authority) this.#takeGeneration(about, secret);
      else if (!this.#isHere(key.split('/', 1)[0])) return;
      else if (purpose === purposes.workloadCertificate) this.#takeLeaf(key, about, secret);
      else if (this.#leaves.has(key)) this.#violate(`${about} has lost its label`);
    } catch (error) {
      this.#violate(`${about}: ${error instanceof Error ? error.message : String(error)}`);
    }
  }

  #secretDeleted(key: string): void {
    const leaf = this.#leaves.get(key);
    if (leaf !== undefined) this.#checkExpiry(key, leaf, this.#now(), 'until it was deleted');
    this.#leaves.delete(key);
  }

  #takeLeaf(key: string, about: string, secret: Readonly<Record<string, unknown>>): void {
    this.#revisions += 1;
    const metadata = asRecord(secret['metadata']);
    const writtenAt = writeTime(metadata);
    const times = this.#operatorTimes(writtenAt);
    const { leaf, chain, roots, text } = readMaterial(secret);
    const problem = problemOf(leaf, chain, roots, secret, times);
    if (problem !== undefined) this.#violate(`${about}: ${problem}`);
    const workload = this.#workloads.get(key);
    if (workload === undefined) {
      this.#violate(`${about} is for no WorkloadCertificate`);
      return;
    }
    const holder = stringMap(metadata['annotations'])[annotations.certificate];
    if (holder !== workload.name) this.#violate(`${about} says that it belongs to ${String(holder)}`);
    const before = this.#leaves.get(key);
    const parsed = parseCertificate(text);
    const asked = workload.specs.findLast((candidate) => namesProblem(parsed, workload, candidate) === undefined);
    const latest = workload.specs.at(-1);
    if (asked === undefined && latest !== undefined)
      this.#violate(`${about}: ${namesProblem(parsed, workload, latest) ?? 'not of any spec'}`);
    const now = {
      serial: parsed.serialNumber,
      notBefore: leaf.validFromDate.getTime(),
      notAfter: leaf.validToDate.getTime(),
      dueAt: leaf.validToDate.getTime() - renewBeforeOf(asked?.spec),
      writtenAt,
      generation: asked?.generation ?? 0,
      uid: workload.uid,
    };
    if (before !== undefined && before.uid === now.uid && now.generation < before.generation)
      this.#violate(`${about} goes back from spec generation ${before.generation} to ${now.generation}`);
    this.#leaves.set(key, now);
    if (before?.serial === now.serial) {
      this.#rewrites += 1;
      return;
    }
    const other = this.#serials.get(now.serial);
    if (other !== undefined) this.#violate(`${about} has a serial number that stood in ${other} already`);
    this.#serials.set(now.serial, about);
    if (before !== undefined && workload.exists && before.uid === now.uid)
      this.#checkExpiry(key, before, writtenAt, 'until it was renewed');
    const cause = this.#causeOf(before, now, asked ?? latest, times);
    this.#issuances[cause] += 1;
    if (cause === 'superfluous')
      this.#superfluous.push(
        `${about}: the certificate of ${iso(before?.writtenAt)} was good until ${iso(before?.notAfter)} and is replaced at ${iso(writtenAt)}`,
      );
  }

  #causeOf(before: Leaf | undefined, now: Leaf, asked: Spec | undefined, times: readonly number[]): Cause {
    if (before === undefined) return 'first';
    if (before.uid === now.uid ? now.generation !== before.generation : asked?.generation !== before.generation)
      return 'spec';
    const spec = asked?.spec ?? {};
    const life = 1000 * parseDuration(String(spec['duration']));
    const renewBefore =
      spec['renewBefore'] === undefined ? life / 3 : 1000 * parseDuration(String(spec['renewBefore']));
    const latestDue = before.notAfter - renewBefore;
    const due = latestDue - life * spreadShare - secondMs;
    // The upper end of the second in which it was written.
    if (times.some((time) => time + secondMs >= due)) {
      if (this.#jumped(before.writtenAt, now.writtenAt)) return 'clock';
      this.#latest = Math.max(this.#latest, Math.min(...times) - before.dueAt);
      return 'due';
    }
    if (times.some((time) => time < before.notBefore)) return 'clock';
    return 'superfluous';
  }

  #checkExpiry(key: string, leaf: Leaf, until: number, what: string): void {
    const workload = this.#workloads.get(key);
    if (workload === undefined || (!workload.exists && what === 'still')) return;
    // A clock that jumps ahead lets certificates expire by itself.
    if (this.#jumped(leaf.writtenAt, until)) return;
    // Just after a jump either clock may have been read: then the later end counts.
    const from = Math.max(
      ...this.#operatorTimes(leaf.writtenAt).map((time) => leaf.notAfter - (time - leaf.writtenAt)),
    );
    if (from >= until) return;
    const { outages = [], graceMs = 0 } = this.#options;
    if (outages.some(([start, end]) => from >= start && until <= end + graceMs)) return;
    this.#violate(
      `the certificate in Secret ${key} expired at ${iso(from)}, ${((until - from) / 1000).toFixed(1)} s, ${what} (${iso(until)})`,
    );
  }

  #takeGeneration(about: string, secret: Readonly<Record<string, unknown>>): void {
    this.#revisions += 1;
    const metadata = asRecord(secret['metadata']);
    const notes = stringMap(metadata['annotations']);
    const owner = stringMap(metadata['labels'])[labels.authority] ?? '';
    const data = JSON.stringify(secret['data']);
    const material = stringMap(secret['data']);
    const certificate = new X509Certificate(decode(material['tls.crt']));
    if (!certificate.checkPrivateKey(createPrivateKey(decode(material['tls.key']))))
      this.#violate(`${about}: the CA's key does not match its certificate`);
    const role = notes[annotations.role] ?? '';
    const number = Number(notes[annotations.generation]);
    const id = `${role} CA ${number} of ${owner}`;
    const known = this.#authorities.get(id);
    if (known !== undefined) {
      if (known.data !== data) this.#violate(`${about}: ${id} was made twice, or its data changed`);
      return;
    }
    this.#authorities.set(id, { fingerprint: certificate.fingerprint256, data });
    this.#generations += 1;
    const before = this.#issuing.get(`${role}/${owner}`);
    const [notBefore, notAfter] = [certificate.validFromDate.getTime(), certificate.validToDate.getTime()];
    this.#issuing.set(`${role}/${owner}`, { number, notBefore, notAfter });
    if (before === undefined) return;
    if (number !== before.number + 1) this.#violate(`${about}: ${id} comes after number ${before.number}`);
    const half = before.notBefore + (before.notAfter - before.notBefore) / 2;
    if (this.#operatorTimes(writeTime(metadata)).every((time) => time + secondMs < half))
      this.#violate(`${about}: ${id} was made before half of its predecessor's life was over`);
  }

  #violate(message: string): void {
    // A defect that strikes each revision is told often enough.
    if (this.#violations.length < 200) this.#violations.push(message);
  }
}

/** When the newest change of the object was made, by the API server's clock, in whole seconds (ms). */
function writeTime(metadata: Readonly<Record<string, unknown>>): number {
  const fields = metadata['managedFields'];
  const times = Array.isArray(fields) ? fields.map((entry) => Date.parse(String(asRecord(entry)['time']))) : [];
  return Math.max(0, ...times.filter((time) => !Number.isNaN(time)));
}

function namesProblem(
  leaf: ReturnType<typeof parseCertificate>,
  { namespace }: Workload,
  { spec, trustDomain }: Spec,
): string | undefined {
  const { serviceAccountName } = spec;
  const identity =
    typeof serviceAccountName === 'string' ? [`spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccountName}`] : [];
  const wanted: readonly (readonly [string, readonly string[], readonly string[]])[] = [
    ['DNS names', leaf.dnsNames, texts(spec['dnsNames'])],
    ['IP addresses', leaf.ipAddresses, texts(spec['ipAddresses'])],
    ['URIs', leaf.uris, [...identity, ...texts(spec['uris'])]],
    ['e-mail addresses', leaf.emailAddresses, texts(spec['emailAddresses'])],
  ];
  for (const [what, found, asked] of wanted) {
    const same = found.length === asked.length && asked.every((name) => found.includes(name));
    if (!same) return `its ${what} are [${found.join(', ')}], the spec asks for [${asked.join(', ')}]`;
  }
  return undefined;
}

/** ms */
function renewBeforeOf(spec: Readonly<Record<string, unknown>> = {}): number {
  const { duration, renewBefore } = spec;
  if (renewBefore !== undefined) return 1000 * parseDuration(String(renewBefore));
  return duration === undefined ? 0 : (1000 * parseDuration(String(duration))) / 3;
}

function texts(value: unknown): string[] {
  return Array.isArray(value) ? value.map(String) : [];
}
