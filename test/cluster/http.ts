import { request as plainRequest } from 'node:http';
import { type RequestOptions, request as tlsRequest } from 'node:https';

/** One GET on a connection of its own, so that no idle socket outlives the server that a test stops. */
export function get(
  url: string,
  options: {
    readonly ca?: string;
    readonly token?: string;
    readonly socketPath?: string;
    readonly signal: AbortSignal;
  },
): Promise<{ readonly status: number; readonly body: string }> {
  const { token, ...rest } = options;
  const all: RequestOptions = {
    ...rest,
    agent: false,
    headers: token === undefined ? {} : { authorization: `Bearer ${token}` },
  };
  return new Promise((resolve, reject) => {
    const asked = url.startsWith('https:') ? tlsRequest(url, all) : plainRequest(url, all);
    asked.once('error', reject);
    asked.once('response', (answer) => {
      answer.setEncoding('utf8');
      let body = '';
      answer.on('data', (chunk: string) => {
        body += chunk;
      });
      answer.once('error', reject);
      answer.once('end', () => resolve({ status: answer.statusCode ?? 0, body }));
    });
    asked.end();
  });
}
