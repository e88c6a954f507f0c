/**
 * Probes of a pod with a sidecar. kubelet has no certificate: in a Strict port its probes would be refused, and a connect through a proxy always succeeds. So they are asked of the proxy's own
 * port, which is not redirected, and the proxy asks the application. Pure.
 */
import { type ProbeRoute, proxyPorts } from '../envoy/index.ts';
import type { Container, Handler } from './pod.ts';

export const probeKinds = ['startupProbe', 'livenessProbe', 'readinessProbe'] as const;
export const hookKinds = ['postStart', 'preStop'] as const;
export type ProbeKind = (typeof probeKinds)[number] | (typeof hookKinds)[number];

/** Handlers as they were, by `container/kind`. */
export type Originals = Readonly<Record<string, Handler>>;

/** Path under which the proxy answers for a handler. */
export function probePath(container: string, kind: ProbeKind): string {
  return `/probe/${container}/${kind}`;
}

const keyOf = (container: string, kind: ProbeKind): string => `${container}/${kind}`;

function originalOf(originals: Originals, container: string, kind: ProbeKind): Handler | undefined {
  const key = keyOf(container, kind);
  return Object.hasOwn(originals, key) ? originals[key] : undefined;
}

/** @returns the container with its handlers asked of the proxy, and those that were changed, as they were. */
export function rewriteProbes(container: Container): { readonly container: Container; readonly originals: Originals } {
  const originals: Record<string, Handler> = {};
  const rewritten = mapHandlers(container, (handler, kind) => {
    if (routeOf(container, kind, handler) === undefined) return handler;
    const { httpGet, tcpSocket, grpc, ...rest } = handler;
    originals[keyOf(container.name, kind)] = {
      ...(httpGet && { httpGet }),
      ...(tcpSocket && { tcpSocket }),
      ...(grpc && { grpc }),
    };
    const headers = httpGet?.httpHeaders;
    const asked = { path: probePath(container.name, kind), port: proxyPorts.probes, scheme: 'HTTP' };
    return { ...rest, httpGet: { ...asked, ...(headers === undefined ? {} : { httpHeaders: headers }) } };
  });
  return { container: rewritten, originals };
}

/** The container as it was before `rewriteProbes`. */
export function restoreProbes(container: Container, originals: Originals): Container {
  return mapHandlers(container, (handler, kind) => {
    const original = originalOf(originals, container.name, kind);
    // Somebody else may have changed it since: then it is theirs.
    if (original === undefined || handler.httpGet?.path !== probePath(container.name, kind)) return handler;
    const { httpGet: _, ...rest } = handler;
    return { ...rest, ...original };
  });
}

/** What the proxy has to answer, from the handlers as they were. */
export function probeRoutes(containers: readonly Container[], originals: Originals): ProbeRoute[] {
  return containers.flatMap((container) =>
    [...probeKinds, ...hookKinds].flatMap((kind) => {
      const original = originalOf(originals, container.name, kind);
      return (original && routeOf(container, kind, original)) ?? [];
    }),
  );
}

/** undefined: it is nothing that the proxy could stand before, or nothing that the API server takes: then that is to say so, by the author's own words. */
function routeOf(container: Container, kind: ProbeKind, handler: Handler): ProbeRoute | undefined {
  const { httpGet, tcpSocket, grpc } = handler;
  if (ways.filter((way) => handler[way] !== undefined && handler[way] !== null).length > 1) return undefined;
  const path = probePath(container.name, kind);
  const at = (named: number | string): number | undefined => {
    const number =
      typeof named === 'number' ? named : container.ports?.find(({ name }) => name === named)?.containerPort;
    return number !== undefined && number >= 1 && number <= 65_535 ? number : undefined;
  };
  if (httpGet !== undefined) {
    // Another host is not this pod.
    if (httpGet.host !== undefined && httpGet.host !== '') return undefined;
    const port = at(httpGet.port);
    const by = protocolOf(httpGet.scheme);
    if (port === undefined || by === undefined) return undefined;
    const namesHost = httpGet.httpHeaders?.some(({ name }) => name.toLowerCase() === 'host') === true;
    return { path, port, ask: { by, path: pathOf(httpGet.path), ...(namesHost && { namesHost }) } };
  }
  // kubelet does nothing for a hook of this kind.
  if (tcpSocket !== undefined && !isHook(kind)) {
    if (tcpSocket.host !== undefined && tcpSocket.host !== '') return undefined;
    const port = at(tcpSocket.port);
    return port === undefined ? undefined : { path, port, ask: { by: 'tcp', ...patienceOf(container, kind) } };
  }
  if (grpc !== undefined && !isHook(kind)) {
    const port = at(grpc.port);
    return port === undefined
      ? undefined
      : { path, port, ask: { by: 'grpc', service: grpc.service ?? '', ...patienceOf(container, kind) } };
  }
  return undefined;
}

/** Of which a handler has one. */
const ways = ['exec', 'grpc', 'httpGet', 'sleep', 'tcpSocket'] as const;

function protocolOf(scheme: string | undefined): 'http' | 'https' | undefined {
  if (scheme === undefined || scheme === '' || scheme === 'HTTP') return 'http';
  return scheme === 'HTTPS' ? 'https' : undefined;
}

/** How long kubelet waits for an answer, where that is not a second: it stays with the probe when that is asked of the proxy. */
function patienceOf(container: Container, kind: ProbeKind): { readonly timeoutSeconds?: number } {
  const probe = probeKinds.find((one) => one === kind);
  const { timeoutSeconds = 1 } = (probe && container[probe]) ?? {};
  return timeoutSeconds > 1 ? { timeoutSeconds } : {};
}

function isHook(kind: ProbeKind): boolean {
  return hookKinds.some((hook) => hook === kind);
}

/** As kubelet asks for it: what has no place in a request is encoded, and a fragment is not sent. */
function pathOf(path = ''): string {
  const [sent = ''] = path.split('#');
  const whole = sent.startsWith('/') ? sent : `/${sent}`;
  return whole.toWellFormed().replaceAll(/(?:[^!-~]|["<>\\^`{|}])+/g, encodeURIComponent);
}

function mapHandlers(container: Container, map: (handler: Handler, kind: ProbeKind) => Handler): Container {
  const next: Container = { ...container };
  for (const kind of probeKinds) {
    const handler = container[kind];
    if (handler !== undefined) next[kind] = map(handler, kind);
  }
  const { lifecycle } = container;
  if (lifecycle !== undefined) {
    const hooks = { ...lifecycle };
    for (const kind of hookKinds) {
      const handler = lifecycle[kind];
      if (handler !== undefined) hooks[kind] = map(handler, kind);
    }
    next.lifecycle = hooks;
  }
  return next;
}
