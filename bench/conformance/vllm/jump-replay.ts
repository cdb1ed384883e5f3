/**
 * Replays a recorded scenario through a whole worker instead of step by step: the recorded arrivals, aborts and resets go in at their
 * iterations, and what the worker tells its sink is compared. A step takes 1 ms, so iteration t begins at t ms, less the steps
 * without tokens before it: they take no time in a worker.
 */
import { KV_CLEARED, KV_STORED, type KvEventBatch } from '../../../control/ports.ts';
import { emptyLoadView } from '../../../sim/engine/empty-load-view.ts';
import { JumpWorker } from '../../../sim/engine/jump/jump-worker.ts';
import type { Regime, StepTimer } from '../../../sim/engine/step-timer.ts';
import type { EndStatus, WorkerSink } from '../../../sim/engine/worker.ts';
import { EVENT_CLASS } from '../../../sim/kernel/event-class.ts';
import { type Difference, firstDifference } from '../suite.ts';
import { outputTokensOf, promptTokensOf, type RecordedBranches, recordedBranches } from './recorded-chains.ts';
import type { RecordedScenario, RecordedStep } from './vllm-recording.ts';
import { engineConfigOf, expandEvent, expandRanges, type ReplayResult } from './vllm-replay.ts';

/** Every step takes 1 ms. */
class UnitTimer implements StepTimer {
  readonly run = { u0: 1, v0: 0, split: Number.POSITIVE_INFINITY, u1: 1, v1: 0 };
  readonly requestMs = 0;
  readonly regime: Regime = 'calibrated';

  stepMs(): number {
    return 1;
  }

  startRun(): void {}

  runMs(steps: number): number {
    return steps;
  }

  stepsWithin(withinMs: number): number {
    return Math.floor(withinMs);
  }
}

/** What happened at a time: comparable values, the kind of happening first. */
interface Happening {
  readonly tMs: number;
  readonly what: readonly unknown[];
}

/** One published KV event. */
interface BlockEvent {
  readonly tMs: number;
  readonly kind: 'S' | 'R' | 'C';
  readonly branch: number;
  readonly offset: number;
}

/** Writes down what is compared. */
class Diary implements WorkerSink {
  readonly admissions: Happening[] = [];
  readonly preemptions: Happening[] = [];
  readonly ends: Happening[] = [];
  readonly events: BlockEvent[] = [];

  admitted(id: number, tMs: number, _query: number, hitHbmTokens: number, _host: number, first: boolean): void {
    this.admissions.push({ tMs, what: [id, hitHbmTokens, first ? 'new' : 'res'] });
  }

  preempted(id: number, tMs: number): void {
    this.preemptions.push({ tMs, what: [id] });
  }

  ended(id: number, tMs: number, status: EndStatus, outputTokens: number, reason: string): void {
    const recorded = reason === 'length_capped' ? 'length' : reason;
    this.ends.push({ tMs, what: [id, outputTokens, status === 'finished' || status === 'aborted' ? recorded : `${status} ${reason}`] });
  }

  kvEvents(_worker: number, batch: KvEventBatch): void {
    for (let i = 0; i < batch.count; i++) {
      const kind = batch.kind[i] === KV_STORED ? 'S' : batch.kind[i] === KV_CLEARED ? 'C' : 'R';
      const event = { tMs: batch.publishedMs, kind, branch: batch.branch[i]! } as const;
      if (kind === 'C') this.events.push({ ...event, offset: 0 });
      for (let offset = batch.from[i]!; offset < batch.to[i]!; offset++) this.events.push({ ...event, offset });
    }
  }

  restoring(): void {}
  firstToken(): void {}
  tokenGaps(): void {}
  settled(): void {}
  claimBroken(): void {}
}

/**
 * Whether a worker can be told the inputs of a scenario: synchronous, and nothing comes in right after a step without tokens, which
 * takes no time in a worker. Others are not cases of the jumping families.
 */
export function fitsWorker({ config, steps }: RecordedScenario): boolean {
  const isInput = (step: RecordedStep) => (step.add ?? step.abort) !== undefined || step.reset !== undefined;
  const isEmpty = (step: RecordedStep | undefined) => step !== undefined && step.free !== undefined && step.s === undefined;
  return config.async_depth === 1 && !steps.some((step, i) => isInput(step) && isEmpty(steps[i - 1]) && steps[i - 1]!.t === step.t - 1);
}

/**
 * Replays a scenario of async_depth 1 through the jumping engine: admissions with their hits, preemptions and ends in order, the KV
 * events of every publication, prefix statistics, steps and the final pool. `differences` holds the earliest one of each kind.
 */
