// Further forms in which key and certificates are handed out.

/** Key first, then leaf and intermediates, in one PEM text, as HAProxy, MongoDB and others read it. */
export const combinedPem = (keyPem: string, chainPem: string): string =>
  `${withNewline(keyPem)}${withNewline(chainPem)}`;

const withNewline = (pem: string): string => (pem.endsWith('\n') ? pem : `${pem}\n`);
