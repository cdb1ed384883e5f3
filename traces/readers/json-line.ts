/** Parses a line of JSON, through the fast door where it applies; a fault becomes a located E_TRACE_JSON. */
import type { HashListScanner } from '../hash-list-scanner.ts';
import { syntaxFault } from '../json-syntax.ts';
import type { ProblemLog } from '../problem-log.ts';

/** Below this length JSON.parse is faster than cutting. */
const SHORT_LINE_BYTES = 2048;

/** A parsed line; with `lists`, every `hash_ids` is an index into it. */
export interface ParsedLine {
  readonly value: unknown;
  readonly lists: readonly number[][] | null;
  readonly encoding: 'ranges' | 'ids' | 'none' | 'mixed';
}

/** Parses bytes[from, to), or complains and returns null. */
export function parseLine(
  log: ProblemLog,
  scanner: HashListScanner | null,
  bytes: Buffer,
  from: number,
  to: number,
  lastGoodLine: number,
): ParsedLine | null {
  const cut = to - from < SHORT_LINE_BYTES ? null : (scanner?.cut(bytes, from, to) ?? null);
  if (cut !== null) {
    try {
      return { value: JSON.parse(cut.text), lists: cut.lists, encoding: cut.encoding };
    } catch {
      // The plain path below finds the place in the original text.
    }
  }
  const text = bytes.toString('utf8', from, to);
  try {
    return { value: JSON.parse(text), lists: null, encoding: 'none' };
  } catch (error) {
    const fault = syntaxFault(text);
    if (fault === null) throw error;
    complain(log, text, fault, lastGoodLine);
    return null;
  }
}

function complain(log: ProblemLog, text: string, fault: NonNullable<ReturnType<typeof syntaxFault>>, lastGoodLine: number): void {
  const before = text.slice(0, fault.offset);
  const lines = before.split('\n').length - 1;
  const column = fault.offset - (before.lastIndexOf('\n') + 1) + 1;
  const good = lastGoodLine > 0 ? `last complete session: line ${lastGoodLine}` : 'no complete session before it';
  log.line += lines;
  if (fault.atEnd) log.error('E_TRACE_JSON', '', 'unexpected end of line', `The file looks truncated (${good}).`, column);
  else log.error('E_TRACE_JSON', '', `got ${fault.got}, expected ${fault.expected}`, undefined, column);
  log.line -= lines;
}
