/** A process that holds many simulated proxies, led by its parent through messages: apart, so that what the server costs can be told from what they cost. */
import { createSecureContext } from 'node:tls';
import * as z from 'zod';
import { now, SimulatedProxy } from './proxy.ts';

const identity = z.object({ keyPem: z.string(), chainPem: z.string(), rootsPem: z.string() });

const order = z.discriminatedUnion('do', [
  /** Further proxies, which begin when they are opened. */
  z.object({
    do: z.literal('add'),
    proxies: z.array(
      z.object({
        node: z.object({ id: z.string(), cluster: z.string() }),
        identity,
        destinations: z.array(z.string()),
      }),
    ),
  }),
  /** All connect. Whoever does not get in comes again. */
  z.object({ do: z.literal('open'), port: z.number(), cold: z.boolean() }),
  z.object({ do: z.literal('close') }),
  /** Counts begin anew. */
  z.object({ do: z.literal('mark') }),
  z.object({ do: z.literal('look') }),
]);
export type Order = z.input<typeof order>;

export const lookSchema = z.object({
  /** By the shared clock (ms). */
  now: z.number(),
  complete: z.number(),
  /** Streams that have ended, and why the first of them did. */
  ended: z.number(),
  why: z.string().optional(),
  known: z.array(z.number()),
  messages: z.array(z.number()),
  resources: z.array(z.number()),
  bytes: z.array(z.number()),
  lastAcknowledged: z.array(z.number()),
});
export type Look = z.output<typeof lookSchema>;

/** Envoy comes again after half a second or so, and then more and more slowly. */
const PAUSE = 500;

function serve(): void {
  const proxies: SimulatedProxy[] = [];
  let again: NodeJS.Timeout | undefined;
  const handle = (given: z.output<typeof order>): object => {
    switch (given.do) {
      case 'add':
        for (const { destinations, identity: own, node } of given.proxies) {
          const context = createSecureContext({ key: own.keyPem, cert: own.chainPem, ca: own.rootsPem });
          proxies.push(new SimulatedProxy({ node, context, destinations }));
        }
        return {};
      case 'open':
        for (const proxy of proxies) {
          proxy.port = given.port;
          proxy.open(given.cold);
        }
        clearInterval(again);
        again = setInterval(() => {
          for (const proxy of proxies) if (proxy.ended !== undefined) proxy.open(false);
        }, PAUSE);
        return {};
      case 'close':
        clearInterval(again);
        for (const proxy of proxies) proxy.close();
        return {};
      case 'mark':
        for (const proxy of proxies) proxy.mark();
        return { now: now() };
      case 'look': {
        const ended = proxies.flatMap(({ ended: why }) => why ?? []);
        return {
          now: now(),
          complete: proxies.filter(({ complete }) => complete).length,
          ended: ended.length,
          why: ended[0],
          known: proxies.map(({ known }) => known),
          messages: proxies.map(({ messages }) => messages),
          resources: proxies.map(({ resources }) => resources),
          bytes: proxies.map(({ bytes }) => bytes),
          lastAcknowledged: proxies.map(({ lastAcknowledged }) => lastAcknowledged),
        };
      }
    }
  };
  process.on('message', (message) => process.send?.(handle(order.parse(message))));
  process.on('disconnect', () => process.exit(0));
}

if (import.meta.main) serve();
