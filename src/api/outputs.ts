/** spec.outputs of a WorkloadCertificate: further forms of key and certificates, in the same Secret. */
import { z } from 'zod';
import { mapField } from './lists.ts';
import { objectNameRules } from './names.ts';
import { field, matches, matchesNot, type Rule, textField } from './rules.ts';

export const keystoreTypes = ['PKCS12', 'JKS'] as const;
export const outputTypes = ['CombinedPEM', 'DER', 'Docker', 'EnvoySDS', ...keystoreTypes] as const;
export type OutputType = (typeof outputTypes)[number];
export type KeystoreType = (typeof keystoreTypes)[number];

/** Key of the Secret that holds the password which was generated for its keystores. */
export const GENERATED_PASSWORD_KEY = 'keystore-password';

/** What a keystore calls key and certificate where no alias is given. */
export const DEFAULT_ALIAS = 'certificate';

export function isKeystore(type: OutputType): type is KeystoreType {
  return type === 'PKCS12' || type === 'JKS';
}

const passwordSecretRefSchema = z.object({
  name: textField(253, 'Name of the Secret.', objectNameRules('Secret')),
  key: textField(253, 'Key of the Secret’s data under which the password stands. Default: password.', [
    matches(
      '^[-._a-zA-Z0-9]+$',
      'not a key of a Secret: write letters, digits, "-", "_" and ".", as in "keystore-password"',
    ),
    matchesNot('^[.]([.].*)?$', 'a key of a Secret is neither "." nor begins with ".."'),
  ]).default('password'),
});

const aliasRules = [
  // Java looks an alias up in lower case, and finds none in a JKS that was written otherwise.
  matches(
    '^[a-z0-9]([a-z0-9._-]*[a-z0-9])?$',
    'not an alias: write lower-case letters, digits, "-", "_" and ".", beginning and ending with a letter or digit',
  ),
];

const outputSchema = z.object({
  type: field(
    z.enum(outputTypes),
    `CombinedPEM: tls-combined.pem, the key followed by the certificates, for programs that read one file
    (HAProxy, MongoDB). DER: key.der, the key as PKCS#8 in DER (JDBC). Docker: ca.pem, cert.pem and key.pem, the names
    that Docker’s daemon and client read. EnvoySDS: sds-workload.json and sds-roots.json, which Envoy reads as the SDS
    secrets "workload" and "roots" and follows by itself. PKCS12: keystore.p12 (key and certificates) and
    truststore.p12 (the roots), for Java and others. JKS: keystore.jks and truststore.jks, for Java programs that take
    nothing newer; its protection of the key is weak by today’s measures.`,
  ),
  passwordSecretRef: field(
    passwordSecretRefSchema,
    `PKCS12 and JKS only: where the password of both stores stands, in a Secret of the same namespace other than the
    one that is written. It has 6 to 128 printable ASCII characters and no line break. A changed password is noticed
    within five minutes, one that was missing or unusable within half a minute, and both stores are then written with
    it around the same certificate. If left out, a password is generated, kept for ever, and stands under ${GENERATED_PASSWORD_KEY} in the Secret that is written. Example:
    {name: web-keystore, key: password}.`,
  ).optional(),
  alias: textField(
    64,
    `PKCS12 and JKS only: what the store calls key and certificate. The roots are called root-1, root-2 and so on.
    Default: ${DEFAULT_ALIAS}. Example: web.`,
    aliasRules,
  ).optional(),
});

type Output = z.output<typeof outputSchema>;

const forKeystoresOnly = (property: 'passwordSecretRef' | 'alias'): Rule<Output> => ({
  cel: `!has(self.${property}) || self.type in ['${keystoreTypes.join("', '")}']`,
  holds: (output) => output[property] === undefined || isKeystore(output.type),
  message: `${property} is for ${keystoreTypes.join(' and ')} only: leave it out here`,
  property,
});

export const outputsField = mapField(
  field(outputSchema, 'One further form.', [forKeystoresOnly('passwordSecretRef'), forKeystoresOnly('alias')]),
  'type',
  { max: 8 },
  `Further forms of key and certificates, as further keys in the same Secret. Default: none. Example: [{type:
  CombinedPEM}, {type: PKCS12, passwordSecretRef: {name: web-keystore, key: password}}].`,
);

export const passwordIsElsewhere: Rule<{
  readonly secretName: string;
  readonly outputs?: readonly Output[] | undefined;
}> = {
  cel:
    '!has(self.outputs) || self.outputs.all(output, !has(output.passwordSecretRef) || ' +
    'output.passwordSecretRef.name != self.secretName)',
  holds: ({ secretName, outputs }) =>
    (outputs ?? []).every(({ passwordSecretRef }) => passwordSecretRef?.name !== secretName),
  message:
    'a password stands in a Secret of its own, not in the one that is written: name another Secret in ' +
    'passwordSecretRef, or leave passwordSecretRef out to have a password generated',
  property: 'outputs',
};
