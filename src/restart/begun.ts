/**
 * Which restarts this operator has begun for the present certificate. The mark on the pod template says so too, until somebody puts the template back: whoever does
 * so does it again, and pods would be replaced for ever.
 */
export type Attempt = 'begun' | 'through';

export class Begun {
  readonly #attempts = new Map<string, { readonly serialNumber: string; readonly workloads: Map<string, Attempt> }>();

  /** @param workload its uid: one that was made anew is another. */
  set(certificate: string, serialNumber: string, workload: string, attempt: Attempt): void {
    const before = this.#attempts.get(certificate);
    const workloads = before?.serialNumber === serialNumber ? before.workloads : new Map<string, Attempt>();
    this.#attempts.set(certificate, { serialNumber, workloads: workloads.set(workload, attempt) });
  }

  get(certificate: string, serialNumber: string, workload: string): Attempt | undefined {
    const attempts = this.#attempts.get(certificate);
    return attempts?.serialNumber === serialNumber ? attempts.workloads.get(workload) : undefined;
  }

  forget(certificate: string): void {
    this.#attempts.delete(certificate);
  }
}
