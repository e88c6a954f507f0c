/** Whether the API server has a pod that needs the certificate of a service account: asked before the certificate is removed, since a watch may be behind. */
import { decodePod } from '../inventory/index.ts';
import { property, type Resource, resourcePath, stringAt, type Transport } from '../kube/index.ts';

const PODS: Resource = { group: '', version: 'v1', plural: 'pods' };
const PAGE = '100';

export async function hasSidecarPod(
  transport: Pick<Transport, 'request'>,
  { namespace, account }: { readonly namespace: string; readonly account: string },
  signal: AbortSignal,
): Promise<boolean> {
  const path = resourcePath(PODS, namespace);
  let next: string | undefined;
  do {
    const query = {
      fieldSelector: `spec.serviceAccountName=${account}`,
      limit: PAGE,
      ...(next === undefined ? {} : { continue: next }),
    };
    const answer = await transport.request({ method: 'GET', path, query, signal });
    const items = property(answer, 'items');
    if (Array.isArray(items) && items.some(hasSidecar)) return true;
    next = stringAt(property(answer, 'metadata'), 'continue') || undefined;
  } while (next !== undefined);
  return false;
}

/** What cannot be understood may have one. */
function hasSidecar(object: unknown): boolean {
  try {
    return decodePod(object).value.mesh?.sidecar !== undefined;
  } catch {
    return true;
  }
}