export function replayJumping(scenario: RecordedScenario): ReplayResult {
  const { config, requests, steps } = scenario;
  if (config.async_depth !== 1) throw new Error(`${scenario.id}: the jumping engine schedules synchronously`);
  const diary = new Diary();
  const recorded = recordedBranches(scenario);
  const worker = new JumpWorker({
    index: 0,
    // Without a lower tier the limit of active requests is all that max_num_seqs does.
    config: { ...engineConfigOf(config), maxSeqs: config.max_num_active_seqs ?? config.max_num_seqs },
    branches: recorded.branches,
    timer: new UnitTimer(),
    links: null,
    sink: diary,
  });
  const comparison = new Comparison();
  const starts = startsOf(steps);
  let submissions = 0;
  for (const [i, step] of steps.entries()) {
    const tMs = starts[i]!;
    for (const id of step.abort ?? []) worker.abort(id, tMs);
    if (step.reset !== undefined) comparison.same(step.t, `step ${step.t} reset`, worker.resetPrefixCache(tMs), step.reset);
    for (const id of step.add ?? []) {
      const request = requests[id]!;
      worker.submit(
        {
          id,
          session: id,
          leaf: recorded.leaves[id]!,
          promptTokens: promptTokensOf(request),
          outputTokens: Math.min(request.max_tokens, request.stop_at ?? Number.POSITIVE_INFINITY),
          priority: request.priority ?? 0,
          arrivalMs: config.arrival_time === 'sequence' ? submissions++ : step.t,
          stopsEarly: (request.stop_at ?? Number.POSITIVE_INFINITY) <= request.max_tokens,
        },
        tMs,
      );
    }
  }
  runOut(worker, scenario);
  const expected = expectedHappenings(scenario, starts);
  comparison.sequence('admissions', diary.admissions, expected.admissions);
  comparison.sequence('preemptions', diary.preemptions, expected.preemptions);
  comparison.sequence('ends', diary.ends, expected.ends);
  compareEvents(comparison, diary.events, recordedEvents(steps, starts), recorded);
  compareTotals(comparison, worker, scenario);
  return { differences: comparison.inOrder(), fields: comparison.fields };
}

/** Lets the worker go on until nothing is left to do, at most as long as one request after the other would need. */
function runOut(worker: JumpWorker, { config, requests, steps }: RecordedScenario): void {
  let limitMs = steps.at(-1)!.t + 1;
  for (const request of requests) limitMs += promptTokensOf(request) + outputTokensOf(request, config.max_model_len);
  while (worker.nextMs <= limitMs) worker.advance(worker.nextMs, EVENT_CLASS.observe);
}

/** Begin of each recorded iteration. */
function startsOf(steps: readonly RecordedStep[]): number[] {
  let timeless = 0;
  return steps.map((step) => {
    const startMs = step.t - timeless;
    if (step.free !== undefined && step.s === undefined) timeless++;
    return startMs;
  });
}

function expectedHappenings({ steps, final }: RecordedScenario, starts: readonly number[]) {
  const admissions: Happening[] = [];
  const preemptions: Happening[] = [];
  const ends: Happening[] = [];
  const outcomes = new Map(final.requests.map((request) => [request[0], request]));
  const end = (id: number, tMs: number) => {
    const outcome = outcomes.get(id);
    ends.push({ tMs, what: [id, outcome?.[3], outcome?.[4]] });
  };
  for (const [i, step] of steps.entries()) {
    const tMs = starts[i]!;
    const hits = new Map<number, readonly unknown[]>();
    for (const [id, hit] of step.new ?? []) hits.set(id, [id, hit, 'new']);
    for (const [id, hit] of step.res ?? []) hits.set(id, [id, hit, 'res']);
    for (const id of (step.s ?? []).filter((_, k) => k % 3 === 0)) if (hits.has(id)) admissions.push({ tMs, what: hits.get(id)! });
    for (const id of step.pre ?? []) preemptions.push({ tMs, what: [id] });
    for (const id of step.abort ?? []) end(id, tMs);
    for (const id of step.fin ?? []) end(id, tMs + 1);
  }
  return { admissions, preemptions, ends };
}

/** Published events of the recording, one per block; without a step in flight a worker publishes at once. */
function recordedEvents(steps: readonly RecordedStep[], starts: readonly number[]): { readonly tMs: number; readonly text: string }[] {
  return steps.flatMap((step, i) =>
    (step.ev ?? []).flatMap(expandEvent).map((text) => ({ tMs: starts[i]! + (text === 'C' || step.s === undefined ? 0 : 1), text })),
  );
}

/**
 * Compares events in order. Recorded hashes are numbered by first appearance, which the stored blocks of the worker give again. Inside
 * neighbouring removals of one branch the order is free: worker port.
 */
