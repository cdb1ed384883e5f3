/** What is written down while a run goes on: turns, token gaps, sources of prompt tokens, counts, and the hash of the event log. */
import type { ActionOutcome, KvAction } from '../../control/ports.ts';
import type { Worker, WorkerCounters } from '../engine/worker.ts';
import { LOGGED, RunHash } from '../kernel/run-hash.ts';
import { windowCounters } from '../measure/run-measures.ts';
import { DDSketch } from '../measure/sketch.ts';
import { emptySources } from '../measure/token-sources.ts';
import { TurnCauses } from '../measure/turn-causes.ts';
import { TurnTable } from '../measure/turn-table.ts';
import type { Workload } from '../workload/workload.ts';
import type { Attempts } from './attempts.ts';
import { CauseRecord } from './causes/cause-record.ts';
import type { ActionCounts, ClusterRun, ClusterSpec } from './cluster-spec.ts';
import { PrefetchLedger } from './prefetch-ledger.ts';
import { UnloadedTime } from './unloaded-time.ts';

export class RunRecord {
  readonly turns: TurnTable;
  readonly hash = new RunHash();
  readonly actions: ActionCounts = { sent: 0, accepted: 0, clipped: 0, rejected: 0, missing: 0 };
  tokenGaps = new DDSketch();
  decisions = 0;
  staleDecisions = 0;
  refusals = 0;
  timeouts = 0;
  /** Fields of hints that could not be used. */
  droppedHints = 0;
  readonly #workload: Workload;
  readonly #claims: ClusterSpec['claims'];
  /** Why prompt tokens were missed; null = not judged. */
  readonly causes: CauseRecord | null;
  readonly prefetches: PrefetchLedger;
  readonly #unloaded: UnloadedTime;
  /** By template row, NaN = not computed. */
  #unloadedMs = new Float64Array(0);
  #startCounters: WorkerCounters[] = [];

  constructor(spec: ClusterSpec, workers: readonly Worker[]) {
    const { workload } = spec;
    this.#workload = workload;
    this.#claims = spec.claims;
    this.turns = new TurnTable((turn) => workload.turns.promptTokens(turn));
    this.causes = spec.attribution ? new CauseRecord(spec, workers) : null;
    this.prefetches = new PrefetchLedger(workload.branches, workers.length);
    const first = spec.fleet.workers[0]!;
    this.#unloaded = new UnloadedTime(first.createTimer(), first.config.maxBatchedTokens, first.config.blockTokens, first.requestMs);
  }

  /** A request was matched before its first admission and takes blocks now. */
  matched(attempts: Attempts, id: number, tMs: number, hbmBlocks: number, lowerBlocks: number): void {
    this.causes?.matched(attempts, id, tMs, hbmBlocks + lowerBlocks);
    this.prefetches.matched(id, attempts.rank(id), attempts.leaf(id), hbmBlocks, tMs);
  }

  /** Copies left a tier; see WorkerSink.removed. */
  removed(rank: number, tier: number, branch: number, from: number, to: number, sinceMs: number, tMs: number, reason: number): boolean {
    const isKnown = this.causes?.removed(rank, tier, branch, from, to, sinceMs, tMs, reason) ?? true;
    if (isKnown && tier === 0) this.prefetches.removed(rank, branch, from, to);
    return isKnown;
  }

  /** An admission, `isFirst` of its attempt or after a preemption: times, hits, and where the prompt tokens of the turn came from. */
  admitted(attempts: Attempts, id: number, tMs: number, hbmTokens: number, hostTokens: number, isFirst: boolean): void {
    const { blockTokens } = this.#workload;
    const row = attempts.row(id);
    const avoidable = this.causes?.admitted(attempts, id, tMs, hbmTokens, hostTokens, isFirst) ?? -1;
    if (avoidable >= 0) this.turns.judged(row, avoidable);
    if (!isFirst) return;
    if (attempts.believedBlocks(id) * blockTokens > hbmTokens + hostTokens + blockTokens) this.staleDecisions++;
    this.hash.add(tMs, LOGGED.admission, attempts.turn(id));
    this.turns.admitted(row, tMs, hbmTokens, hostTokens);
  }

  firstToken(row: number, turn: number, tMs: number): void {
    this.hash.add(tMs, LOGGED.firstToken, turn);
    this.turns.firstToken(row, tMs);
  }

  /** The engine is done with a turn; whether it is tried again is decided where the message arrives. */
  ended(row: number, turn: number, tMs: number, isFinished: boolean, outputTokens: number): void {
    this.hash.add(tMs, isFinished ? LOGGED.lastToken : LOGGED.end, turn);
    if (isFinished) this.turns.finished(row, tMs, outputTokens);
  }

  /** A retention action is on its way. */
  acted({ verb }: KvAction): void {
    this.actions.sent++;
    if (verb === 'prefetch') this.prefetches.sent();
  }

  /** A worker carried out a retention action, or not. */
  settled(action: KvAction, outcome: ActionOutcome, tMs: number): void {
    if (outcome.result === 'deferred') return;
    this.actions[outcome.result]++;
    this.hash.add(tMs, LOGGED.retention, outcome.appliedBlocks);
    this.prefetches.settled(action, outcome, tMs);
  }

  /** Time of a turn on an idle worker with a perfect cache, ms. Computed once for all turns of a template row. */
  unloadedMs(turn: number): number {
    const { turns } = this.#workload;
    const row = turns.row(turn);
    if (row >= this.#unloadedMs.length) {
      const wide = new Float64Array(Math.max(row + 1, 2 * this.#unloadedMs.length)).fill(Number.NaN);
      wide.set(this.#unloadedMs);
      this.#unloadedMs = wide;
    }
    const known = this.#unloadedMs[row]!;
    if (!Number.isNaN(known)) return known;
    const ms = this.#unloaded.e2eMs(turns.promptTokens(turn), turns.reusableTokens(turn), turns.outputTokens(turn));
    this.#unloadedMs[row] = ms;
    return ms;
  }

  /** The warm-up is over: counters, gaps and sources count from here. All workers have been advanced to now. */
  beginWindow(workers: readonly Worker[]): void {
    this.#startCounters = workers.map((worker) => ({ ...worker.counters, regimeMs: { ...worker.counters.regimeMs } }));
    this.tokenGaps = new DDSketch();
    this.causes?.reset();
    this.prefetches.reset();
  }

  /** Counters of each worker since the begin of the window. */
  counters(workers: readonly Worker[]): WorkerCounters[] {
    if (this.#startCounters.length === 0) return workers.map((worker) => worker.counters);
    return workers.map((worker, i) => windowCounters(worker.counters, this.#startCounters[i]!));
  }

  /** What was written down. */
  result(workers: readonly Worker[]): Omit<ClusterRun, 'plays' | 'occupancy' | 'events' | 'endMs'> {
    const { turns, tokenGaps, decisions, staleDecisions, refusals, timeouts, actions } = this;
    return {
      workload: this.#workload,
      turns,
      unloadedMs: (turn) => this.unloadedMs(turn),
      tokenGaps,
      counters: this.counters(workers),
      sources: this.causes?.sources ?? emptySources(),
      causes: this.causes?.causes ?? new TurnCauses(),
      causeWork: this.causes?.work ?? null,
      runHash: this.hash.digest(),
      decisions,
      staleDecisions,
      refusals,
      timeouts,
      actions,
      hints: { refused: 0, clipped: 0, ...this.#claims, dropped: this.droppedHints },
      prefetches: this.prefetches.totals,
    };
  }
}
