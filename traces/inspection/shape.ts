/** How large and how long the sessions of a trace are. Source: trace specification 6.2. Times in seconds, everything else counts. */
import { STOPS, type Trace } from '../columns.ts';
import { quantile, rounded } from './quantile.ts';
import { rootPauses } from './session-zero-latency.ts';

export interface Quantiles {
  readonly n: number;
  readonly p10: number;
  readonly p50: number;
  readonly p90: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
  readonly mean: number;
}

export type PauseKind = 'tool' | 'human' | 'unknown';

export interface Shape {
  readonly population: 'root';
  readonly requestsPerSession: Quantiles | null;
  readonly durationS: Quantiles | null;
  readonly firstInput: Quantiles | null;
  readonly peakInput: Quantiles | null;
  readonly input: Quantiles | null;
  readonly output: Quantiles | null;
  /** Input growth over the previous request where no break lies between. */
  readonly growth: Quantiles | null;
  readonly toolTokens: Quantiles | null;
  readonly systemTokens: Quantiles | null;
  /** Seconds by what the previous response ended with; joins are not told apart (`joins` counts them). */
  readonly pausesS: Readonly<Record<PauseKind, { readonly recorded: Quantiles; readonly debiased: Quantiles } | null>>;
  readonly joins: number;
  readonly runsPerRequest: Quantiles | null;
  readonly agentsPerSession: Quantiles | null;
  /** Sub-agents that the same request waits for. */
  readonly groupSize: Quantiles | null;
}

/** Quantiles by linear interpolation, rounded to three decimals; null for no values. Sorts `values`. */
export function quantiles(values: number[] | Float64Array): Quantiles | null {
  const n = values.length;
  if (n === 0) return null;
  const v = Float64Array.from(values).sort();
  let sum = 0;
  for (const x of v) sum += x;
  const at = (p: number): number => rounded(quantile(v, p), 3);
  return {
    n,
    p10: at(0.1),
    p50: at(0.5),
    p90: at(0.9),
    p95: at(0.95),
    p99: at(0.99),
    max: rounded(v[n - 1]!, 3),
    mean: rounded(sum / n, 3),
  };
}

/** Kind of the pause after a response with this stop code. Source: trace specification 2.5. */
export function pauseKindAfter(stop: number): PauseKind {
  const name = STOPS[stop];
  return name === 'tool' ? 'tool' : name === 'turn' ? 'human' : 'unknown';
}

/** Shape over root requests. Cost O(requests log requests). */
export function shapeOf(trace: Trace): Shape {
  const { session, agent, request } = trace;
  const v: Record<string, number[]> = {};
  const add = (name: string, value: number): void => {
    (v[name] ??= []).push(value);
  };
  let joins = 0;
  for (let s = 0; s < trace.sessionCount; s++) {
    const root = session.agentFrom[s]!;
    const from = agent.requestFrom[root]!;
    const to = agent.requestFrom[root + 1]!;
    add('requests', to - from);
    add('duration', (request.startMs[to - 1]! - request.startMs[from]!) / 1000);
    add('first', request.inTokens[from]!);
    add('tool', agent.toolTokens[root]!);
    add('system', agent.systemTokens[root]!);
    add('agents', session.agentFrom[s + 1]! - root);
    let peak = 0;
    for (let r = from; r < to; r++) {
      peak = Math.max(peak, request.inTokens[r]!);
      add('input', request.inTokens[r]!);
      add('output', request.outTokens[r]!);
      add('runs', request.runFrom[r + 1]! - request.runFrom[r]!);
      if (r === from) continue;
      if (request.breakKeptTokens[r]! < 0) add('growth', request.inTokens[r]! - request.inTokens[r - 1]!);
      const kind = pauseKindAfter(request.stop[r - 1]!);
      const pause = rootPauses(trace, r);
      add(`${kind} recorded`, pause.recorded / 1000);
      add(`${kind} debiased`, pause.debiased / 1000);
    }
    add('peak', peak);
    const groups = new Map<number, number>();
    for (let a = root + 1; a < session.agentFrom[s + 1]!; a++) {
      const before = agent.joinBefore[a]!;
      if (before >= 0) groups.set(before, (groups.get(before) ?? 0) + 1);
    }
    joins += groups.size;
    for (const size of groups.values()) add('group', size);
  }
  const q = (name: string): Quantiles | null => quantiles(v[name] ?? []);
  const sizes = (v['tool'] ?? []).some((x) => x > 0) || (v['system'] ?? []).some((x) => x > 0);
  const pauses = (kind: PauseKind): Shape['pausesS'][PauseKind] => {
    const recorded = q(`${kind} recorded`);
    const debiased = q(`${kind} debiased`);
    return recorded === null || debiased === null ? null : { recorded, debiased };
  };
  return {
    population: 'root',
    requestsPerSession: q('requests'),
    durationS: q('duration'),
    firstInput: q('first'),
    peakInput: q('peak'),
    input: q('input'),
    output: q('output'),
    growth: q('growth'),
    toolTokens: sizes ? q('tool') : null,
    systemTokens: sizes ? q('system') : null,
    pausesS: { tool: pauses('tool'), human: pauses('human'), unknown: pauses('unknown') },
    joins,
    runsPerRequest: q('runs'),
    agentsPerSession: q('agents'),
    groupSize: q('group'),
  };
}
