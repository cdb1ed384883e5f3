/** Collects the problems of an input: every one is counted, the first twenty are shown, bad sessions may be tolerated up to a limit. */
import { type Problem, UserError } from '../control/user-error.ts';
import type { TraceNotice } from './columns.ts';

/** Problems shown per input. */
const SHOWN = 20;

export class ProblemLog {
  file: string;
  /** Line of the decompressed stream being read, 1-based; 0 = none. */
  line = 0;
  readonly #problems: Problem[] = [];
  #total = 0;
  #skipped = 0;
  #skippedAt = '';
  readonly #notices = new Map<string, { code: string; count: number; message: string; position?: string }>();
  readonly #skipBad: number;

  constructor(file: string, skipBad = 0) {
    this.file = file;
    this.#skipBad = skipBad;
  }

  /** Errors found so far, shown or not. */
  get total(): number {
    return this.#total;
  }

  /** Records an error at the current line. */
  error(code: string, path: string, message: string, hint?: string, column?: number): void {
    this.#total++;
    if (this.#problems.length >= SHOWN) return;
    this.#problems.push({
      severity: 'error',
      code,
      file: this.file,
      ...(this.line > 0 ? { line: this.line } : {}),
      ...(column === undefined ? {} : { column }),
      ...(path === '' ? {} : { path }),
      message,
      ...(hint === undefined ? {} : { hint }),
    });
  }

  /** Counts a finding; findings of equal code and message are one notice with the position of the first. */
  notice(code: string, message: string, count = 1): void {
    const key = `${code} ${message}`;
    const known = this.#notices.get(key);
    if (known !== undefined) known.count += count;
    else if (count > 0) this.#notices.set(key, { code, count, message, position: this.line > 0 ? `${this.file}:${this.line}` : this.file });
  }

  /** Tells that a session is left out because of its errors. */
  skipSession(): void {
    this.#skipped++;
    if (this.#skippedAt === '') this.#skippedAt = `${this.file}:${this.line}`;
  }

  /** Throws all errors unless they are confined to tolerated sessions. `fatal` = the stream itself could not be read to its end. */
  settle(fatal = false): void {
    if (this.#total === 0) return;
    if (!fatal && this.#skipped > 0 && this.#skipped <= this.#skipBad) return;
    const rest = this.#total - this.#problems.length;
    if (rest > 0) {
      const message = `${SHOWN} of ${this.#total} problems shown`;
      throw new UserError([...this.#problems, { severity: 'error', code: 'E_TRACE_PROBLEMS', file: this.file, message }]);
    }
    throw new UserError(this.#problems);
  }

  /** Notices for the trace, in order of first appearance. */
  notices(): TraceNotice[] {
    const list: TraceNotice[] = [...this.#notices.values()];
    if (this.#skipped > 0) {
      const message = `sessions left out because of ${this.#total} problems (--skip-bad)`;
      list.push({ code: 'W_TRACE_SKIPPED', count: this.#skipped, message, position: this.#skippedAt });
    }
    return list;
  }
}
