/** Who asks for an authority, as the API server has it at this moment: a cache may be behind, and a finalizer that is released does not come back. */
import { workloadCertificateKind } from '../api/index.ts';
import { asRecord, keyOf, stringAt, stringMap, type Transport } from '../kube/index.ts';
import { itemsOf } from './list.ts';

export interface UserSearch {
  readonly transport: Pick<Transport, 'request'>;
  /** Those that the operator serves: it may ask for no others. */
  readonly namespaces: readonly string[] | 'all';
}

/** About a megabyte of WorkloadCertificates. */
const PAGE = 500;

/** @returns the key of a WorkloadCertificate that asks for the authority; undefined where there is none. */
export async function findUser(
  { transport, namespaces }: UserSearch,
  authority: string,
  signal: AbortSignal,
): Promise<string | undefined> {
  for (const namespace of namespaces === 'all' ? [undefined] : namespaces) {
    const path = workloadCertificateKind.path(namespace);
    let page: string | undefined;
    do {
      const query = { limit: String(PAGE), ...(page === undefined ? {} : { continue: page }) };
      const list = asRecord(await transport.request({ method: 'GET', path, query, signal }));
      for (const item of itemsOf(list, 'WorkloadCertificates')) {
        const { metadata, spec } = asRecord(item);
        if ((stringMap(asRecord(spec)['authorityRef'])['name'] ?? 'default') !== authority) continue;
        return keyOf(stringAt(metadata, 'namespace'), stringAt(metadata, 'name') ?? '');
      }
      page = stringAt(list['metadata'], 'continue') || undefined;
    } while (page !== undefined);
  }
  return undefined;
}
