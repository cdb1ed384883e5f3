/** Conformance with AISimulate: times and reuse per request of an independent simulator. */
import type { CaseOutcome, ConformanceSuite, Difference, Family } from '../suite.ts';
import { type RecordedRow, type RecordedRun, type ReplayedRow, readInput, readRows, recordedRuns } from './aisimulate-recording.ts';
import { type ReplaySettings, replayRequests } from './aisimulate-replay.ts';
import { type RecordedRequest, recordedRequests, sortKey } from './recorded-requests.ts';

/** Tolerances: constants add up exactly, polynomials differ in the last digits of their coefficients. */
const FIXED_ABSOLUTE_MS = 1e-6;
const POLYNOMIAL_RELATIVE = 1e-4;

const FIELDS = [
  ['first_admit_ms', 'firstAdmitMs'],
  ['ttft_ms', 'ttftMs'],
  ['e2e_ms', 'e2eMs'],
  ['reused_input_tokens', 'reusedTokens'],
  ['admissions', 'admissions'],
  ['worker', 'worker'],
] as const;

/** The suite of AISimulate in ai-dynamo-runtime 1.6.1. */
export const SUITE: ConformanceSuite = {
  name: 'aisimulate',
  reference: 'NVIDIA AISimulate, engine of ai-dynamo-runtime 1.6.1',
  method:
    'whole runs with its two step timers at its arrivals; first admission, time to first token, end-to-end time, reused tokens, ' +
    `admissions and worker per request (fixed timer ${FIXED_ABSOLUTE_MS} ms, polynomials relative ${POLYNOMIAL_RELATIVE})`,
  rules: {
    'rounded-means':
      'AISimulate takes the prompt tokens of a step as requests x (floor of the mean length - floor of the mean tokens before), we as ' +
      'their sum; the request is equal in a second run that rounds as it does',
  },
  families: (folder) =>
    recordedRuns(folder).map((run): Family => {
      let replayed: readonly CaseOutcome[] | null = null;
      return {
        name: run.name,
        prepare: async () => {
          replayed = await replayRun(run);
        },
        replay: () => replayed!,
      };
    }),
};

async function replayRun(run: RecordedRun): Promise<CaseOutcome[]> {
  const rows = readRows(run.csv);
  const input = readInput(run.input);
  const requests = recordedRequests(rows, input, run.csv);
  const settings: ReplaySettings = {
    workers: run.workers,
    blockTokens: 'requests' in input ? 512 : input.blockTokens,
    partialTail: 'requests' in input ? 'labelled' : 'none',
    timing: run.timing,
    stepMode: 'jump',
    roundedMeans: false,
  };
  const plain = differences(requests, await replayRequests(requests, settings), run);
  if (run.timing.kind === 'fixed' || plain.every((d) => d === null)) return outcomes(requests, plain, null);
  const rounded = differences(requests, await replayRequests(requests, { ...settings, roundedMeans: true }), run);
  return outcomes(requests, plain, rounded);
}

function outcomes(
  requests: readonly RecordedRequest[],
  plain: readonly (Difference | null)[],
  rounded: readonly (Difference | null)[] | null,
): CaseOutcome[] {
  return requests.map(({ row }, i) => {
    const base = { id: row.id === '' ? `line ${row.line}` : row.id, fields: FIELDS.length };
    const difference = plain[i]!;
    if (difference === null) return base;
    return rounded !== null && rounded[i] === null ? { ...base, difference, rule: 'rounded-means' } : { ...base, difference };
  });
}

/** First difference per request; requests with equal sort keys are compared in the order of their admission. */
function differences(requests: readonly RecordedRequest[], got: readonly ReplayedRow[], run: RecordedRun): (Difference | null)[] {
  const alike = new Map<string, number[]>();
  for (const [i, request] of requests.entries()) {
    const key = request.row.id === '' ? sortKey(request.row) : request.row.id;
    alike.set(key, [...(alike.get(key) ?? []), i]);
  }
  const found: (Difference | null)[] = requests.map(() => null);
  for (const members of alike.values()) {
    const expected = members.map((i) => requests[i]!.row).sort(byTimes);
    const answers = members.map((i) => got[i]!).sort(byTimes);
    const placeOf = new Map(members.map((i) => [requests[i]!.row, i]));
    for (const [k, row] of expected.entries()) found[placeOf.get(row)!] = firstOf(answers[k]!, row, run);
  }
  return found;
}

function byTimes(a: ReplayedRow, b: ReplayedRow): number {
  return a.firstAdmitMs - b.firstAdmitMs || a.ttftMs - b.ttftMs || a.e2eMs - b.e2eMs;
}

function firstOf(got: ReplayedRow, row: RecordedRow, run: RecordedRun): Difference | null {
  for (const [name, field] of FIELDS) {
    const isTime = name.endsWith('_ms');
    const allowed = !isTime
      ? 0
      : run.timing.kind === 'fixed'
        ? FIXED_ABSOLUTE_MS
        : POLYNOMIAL_RELATIVE * Math.abs(row[field]) + FIXED_ABSOLUTE_MS;
    if (!(Math.abs(got[field] - row[field]) <= allowed)) return { field: name, got: got[field], expected: row[field] };
  }
  return null;
}
