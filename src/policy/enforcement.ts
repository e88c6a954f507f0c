/** What is known of the sidecars that have to act by a policy, told by whoever tells them. */
export interface PolicyProxies {
  /** Version of the policy by which they were counted; undefined: not the same in all namespaces. */
  readonly policy: string | undefined;
  /** Pods with a sidecar, running or not, for which the policy decides the mode of some port. */
  readonly sidecars: number;
  /** The same, by namespace. */
  readonly sidecarsIn: Readonly<Record<string, number>>;
  /** Of these, the sidecars that run and so have to know. */
  readonly total: number;
  readonly acknowledged: number;
  readonly enforced: number;
  /** Pods (namespace/name) whose sidecars have not acknowledged, the first few by name. */
  readonly lagging: readonly string[];
  /** Those whose sidecars refuse, the first few by name, with what they say. */
  readonly refused: readonly { readonly pod: string; readonly error: string }[];
}

export interface Enforcement {
  /** @param policy namespace/name. @returns undefined where no sidecar is known for which it decides; 'before' as long as they have yet to be counted. */
  of(policy: string): PolicyProxies | 'before' | undefined;
}
