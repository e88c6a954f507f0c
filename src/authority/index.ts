/** Who signs, and for whom. */

export { backdateSeconds, issuedAt } from './backdate.ts';
export { AuthorityController } from './controller.ts';
export { DEFAULT_AUTHORITY, ensureDefaultAuthority } from './default.ts';
export { digestOf } from './digest.ts';
export type { IssuerInUse } from './issuerSearch.ts';
export type { RootInUse } from './lost.ts';
export { type DeniedName, deniedNames, describeDenied, isFreeDnsName, selectorMatches } from './names.ts';
export { type AuthorityDependencies, createAuthorityReconciler } from './reconcile.ts';
export { type AuthorityRecord, type CaSecretRecord, decodeAuthority, decodeCaSecret } from './store.ts';
export { AuthorityCatalogue, type AuthorityView, caIdOf, type KnownIssuer } from './view.ts';
