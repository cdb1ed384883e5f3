/** Cuts a byte stream into lines without copying those that lie inside one chunk. */

/** Longest accepted line. Source: trace specification 3.2. */
export const LINE_LIMIT_BYTES = 128 * 1024 * 1024;

const NEWLINE = 10;

/** Called for every line that is not blank, without its newline; the bytes are valid during the call only. */
export type LineHandler = (bytes: Buffer, from: number, to: number, line: number) => void;

export class LineSplitter {
  readonly #onLine: LineHandler;
  #carry: Buffer = Buffer.alloc(0);
  #carried = 0;
  /** Lines finished so far. */
  line = 0;
  /** Line number that grew beyond the limit, 0 = none; nothing is handed out afterwards. */
  tooLong = 0;

  constructor(onLine: LineHandler) {
    this.#onLine = onLine;
  }

  push(chunk: Buffer): void {
    let from = 0;
    if (this.line === 0 && this.#carried === 0 && chunk.length > 2 && chunk[0] === 0xef && chunk[1] === 0xbb && chunk[2] === 0xbf) from = 3;
    while (from < chunk.length && this.tooLong === 0) {
      const at = chunk.indexOf(NEWLINE, from);
      if (at < 0) {
        this.#keep(chunk, from, chunk.length);
        return;
      }
      if (this.#carried === 0) this.#emit(chunk, from, at);
      else {
        this.#keep(chunk, from, at);
        if (this.tooLong > 0) return;
        const length = this.#carried;
        this.#carried = 0;
        this.#emit(this.#carry, 0, length);
      }
      from = at + 1;
    }
  }

  /** Hands out the last line if it has no newline. */
  end(): void {
    if (this.#carried === 0 || this.tooLong > 0) return;
    const length = this.#carried;
    this.#carried = 0;
    this.#emit(this.#carry, 0, length);
  }

  #emit(bytes: Buffer, from: number, to: number): void {
    this.line++;
    let start = from;
    while (start < to && bytes[start]! <= 32) start++;
    if (start < to) this.#onLine(bytes, from, to, this.line);
  }

  #keep(chunk: Buffer, from: number, to: number): void {
    const need = this.#carried + to - from;
    if (need > LINE_LIMIT_BYTES) {
      this.tooLong = this.line + 1;
      return;
    }
    if (need > this.#carry.length) {
      const grown = Buffer.allocUnsafe(Math.max(1 << 16, Math.min(2 * need, LINE_LIMIT_BYTES)));
      this.#carry.copy(grown, 0, 0, this.#carried);
      this.#carry = grown;
    }
    chunk.copy(this.#carry, this.#carried, from, to);
    this.#carried = need;
  }
}
