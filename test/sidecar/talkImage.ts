/** The image of servers and clients of many protocols: our own in Go, and MariaDB and PostgreSQL as Debian has them. */
import { mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type Rootfs, rootfsArchive } from '../image/rootfs.ts';
import { makeImage } from '../node/image.ts';
import { goProgram } from '../support/goProgram.ts';
import { noProgress, type Progress } from '../support/progress.ts';

export const talkImage = 'localhost/talk:1';

const USER = 65_532;

export async function makeTalkImage(progress: Progress = noProgress): Promise<Buffer> {
  const talk = await goProgram(join(import.meta.dirname, 'talk'), progress);
  const databases = ['postgresql-15', 'postgresql-client-15', 'mariadb-server-core', 'mariadb-client-core'];
  const rootfs: Rootfs = {
    name: talkImage,
    packages: ['dash', 'coreutils', 'openssl', ...databases],
    variant: 'extract',
    complete: async (directory) => slim(directory),
  };
  const archive = await rootfsArchive(rootfs, [JSON.stringify(rootfs), slim.toString()], progress);
  return makeImage({ name: talkImage, files: { '/talk': talk }, rootfs: archive, user: `${USER}:${USER}` });
}

/** No script of Debian's has run: PostgreSQL will not be run by a user without a name. And nobody here compiles queries or reads manuals. */
function slim(directory: string): void {
  writeFileSync(join(directory, 'etc', 'passwd'), 'talk:x:65532:65532::/tmp:/bin/sh\n');
  mkdirSync(join(directory, 'tmp'), { recursive: true, mode: 0o1777 });
  for (const folder of ['doc', 'man', 'locale', 'icu']) {
    rmSync(join(directory, 'usr', 'share', folder), { recursive: true, force: true });
  }
  for (const folder of readdirSync(join(directory, 'usr', 'lib')).filter((name) => name.includes('-linux-gnu'))) {
    const path = join(directory, 'usr', 'lib', folder);
    for (const file of readdirSync(path)) if (/^lib(LLVM|z3)/.test(file)) rmSync(join(path, file));
  }
}

/** Words that start PostgreSQL with TLS of its own, for whoever asks for it. */
export const postgresCommand: readonly string[] = [
  '/bin/sh',
  '-ec',
  `PATH=/usr/lib/postgresql/15/bin:/usr/bin:/bin
cd /tmp
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=postgres -days 1 -keyout own.key -out own.crt 2>openssl.log
initdb -D data -U postgres --auth=trust --no-sync -E UTF8 --locale=C >initdb.log
echo 'host all all all trust' >>data/pg_hba.conf
exec postgres -D data -c listen_addresses='*' -c unix_socket_directories=/tmp -c fsync=off -c jit=off -c shared_buffers=8MB -c max_connections=20 \\
  -c ssl=on -c ssl_cert_file=/tmp/own.crt -c ssl_key_file=/tmp/own.key`,
];

/** Words that start MariaDB at two ports. Without tables of who may do what, everybody may. */
export const mariadbCommand = (port: number, other: number): readonly string[] => [
  '/bin/sh',
  '-ec',
  `mkdir -p /tmp/data
exec mariadbd --no-defaults --skip-grant-tables --datadir=/tmp/data --socket=/tmp/socket --pid-file=/tmp/pid --port=${port} --extra-port=${other} --extra-max-connections=20 \\
  --bind-address=* --skip-name-resolve --innodb-buffer-pool-size=8M --innodb-log-file-size=4M --innodb-use-native-aio=0 --innodb-flush-log-at-trx-commit=0`,
];
