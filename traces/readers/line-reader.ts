/** What every format brings: told line by line, asked for the trace at the end. */
import type { SourceFacts, Trace } from '../columns.ts';
import type { TraceHeader } from '../format.ts';
import type { ProblemLog } from '../problem-log.ts';
import type { TraceBuilder } from '../trace-builder.ts';

export interface LineReader {
  /** One non-blank line (or whole document); valid during the call only. Errors go to the log. */
  line(bytes: Buffer, from: number, to: number): void;
  /** All lines were seen: errors that need the whole input go to the log; null if nothing usable was read. */
  end(): ReadBody | null;
  /** Sessions that are complete so far, for messages about streams that end early. */
  readonly sessionsRead: number;
  /** Line of the last complete session, 0 = none. */
  readonly lastGoodLine: number;
}

/** Everything of a trace but the digest, which is known when the last byte has been read. */
export interface ReadBody {
  readonly builder: TraceBuilder;
  readonly header: Omit<TraceHeader, 'source'> & { readonly source: Omit<TraceHeader['source'], 'digest'> };
  readonly facts?: SourceFacts;
}

/** Settings a reader may need. */
export interface ReaderContext {
  readonly log: ProblemLog;
  /** File name without folder and extensions. */
  readonly name: string;
  readonly blockTokens: number | undefined;
  readonly notBefore: 'ignore' | 'respect';
  /** False = JSON.parse for everything; the property test holds both doors equal. */
  readonly fast: boolean;
}

export type FinishTrace = (body: ReadBody) => Trace;
