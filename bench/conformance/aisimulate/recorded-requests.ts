/** Joins a recording's rows with its input: the requests to replay in the order of their arrival, and the rows they belong to. */
import {
  broken,
  type InputRequest,
  type InputSession,
  type RecordedInput,
  type RecordedRow,
  type TimedRequest,
} from './aisimulate-recording.ts';
import type { ReplayRequest } from './aisimulate-replay.ts';

/** A request to replay with the row that recorded it; of Mooncake requests with equal keys, any of their rows. */
export interface RecordedRequest extends ReplayRequest {
  readonly row: RecordedRow;
}

/**
 * Requests in the order in which they reach the router: by arrival, at one time in the order of the input (Mooncake) or of the names
 * (agents). Throws E_RECORDING if rows and input do not fit.
 */
export function recordedRequests(rows: readonly RecordedRow[], input: RecordedInput, csv: string): RecordedRequest[] {
  return 'requests' in input ? timedRequests(rows, input.requests, csv) : agentRequests(rows, input.sessions, csv);
}

/** Rows with equal arrival and lengths are interchangeable. */
export function sortKey({ arrivalMs, inTokens, outTokens }: Pick<RecordedRow, 'arrivalMs' | 'inTokens' | 'outTokens'>): string {
  return `${arrivalMs}/${inTokens}/${outTokens}`;
}

function timedRequests(rows: readonly RecordedRow[], requests: readonly TimedRequest[], csv: string): RecordedRequest[] {
  if (rows.length !== requests.length) throw broken(csv, 0, `got ${rows.length} rows, expected ${requests.length} as in the input`);
  // A cut of a longer trace is replayed from its own first arrival.
  const shiftMs = least(rows.map((r) => r.arrivalMs)) - least(requests.map((r) => r.timeMs));
  const free = new Map<string, RecordedRow[]>();
  for (const row of rows) {
    const key = sortKey(row);
    free.set(key, [...(free.get(key) ?? []), row]);
  }
  const order = [...requests].sort((a, b) => a.timeMs - b.timeMs);
  return order.map(({ timeMs, ...request }) => {
    const arrivalMs = timeMs + shiftMs;
    const row = free.get(sortKey({ ...request, arrivalMs }))?.shift();
    if (row === undefined) throw broken(csv, 0, `got no row for the request of ${timeMs} ms with ${request.inTokens} tokens`);
    return { ...request, arrivalMs, row };
  });
}

function least(values: readonly number[]): number {
  return values.reduce((a, b) => Math.min(a, b), Infinity);
}

const ROW_ID = /^[^:]+:([^:]+):request:outer:(\d+)(?::inner:(\d+))?$/;

/** Ids are local to their session; sessions with the same lengths throughout are interchangeable. */
function agentRequests(rows: readonly RecordedRow[], sessions: readonly InputSession[], csv: string): RecordedRequest[] {
  const groups = new Map<string, Map<string, RecordedRow>>();
  for (const row of rows) {
    const [, name, outer, inner] = ROW_ID.exec(row.id) ?? [];
    if (name === undefined) throw broken(csv, row.line, `got request id ${row.id}, expected weka:SESSION:request:outer:N[:inner:M]`);
    const group = groups.get(name) ?? new Map<string, RecordedRow>();
    group.set(inner === undefined ? outer! : `${outer}:${inner}`, row);
    groups.set(name, group);
  }
  const free = new Set(sessions);
  const found = new Map<RecordedRow, RecordedRequest>();
  let firstId = 0;
  for (const [name, group] of groups) {
    const session = [...free].find((s) => fits(s, group));
    if (session === undefined) throw broken(csv, 0, `got rows of session ${name}, expected the requests of a session of the input`);
    free.delete(session);
    let lastId = 0;
    for (const [place, { ids, ...lengths }] of session) {
      const row = group.get(place)!;
      const own = ids.map((id) => firstId + id);
      for (const id of ids) lastId = Math.max(lastId, id);
      found.set(row, { ...lengths, ids: own, arrivalMs: row.arrivalMs, row });
    }
    firstId += lastId + 1;
  }
  return rows.map((row) => found.get(row)!).sort((a, b) => a.arrivalMs - b.arrivalMs);
}

function fits(session: InputSession, group: ReadonlyMap<string, RecordedRow>): boolean {
  const equal = (request: InputRequest, row: RecordedRow | undefined): boolean =>
    row !== undefined && row.inTokens === request.inTokens && row.outTokens === request.outTokens;
  return session.size === group.size && [...session].every(([place, request]) => equal(request, group.get(place)));
}
