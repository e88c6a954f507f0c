import { readFile } from 'node:fs/promises';
import type { Connection, Credentials, TlsMaterial } from './config.ts';
import { readTrimmed, tokenHeader } from './credentialFiles.ts';

export interface TokenFileOptions {
  /** https://host:port */
  readonly server: string;
  readonly tokenFile: string;
  /** Roots of the API server; left out: those that Node trusts. */
  readonly caFile?: string | undefined;
  readonly namespace?: string | undefined;
  readonly proxyUrl?: string | undefined;
  readonly source: string;
}

/** An API server that is convinced by a bearer token. Token and roots are read anew at each call: whoever gave them out renews them in place. */
export function tokenFileSource({ tokenFile, caFile, ...rest }: TokenFileOptions): Connection {
  let last: Credentials | undefined;
  return {
    ...rest,
    async credentials() {
      const [token, ca] = await Promise.all([
        readTrimmed(tokenFile),
        caFile === undefined ? undefined : readFile(caFile, 'utf8'),
      ]);
      // The same object as long as nothing changed: the transport opens new connections when it is another.
      const tls: TlsMaterial = last !== undefined && last.tls.ca === ca ? last.tls : { ca };
      last = { headers: tokenHeader(token, tokenFile), tls };
      return last;
    },
  };
}
