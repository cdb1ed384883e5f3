/** Values of the tally metrics, item by item: one number per turn or session of the measured window. */
import type { BoundExpression } from './metric-expression.ts';
import type { RunMeasures } from './run-measures.ts';
import { SESSION_STATUS, TURN_STATUS } from './turn-table.ts';

/** Tags of an expression, resolved against a run: which turns and sessions it speaks of. */
export interface ItemFilter {
  turn(turn: number): boolean;
  session(session: number): boolean;
}

/** Filter for the measured window and the tags of an expression. An unknown class, tenant or pool selects nothing. */
export function itemFilter(tags: BoundExpression['tags'], run: RunMeasures): ItemFilter {
  const { turns, labels, sessions, window } = run;
  const classes = codes(tags['class'], labels.classNames);
  const tenants = codes(tags['tenant'], labels.tenantNames);
  const pools = tags['pool'] === undefined ? null : new Set(tags['pool']);
  return {
    turn: (turn) =>
      turns.status[turn] !== TURN_STATUS.none &&
      turns.arrivalMs[turn]! >= window.fromMs &&
      turns.arrivalMs[turn]! <= window.toMs &&
      (classes === null || classes.has(labels.turnClass[turn]!)) &&
      (tenants === null || tenants.has(labels.tenant[labels.session[turn]!]!)) &&
      (pools === null || pools.has(run.workers[turns.worker[turn]!]?.pool ?? '')),
    session: (session) =>
      sessions.startMs[session]! >= window.fromMs &&
      sessions.startMs[session]! <= run.sessionToMs &&
      (tenants === null || tenants.has(labels.tenant[session]!)),
  };
}

/** Value of a turn metric in registry units; NaN = no value (rejected, unfinished, not applicable). Null for an unknown name. */
export function turnValueOf(name: string, run: RunMeasures): ((turn: number) => number) | null {
  const t = run.turns;
  const e2e = (turn: number): number =>
    t.status[turn] === TURN_STATUS.finished ? (t.lastTokenMs[turn]! - t.arrivalMs[turn]!) / 1000 : Number.NaN;
  const ttft = (turn: number): number => (t.firstTokenMs[turn]! - t.arrivalMs[turn]!) / 1000;
  switch (name) {
    case 'turn.ttft':
      return ttft;
    case 'turn.e2e':
      return e2e;
    case 'turn.tpot':
      return (turn) => (t.outputTokens[turn]! < 2 ? Number.NaN : (e2e(turn) - ttft(turn)) / (t.outputTokens[turn]! - 1));
    case 'turn.queue':
      return (turn) => queueMs(run, turn) / 1000;
    case 'turn.slowdown': {
      const unloaded = run.unloaded?.turnMs;
      return unloaded === undefined ? null : (turn) => (1000 * e2e(turn)) / unloaded[turn]!;
    }
    default:
      return null;
  }
}

/** Value of a session metric in registry units; completed sessions only. Null for an unknown name or missing data. */
export function sessionValueOf(name: string, run: RunMeasures): ((session: number) => number) | null {
  const s = run.sessions;
  const done = (session: number): boolean => s.status[session] === SESSION_STATUS.completed;
  switch (name) {
    case 'session.completion':
      return (session) => (done(session) ? (s.endMs[session]! - s.startMs[session]!) / 1000 : Number.NaN);
    case 'session.activeTime':
      return (session) => (done(session) ? s.activeMs[session]! / 1000 : Number.NaN);
    case 'session.slowdown': {
      const unloaded = run.unloaded?.sessionMs;
      return unloaded === undefined ? null : (session) => (done(session) ? s.activeMs[session]! / unloaded[session]! : Number.NaN);
    }
    default:
      return null;
  }
}

/** Ascending values of a tally metric; null when the run has no data for it. Cached per run. Cost O(n log n) once. */
export function sortedValues(expression: BoundExpression, run: RunMeasures): Float64Array | null {
  const { name } = expression.metric;
  const key = `${name}${JSON.stringify(expression.tags)}`;
  let perRun = cache.get(run);
  if (perRun === undefined) cache.set(run, (perRun = new Map()));
  const known = perRun.get(key);
  if (known !== undefined) return known;
  const isTurn = name.startsWith('turn.');
  const measure = isTurn ? turnValueOf(name, run) : sessionValueOf(name, run);
  if (measure === null) return null;
  const filter = itemFilter(expression.tags, run);
  const count = isTurn ? run.turns.count : run.sessions.count;
  const values = new Float64Array(count);
  let n = 0;
  for (let item = 0; item < count; item++) {
    if (!(isTurn ? filter.turn(item) : filter.session(item))) continue;
    const value = measure(item);
    if (!Number.isNaN(value)) values[n++] = value;
  }
  const sorted = values.subarray(0, n).sort();
  perRun.set(key, sorted);
  return sorted;
}

const cache = new WeakMap<RunMeasures, Map<string, Float64Array>>();

/**
 * Time in the gateway's and the worker's queue until the first admission; NaN if never admitted. A request that is restored from
 * a lower tier leaves the queue when its restore begins. The delay between dispatch and the worker's queue is no queueing.
 */
function queueMs(run: RunMeasures, turn: number): number {
  const t = run.turns;
  const ready = Number.isNaN(t.restoreMs[turn]!) ? t.admitMs[turn]! : t.restoreMs[turn]!;
  return Math.max(0, ready - t.arrivalMs[turn]! - (run.workers[t.worker[turn]!]?.requestMs ?? 0));
}

function codes(names: readonly string[] | undefined, known: readonly string[]): Set<number> | null {
  return names === undefined ? null : new Set(names.map((name) => known.indexOf(name)));
}
