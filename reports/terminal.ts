/**
 * The two streams: stdout is the result and nothing else, stderr everything else. Decides colour and ASCII, prints diagnostics, rewrites
 * the progress line on a terminal and prints a plain line every ten seconds elsewhere. Source: design of terminal output, 8 to 13.
 */
import { ansiPaint, noPaint, type Paint, toAscii } from './text/paint.ts';
import { wrap } from './text/table.ts';

/** The part of a stream that is used; a test passes its own. */
export interface OutStream {
  readonly isTTY?: boolean;
  write(text: string): unknown;
}

export interface TerminalOptions {
  readonly color: 'auto' | 'always' | 'never';
  readonly ascii: boolean;
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly env: Readonly<Record<string, string | undefined>>;
}

/** One diagnostic; same shape as control/user-error. */
export interface Diagnostic {
  readonly severity: 'error' | 'warning';
  readonly text: string;
}

const REWRITE_MS = 100;
const PLAIN_MS = 10_000;
const MOST_DIAGNOSTICS = 20;

/** Output of one command. */
export class Terminal {
  readonly quiet: boolean;
  readonly verbose: boolean;
  readonly #out: OutStream;
  readonly #err: OutStream;
  readonly #ascii: boolean;
  readonly #outColor: boolean;
  readonly #errColor: boolean;
  readonly #live: boolean;
  #lineShown = false;
  #lastMs = Number.NEGATIVE_INFINITY;

  constructor(out: OutStream, err: OutStream, options: TerminalOptions) {
    this.#out = out;
    this.#err = err;
    this.quiet = options.quiet;
    this.verbose = options.verbose;
    const { env } = options;
    const utf8 = /utf-?8/i.test(env['LC_ALL'] || env['LC_CTYPE'] || env['LANG'] || '');
    this.#ascii = options.ascii || (out.isTTY === true && !utf8);
    const wanted = (stream: OutStream) =>
      options.color === 'always' || (options.color === 'auto' && stream.isTTY === true && !env['NO_COLOR'] && env['TERM'] !== 'dumb');
    this.#outColor = wanted(out);
    this.#errColor = wanted(err);
    this.#live = err.isTTY === true && !env['CI'];
  }

  /** Paint for stdout. */
  get paint(): Paint {
    return this.#outColor ? ansiPaint : noPaint;
  }

  get isLive(): boolean {
    return this.#live;
  }

  /** Prints to stdout. */
  result(text: string): void {
    this.clearProgress();
    this.#out.write(this.#ascii ? toAscii(text) : text);
  }

  /** Prints a line to stderr unless quiet. */
  note(text: string): void {
    if (this.quiet) return;
    this.clearProgress();
    this.#err.write(`${this.#ascii ? toAscii(text) : text}\n`);
  }

  /** Prints a line to stderr with --verbose only. */
  detail(text: string): void {
    if (this.verbose) this.note(text);
  }

  /** Prints diagnostics, at most twenty, then the total. Wrapped on a terminal, one physical line each elsewhere. */
  diagnostics(list: readonly Diagnostic[]): void {
    this.clearProgress();
    for (const d of list.slice(0, MOST_DIAGNOSTICS)) {
      const paint: Paint = this.#errColor ? ansiPaint : noPaint;
      const word = paint(d.severity, d.severity === 'error' ? 'bad' : 'unsure');
      const lines = this.#err.isTTY === true ? wrap(`${d.severity} ${d.text}`, 100, 4) : [`${d.severity} ${d.text}`];
      const text = lines.join('\n').replace(d.severity, word);
      this.#err.write(`${this.#ascii ? toAscii(text) : text}\n`);
    }
    if (list.length > MOST_DIAGNOSTICS) this.#err.write(`${list.length} problems in all, the first ${MOST_DIAGNOSTICS} are shown\n`);
  }

  /** Shows progress; `live` is the text of the rewritten line, `plain` that of a full line. Rate-limited here. */
  progress(live: string, plain: string, nowMs: number): void {
    if (this.quiet) return;
    if (this.#live) {
      if (nowMs - this.#lastMs < REWRITE_MS) return;
      this.#lastMs = nowMs;
      this.#err.write(`\r\u001b[2K${this.#ascii ? toAscii(live) : live}`);
      this.#lineShown = true;
      return;
    }
    if (this.#lastMs === Number.NEGATIVE_INFINITY) this.#lastMs = nowMs;
    if (nowMs - this.#lastMs < PLAIN_MS) return;
    this.#lastMs = nowMs;
    this.#err.write(`${this.#ascii ? toAscii(plain) : plain}\n`);
  }

  /** Removes the progress line. */
  clearProgress(): void {
    if (!this.#lineShown) return;
    this.#err.write('\r\u001b[2K');
    this.#lineShown = false;
  }
}
