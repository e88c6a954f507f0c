import { isNotFound, isStatus } from './errors.ts';
import type { Transport } from './transport.ts';

/**
 * One merge patch of an object's status. Bound to the object's UID, not to its version: whoever writes here owns the fields that it changes.
 * @param path of the subresource `status`.
 * @returns the object as it is after the write; undefined where it is gone, or made anew under the same name: then its own event tells.
 */
export async function patchStatus(
  transport: Pick<Transport, 'request'>,
  path: string,
  uid: string,
  patch: object,
  signal: AbortSignal,
): Promise<unknown> {
  try {
    return await transport.request({ method: 'PATCH', path, body: { metadata: { uid }, status: patch }, signal });
  } catch (error) {
    if (isNotFound(error) || isStatus(error, 409)) return undefined;
    throw error;
  }
}