function compareEvents(
  comparison: Comparison,
  got: readonly BlockEvent[],
  expected: readonly { readonly tMs: number; readonly text: string }[],
  { branches }: RecordedBranches,
): void {
  const numbers = new Map<string, number>();
  const branchOf: number[] = [];
  const numberOf = (branch: number, offset: number) => {
    const name = `${branch} ${offset}`;
    if (!numbers.has(name)) {
      numbers.set(name, numbers.size);
      branchOf.push(branch);
    }
    return numbers.get(name)!;
  };
  const parentOf = (branch: number, offset: number): number | '.' => {
    if (offset > 0) return numberOf(branch, offset - 1);
    const parent = branches.at(branch, branches.start[branch]!);
    return parent < 0 ? '.' : numberOf(parent, branches.start[branch]! - branches.start[parent]! - 1);
  };
  const told = got.map(({ tMs, kind, branch, offset }) => {
    if (kind === 'C') return { tMs, text: 'C' };
    if (kind === 'R') return { tMs, text: `R:${numberOf(branch, offset)}` };
    return { tMs, text: `S${parentOf(branch, offset)}:${numberOf(branch, offset)}` };
  });
  const sortable = (list: typeof told) => list.map(({ tMs, text }) => ({ tMs, what: [text] }));
  const removedFrom = (text: unknown) => (String(text).startsWith('R:') ? branchOf[Number(String(text).slice(2))] : undefined);
  comparison.sequence('events', sortRuns(sortable(told), removedFrom), sortRuns(sortable(expected.slice()), removedFrom));
}

/** Sorts neighbours of one time and one key. */
function sortRuns(list: readonly Happening[], keyOf: (text: unknown) => number | undefined): Happening[] {
  const sorted: Happening[] = [];
  for (let i = 0; i < list.length; ) {
    const { tMs, what } = list[i]!;
    const key = keyOf(what[0]);
    let end = i + 1;
    if (key !== undefined) while (end < list.length && list[end]!.tMs === tMs && keyOf(list[end]!.what[0]) === key) end++;
    sorted.push(...list.slice(i, end).sort((a, b) => (String(a.what[0]) < String(b.what[0]) ? -1 : 1)));
    i = end;
  }
  return sorted;
}

function compareTotals(comparison: Comparison, worker: JumpWorker, { config, steps, final }: RecordedScenario): void {
  const { counters } = worker;
  const view = emptyLoadView();
  worker.loadView(0, view);
  const at = Number.POSITIVE_INFINITY;
  comparison.same(at, 'final free', view.kvUsableBlocks - view.kvReferencedBlocks, expandRanges(final.free_queue).length);
  comparison.same(at, 'final hashed_blocks', view.kvCachedBlocks, final.hashed_blocks);
  comparison.same(at, 'final steps', counters.steps, steps.filter((step) => step.s !== undefined).length);
  if (!config.enable_prefix_caching) return;
  const totals = [0, 0, 0, 0, 0, 0];
  for (const step of steps) for (const [k, value] of (step.pc ?? []).entries()) totals[k]! += value;
  const { queryTokensFirst, hitHbmTokensFirst, queryTokensAgain, hitHbmTokensAgain } = counters;
  const [requests, queries, hits, requestsAgain, queriesAgain, hitsAgain] = totals as [number, number, number, number, number, number];
  comparison.same(at, 'final pc requests', counters.admissions, requests + requestsAgain);
  comparison.same(
    at,
    'final pc tokens',
    [queryTokensFirst, hitHbmTokensFirst, queryTokensAgain, hitHbmTokensAgain],
    [queries, hits, queriesAgain, hitsAgain],
  );
}

/** Collects the first difference of each kind and when it happened. */
class Comparison {
  fields = 0;
  readonly #found: { readonly tMs: number; readonly difference: Difference }[] = [];

  same(tMs: number, field: string, got: unknown, expected: unknown): void {
    this.fields++;
    const difference = firstDifference(field, got, expected);
    if (difference !== undefined) this.#found.push({ tMs, difference });
  }

  /** Compares time and values of all happenings in order; the field is e.g. `ends at 12 ms`. */
  sequence(name: string, got: readonly Happening[], expected: readonly Happening[]): void {
    const count = Math.max(got.length, expected.length);
    this.fields += 1 + expected.length;
    for (let i = 0; i < count; i++) {
      const [g, e] = [got[i], expected[i]];
      const tMs = Math.min(g?.tMs ?? Number.POSITIVE_INFINITY, e?.tMs ?? Number.POSITIVE_INFINITY);
      if (firstDifference(name, listed(g), listed(e)) === undefined) continue;
      this.#found.push({ tMs, difference: { field: `${name} at ${tMs} ms`, got: listed(g), expected: listed(e) } });
      return;
    }
  }

  /** Earliest first. */
  inOrder(): Difference[] {
    return this.#found.toSorted((a, b) => a.tMs - b.tMs).map(({ difference }) => difference);
  }
}

/** `[ms, values…]`. */
function listed(happening: Happening | undefined): readonly unknown[] | undefined {
  return happening === undefined ? undefined : [happening.tMs, ...happening.what];
}
