/**
 * One stored run again, under observation: the same plan, arm and replication, with a TurnPartition listening to the workers. The run
 * hash tells whether it is the same run; what it did is the same either way. Source: experiments specification 7.1.
 */
import { UserError } from '../../control/user-error.ts';
import type { Trace } from '../../traces/columns.ts';
import { Cluster } from '../cluster/cluster.ts';
import type { ClusterRun } from '../cluster/cluster-spec.ts';
import { type Cause, rollUpOf } from '../measure/causes.ts';
import { itemFilter, sessionValueOf, turnValueOf } from '../measure/item-values.ts';
import type { BoundExpression } from '../measure/metric-expression.ts';
import type { TokenSources } from '../measure/token-sources.ts';
import type { CauseRun } from '../measure/turn-causes.ts';
import { componentsOf, TurnPartition } from '../measure/turn-partition.ts';
import type { TurnTimeline } from '../measure/turn-timeline.ts';
import type { Item } from '../measure/waterfall.ts';
import { materialiseWorkload } from '../workload/materialise.ts';
import type { MissedTokens } from './explain-result.ts';
import { measuresOf } from './measure-run.ts';
import type { RunPlan } from './run-plan.ts';
import { clusterSpec, planeOf } from './simulate.ts';
import { NothingCompleteError } from './simulate-point.ts';
import { type TurnDecision, TurnDecisions } from './turn-decisions.ts';

/** A turn that the metric counts: its value and components, ms. */
export interface ExplainedTurn extends Item {
  readonly session: string;
  /** Own time by component from arrival to last token; null = not finished. */
  readonly e2e: Float64Array | null;
  readonly promptTokens: number;
  /** Tokens of the first admission that no tier served, by cause, most first. */
  readonly missed: readonly MissedTokens[];
  readonly decision: TurnDecision | undefined;
}

/** A completed session. Times in ms. */
export interface ExplainedSession {
  readonly name: string;
  readonly activeMs: number;
  readonly slowdown: number;
}

/** What one observed run tells. */
export interface ExplainedRun {
  readonly runHash: string;
  readonly workloadHash: string;
  /** By name of the turn. */
  readonly turns: ReadonlyMap<string, ExplainedTurn>;
  readonly sessions: ReadonlyMap<string, ExplainedSession>;
  readonly sources: TokenSources;
}

const EVENTS_PER_LOOK = 8000;

/**
 * Runs arm `arm` of a plan again. `expression` is a tally of turns. Throws
 * Error I7 if the components of a turn do not sum to its time, NothingCompleteError when interrupted.
 */
export async function explainRun(
  plan: RunPlan,
  trace: Trace,
  arm: number,
  replication: number,
  expression: BoundExpression,
  signal?: AbortSignal,
  timeline?: TurnTimeline,
): Promise<ExplainedRun> {
  const { cluster, partition, decisions } = observedCluster(plan, trace, arm, replication, timeline);
  while (cluster.step(EVENTS_PER_LOOK)) {
    await new Promise((resolve) => setImmediate(resolve));
    if (signal?.aborted === true) throw new NothingCompleteError('nothing was explained');
  }
  return explained(plan, arm, cluster.result(), partition, decisions, expression);
}

/** A cluster with an observer at its workers and at both doors of its control plane. */
export function observedCluster(plan: RunPlan, trace: Trace, arm: number, replication: number, timeline?: TurnTimeline) {
  const workload = materialiseWorkload(trace, plan.workload, plan.seed, replication);
  const spec = clusterSpec(plan, plan.arms[arm]!, workload, replication, null);
  const workers = spec.fleet.workers.map((w) => ({ timer: w.createTimer(), requestMs: w.requestMs }));
  const partition = new TurnPartition(workers, timeline);
  const decisions = new TurnDecisions();
  const cluster = new Cluster({
    ...spec,
    fleet: { ...spec.fleet, observer: partition, ...(timeline === undefined ? {} : { onLook: timeline.looked }) },
    createPlane: (branches, effects) => {
      const plane = planeOf(plan, plan.arms[arm]!, replication, 'compact', branches, decisions.heard(effects));
      const request = plane.request.bind(plane);
      plane.request = (attempt, tMs) => {
        partition.arrived(attempt.attempt, attempt.id, attempt.attemptNumber, tMs);
        request(attempt, tMs);
      };
      return plane;
    },
  });
  return { cluster, partition, decisions };
}

