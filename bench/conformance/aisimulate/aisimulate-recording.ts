/** Reads what AISimulate was given and what it answered: `<trace>_input.jsonl.gz` and `<trace>_w<workers>_<router>_<timing>.csv`. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { UserError } from '../../../control/user-error.ts';
import { readRecording, recordingFile } from '../recording-file.ts';

/** What a simulation answered to a request. Times ms. */
export interface ReplayedRow {
  readonly firstAdmitMs: number;
  readonly ttftMs: number;
  readonly e2eMs: number;
  readonly reusedTokens: number;
  readonly admissions: number;
  readonly worker: number;
}

/** One request as AISimulate replayed it. Times ms, lengths tokens. */
export interface RecordedRow extends ReplayedRow {
  /** Name in agent traces; '' in Mooncake traces. */
  readonly id: string;
  /** Line in the file, from 1. */
  readonly line: number;
  readonly arrivalMs: number;
  readonly inTokens: number;
  readonly outTokens: number;
}

/** A request of an input file. */
export interface InputRequest {
  readonly inTokens: number;
  readonly outTokens: number;
  readonly ids: readonly number[];
}

/** A request of a Mooncake file. */
export interface TimedRequest extends InputRequest {
  /** Recorded arrival, ms. */
  readonly timeMs: number;
}

/** A session of an agent trace: requests by their place in the file, `N` or, inside the sub-agent at N, `N:M`. */
export type InputSession = ReadonlyMap<string, InputRequest>;

/** What a recording was made with. */
export interface RecordedRun {
  readonly name: string;
  readonly csv: string;
  readonly input: string;
  readonly workers: number;
  readonly router: string;
  readonly timing: RecordedTiming;
}

/** Step times of a recording. */
export type RecordedTiming =
  | { readonly kind: 'fixed'; readonly prefillMs: number; readonly decodeMs: number }
  | { readonly kind: 'polynomial' };

const RUN_FILE = /^(?<trace>.+)_w(?<workers>\d+)_(?<router>[a-z]+)_(?:fixed(?<prefill>[\d.]+)_(?<decode>[\d.]+)|(?<poly>poly))\.csv$/;

/** The recordings of a folder in the order of their names. Throws E_RECORDING for one without input. */
export function recordedRuns(folder: string): RecordedRun[] {
  if (!existsSync(folder)) return [];
  const runs: RecordedRun[] = [];
  for (const file of readdirSync(folder).sort()) {
    const parts = RUN_FILE.exec(file)?.groups;
    if (parts === undefined) continue;
    const csv = join(folder, file);
    const input = recordingFile(folder, `${parts['trace']}_input`);
    if (input === undefined) throw broken(csv, 0, `got no ${parts['trace']}_input.jsonl.gz beside it`);
    const timing: RecordedTiming =
      parts['poly'] === undefined
        ? { kind: 'fixed', prefillMs: Number(parts['prefill']), decodeMs: Number(parts['decode']) }
        : { kind: 'polynomial' };
    const workers = Number(parts['workers']);
    runs.push({ name: file.replace(/\.csv$/, ''), csv, input, workers, router: parts['router']!, timing });
  }
  return runs;
}

const NUMBERS = {
  arrival_ms: 'arrivalMs',
  input_length: 'inTokens',
  output_length: 'outTokens',
  first_admit_ms: 'firstAdmitMs',
  ttft_ms: 'ttftMs',
  e2e_ms: 'e2eMs',
  reused_input_tokens: 'reusedTokens',
  admissions: 'admissions',
  worker: 'worker',
} as const;

/** Rows in the order of the file. Throws E_RECORDING for a missing column or a value that is no number. */
export function readRows(csv: string): RecordedRow[] {
  const [head = '', ...lines] = readFileSync(csv, 'utf8').split(/\r?\n/);
  const columns = head.split(',');
  for (const name of Object.keys(NUMBERS)) if (!columns.includes(name)) throw broken(csv, 1, `got no column ${name}`);
  const rows: RecordedRow[] = [];
  for (const [i, text] of lines.entries()) {
    if (text === '') continue;
    const values = text.split(',');
    const row: Record<string, unknown> = { id: columns.includes('request_id') ? values[columns.indexOf('request_id')] : '', line: i + 2 };
    for (const [name, field] of Object.entries(NUMBERS)) {
      const value = Number(values[columns.indexOf(name)] || Number.NaN);
      if (Number.isNaN(value)) throw broken(csv, i + 2, `got no number in column ${name}`);
      row[field] = value;
    }
    rows.push(row as unknown as RecordedRow);
  }
  return rows;
}

interface MooncakeLine {
  readonly timestamp: number;
  readonly input_length: number;
  readonly output_length: number;
  readonly hash_ids: readonly number[];
}

interface AgentLine {
  readonly in: number;
  readonly out: number;
  readonly hash_ids: readonly number[];
  readonly block_size?: number;
  readonly requests?: readonly AgentLine[];
}

/** An input file: independent requests, or agent sessions. */
export type RecordedInput =
  | { readonly requests: readonly TimedRequest[] }
  | { readonly sessions: readonly InputSession[]; readonly blockTokens: number };

/** Reads an input; the first line tells which kind it is. */
export function readInput(file: string): RecordedInput {
  const lines = [...readRecording<MooncakeLine | AgentLine>(file)];
  if (lines.length === 0) throw broken(file, 0, 'got no requests');
  if ('hash_ids' in lines[0]!) {
    const requests = (lines as MooncakeLine[]).map((r) => ({
      inTokens: r.input_length,
      outTokens: r.output_length,
      ids: r.hash_ids,
      timeMs: r.timestamp,
    }));
    return { requests };
  }
  const sessions = lines as AgentLine[];
  return { sessions: sessions.map(({ requests = [] }) => new Map(placed(requests))), blockTokens: sessions[0]!.block_size ?? 64 };
}

function* placed(requests: readonly AgentLine[]): Generator<[string, InputRequest]> {
  for (const [outer, entry] of requests.entries()) {
    if (entry.requests === undefined) yield [`${outer}`, requestOf(entry)];
    else for (const [inner, request] of entry.requests.entries()) yield [`${outer}:${inner}`, requestOf(request)];
  }
}

function requestOf(r: AgentLine): InputRequest {
  return { inTokens: r.in, outTokens: r.out, ids: r.hash_ids };
}

/** A problem of a recording; line 0 = the whole file. */
export function broken(file: string, line: number, message: string): UserError {
  return new UserError({
    severity: 'error',
    code: 'E_RECORDING',
    file,
    ...(line === 0 ? {} : { line }),
    message,
    hint: 'Formats: bench/conformance/aisimulate/vectors/README.md',
  });
}
