// X.509 for the rest of the operator: keys, names, certificates, chains. Knows nothing of Kubernetes.

export {
  type CaOrder,
  chainPem,
  type IssuingCa,
  issueCa,
  issueLeaf,
  type LeafOrder,
  randomSerial,
  serialText,
} from './certificate.ts';
export { type ChainQuery, type ChainReason, type ChainResult, verifyChain } from './chain.ts';
export { type ConstrainedNames, checkNameConstraints, type NameViolation } from './constraints.ts';
export type { NameConstraints, NameSubtrees } from './decodeExtensions.ts';
export { PkiError, type PkiReason } from './errors.ts';
export type { AlternativeNames, NameConstraintsRequest } from './extensions.ts';
export { bytesToIp, ipToBytes, parseIpAddress } from './ip.ts';
export { jks } from './jks.ts';
export type { KeyPair } from './keyPair.ts';
export {
  type KeyAlgorithm,
  type KeyEncoding,
  type KeySpec,
  keySpecText,
  type ResolvedKeySpec,
  resolveKeySpec,
  sameKeySpec,
} from './keySpec.ts';
export { generateKeyPair, keyMatches } from './keys.ts';
export { type KeystoreEntry, type SaltSource, saltSource } from './keystore.ts';
export { KeystorePassword } from './keystorePassword.ts';
export { loadKeyPair } from './loadKey.ts';
export { parseDnsName, parseEmailAddress, parseUri, type ServiceAccountIdentity, spiffeId } from './names.ts';
export { combinedPem } from './outputs.ts';
export { isSignedBy, type ParsedCertificate, parseCertificate, parseCertificates } from './parse.ts';
export { pkcs12 } from './pkcs12.ts';
export { buildLeafProfile, type LeafProfile, type LeafRequest, type Usage } from './profile.ts';
export type { Subject } from './subject.ts';
export { type IssuedWhole, verifyIssued } from './verifyIssued.ts';
