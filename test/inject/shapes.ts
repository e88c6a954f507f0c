/** Pods as people write them. */

const web = {
  name: 'web',
  image: 'registry.invalid/web:1',
  ports: [
    { containerPort: 8080, name: 'http' },
    { containerPort: 9090, name: 'metrics' },
  ],
};

export const shapes: Readonly<Record<string, object>> = {
  'one container': { containers: [web] },
  'probes of every kind': {
    containers: [
      {
        ...web,
        startupProbe: { tcpSocket: { port: 8080 }, failureThreshold: 30, periodSeconds: 2 },
        livenessProbe: { httpGet: { path: '/live', port: 'http' }, timeoutSeconds: 3 },
        readinessProbe: { grpc: { port: 8080, service: 'ready' } },
        lifecycle: {
          preStop: { httpGet: { path: '/stop', port: 8080 } },
          postStart: { exec: { command: ['/bin/true'] } },
        },
      },
      {
        name: 'secure',
        image: 'registry.invalid/secure:1',
        readinessProbe: {
          httpGet: {
            path: '/ready',
            port: 8443,
            scheme: 'HTTPS',
            httpHeaders: [{ name: 'Host', value: 'web.example.com' }],
          },
        },
      },
    ],
  },
  'init containers and a sidecar of its own': {
    initContainers: [
      { name: 'migrate', image: 'registry.invalid/migrate:1', command: ['migrate'] },
      {
        name: 'logs',
        image: 'registry.invalid/logs:1',
        restartPolicy: 'Always',
        readinessProbe: { httpGet: { path: '/', port: 2020 } },
      },
    ],
    containers: [web],
  },
  'a job': { restartPolicy: 'Never', containers: [{ name: 'report', image: 'registry.invalid/report:1' }] },
  'volumes, a user of its own and an account': {
    serviceAccountName: 'cart',
    securityContext: { runAsUser: 1000, runAsNonRoot: true, fsGroup: 1000 },
    volumes: [
      { name: 'data', emptyDir: {} },
      { name: 'config', configMap: { name: 'web', optional: true } },
    ],
    containers: [{ ...web, volumeMounts: [{ name: 'data', mountPath: '/data' }] }],
  },
};
