/** Java's keytool and its launcher, as they are on the machine. */
import { CommandError, run } from './command.ts';

/** The oldest Java that the examples are written for is 17. */
const OLDEST = 17;

let found: Promise<void> | undefined;

/** @throws Error that says what to install. */
export async function needJava(): Promise<void> {
  found ??= run('javac', ['-version'])
    .then(({ stdout, stderr }) => {
      const version = Number(/javac (\d+)/.exec(stdout + stderr)?.[1] ?? 0);
      if (version < OLDEST) throw new Error(`Java ${OLDEST} or newer is needed, this is Java ${version}`);
    })
    .catch((error: unknown) => {
      if (!(error instanceof CommandError)) throw error;
      throw new Error(
        `A JDK of Java ${OLDEST} or newer is needed for keystores and examples/java: install openjdk-${OLDEST}-jdk-headless`,
        { cause: error },
      );
    });
  await found;
}

export interface ListedEntry {
  readonly alias: string;
  readonly type: string;
  /** SHA-256 in capital hexadecimal with colons, the entry's own certificate first. */
  readonly fingerprints: readonly string[];
}

/** What `keytool -list -v` says is in a keystore; it finds out by itself of which kind that is. The password goes by the environment. */
export async function listKeystore(file: string, password: string): Promise<ListedEntry[]> {
  await needJava();
  const args = ['-J-Duser.language=en', '-list', '-v', '-keystore', file, '-storepass:env', 'STORE_PASSWORD'];
  const { stdout } = await run('keytool', args, { env: { ...process.env, STORE_PASSWORD: password } });
  return stdout
    .split(/^Alias name: /m)
    .slice(1)
    .map((entry) => ({
      alias: /^.*/.exec(entry)?.[0] ?? '',
      type: /^Entry type: (.*)$/m.exec(entry)?.[1] ?? '',
      fingerprints: [...entry.matchAll(/^\s*SHA256: ([0-9A-F:]+)$/gm)].map(([, fingerprint]) => fingerprint ?? ''),
    }));
}