function explained(
  plan: RunPlan,
  arm: number,
  run: ClusterRun,
  partition: TurnPartition,
  decisions: TurnDecisions,
  expression: BoundExpression,
): ExplainedRun {
  const measures = measuresOf(plan, plan.arms[arm]!, run);
  const { workload, turns: table } = run;
  const counts = itemFilter(expression.tags, measures);
  const secondsOf = turnValueOf(expression.metric.name, measures)!;
  const what = expression.metric.name === 'turn.ttft' ? 'ttft' : 'e2e';
  const turns = new Map<string, ExplainedTurn>();
  for (let k = 0; k < table.count; k++) {
    const turn = table.turn[k]!;
    const name = workload.turnName(turn);
    const parts = partition.turns.get(name);
    const ms = counts.turn(k) ? 1000 * secondsOf(k) : Number.NaN;
    if (Number.isNaN(ms)) continue;
    const causes = run.causes.runs(table.rowOf(k));
    const spans = causes.map(({ cause, tokens }) => ({ label: rollUpOf(cause), tokens }));
    const prompt = table.promptTokens[k]!;
    const attempt = parts?.[what] ?? null;
    if (attempt === null) throw new Error(`internal error I7 (partition of a turn): ${name} has none`);
    const values = componentsOf(attempt, spans, prompt);
    assertExact(name, values, ms, attempt.untilMs);
    const e2e = parts!.e2e === null ? null : what === 'e2e' ? values : componentsOf(parts!.e2e, spans, prompt);
    const session = workload.playName(workload.turns.play(turn));
    turns.set(name, { ms, values, session, e2e, promptTokens: prompt, missed: missedTokens(causes), decision: decisions.of(name) });
  }
  const sessions = new Map<string, ExplainedSession>();
  const slowdownOf = sessionValueOf('session.slowdown', measures)!;
  for (let play = 0; play < run.plays.count; play++) {
    const slowdown = counts.session(play) ? slowdownOf(play) : Number.NaN;
    if (!Number.isFinite(slowdown)) continue;
    const name = workload.playName(play);
    sessions.set(name, { name, activeMs: run.plays.activeMs[play]!, slowdown });
  }
  return { runHash: run.runHash, workloadHash: workload.hash, turns, sessions, sources: run.sources };
}

/** Runs of tokens as sums by cause, most tokens first. */
function missedTokens(runs: readonly CauseRun[]): MissedTokens[] {
  const sums = new Map<Cause, number>();
  for (const { cause, tokens } of runs) sums.set(cause, (sums.get(cause) ?? 0) + tokens);
  return [...sums].map(([cause, tokens]) => ({ cause, tokens })).sort((a, b) => b.tokens - a.tokens);
}

/** Invariant I7, to 1e-9 of the time or of the clock that it was read from. */
function assertExact(name: string, values: Float64Array, ms: number, clockMs: number): void {
  const sum = values.reduce((a, b) => a + b, 0);
  if (!(Math.abs(sum - ms) <= 1e-9 * Math.max(ms, clockMs)))
    throw new Error(`internal error I7 (partition of a turn): components of ${name} sum to ${sum} ms, its time is ${ms} ms`);
}

/** Throws UserError E_EXPLAIN_CHANGED: the stored result is not what this program makes of its plan. */
export function refuseChanged(folder: string, what: string, got: string, expected: string, reproduce: string): never {
  throw new UserError({
    severity: 'error',
    code: 'E_EXPLAIN_CHANGED',
    file: folder,
    message: `${what}: got ${got}, the stored result has ${expected}`,
    hint: `Make the result again: ${reproduce}`,
  });
}
