/** Clients in pods, and what comes of what they say, in a word that a table can hold. */
import type { Cluster } from '../../cluster/index.ts';
import { ports } from './workloads.ts';

/** `heard <payload>` from the server's mouth, `refused` where it was there and would not talk, or what else the client says. */
export type Outcome = string;

export interface Client {
  readonly protocol: string;
  /** Words that say the payload to a host. */
  readonly command: (host: string, payload: string) => readonly string[];
  /** Whether the payload can be read on the way where the mesh does not encrypt it. */
  readonly legible: boolean;
}

const talk = (protocol: string, port: number, legible = true): Client => ({
  protocol,
  legible,
  command: (host, payload) => ['/talk', 'ask', `${protocol.split(' ')[0]}://${host}:${port}`, payload],
});

function postgres(sslmode: 'disable' | 'prefer'): Client {
  const path = '/usr/lib/postgresql/15/bin/psql';
  return {
    protocol: `postgresql, sslmode=${sslmode}`,
    legible: sslmode === 'disable',
    command: (host, payload) => {
      const conninfo = `host=${host} port=${ports.postgres} user=postgres dbname=postgres connect_timeout=14 sslmode=${sslmode}`;
      const ssl = sslmode === 'prefer' ? 't' : 'f';
      const sql = `select 'heard ${payload}' from pg_stat_ssl where pid = pg_backend_pid() and ssl = '${ssl}'`;
      return [path, '-XAt', conninfo, '-c', sql];
    },
  };
}

function mariadb(declaredBy: string, port: number): Client {
  return {
    protocol: `mariadb, declared by ${declaredBy}`,
    legible: true,
    command: (host, payload) => [
      ...['mariadb', '--no-defaults', '--protocol=tcp', '--skip-ssl', '--connect-timeout=14', '-N'],
      ...['-h', host, '-P', String(port), '-e', `select 'heard ${payload}'`],
    ],
  };
}

export const clients: readonly Client[] = [
  talk('http1', ports.http),
  talk('http2', ports.http),
  talk('grpc', ports.grpc),
  // What the client sends is masked; what it is answered is not.
  talk('websocket', ports.http),
  talk('tcp', ports.tcp),
  talk('lines', ports.lines),
  // It says the payload in its ClientHello as well.
  talk('tls', ports.tls),
  talk('greeter', ports.greeter),
  mariadb('appProtocol', ports.mariadb),
  mariadb('annotation', ports.annotated),
  postgres('disable'),
  postgres('prefer'),
];

export interface Speaker {
  readonly namespace: string;
  readonly pod: string;
}

/** Runs it in the container `main` of a pod. */
export async function outcomeOf(
  cluster: Cluster,
  { namespace, pod }: Speaker,
  words: readonly string[],
): Promise<Outcome> {
  // kubectl would say of a client that fails only that it did.
  const script = ['/bin/sh', '-c', '"$@" 2>&1 || true', 'sh', ...words];
  const said = (await cluster.kubectl(['exec', '-n', namespace, pod, '-c', 'main', '--', ...script])).trim();
  return REFUSED.test(said) ? 'refused' : said;
}

/** In the words of psql and of MariaDB's client. */
const REFUSED = /server closed the connection unexpectedly|Lost connection to server at 'handshake/;
