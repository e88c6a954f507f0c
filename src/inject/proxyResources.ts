/** What a sidecar is sure to get, and what it may not exceed: as its pod says, else as the installation does. Pure. */
import { annotations } from '../api/index.ts';
import { AnnotationError } from './annotationError.ts';

/** Quantities as Kubernetes has them. */
export interface ProxyResources {
  readonly requests: Readonly<Record<string, string>>;
  readonly limits: Readonly<Record<string, string>>;
}

type Annotations = Readonly<Record<string, string>>;

/** @throws AnnotationError */
export function readResources(found: Annotations, defaults: ProxyResources): ProxyResources {
  const { proxyCpuLimit, proxyCpuRequest, proxyMemoryLimit, proxyMemoryRequest } = annotations;
  const cpu = bounds(found, defaults, 'cpu', proxyCpuRequest, proxyCpuLimit);
  const memory = bounds(found, defaults, 'memory', proxyMemoryRequest, proxyMemoryLimit);
  return { requests: { ...cpu.request, ...memory.request }, limits: { ...cpu.limit, ...memory.limit } };
}

interface Bounds {
  readonly request: Readonly<Record<string, string>>;
  readonly limit: Readonly<Record<string, string>>;
}

/** What the pod says comes first: a default that contradicts it gives way, since it is not its author's. */
function bounds(
  found: Annotations,
  { limits, requests }: ProxyResources,
  of: string,
  requestKey: string,
  limitKey: string,
): Bounds {
  const ownRequest = quantity(found, requestKey);
  const ownLimit = quantity(found, limitKey);
  const request = ownRequest ?? requests[of];
  const limit = ownLimit ?? limits[of];
  const only = (value: string | undefined): Readonly<Record<string, string>> =>
    value === undefined ? {} : { [of]: value };
  if (request === undefined || limit === undefined || !(amount(request) > amount(limit)))
    return { request: only(request), limit: only(limit) };
  if (ownRequest !== undefined && ownLimit !== undefined)
    throw new AnnotationError(
      `annotation ${requestKey} is ${JSON.stringify(ownRequest)}, which is more than ${limitKey}, ${JSON.stringify(ownLimit)}: write no more than that`,
    );
  const own = ownRequest ?? ownLimit ?? limit;
  return { request: only(own), limit: only(own) };
}

function quantity(found: Annotations, key: string): string | undefined {
  const { [key]: value } = found;
  if (value === undefined || QUANTITY.test(value)) return value;
  throw new AnnotationError(
    `annotation ${key} is ${JSON.stringify(value.slice(0, 100))}: write a quantity, as in 100m or 128Mi`,
  );
}

/** Positive, in the forms that people write; the API server judges it again. */
const QUANTITY = /^(?!0+(\.0*)?\D*$)([0-9]{1,15}(?:\.[0-9]{1,3})?)(m|k|M|G|T|Ki|Mi|Gi|Ti)?$/;

const FACTORS: Readonly<Record<string, number>> = {
  m: 1e-3,
  k: 1e3,
  M: 1e6,
  G: 1e9,
  T: 1e12,
  Ki: 2 ** 10,
  Mi: 2 ** 20,
  Gi: 2 ** 30,
  Ti: 2 ** 40,
};

/** NaN for what has another form: then the API server is to judge. */
function amount(text: string): number {
  const [, , number, suffix] = QUANTITY.exec(text) ?? [];
  return Number(number) * (suffix === undefined ? 1 : (FACTORS[suffix] ?? Number.NaN));
}
