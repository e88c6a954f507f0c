/** Fields that several kinds have. */
import * as z from 'zod';
import { CONDITION_MESSAGE_MAX_LENGTH, CONDITION_REASON_MAX_LENGTH } from './conditions.ts';
import { DURATION_MAX_LENGTH, DURATION_PATTERN, durationSecondsCel, isDuration, parseDuration } from './duration.ts';
import { field, matches, type Rule, textField } from './rules.ts';
import { parseTime, TIME_MAX_LENGTH, TIME_PATTERN } from './time.ts';

export const keyAlgorithms = ['ECDSA', 'RSA', 'Ed25519'] as const;
export type KeyAlgorithm = (typeof keyAlgorithms)[number];

const keySizes: Readonly<Record<KeyAlgorithm, readonly number[]>> = {
  ECDSA: [256, 384],
  RSA: [2048, 3072, 4096],
  Ed25519: [],
};

export const keySizeRule: Rule<{ algorithm: KeyAlgorithm; size?: number | undefined }> = {
  cel:
    "!has(self.size) || (self.algorithm == 'ECDSA' && self.size in [256, 384]) || " +
    "(self.algorithm == 'RSA' && self.size in [2048, 3072, 4096])",
  holds: ({ algorithm, size }) => size === undefined || keySizes[algorithm].includes(size),
  message: 'write 256 or 384 for ECDSA, 2048, 3072 or 4096 for RSA, and leave size out for Ed25519',
  property: 'size',
};

export const keyAlgorithmField = field(
  z.enum(keyAlgorithms),
  `Algorithm of the key: ECDSA, RSA or Ed25519. Every TLS library knows ECDSA and RSA; browsers and many older clients
  refuse Ed25519. Making an RSA key takes about a thousand times the work of an ECDSA key.`,
);

export const keySizeField = field(
  z.int32(),
  `Size of the key in bits: 256 (curve P-256) or 384 (P-384) for ECDSA; 2048, 3072 or 4096 for RSA; left out for
  Ed25519. Default: 256 for ECDSA, 2048 for RSA.`,
);

/** The size that a key has if none is asked for; undefined for Ed25519, which has but one. */
export function defaultKeySize(algorithm: KeyAlgorithm): number | undefined {
  return keySizes[algorithm][0];
}

/** A duration from `minimum` to `maximum`, both in the notation of duration.ts. */
export function durationField(description: string, minimum: string, maximum: string): z.ZodString {
  const seconds = durationSecondsCel('self');
  const [least, most] = [parseDuration(minimum), parseDuration(maximum)];
  return textField(DURATION_MAX_LENGTH, description, [
    {
      cel: `self != '' && self.matches('${DURATION_PATTERN}')`,
      holds: isDuration,
      message: 'not a duration: write whole numbers with d, h, m, s in this order, as in "24h", "90m" or "1d12h"',
    },
    {
      cel: `self == '' || !self.matches('${DURATION_PATTERN}') || (${seconds} >= ${least} && ${seconds} <= ${most})`,
      holds: (value) => !isDuration(value) || (parseDuration(value) >= least && parseDuration(value) <= most),
      message: `out of range: write a duration from ${minimum} to ${maximum}`,
    },
  ]);
}

/** Written by the operator. */
export const timeField = (description: string): z.ZodString =>
  field(z.string(), `${description} RFC 3339, in UTC.`, [], { format: 'date-time' });

export const notBeforeField = timeField('When the certificate becomes valid.');
export const notAfterField = timeField('When the certificate expires.');
export const renewalTimeField = timeField('When the certificate is going to be renewed.');
export const lastFailureTimeField = timeField('When issuance last failed.');

/** A time that users write. */
export function untilField(description: string): z.ZodString {
  return textField(TIME_MAX_LENGTH, description, [
    {
      // `timestamp` fails on a day that the month does not have, which refuses the object, with this message.
      cel: `self.matches('${TIME_PATTERN}') && timestamp(self) > timestamp('0001-01-01T00:00:00Z')`,
      holds: (text) => parseTime(text) !== undefined,
      message:
        'not a time: write date, time and time zone as in "2027-03-01T00:00:00Z" (RFC 3339), with a day that the month has',
    },
  ]);
}

export const fingerprintField = textField(
  64,
  `SHA-256 of the certificate (DER) in lower-case hexadecimal, as "openssl x509 -fingerprint -sha256" prints it in
  capitals with colons.`,
);
export const serialNumberField = textField(
  64,
  'Serial number of the certificate in capital hexadecimal, as "openssl x509 -serial" prints it.',
);
export const subjectField = textField(
  4096,
  'Distinguished name of the certificate’s subject, in the notation of RFC 4514.',
);

export const conditionSchema = z.object({
  type: textField(316, 'What the condition is about, in CamelCase.', [
    matches(
      '^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$',
      'not a type of condition: write one CamelCase word',
    ),
  ]),
  status: field(z.enum(['True', 'False', 'Unknown']), 'Whether it is so: True, False or Unknown.'),
  reason: textField(CONDITION_REASON_MAX_LENGTH, 'Why, as one CamelCase word for machines. Reasons are stable.', [
    matches('^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$', 'not a reason: write one CamelCase word'),
  ]),
  message: field(z.string(), 'Why, for people: what is wrong, where, and what to do.', [], {
    maxLength: CONDITION_MESSAGE_MAX_LENGTH,
  }),
  lastTransitionTime: timeField('When status last changed.'),
  observedGeneration: field(
    z.int().min(0),
    'The metadata.generation that was judged: if it is behind, the condition does not yet tell about the present spec.',
    [],
    { format: 'int64' },
  ).optional(),
});

/** @param types which conditions there are and what each means. */
export function conditionsField(types: string) {
  return field(z.array(conditionSchema).max(16), types, [], {
    'x-kubernetes-list-type': 'map',
    'x-kubernetes-list-map-keys': ['type'],
  });
}

export const observedGenerationField = field(
  z.int().min(0),
  `The metadata.generation that this status tells about: if it is behind, the operator has not yet seen the last
  change of spec.`,
  [],
  { format: 'int64' },
);
