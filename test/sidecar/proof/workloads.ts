/** The workloads that speak with each other: plain objects, as users write them, apart from their images. */
import { mariadbCommand, postgresCommand, talkImage } from '../talkImage.ts';

/** As test/sidecar/talk serves them. */
export const ports = {
  http: 8080,
  grpc: 8081,
  tcp: 9000,
  lines: 9001,
  tls: 9443,
  greeter: 2525,
  postgres: 5432,
  /** Told to speak first by the Service's appProtocol. */
  mariadb: 3306,
  /** MariaDB too; told to speak first by the annotation, as the greeter. */
  annotated: 3307,
} as const;

const speaksFirst = { 'mtls-operator.io/server-first-ports': `${ports.annotated},greeter` };

interface Place {
  readonly namespace: string;
  readonly name: string;
}

/** Talks, and holds nothing. */
const talk = (...args: readonly string[]) => ({ name: 'main', image: talkImage, command: ['/talk', ...args] });

const declared = (names: readonly (keyof typeof ports)[]) =>
  names.map((name) => ({ name, containerPort: ports[name] }));

/** Ready when it serves: what kubelet asks goes through the proxy like everything else. */
const serving = {
  ...talk('serve'),
  ports: declared(['http', 'grpc', 'tcp', 'lines', 'tls', 'greeter']),
  readinessProbe: { httpGet: { path: '/', port: 'http' }, periodSeconds: 1 },
  livenessProbe: { grpc: { port: ports.grpc }, periodSeconds: 2 },
  // Endpoints have to be forgotten by those who dial them before it ends.
  lifecycle: { preStop: { sleep: { seconds: 3 } } },
};

const databases = [
  {
    name: 'postgres',
    image: talkImage,
    command: postgresCommand,
    ports: declared(['postgres']),
    readinessProbe: { tcpSocket: { port: 'postgres' }, periodSeconds: 1 },
  },
  {
    name: 'mariadb',
    image: talkImage,
    command: mariadbCommand(ports.mariadb, ports.annotated),
    ports: declared(['mariadb', 'annotated']),
    readinessProbe: { tcpSocket: { port: 'mariadb' }, periodSeconds: 1 },
  },
];

/** A client that waits to be told what to say, by `kubectl exec`. */
export const client = (place: Place): object[] => deployment(place, 1, [talk('serve')]);

/** A server of every protocol. Its Services come first: what they say of its ports has to be known when pods are made. */
export const server = (place: Place): object[] => [
  service(place),
  overIpv6(place),
  ...deployment(place, 1, [serving, ...databases]),
];

/** Where its Service has an IPv6 address. */
export const ipv6Name = (name: string): string => `${name}-ipv6`;

const overIpv6 = ({ name, namespace }: Place): object =>
  service(
    { namespace, name: ipv6Name(name) },
    { selector: { app: name }, ipFamilies: ['IPv6'], ipFamilyPolicy: 'SingleStack' },
  );

/** A server of what needs no database. */
export const talker = (place: Place, replicas = 1): object[] => [
  service(place),
  ...deployment(place, replicas, [serving]),
];

/** Talks all the while with those URLs. @param directory on the node, where it says what came of it. */
export function load(place: Place, directory: string, urls: readonly string[]): object[] {
  const container = {
    ...talk('load', '/report/$(POD)', ...urls),
    env: [{ name: 'POD', valueFrom: { fieldRef: { fieldPath: 'metadata.name' } } }],
    volumeMounts: [{ name: 'report', mountPath: '/report' }],
  };
  return deployment(place, 1, [container], { volumes: [{ name: 'report', hostPath: { path: directory } }] });
}

/** Two pods with names of their own, behind a headless Service. */
export function ranked(place: Place): object[] {
  const spec = { serviceName: place.name, podManagementPolicy: 'Parallel', ...replicated(place, 2, [serving]) };
  return [
    service(place, { clusterIP: 'None' }),
    account(place),
    { apiVersion: 'apps/v1', kind: 'StatefulSet', metadata: place, spec },
  ];
}

/** Runs `talk` with those words, and is done. */
export function job(place: Place, words: readonly string[]): object[] {
  const spec = { serviceAccountName: place.name, restartPolicy: 'Never', containers: [talk(...words)] };
  return [
    account(place),
    { apiVersion: 'batch/v1', kind: 'Job', metadata: place, spec: { backoffLimit: 0, template: { spec } } },
  ];
}

export function service(place: Place, spec: object = {}): object {
  const all = Object.entries(ports).map(([name, port]) => ({
    name,
    port,
    ...(name === 'mariadb' ? { appProtocol: 'mysql' } : {}),
  }));
  return {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: place,
    spec: { selector: { app: place.name }, ports: all, ...spec },
  };
}

const account = (place: Place) => ({ apiVersion: 'v1', kind: 'ServiceAccount', metadata: place });

function deployment(place: Place, replicas: number, containers: readonly object[], more: object = {}): object[] {
  const spec = replicated(place, replicas, containers, more);
  return [account(place), { apiVersion: 'apps/v1', kind: 'Deployment', metadata: place, spec }];
}

function replicated({ name }: Place, replicas: number, containers: readonly object[], more: object = {}): object {
  const labels = { app: name };
  const spec = { serviceAccountName: name, terminationGracePeriodSeconds: 10, containers, ...more };
  const annotations = containers.includes(serving) ? speaksFirst : {};
  return { replicas, selector: { matchLabels: labels }, template: { metadata: { labels, annotations }, spec } };
}
