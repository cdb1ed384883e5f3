/** Turns and sessions against their objectives; the counts behind goodput. Source: experiments specification 3.5, 4, 5.2. */
import { itemFilter, sessionValueOf, turnValueOf } from './item-values.ts';
import { boundMetric } from './metric-expression.ts';
import type { Objective, RunMeasures } from './run-measures.ts';
import { SESSION_STATUS, TURN_STATUS } from './turn-table.ts';

/** Not in the window, not addressed by the objective's tags, or censored before it could be judged. */
export const UNJUDGED = 0;
/** Violated, rejected, timed out, failed or abandoned. */
export const MISSED = 1;
/** Met. */
export const MET = 2;

/** Share of turns of a session that must meet their objectives for the session to count as good. */
const GOOD_TURN_SHARE = 0.99;

/** Whether a value satisfies a bound. */
export function meetsBound(objective: Pick<Objective, 'op' | 'bound'>, value: number): boolean {
  switch (objective.op) {
    case '<':
      return value < objective.bound;
    case '<=':
      return value <= objective.bound;
    case '>':
      return value > objective.bound;
    case '>=':
      return value >= objective.bound;
    case '==':
      return value === objective.bound;
  }
}

/** How many items met an objective, of those judged. Metrics `turn.*` are judged per turn, `session.*` per session. */
export function objectiveShare(objective: Objective, run: RunMeasures): { met: number; of: number } {
  const isTurn = objective.metric.startsWith('turn.');
  const outcome = isTurn ? turnOutcomes([objective], run) : sessionOutcomes([objective], run);
  let met = 0;
  let of = 0;
  for (const code of outcome) {
    if (code === MET) met++;
    if (code !== UNJUDGED) of++;
  }
  return { met, of };
}

/** Code per turn: {@link MET} only if every objective that addresses it is met; offered turns without objectives must finish. */
export function turnOutcomes(objectives: readonly Objective[], run: RunMeasures): Uint8Array {
  const { turns, window } = run;
  const inWindow = itemFilter({}, run);
  const judges = objectives.map((objective) => {
    const { metric, tags } = boundMetric(objective.metric);
    return { objective, addresses: itemFilter(tags, run), measure: turnValueOf(metric.name, run) };
  });
  const codes = new Uint8Array(turns.count);
  for (let turn = 0; turn < turns.count; turn++) {
    if (!inWindow.turn(turn)) continue;
    const status = turns.status[turn]!;
    const isOpen = status === TURN_STATUS.censored || status === TURN_STATUS.open;
    const hasFailed = status !== TURN_STATUS.finished && !isOpen;
    if (objectives.length === 0) {
      codes[turn] = hasFailed ? MISSED : isOpen ? UNJUDGED : MET;
      continue;
    }
    let code = UNJUDGED;
    for (const { objective, addresses, measure } of judges) {
      if (measure === null || !addresses.turn(turn)) continue;
      const value = measure(turn);
      const one = hasFailed ? MISSED : judged(objective, value, isOpen ? (window.toMs - turns.arrivalMs[turn]!) / 1000 : null);
      code = combine(code, one);
      if (code === MISSED) break;
    }
    codes[turn] = code;
  }
  return codes;
}

/** Code per session of the window. */
export function sessionOutcomes(objectives: readonly Objective[], run: RunMeasures): Uint8Array {
  const { sessions, window } = run;
  const inWindow = itemFilter({}, run);
  const judges = objectives.map((objective) => {
    const { metric, tags } = boundMetric(objective.metric);
    return {
      objective,
      addresses: itemFilter(tags, run),
      measure: sessionValueOf(metric.name, run),
      isSpan: metric.name === 'session.completion',
    };
  });
  const codes = new Uint8Array(sessions.count);
  for (let session = 0; session < sessions.count; session++) {
    if (!inWindow.session(session)) continue;
    const status = sessions.status[session]!;
    const isOpen = status === SESSION_STATUS.censored || status === SESSION_STATUS.open;
    const hasFailed = status !== SESSION_STATUS.completed && !isOpen;
    let code = objectives.length > 0 ? UNJUDGED : hasFailed ? MISSED : isOpen ? UNJUDGED : MET;
    for (const { objective, addresses, measure, isSpan } of judges) {
      if (measure === null || !addresses.session(session)) continue;
      const elapsed = isOpen && isSpan ? (window.toMs - sessions.startMs[session]!) / 1000 : null;
      code = combine(code, hasFailed ? MISSED : judged(objective, measure(session), elapsed));
    }
    codes[session] = code;
  }
  return codes;
}

/** Sessions completed, every session objective met, and at least 99 % of their judged turns good. */
export function goodSessions(run: RunMeasures): number {
  const turns = turnOutcomes(run.objectives.turn, run);
  const sessions = sessionOutcomes(run.objectives.session, run);
  const met = new Int32Array(run.sessions.count);
  const of = new Int32Array(run.sessions.count);
  for (let turn = 0; turn < turns.length; turn++) {
    if (turns[turn] === UNJUDGED) continue;
    const session = run.labels.session[turn]!;
    of[session]!++;
    if (turns[turn] === MET) met[session]!++;
  }
  const inWindow = itemFilter({}, run);
  let good = 0;
  for (let session = 0; session < sessions.length; session++) {
    const isDone = run.sessions.status[session] === SESSION_STATUS.completed;
    if (!isDone || !inWindow.session(session) || sessions[session] === MISSED) continue;
    if (met[session]! >= GOOD_TURN_SHARE * of[session]! - 1e-9) good++;
  }
  return good;
}

/** A value against its bound; an open item without a value has missed an upper bound once its elapsed time exceeds it. */
function judged(objective: Objective, value: number, elapsedS: number | null): number {
  if (!Number.isNaN(value)) return meetsBound(objective, value) ? MET : MISSED;
  const isUpper = objective.op === '<' || objective.op === '<=';
  return elapsedS !== null && isUpper && !meetsBound(objective, elapsedS) ? MISSED : UNJUDGED;
}

function combine(before: number, now: number): number {
  if (before === MISSED || now === MISSED) return MISSED;
  return Math.max(before, now);
}
