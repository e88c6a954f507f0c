/** How the demonstration looks. Pure, apart from `Screen`. */

const second = 1_000;

/** `12345678` → `12,345,678`. */
export function grouped(count: number): string {
  return count.toLocaleString('en-GB');
}

/** `4F3B…9A21`: enough of a serial number to tell it from others. */
export function shortSerial(serial: string): string {
  return serial.length <= 11 ? serial : `${serial.slice(0, 4)}…${serial.slice(-4)}`;
}

/** `0:07`, `12:34` */
export function clock(ms: number): string {
  const seconds = Math.floor(ms / second);
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** `12.3 s` */
export function seconds(ms: number): string {
  return `${(ms / second).toFixed(1)} s`;
}

/** `18:30:12` in UTC, as `kubectl get -o yaml` would show it. */
export function timeOfDay(ms: number): string {
  return new Date(ms).toISOString().slice(11, 19);
}

export interface Renewal {
  readonly who: string;
  /** Since the beginning, ms. */
  readonly at: number;
  readonly oldSerial: string;
  readonly newSerial: string;
  /** Of the new certificate, wall-clock ms. */
  readonly notAfter: number;
  /** What the old certificate had left, ms. */
  readonly left: number;
  /** By the client, so far. */
  readonly handshakes: number;
  readonly failures: number;
}

const columns = [
  { title: 'time', width: 5 },
  { title: 'renewed', width: 7 },
  { title: 'serial number', width: 21 },
  { title: 'valid to', width: 8 },
  { title: 'old left', width: 8 },
  { title: 'handshakes', width: 10 },
  { title: 'failed', width: 6 },
] as const;

export const renewalHeader = columns
  .map(({ title, width }) => title.padEnd(width))
  .join('  ')
  .trimEnd();

/** One row below `renewalHeader`. */
export function renewalRow(renewal: Renewal): string {
  const cells = [
    clock(renewal.at).padStart(5),
    renewal.who,
    `${shortSerial(renewal.oldSerial)} → ${shortSerial(renewal.newSerial)}`,
    timeOfDay(renewal.notAfter),
    seconds(renewal.left).padStart(8),
    grouped(renewal.handshakes).padStart(10),
    grouped(renewal.failures).padStart(6),
  ];
  return cells
    .map((cell, index) => cell.padEnd(columns[index]?.width ?? 0))
    .join('  ')
    .trimEnd();
}

/** Where the demonstration writes: whole lines, and on a terminal one line at the bottom that changes. */
export class Screen {
  readonly #stream: NodeJS.WriteStream;
  readonly #live: boolean;
  #bottom = '';

  constructor(stream: NodeJS.WriteStream) {
    this.#stream = stream;
    this.#live = stream.isTTY === true && process.env['TERM'] !== 'dumb';
  }

  /** Whether a bottom line can be shown. */
  get live(): boolean {
    return this.#live;
  }

  line(text = ''): void {
    this.#stream.write(`${this.#erase()}${text}\n${this.#bottom}`);
  }

  /** Replaces the bottom line; nothing where there is no terminal. */
  bottom(text: string): void {
    if (!this.#live) return;
    const erase = this.#erase();
    // A line that wraps could not be erased. Some terminals say that they have 0 columns.
    this.#bottom = text.slice(0, (this.#stream.columns || 80) - 1);
    this.#stream.write(erase + this.#bottom);
  }

  bold(text: string): string {
    return this.#paint(text, '1');
  }

  green(text: string): string {
    return this.#paint(text, '32');
  }

  red(text: string): string {
    return this.#paint(text, '31');
  }

  dim(text: string): string {
    return this.#paint(text, '2');
  }

  #erase(): string {
    return this.#bottom === '' ? '' : '\r\u001b[2K';
  }

  #paint(text: string, code: string): string {
    return this.#live && process.env['NO_COLOR'] === undefined ? `\u001b[${code}m${text}\u001b[0m` : text;
  }
}
