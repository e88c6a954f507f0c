/** An application of the pod that dials others: the program in the pod's network, and the hand that leads it. */
import type { ChildProcess } from 'node:child_process';
import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';
import * as z from 'zod';
import { waitFor } from '../support/waitFor.ts';
import type { Pod } from './pod.ts';

const order = z.union([
  z.object({ id: z.number(), open: z.object({ host: z.string(), port: z.number() }) }),
  z.object({ id: z.number(), say: z.string() }),
  z.object({ id: z.number(), close: z.literal(true) }),
]);
type Order = z.output<typeof order>;

const news = z.object({ id: z.number(), heard: z.string().optional(), closed: z.literal(true).optional() });
type News = z.output<typeof news>;

/** A connection that an application of the pod has opened. */
export class Dialled {
  readonly #send: (order: Order) => void;
  readonly #id: number;
  heard = '';
  closed = false;

  constructor(id: number, send: (order: Order) => void) {
    this.#id = id;
    this.#send = send;
  }

  take({ heard, closed }: News): void {
    if (heard !== undefined) this.heard += heard;
    if (closed === true) this.closed = true;
  }

  say(text: string): void {
    this.#send({ id: this.#id, say: text });
  }

  /** What is said back to it; 'closed' where the connection ends instead. */
  async ask(text: string): Promise<string> {
    const from = this.heard.length;
    this.say(text);
    await waitFor('an answer or an end', () => this.closed || this.heard.slice(from).includes(text));
    return this.closed ? 'closed' : this.heard.slice(from);
  }

  close(): void {
    this.#send({ id: this.#id, close: true });
  }
}

export class Dialer {
  readonly #child: ChildProcess;
  readonly #connections: Dialled[] = [];

  constructor(pod: Pod) {
    this.#child = pod.launch([process.execPath, import.meta.filename], { stdio: ['pipe', 'pipe', 'inherit'] });
    if (this.#child.stdout === null) throw new Error('the dialer has no output');
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      const said = news.parse(JSON.parse(line));
      this.#connections[said.id]?.take(said);
    });
  }

  open(host: string, port: number): Dialled {
    const id = this.#connections.length;
    const send = (given: Order): void => {
      this.#child.stdin?.write(`${JSON.stringify(given)}\n`);
    };
    const dialled = new Dialled(id, send);
    this.#connections.push(dialled);
    send({ id, open: { host, port } });
    return dialled;
  }

  /** What one question is answered on a connection of its own. */
  async visit(host: string, port: number): Promise<string> {
    const dialled = this.open(host, port);
    const answer = await dialled.ask('question');
    dialled.close();
    return answer;
  }
}

function run(): void {
  const sockets = new Map<number, Socket>();
  const tell = (said: News): void => {
    process.stdout.write(`${JSON.stringify(said)}\n`);
  };
  createInterface({ input: process.stdin }).on('line', (line) => {
    const given = order.parse(JSON.parse(line));
    const { id } = given;
    if ('open' in given) {
      const socket = connect(given.open);
      sockets.set(id, socket);
      socket.setEncoding('utf8').on('data', (heard: string) => tell({ id, heard }));
      socket.on('error', () => socket.destroy());
      socket.on('close', () => tell({ id, closed: true }));
    } else if ('say' in given) sockets.get(id)?.write(given.say);
    else sockets.get(id)?.destroy();
  });
}

if (import.meta.main) run();
