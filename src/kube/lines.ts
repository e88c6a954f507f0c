/**
 * Cuts a byte stream into lines. Works on bytes, so that a multi-byte character split across two chunks stays whole, and never holds more than
 * `maxBytes` of a line that does not end.
 */
export class LineSplitter {
  readonly #maxBytes: number;
  #parts: Buffer[] = [];
  #partBytes = 0;

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes of the line that has not ended yet. */
  get pending(): number {
    return this.#partBytes;
  }

  /** Returns the lines that `chunk` completes, without their line feed; empty lines are left out. Throws RangeError on a line that is too long. */
  push(chunk: Buffer): Buffer[] {
    const lines: Buffer[] = [];
    let start = 0;
    for (let end = chunk.indexOf(0x0a); end >= 0; end = chunk.indexOf(0x0a, start)) {
      const line = this.#complete(chunk.subarray(start, end));
      if (line.length > 0) lines.push(line);
      start = end + 1;
    }
    if (start < chunk.length) this.#keep(chunk.subarray(start));
    return lines;
  }

  #complete(tail: Buffer): Buffer {
    if (this.#partBytes === 0) {
      this.#check(tail.length);
      return tail;
    }
    this.#keep(tail);
    const line = Buffer.concat(this.#parts, this.#partBytes);
    this.#parts = [];
    this.#partBytes = 0;
    return line;
  }

  #keep(part: Buffer): void {
    this.#check(this.#partBytes + part.length);
    this.#parts.push(part);
    this.#partBytes += part.length;
  }

  #check(bytes: number): void {
    if (bytes > this.#maxBytes) throw new RangeError(`a line is longer than ${this.#maxBytes} bytes`);
  }
}
