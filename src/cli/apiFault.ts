/** What went wrong between a command line and the API server, for whoever typed it. */
import { ApiError, TransportError } from '../kube/index.ts';
import { CliError } from './end.ts';

/**
 * @param server its URL.
 * @param what was asked for, as in `the Secret shop/web`.
 * @returns a CliError where the API server or the way to it is the cause; else the error as it is.
 */
export function faultOf(error: unknown, server: string, what: string): unknown {
  if (error instanceof TransportError && error.kind === 'credentials') return new CliError('usage', error.message);
  if (error instanceof TransportError)
    return new CliError('unreachable', `the API server ${server} cannot be reached: ${error.message}`);
  if (!(error instanceof ApiError)) return error;
  const { status, message } = error;
  switch (status) {
    case 401:
      return new CliError(
        'refused',
        `${server} does not know who we are (${message}): renew the token or the kubeconfig`,
      );
    case 403:
      return new CliError('refused', `${what} may not be read: ${message}`);
    case 404:
      return new CliError('refused', `${what} is not there: ${message}`);
    default:
      return new CliError('unreachable', `the API server ${server} answered ${status}: ${message}`);
  }
}
