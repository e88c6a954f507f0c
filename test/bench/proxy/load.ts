/** A client of the bench, in the network of whoever dials: answers one line of JSON for each on its input, with the times that it measured. Usage: node load.ts */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import * as z from 'zod';

const target = z.object({ host: z.string(), port: z.number() });
const order = z.discriminatedUnion('what', [
  /** One question after the other, on one connection. */
  z.object({ what: z.literal('ask'), target, count: z.number() }),
  /** Each question on a connection of its own. */
  z.object({ what: z.literal('connect'), target, count: z.number() }),
  /** As many bytes as go through. */
  z.object({ what: z.literal('send'), target, connections: z.number(), milliseconds: z.number() }),
]);
export type LoadOrder = z.output<typeof order>;

/** Microseconds for each question; or bytes that came to the other end, and the milliseconds that they took. */
export const measuredSchema = z.object({
  microseconds: z.array(z.number()).default([]),
  bytes: z.number().default(0),
  milliseconds: z.number().default(0),
});
export type Measured = z.output<typeof measuredSchema>;

const QUESTION = Buffer.alloc(100, 'q');
const BLOCK = Buffer.alloc(64 * 1024, 'b');

async function open({ host, port }: z.output<typeof target>): Promise<Socket> {
  const socket = connect({ host, port, noDelay: true });
  await once(socket, 'connect');
  return socket;
}

async function ask(socket: Socket): Promise<void> {
  let missing = QUESTION.length;
  await new Promise<void>((resolve, reject) => {
    const ended = (): void => reject(new Error('the connection has ended'));
    const take = ({ length }: Buffer): void => {
      missing -= length;
      if (missing > 0) return;
      socket.off('data', take).off('close', ended);
      resolve();
    };
    socket.on('data', take).on('close', ended);
    socket.write(QUESTION);
  });
}

async function timed(work: () => Promise<void>): Promise<number> {
  const started = process.hrtime.bigint();
  await work();
  return Number(process.hrtime.bigint() - started) / 1000;
}

async function send(to: z.output<typeof target>, milliseconds: number): Promise<number> {
  const socket = await open(to);
  let answer = '';
  socket.setEncoding('utf8').on('data', (text: string) => {
    answer += text;
  });
  const until = performance.now() + milliseconds;
  while (performance.now() < until) if (!socket.write(BLOCK)) await once(socket, 'drain');
  const closed = once(socket, 'close');
  socket.end();
  await closed;
  return Number(answer);
}

async function measure(given: LoadOrder): Promise<z.input<typeof measuredSchema>> {
  const microseconds: number[] = [];
  switch (given.what) {
    case 'ask': {
      const socket = await open(given.target);
      for (let index = 0; index < given.count; index += 1) microseconds.push(await timed(() => ask(socket)));
      socket.destroy();
      return { microseconds };
    }
    case 'connect':
      for (let index = 0; index < given.count; index += 1)
        microseconds.push(
          await timed(async () => {
            const socket = await open(given.target);
            await ask(socket);
            socket.destroy();
          }),
        );
      return { microseconds };
    case 'send': {
      const started = performance.now();
      const all = Array.from({ length: given.connections }, () => send(given.target, given.milliseconds));
      const bytes = (await Promise.all(all)).reduce((sum, one) => sum + one, 0);
      return { bytes, milliseconds: performance.now() - started };
    }
  }
}

if (import.meta.main) {
  for await (const line of createInterface({ input: process.stdin }))
    process.stdout.write(`${JSON.stringify(await measure(order.parse(JSON.parse(line))))}\n`);
}
